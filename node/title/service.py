"""`node.title`: issue titles, operate on them, show them; learn and tell what became final."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from ledger import registry_freezes
from node.title import disputing, evm_making, law, making, partners, rows, straight
from node.title.arbiter import LogArbiter
from node.title.evm_service import EvmTitles, disclosed
from node.title.following import Follower, TitleHandler
from node.title.forms import reader
from node.title.handlers import TitleRoutes
from node.title.news import TYPE
from node.title.refusals import refused
from node.title.submitting import FINAL_WAIT, Submitter
from node.title.tasks import end
from node.title.views import operation_json, title_json
from protocols.evm.title_text import is_text
from protocols.members.arbiters import ArbiterEntry
from protocols.title import registry_freeze
from protocols.title.machine import Kind
from schemas import titled
from schemas.catalogue import explain
from schemas.errors import FAMILIES, ConflictError, NotFoundError, RefusedError, TradeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from node.http.routes import Route
    from node.runtime import Node
    from node.title.evm_making import Statements
    from node.title.making import Issue, IssueOrder, Order
    from node.title.rows import StoredTitle, Submission

    #: Raises what an operator is told who may not order that.
    Guard = Callable[[Order], None]

SWEEP_PAUSE = 0.2
SWEEP_EVERY = 5.0


class TitleService:
    """What a node does with titles; the registry itself is `node.registry`."""

    name = "title"

    def __init__(self, node: Node) -> None:
        """Nothing runs before `start`."""
        self.node = node
        self.follower = Follower(node)
        self.evm = EvmTitles(node, self.follower)
        self.submitter = Submitter(node, self.follower, self.evm)
        self._wake = asyncio.Event()
        self._final: asyncio.Queue[Sequence[bytes]] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._guards: list[Guard] = []

    def routes(self) -> Sequence[Route]:
        """/v1/titles, /v1/parties, /v1/arbiters, /title-keys/1."""
        return [*TitleRoutes(self).routes(), *self.evm.routes()]

    async def start(self) -> None:
        """Take part in the exchange, repeat what is undecided, tell what is to be told."""
        exchange = getattr(self.node, "exchange", None)
        if exchange is not None:
            exchange.on(TYPE, TitleHandler(self.follower))
        self.node.store.after_commit(self._wake.set)
        self.evm.start()
        self.submitter.start()
        self._tasks = [
            asyncio.create_task(self._sweep(), name="title.sweep"),
            asyncio.create_task(self._learn_own(), name="title.own"),
        ]

    async def stop(self) -> None:
        """End the loops."""
        await self.submitter.stop()
        await self.evm.stop()
        await end(self._tasks)

    def ready(self) -> str | None:
        """An unreachable log registry is said per operation and is no fault here; a chain that is
        cut off halts all titles on it at this node, which is said here."""
        return self.evm.ready()

    # -- for others ----------------------------------------------------------------------------

    async def issue(self, order: IssueOrder) -> dict[str, Any]:
        """Give an own bill of lading its title; see `outcome`."""
        entry = making.arbiter_named(self.node, order.arbiter)
        if isinstance(entry, ArbiterEntry):
            self.evm.require_way(entry)  # told before anything is looked for
        order = await self.node.store.read(making.succeeding, self.node, order)
        said: Statements = ()
        if isinstance(entry, ArbiterEntry):
            drafted = await self.node.store.read(evm_making.prepare, self.node, entry, order)
            prepared, said = await evm_making.issue(self.node, entry, order, drafted)
        else:
            prepared = await self.node.store.read(making.prepare_issue, self.node, order, entry)
        await self.node.store.write(self._keep_issue, prepared, order, said)
        return await self._submit(prepared.operation)

    def _keep_issue(
        self, conn: Connection, prepared: Issue, order: IssueOrder, said: Statements
    ) -> None:
        # Checked again here, in the one transaction that also takes the document.
        making.require_untitled(conn, order.document)
        now = self.node.clock.now_ms()
        rows.put_bill(conn, prepared.manifest, prepared.issuance, order.document, now)
        disclosed(conn, said)
        operation = self.submitter.read(prepared.operation)
        rows.submit(conn, operation, prepared.operation, now)

    def guard(self, check: Guard) -> None:
        """`check` is asked about what operators order by themselves, see `ordered`."""
        self._guards.append(check)

    async def ordered(self, title: bytes, order: Order) -> dict[str, Any]:
        """`operate` for an operator who asks for the operation and nothing around it."""
        for check in self._guards:
            check(order)
        held = await self.require(title)
        await self.node.store.read(
            straight.require_no_stranger, self.node, held, order.kind, order.to
        )
        return await self.operate(title, order)

    async def operate(self, title: bytes, order: Order) -> dict[str, Any]:
        """Sign an operation for a party hosted here and hand it in; see `outcome`."""
        held = await self.require(title, refresh=True)
        if order.seq not in (None, held.state.seq):
            raise ConflictError("title_seq_conflict", "the title has moved", seq=held.state.seq)
        await self.node.store.read(disputing.require_undisputed, held)
        self._require_still(title)
        if order.kind is Kind.ACCEPT_OFFER:
            bill = await self.node.store.read(rows.bill, title)
            if bill is not None:
                law.require_manifest(self.node, bill.issuance)
        entry = partners.members_of(self.node).arbiter(held.arbiter)
        arbiter = registry_freeze.in_force(held.arbiter, partners.freezes_of(self.node))
        if entry is None:
            text = making.make_operation(self.node, arbiter, held.state, order)
        else:
            text, said = await evm_making.operate(self.node, entry, held.state, order)
            await self.node.store.write(disclosed, said)
        return await self._submit(text)

    async def relay(self, title: bytes | None, text: str) -> dict[str, Any]:
        """Hand in an operation that somebody else has signed; see `outcome`."""
        operation = self.submitter.read(text)
        if title is not None and operation.title != title:
            raise RefusedError("title_request_malformed", "the operation is about another title")
        moves = operation.kind in straight.MOVES
        if moves and operation.network == partners.members_of(self.node).network:
            held = await self.find(operation.title)
        else:
            held = await self.node.store.read(rows.find, operation.title)
        if held is not None:
            await self.node.store.read(disputing.require_undisputed, held)
            await self.node.store.read(straight.require_signed, self.node, text, operation.title)
        self._require_still(operation.title)
        return await self._submit(text)

    def _require_still(self, title: bytes) -> None:
        """Nothing moves while a platform disputes the bill at the register kept here."""
        tracking = getattr(self.node, "tracking", None)
        if tracking is not None:
            tracking.require_still(title)

    async def _submit(self, text: str) -> dict[str, Any]:
        found = await self.submitter.submit(text, wait=FINAL_WAIT)
        return await self.outcome(found)

    async def outcome(self, found: Submission) -> dict[str, Any]:
        """What became of an operation: `final` with state and proof, or `pending`.

        Raises the refusal as an error that carries the signed evidence.
        """
        if found.status == "refused" and found.refusal is not None:
            raise refused(found.refusal)
        if found.status == "failed":
            raise _failed(found)
        body: dict[str, Any] = await self.node.store.read(self._outcome, found)
        return body

    def _outcome(self, conn: Connection, found: Submission) -> dict[str, Any]:
        read = reader(conn, partners.members_of(self.node), found.title)
        shown = operation_json(found.text, read)
        body: dict[str, Any] = {"title": found.title.hex(), "operation": shown}
        if found.status != "final":
            stage = self._stage(conn, found)
            return body | {"outcome": "pending", "final": False, **stage, **_why(found)}
        held = rows.find(conn, found.title)
        state = title_json(held, None, [], [], read) if held else {}
        return body | {"outcome": "final"} | state

    def _stage(self, conn: Connection, found: Submission) -> dict[str, Any]:
        """signed → relayed → included → final, on a chain."""
        return self.evm.stage(conn, found.digest, found.status) if is_text(found.text) else {}

    async def find(self, title: bytes, *, refresh: bool = False) -> StoredTitle | None:
        """A title's final state as known here; the registries are asked when it is not."""
        held = await self.node.store.read(rows.find, title)
        if held is not None and not refresh:
            return held
        members = partners.members_of(self.node)
        frozen = partners.freezes_of(self.node)
        ids = [LogArbiter(self.node, entry).arbiter.id for entry in members.registries]
        listed = [one for one in ids if one not in frozen or (held and held.arbiter == one)]
        for arbiter in (*listed, *(entry.id for entry in members.arbiters)):
            if held is None or held.arbiter == arbiter:
                after = held.state.seq if held else 0
                await self.submitter.refresh(title, arbiter, after=after)
        return await self.node.store.read(rows.find, title)

    async def require(self, title: bytes, *, refresh: bool = False) -> StoredTitle:
        """As `find`; raises NotFoundError `title_never_issued`."""
        held = await self.find(title, refresh=refresh)
        if held is None:
            raise NotFoundError("title_never_issued", "no final state of that title is known")
        return held

    async def show(self, title: bytes, *, refresh: bool = False) -> dict[str, Any]:
        """The title as people and programs see it: final state, proof, history, what is open."""
        held = await self.find(title, refresh=refresh)
        shown: dict[str, Any] = await self.node.store.read(self._shown, title, held)
        return shown

    def _shown(self, conn: Connection, title: bytes, held: StoredTitle | None) -> dict[str, Any]:
        tried = rows.submissions_of(conn, title)
        if held is None and not tried:
            raise NotFoundError("title_never_issued", "no final state of that title is known")
        read, bill = reader(conn, partners.members_of(self.node), title), rows.bill(conn, title)
        body = title_json(held, bill, rows.texts(conn, title), tried, read)
        found = registry_freezes.disputed(conn, title, held.arbiter) if held else None
        if found is not None:
            body |= {"final": False, "disputed": disputing.dispute_json(found)}
        self._place(conn, title, body, tried)
        return {"title": title.hex()} | body

    def _place(
        self, conn: Connection, title: bytes, body: dict[str, Any], tried: Sequence[Submission]
    ) -> None:
        """On a chain: which arbiter, where the last operation stands, how far others came."""
        arbiter = body.get("arbiter")
        if arbiter is None and tried and is_text(tried[0].text):
            arbiter = self.submitter.read(tried[0].text).arbiter.hex()
        place = self.evm.place(conn, bytes.fromhex(arbiter), title) if arbiter else None
        if place is not None:
            body["registry"] = place
        others = [item for item in tried if item.status != "final"]
        for item, shown in zip(others, body.get("submitted", ()), strict=True):
            shown |= self._stage(conn, item)

    def of_document(self, conn: Connection, document: bytes) -> StoredTitle | None:
        """The final title state of a bill of lading, inside the caller's transaction."""
        return rows.of_document(conn, document)

    def finalised(self, titles: Sequence[bytes]) -> None:
        """The registry at this node made these titles' newest states final."""
        self._final.put_nowait(titles)

    # -- loops ---------------------------------------------------------------------------------

    async def _learn_own(self) -> None:
        """As the registry: keep and tell what became final."""
        while True:
            titles = await self._final.get()
            arbiter = self.node.registry.require().arbiter.id
            for title in titles:
                try:
                    await self.submitter.refresh(title, arbiter)
                except TradeError as error:
                    self.node.telemetry.log.warning("title.own_failed", code=error.code)

    async def _sweep(self) -> None:
        """Bills that arrived after their title, and recipients who were sent a bill since."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SWEEP_EVERY):
                    await self._wake.wait()
            await asyncio.sleep(SWEEP_PAUSE)
            self._wake.clear()
            try:
                if await self.node.store.read(self._to_do):
                    done = await self.node.store.write(self.follower.sweep)
                    if not done:
                        # Nothing can be done about the rest now; our own commit is no news.
                        self._wake.clear()
            except TradeError as error:
                self.node.telemetry.log.warning("title.sweep_failed", code=error.code)

    def _to_do(self, conn: Connection) -> bool:
        return bool(rows.arrived(conn, titled.TYPES, 1) or rows.untold(conn, 1))


def _failed(found: Submission) -> TradeError:
    entry = explain(found.code or "")
    family = FAMILIES[entry.family] if entry and entry.kind == "error" else RefusedError
    code = found.code if entry and found.code else "title_refused"
    return family(code, "the registry did not take the operation", operation=found.digest.hex())


def _why(found: Submission) -> dict[str, Any]:
    """Why it is not final yet, in plain words."""
    entry = explain(found.code or "title_pending")
    return {
        "code": found.code or "title_pending",
        "message": {"en": entry.en, "zh": entry.zh} if entry else {},
    }
