"""Finding split views: what do partners hold of each log, and can it all be one history?

Every partner is asked for the newest checkpoints it holds, of its own log, of logs that it
witnesses and of those that it follows. Each is believed for the log's signature alone. Two of them
that cannot both be true are a fork: it is kept as evidence, told and announced.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ledger import checkpoints, followed, witness
from node.log import consistency, partners
from protocols.log import checkpoint
from schemas import strict_json
from schemas.errors import NotFoundError, RefusedError, TradeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

    from node.log.witness_service import WitnessService
    from protocols.log.checkpoint import Checkpoint
    from protocols.member_list import LogEntry, MemberList

DEADLINE = 4.0
MAX_VIEWS = 512
MAX_BYTES = 8 * 1024 * 1024
ONE, PREFIX, SPLIT, UNPROVEN, INVALID = "same", "consistent", "split", "unproven", "invalid"


@dataclass(frozen=True, slots=True)
class View:
    """A checkpoint that somebody (`by`, a DID) holds of a log."""

    by: str
    head: Checkpoint
    note: str


@dataclass(slots=True)
class Compared:
    """What came of one log.

    verdict: `same`, `consistent` (sizes differ, one history), `unproven` (nobody shows that they
             are one history), `split`, or `invalid` (somebody gave what the log never signed)
    """

    origin: str
    verdict: str = ONE
    views: list[View] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """For the API and the command line."""
        return {
            "origin": self.origin,
            "verdict": self.verdict,
            "views": [
                {"by": view.by, "size": view.head.size, "root": view.head.root.hex()}
                for view in self.views
            ],
            "invalid": self.invalid,
        }


def held_notes(conn: Connection) -> list[tuple[str, str]]:
    """(origin, note) of the newest checkpoints held here: cosigned, followed, and our own."""
    found = [(item.origin, item.note) for item in witness.states(conn)]
    found += [(item.origin, item.note) for item in followed.states(conn)]
    own = checkpoints.newest(conn, signed=True)
    if own is not None:
        text = checkpoints.cosigned_note(conn, own)
        found.append((text.split("\n", 1)[0], text))
    return found


class Comparer:
    """Compares for one node."""

    def __init__(self, service: WitnessService) -> None:
        """`service` keeps evidence and knows the logs."""
        self._service = service
        self._node = service.node

    async def compare(self, dids: Sequence[str] = ()) -> dict[str, Any]:
        """Ask these members, or all; the table as JSON. Raises NotFoundError `log_unknown`."""
        members = self._node.members.current
        if members is None:
            raise NotFoundError("log_unknown", "this node is in no network")
        listed = [entry.did for entry in members.nodes if entry.did != self._node.did]
        for did in dids:
            if did not in listed:
                raise NotFoundError("log_unknown", f"{did} is no partner of this node")
        asked = list(dict.fromkeys(dids)) or listed
        answers = await asyncio.gather(*(self._ask(did) for did in asked))
        given = {self._node.did: await self._node.store.read(held_notes)}
        given |= {
            did: found for did, found in zip(asked, answers, strict=True) if found is not None
        }
        logs = [await self._compare_one(members, one) for one in self._sorted(members, given)]
        silent = [did for did in asked if did not in given]
        anchored = await self._anchors()
        agreed = all(one.verdict in (ONE, PREFIX) for one in logs)
        return {
            "ok": agreed and all(anchor["ok"] for anchor in anchored),
            "logs": [one.to_json() for one in logs],
            "asked": [did for did in asked if did in given],
            "unreachable": silent,
            "anchors": anchored,
        }

    async def _ask(self, did: str) -> list[tuple[str, str]] | None:
        try:
            answer = await self._node.client.call(did, "GET", "/witness/1/views", deadline=DEADLINE)
            if answer.status != 200:
                return None
            value = strict_json.loads_object(answer.body, max_bytes=MAX_BYTES)
        except TradeError:
            return None
        return list(_read(value.get("views")))

    def _sorted(
        self, members: MemberList, given: dict[str, list[tuple[str, str]]]
    ) -> Iterable[Compared]:
        """Every listed log with the views that carry its signature."""
        found = {entry.origin: Compared(entry.origin) for entry in members.logs}
        for did, views in given.items():
            for origin, text in views:
                if origin in found:
                    self._add(members, found[origin], did, text)
        return found.values()

    def _add(self, members: MemberList, compared: Compared, did: str, text: str) -> None:
        entry = members.log(compared.origin)
        assert entry is not None
        try:
            opened = checkpoint.open_checkpoint(
                text, partners.log_key_of(entry), origin=entry.origin
            )
        except TradeError as error:
            compared.invalid.append(f"{did}: {error.code}")
            compared.verdict = INVALID
            return
        known = {(view.by, view.head.size, view.head.root) for view in compared.views}
        if (did, opened.checkpoint.size, opened.checkpoint.root) not in known:
            compared.views.append(View(did, opened.checkpoint, text))

    async def _compare_one(self, members: MemberList, compared: Compared) -> Compared:
        """Neighbours by size, which is enough: being a part of is transitive."""
        entry = members.log(compared.origin)
        assert entry is not None
        compared.views.sort(key=lambda view: (view.head.size, view.head.root))
        for one, other in zip(compared.views, compared.views[1:], strict=False):
            found = await self._pair(entry, one, other)
            order = (ONE, PREFIX, INVALID, UNPROVEN, SPLIT)
            compared.verdict = max(compared.verdict, found, key=order.index)
        return compared

    async def _pair(self, entry: LogEntry, one: View, other: View) -> str:
        if (one.head.size, one.head.root) == (other.head.size, other.head.root):
            return ONE
        if await consistency.is_shown(self._service, entry, one.head, other.head):
            return PREFIX
        proof = await consistency.proof(self._service, entry, one.head, other.head)
        try:
            await self._service.accuser.accuse(entry, one.note, other.note, proof)
        except RefusedError:
            return UNPROVEN
        return SPLIT

    async def _anchors(self) -> list[dict[str, Any]]:
        """Our own log against what was anchored of it on a chain."""
        from ledger import anchors

        publisher = self._node.log.publisher
        if publisher is None:
            return []
        found = await self._node.store.read(anchors.page, 2**53 - 1, 20)
        return [
            {
                "size": anchor.size,
                "root": anchor.root.hex(),
                "ok": anchor.size <= publisher.tree.size
                and publisher.tree.root(anchor.size) == anchor.root,
            }
            for anchor in found
        ]


def _read(value: object) -> Iterable[tuple[str, str]]:
    for item in value[:MAX_VIEWS] if isinstance(value, list) else ():
        if isinstance(item, dict):
            origin, text = item.get("origin"), item.get("note")
            if isinstance(origin, str) and isinstance(text, str):
                yield origin, text
