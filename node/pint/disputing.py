"""`node.disputes`: chains that contradict what is known, kept as evidence, marked, and resolved.

PINT 3.0.0 answers DISE and leaves the rest to the parties. Every envelope answered so, and every
DISE that another platform signs for us, opens a dispute here, in the transaction that tells it.
Opening moves nothing: the next correct envelope is accepted as before. To *mark* a dispute at the
registry, where the bill then stands still, is the operator's act, because whoever once held a bill
could otherwise stop it at will. A registry's own fork is another thing (`node.title.disputing`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from node.pint import dispute_rows as rows
from node.pint import rows as bills
from node.pint.dispute_handlers import DisputeRoutes
from node.pint.dispute_rows import Dispute
from node.pint.keys import platform_code
from node.store import events
from node.title import rows as titles
from node.title.partners import members_of
from node.tracking import client, policy
from node.tracking.client import Bill, TitledBill
from protocols import times
from protocols.pint import dispute, registries, signed
from protocols.pint.chain import open_entry
from protocols.pint.tracking_proof import ReceivedRecord
from protocols.title.registry import arbiter_of
from schemas import strict_json
from schemas.errors import ConflictError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from node.http.routes import Route
    from node.pint.receiving import Received
    from node.runtime import Node
    from protocols.pint.dispute import Evidence
    from schemas.strict_json import JsonValue


class DisputeService:
    """What a platform does about contradictions."""

    name = "disputes"

    def __init__(self, node: Node) -> None:
        """Nothing runs in the background."""
        self.node = node

    def routes(self) -> Sequence[Route]:
        """/v1/ebl/disputes."""
        return DisputeRoutes(self).routes()

    async def start(self) -> None:
        """Hear of every envelope that is answered DISE."""
        pint = getattr(self.node, "pint", None)
        if pint is not None:
            pint.receiving.watch_disputes(self.received)

    async def stop(self) -> None:
        """Nothing to end."""

    def ready(self) -> str | None:
        """Always ready."""
        return None

    # -- opening -------------------------------------------------------------------------------

    def received(self, conn: Connection, shown: Received) -> None:
        """An envelope was answered DISE: its chain, all of whose signatures hold, is kept."""
        envelope = shown.judgement.envelope
        assert envelope is not None
        self.open(conn, shown.document, shown.sender, envelope.chain, envelope.manifest)

    def refused(self, conn: Connection, ebl: bytes, platform: str, answer: str) -> None:
        """Another platform answered our envelope with a signed DISE; it showed no chain."""
        self.open(conn, ebl, platform, (), answer)

    def open(
        self, conn: Connection, ebl: bytes, platform: str, theirs: Sequence[str], text: str
    ) -> str:
        """Keep a dispute, once; its name. text: the envelope's manifest, or the signed refusal."""
        known = bills.known_chain(conn, ebl)
        ours = known.texts if known is not None else ()
        first = (ours or theirs or (None,))[0]
        registry = open_entry(first).entry.registry if first is not None else None
        name, now = rows.name_of(ebl, ours, theirs, text), self.node.clock.now_ms()
        made = Dispute(
            name, ebl, platform, registry or "", tuple(ours), tuple(theirs), text,
            None, rows.OPEN, "", now, None,
        )  # fmt: skip
        if rows.put(conn, made):
            detail = {"code": "pint_disputed", "dispute": name, "bill": ebl.hex(), "from": platform}
            events.record(conn, kind="alarm", at=now, actor=platform, detail=detail)
        return name

    def registries(self) -> dict[str, Any]:
        """The registries that count here, and what each guards a bill by."""
        members = members_of(self.node)
        kept = [
            {"uri": uri, "keeper": one.did, "guards": "records"}
            for uri, one in policy.keepers(members).items()
        ]
        titled = [
            {"uri": uri, "keeper": "", "guards": f"title arbiter {arbiter.hex()[:16]}…"}
            for uri, arbiter in registries.registry_uris(members).items()
        ]
        required = self.node.settings.pint.registry_required
        return {"registries": [*titled, *kept], "required": required}

    # -- showing -------------------------------------------------------------------------------

    async def page(self, status: str | None) -> list[dict[str, Any]]:
        """The disputes, newest first."""
        return [_summary(one) for one in await self.node.store.read(rows.page, status)]

    async def show(self, name: str) -> dict[str, Any]:
        """One dispute, both chains side by side, and what the registry says now."""
        found = await self.node.store.read(rows.require, name)
        ours = [open_entry(text) for text in found.ours]
        theirs = [open_entry(text) for text in found.theirs]
        proven = dispute.compare(ours, theirs)
        return _summary(found) | {
            "parted": proven.parted,
            "signedBoth": list(proven.signed_both),
            "places": [_place(one) for one in proven.places],
            "signed": found.manifest,
        }

    async def evidence(self, name: str) -> Evidence:
        """The evidence of a dispute, with the bill's records where a register keeps some."""
        found, title = await self.node.store.read(self._with_title, name)
        members = members_of(self.node)
        register, records = "", tuple[ReceivedRecord, ...]()
        if found.registry in policy.keepers(members):
            register = policy.keeper_of(members, found.registry).did
            records = await client.records_of(self.node, _bill(found))
        return dispute.Evidence(
            members.network, found.ebl, platform_code(self.node), found.platform,
            times.from_ms(found.opened_at), found.ours, found.theirs, found.manifest or None,
            register, records, title,
        )  # fmt: skip

    def _with_title(
        self, conn: Connection, name: str
    ) -> tuple[Dispute, dict[str, JsonValue] | None]:
        """The dispute, and the news of the bill's title where it has one that is known here."""
        found = rows.require(conn, name)
        held = bills.bill(conn, found.ebl)
        title = held.title if held is not None else None
        if title is None or titles.find(conn, title) is None:
            return found, None
        body = self.node.title.follower.message(conn, title)
        return found, strict_json.loads_object(body, max_bytes=dispute.MAX_BYTES)

    # -- marking and resolving -----------------------------------------------------------------

    async def mark(self, name: str) -> dict[str, Any]:
        """Record the dispute at the bill's registry; there it stands still until it is resolved.

        Raises ConflictError `ebl_dispute_not_marked`, `ebl_dispute_closed`, and as the registry
        answers.
        """
        found = await self.node.store.read(rows.require, name)
        _require_open(found)
        titled = self._titled(found)
        if titled is not None:
            last = (found.theirs or found.ours)[-1]
            record = await client.mark_title(self.node, titled, signed.checksum(last))
        elif found.registry in policy.keepers(members_of(self.node)):
            record = await client.dispute(self.node, _bill(found))
        else:
            raise ConflictError("ebl_dispute_not_marked", "no registry guards this bill")
        await self.node.store.write(rows.marked, name, record)
        return await self.show(name)

    async def resolve(
        self, name: str, outcome: str, reason: str, canonical: bytes | None = None
    ) -> dict[str, Any]:
        """Close a dispute: ours is kept, theirs may be received, or nothing was the matter.

        canonical: the register's record after which things stand again, by which we give up the
        bill. Raises ConflictError `ebl_dispute_closed`, RefusedError `ebl_dispute_ours_stands`,
        and as the registry answers; nothing is closed then.
        """
        found = await self.node.store.read(rows.require, name)
        _require_open(found)
        if found.record is not None:
            await self._unmark(found, canonical)
        if outcome == rows.REPLACED and not await self._theirs_counts(found):
            raise RefusedError("ebl_dispute_ours_stands", "the registry knows another chain")
        await self.node.store.write(self._close, found, outcome, reason)
        return await self.show(name)

    def _close(self, conn: Connection, found: Dispute, outcome: str, reason: str) -> None:
        now = self.node.clock.now_ms()
        if not rows.resolve(conn, found.id, outcome, reason, now):
            raise ConflictError("ebl_dispute_closed", "it was closed before")
        if outcome == rows.REPLACED:
            rows.make_room(conn, found, now)
        detail = {"dispute": found.id, "outcome": outcome, "bill": found.ebl.hex()}
        events.record(conn, kind="dispute-resolved", at=now, actor=self.node.did, detail=detail)

    async def _unmark(self, found: Dispute, canonical: bytes | None) -> None:
        titled = self._titled(found)
        if titled is not None:
            await client.unmark_title(self.node, titled)
        else:
            await client.resolve(self.node, _bill(found), canonical)

    async def _theirs_counts(self, found: Dispute) -> bool:
        """Whether what decides says that the other chain is the bill's."""
        if not found.theirs:
            return False
        if found.registry in policy.keepers(members_of(self.node)):
            proven = await client.current(self.node, _bill(found))
            last = proven.state.control.last if proven is not None and proven.final else None
            return last in {signed.checksum(text) for text in found.theirs}
        if found.registry:
            return await self.node.store.read(self._at_arbiter, found)
        return True

    def _at_arbiter(self, conn: Connection, found: Dispute) -> bool:
        """Whether a final operation of the title stands for the other chain's last entry."""
        held = bills.bill(conn, found.ebl)
        if held is None or held.title is None:
            return False
        wanted = registries.offered_entry(signed.parse(found.theirs[-1]))
        texts = titles.texts(conn, held.title)
        return any(self.node.title.submitter.read(text).entry == wanted for text in texts)

    def _titled(self, found: Dispute) -> TitledBill | None:
        """Where a title's register is: at the log's sequencer; a contract's, at the carrier's."""
        members = members_of(self.node)
        arbiter = registries.registry_uris(members).get(found.registry)
        if arbiter is None:
            return None
        for entry in members.registries:
            if arbiter_of(entry).id == arbiter:
                return TitledBill(entry.did, found.ebl)
        return TitledBill(self.node.did, found.ebl)


def _bill(found: Dispute) -> Bill:
    return Bill(found.registry, found.ebl, (found.ours or found.theirs)[0])


def _require_open(found: Dispute) -> None:
    if found.status != rows.OPEN:
        raise ConflictError("ebl_dispute_closed", f"it was closed as {found.status}")


def _summary(found: Dispute) -> dict[str, Any]:
    moment = found.resolved_at
    return {
        "id": found.id,
        "eblID": found.ebl.hex(),
        "platform": found.platform,
        "registry": found.registry or None,
        "status": found.status,
        "reason": found.reason or None,
        "openedAt": times.to_text(times.from_ms(found.opened_at)),
        "resolvedAt": None if moment is None else times.to_text(times.from_ms(moment)),
        "record": found.record.hex() if found.record else None,
    }


def _place(place: Any) -> dict[str, Any]:
    return {
        "index": place.index,
        "row": place.row.value,
        "ours": _entry(place.left),
        "theirs": _entry(place.right),
    }


def _entry(item: Any) -> dict[str, Any] | None:
    if item is None:
        return None
    return {
        "platform": item.entry.platform,
        "checksum": item.jws.checksum.hex(),
        "transactions": [
            {
                "action": one.action.value,
                "actor": one.actor.name,
                "recipient": one.recipient.name if one.recipient else None,
                "at": times.to_text(one.at),
            }
            for one in item.entry.transactions
        ],
    }
