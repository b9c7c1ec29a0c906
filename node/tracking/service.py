"""`node.tracking`: keeps a control tracking registry that other platforms may use (PINT 3.0.0).

PINT names such a registry by a base URI and does not publish its API; this one is described in
docs/title-registry.md. It is open to read, because a bill's id is known to those alone who have
the transport document, and to write for whoever signs as a listed platform.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ledger import log
from node.title.partners import members_of
from node.tracking import keeping, native, rows
from node.tracking.handlers import TrackingRoutes
from protocols.pint.tracking_proof import Receipt, ReceivedRecord
from protocols.pint.tracking_state import replay
from schemas.errors import ConflictError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from node.http.routes import Route
    from node.runtime import Node
    from node.tracking.rows import Kept
    from protocols.pint.tracking_state import Dispute

MAX_WAIT = 10


@dataclass(frozen=True, slots=True)
class _Found:
    kept: list[Kept]
    title: dict[str, Any] | None
    opened: bool


class TrackingService:
    """The register of records kept at this node, and what titles look like through it."""

    name = "tracking"

    def __init__(self, node: Node) -> None:
        """Nothing runs in the background."""
        self.node = node
        self._disputed: frozenset[bytes] = frozenset()

    def routes(self) -> Sequence[Route]:
        """/ctr/v1 and /ctr/{arbiter}/v1."""
        return TrackingRoutes(self).routes()

    async def start(self) -> None:
        """Know which titles are disputed, so that asking costs nothing."""
        self._disputed = await self.node.store.read(keeping.disputed_titles)

    async def stop(self) -> None:
        """Nothing to end."""

    def ready(self) -> str | None:
        """Always ready: whether a record is final, its receipt says."""
        return None

    async def record(
        self, text: str, entry: str | None = None, wait: float = 0
    ) -> tuple[ReceivedRecord, bool]:
        """Take a signed record; with its receipt as far as it is after `wait` s, and if it is new.

        Raises as `keeping.examine` and `keeping.keep`.
        """
        handed = keeping.examine(self.node, text, entry)
        kept, new = await self.node.store.write(keeping.keep, self.node, handed)
        if new and handed.record.action in keeping.DISPUTING:
            self._disputed = await self.node.store.read(keeping.disputed_titles)
        if wait:
            await self.node.log.wait_for(kept.leaf, min(wait, MAX_WAIT))
        return await self._received(kept), new

    def is_disputed(self, title: bytes) -> bool:
        """Whether a platform has opened a dispute about the title's bill here."""
        return title in self._disputed

    def require_still(self, title: bytes) -> None:
        """Raises ConflictError `tracking_disputed` while a platform disputes the title's bill."""
        if self.is_disputed(title):
            raise ConflictError("tracking_disputed", "a platform disputes this bill")

    async def _received(self, kept: Kept) -> ReceivedRecord:
        found = await self.node.log.receipt(kept.leaf)
        if found is not None:
            return ReceivedRecord(kept.record, Receipt(found.entry, found.text))
        entries = await self.node.store.read(_entries, [kept])
        return ReceivedRecord(kept.record, Receipt(entries[kept.leaf], None))

    async def find(self, record_id: bytes) -> ReceivedRecord:
        """A record by its id; raises NotFoundError `tracking_record_unknown`."""
        kept = await self.node.store.read(rows.known, record_id)
        if kept is None:
            raise NotFoundError("tracking_record_unknown", "no such record is kept here")
        return await self._received(kept)

    async def show(self, ebl: bytes) -> dict[str, Any]:
        """A bill: who holds it, what is open, and its records with their receipts.

        Raises NotFoundError `tracking_bill_unknown`.
        """
        found: _Found = await self.node.store.read(self._found, ebl)
        received = [(await self._received(one)).to_json() for one in found.kept]
        if found.title is not None and not found.opened:
            return {"eblID": ebl.hex(), "source": "title"} | found.title | _marks(found, received)
        if not found.kept:
            raise NotFoundError("tracking_bill_unknown", "no record of that bill is kept here")
        body = {"eblID": ebl.hex(), "source": "records"} | self._state(found)
        if found.title is not None:
            body["contradicted"] = found.title["title"]
        return body | {"records": received}

    def _state(self, found: _Found) -> dict[str, Any]:
        own = members_of(self.node).node(self.node.did)
        state = replay([one.record for one in found.kept], (own and own.platform) or "")
        assert state is not None
        intent = state.control.intent
        told = None
        if intent is not None:
            told = {"record": intent.record.hex(), "receiver": intent.receiver}
        return {
            "head": state.head.hex(),
            "holder": state.control.holder,
            "ended": state.control.ended,
            "intent": told,
            "dispute": _dispute(state.dispute),
        }

    def _found(self, conn: Connection, ebl: bytes) -> _Found:
        kept, members = rows.of_bill(conn, ebl), members_of(self.node)
        title = native.find(conn, members, ebl)
        shown = None if title is None else native.to_json(members, title)
        return _Found(kept, shown, rows.opening(conn, ebl) is not None)


def _marks(found: _Found, received: list[Any]) -> dict[str, Any]:
    marks = keeping.marks_of([one.record for one in found.kept])
    head = marks.head.hex() if marks.head else None
    return {"marks": received, "head": head, "dispute": _dispute(marks.dispute)}


def _dispute(dispute: Dispute | None) -> dict[str, str] | None:
    return None if dispute is None else {"record": dispute.record.hex(), "by": dispute.by}


def _entries(conn: Connection, kept: Sequence[Kept]) -> dict[bytes, bytes]:
    found = (log.find(conn, one.leaf) for one in kept)
    return {leaf.hash: leaf.entry for leaf in found if leaf is not None}
