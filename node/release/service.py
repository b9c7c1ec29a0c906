"""The release service: shows the decision, signs the order, takes an unused order back.

An order is signed when and only when the decision is RELEASE now, in one transaction with the
decision. Documents and titles call `reconsider` in the transaction that changes them; when the
decision turns to HOLD, an unused order is void and its credential revoked in that same transaction
(R24, R25).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from node.documents import issuing, revoking, status
from node.documents.orders import IssueOrder
from node.documents.revoking import Change
from node.gate import papers
from node.gate import rows as gate_rows
from node.release import deciding, rows
from node.release.handlers import ReleaseHandlers
from node.store import events
from node.verification import judging
from protocols import times
from protocols.credentials import status_list
from protocols.release.conditions import OrderAction, Outcome
from protocols.release.conditions import reconsider as action_of
from protocols.release.gate import Entry
from protocols.release.order import TYPE, decision_digest, order_payload
from schemas import strict_json
from schemas.errors import ConflictError, ForbiddenError, TradeError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from node.http.routes import Route
    from node.release.handlers import SignOrder
    from node.release.rows import StoredOrder
    from node.runtime import Node
    from protocols.release.conditions import Decision

ROLES = frozenset({"port", "terminal", "dry-port"})
STATUS_SECONDS = 4.0


class ReleaseService:
    """`node.release`."""

    name = "release"

    def __init__(self, node: Node) -> None:
        """Nothing runs in the background."""
        self._node = node
        self._handlers = ReleaseHandlers(self)

    def routes(self) -> Sequence[Route]:
        """See `node.release.handlers`."""
        return self._handlers.routes()

    async def start(self) -> None:
        """Nothing to begin: others call `reconsider`."""

    async def stop(self) -> None:
        """Nothing to end."""

    def ready(self) -> str | None:
        """Always ready: what is missing for a decision stands in the decision."""
        return None

    def now_ms(self) -> int:
        """The node's clock."""
        return self._node.clock.now_ms()

    # -- showing -------------------------------------------------------------------------------

    async def show(
        self, container: str, consignment: str | None
    ) -> tuple[Decision, list[StoredOrder]]:
        """The decision now, with statuses as fresh as can be had, and the orders signed."""
        node = self._node
        judging.members_of(node)
        if consignment is None:
            consignment = await node.store.read(deciding.consignment_of, container)
        await self._refresh(consignment)
        now = node.clock.now()
        decision, told, orders = await node.store.read(self._read, container, consignment, now)
        if told != decision.outcome.value:
            await node.store.write(self._note, decision)
        return decision, orders

    def _read(
        self, conn: Connection, container: str, consignment: str, at: Any
    ) -> tuple[Decision, str | None, list[StoredOrder]]:
        decision = deciding.decide(conn, self._node, container, consignment, at)
        told = rows.outcome_told(conn, container, consignment)
        return decision, told, rows.orders(conn, container=container, consignment=consignment)

    async def show_all(self, consignment: str) -> list[Decision]:
        """The decision now on every container that a transport document names.

        Raises NotFoundError `container_unknown`.
        """
        judging.members_of(self._node)
        await self._refresh(consignment)
        now = self._node.clock.now()
        return await self._node.store.read(self._decide_all, consignment, now)

    def _decide_all(self, conn: Connection, consignment: str, at: datetime) -> list[Decision]:
        boxes = deciding.containers_of(conn, consignment)
        return [deciding.decide(conn, self._node, box, consignment, at) for box in boxes]

    async def _refresh(self, consignment: str) -> None:
        """Fetch what status lists are stale; those that cannot be had stay what they are."""
        documents = self._node.documents
        pairs = await self._node.store.read(deciding.dependencies, consignment)
        calls = [documents.status_for(issuer, url) for issuer, url in pairs]
        try:
            async with asyncio.timeout(STATUS_SECONDS):
                await asyncio.gather(*calls)
        except TimeoutError:
            self._node.telemetry.log.info("release.status_slow", consignment=consignment)

    # -- signing -------------------------------------------------------------------------------

    async def sign(self, container: str, order: SignOrder) -> StoredOrder:
        """Sign the release order now.

        Raises RefusedError `release_held` with the unmet conditions, ConflictError
        `release_already_signed`, ForbiddenError `release_not_ours`.
        """
        node = self._node
        entry = judging.members_of(node).node(node.did)
        if entry is None or ROLES.isdisjoint(entry.roles):
            raise ForbiddenError("release_not_ours", "only ports, terminals and dry ports release")
        consignment = order.consignment
        if consignment is None:
            consignment = await node.store.read(deciding.consignment_of, container)
        await self._refresh(consignment)
        return await node.store.write(self._sign, container, consignment, order)

    def _sign(
        self, conn: Connection, container: str, consignment: str, order: SignOrder
    ) -> StoredOrder:
        node = self._node
        now = node.clock.now()
        now_ms = times.to_ms(now)
        decision = deciding.decide(conn, node, container, consignment, now)
        held = rows.open_of(rows.orders(conn, container=container), now_ms)
        if held and decision.outcome is Outcome.RELEASE:
            raise ConflictError(
                "release_already_signed", held[0].number, digest=held[0].digest.hex()
            )
        members = judging.members_of(node)
        entry = members.node(node.did)
        assert entry is not None
        gate_rows.require_unleased(conn, container, now_ms)
        request = order.request(decision, conn, members, entry, now)
        rules = deciding.rules_of(node, now)
        payload = order_payload(decision, rules, request, issuer=entry.name)
        made = issuing.examine(
            IssueOrder(
                payload, TYPE, consignment, valid_until=request.not_before + request.validity
            ),
            node,
        )
        issued = issuing.issue(conn, made, node, issuing.require_fresh(node)).document
        delivery = decision.condition("REL-060")
        rows.put(
            conn,
            {
                "digest": issued.digest,
                "container": container,
                "consignment": consignment,
                "number": issued.number,
                "gate_group": request.gate_group,
                "collector": request.collector.name,
                "delivery_order": bytes.fromhex(delivery.basis[0])
                if delivery and delivery.basis
                else None,
                "decision": strict_json.canonical(decision.to_json("en")).decode(),
                "not_before": times.to_ms(request.not_before),
                "not_after": times.to_ms(request.not_before + request.validity),
                "signed_at": now_ms,
            },
        )
        rows.tell_outcome(conn, container, consignment, decision.outcome.value, now_ms)
        detail = {
            "container": container,
            "number": issued.number,
            "gateGroup": request.gate_group,
            "collector": request.collector.name,
            "decision": decision_digest(decision).hex(),
        }
        self._event(conn, "released", consignment, issued.digest, detail)
        signed = rows.get(conn, issued.digest)
        assert signed is not None
        papers.issue_pass(conn, node, signed, request.vehicle)
        return signed

    # -- gate ----------------------------------------------------------------------------------

    async def use(self, container: str, digest: bytes) -> StoredOrder:
        """The container left under this order: spends it, once (R24).

        Raises ConflictError `release_order_other_container`.
        """
        return await self._node.store.write(self._use, container, digest)

    def _use(self, conn: Connection, container: str, digest: bytes) -> StoredOrder:
        gate_rows.require_not_leased(conn, digest)
        order = rows.use(conn, digest, self._node.clock.now_ms())
        if order.container != container:
            raise ConflictError("release_order_other_container", f"it names {order.container}")
        detail = {"container": order.container, "number": order.number}
        self._event(conn, "gate-out", order.consignment, digest, detail)
        left = Entry("", 0, "", "USED", self._node.clock.now())
        self.after_use(conn, order, left)
        return order

    def after_use(self, conn: Connection, order: StoredOrder, entry: Entry) -> None:
        """A container left under an order: nothing is left to decide, and it is told."""
        now_ms = self._node.clock.now_ms()
        rows.tell_outcome(conn, order.container, order.consignment, Outcome.DONE.value, now_ms)
        papers.went_out(conn, self._node, order, entry)

    # -- looking again -------------------------------------------------------------------------

    def reconsider(self, conn: Connection, consignment: str) -> None:
        """Something of the consignment changed: decide again what was told or signed before.

        Called by documents and titles inside their transactions; it never fails them.
        """
        told = [(container, consignment) for container in rows.containers_told(conn, consignment)]
        told += deciding.beside(conn, consignment)
        if not told or self._node.members.current is None:
            return
        for each in sorted({consignment for _, consignment in told}):
            self._renew_own_lists(conn, each)
        for container, each in told:
            self._again(conn, container, each)

    def _again(self, conn: Connection, container: str, consignment: str) -> None:
        try:
            now = self._node.clock.now()
            decision = deciding.decide(conn, self._node, container, consignment, now)
        except TradeError as error:
            # What cannot be decided is not cleared: an order that is still open is void.
            self._node.telemetry.log.warning("release.reconsider", code=error.code)
            self._void(conn, container, consignment, {"code": error.code})
            return
        self._take_back(conn, decision)
        self._note(conn, decision)

    def _renew_own_lists(self, conn: Connection, consignment: str) -> None:
        """Our own status lists are never stale here: we sign them (they may be just changed)."""
        try:
            pairs = deciding.dependencies(conn, consignment)
        except TradeError as error:
            self._node.telemetry.log.warning("release.own_list", code=error.code)
            return
        for issuer, url in pairs:
            if issuer != self._node.did:
                continue
            try:
                publisher = self._node.documents.publisher()
                list_id = status_list.list_id_of(url, issuer)
                status.current(conn, publisher, list_id, self._node.clock.now_ms())
            except TradeError as error:
                self._node.telemetry.log.warning("release.own_list", code=error.code)

    def _take_back(self, conn: Connection, decision: Decision) -> None:
        if action_of(decision, used=False) is OrderAction.VOID:
            self._void(conn, decision.container, decision.consignment, self._unmet(decision))

    def _void(
        self, conn: Connection, container: str, consignment: str, why: dict[str, Any]
    ) -> None:
        """Void what is open of a container, revoke its credential and tell why."""
        now_ms = self._node.clock.now_ms()
        found = rows.orders(conn, container=container, consignment=consignment)
        for order in rows.open_of(found, now_ms):
            rows.void(conn, order.digest, now_ms)
            detail = {"container": container, **why, "order": order.number}
            self._event(conn, "release-hold", consignment, order.digest, detail)
            rows.tell_outcome(conn, container, consignment, Outcome.HOLD.value, now_ms)
            self._revoke(conn, order)

    def _revoke(self, conn: Connection, order: StoredOrder) -> None:
        """The void order's credential says so to whoever got it."""
        try:
            with conn.begin_nested():
                publisher = self._node.documents.publisher()
                reason = "the release was taken back before it was used"
                revoking.revoke(conn, self._node, publisher, Change(order.digest, reason))
                papers.revoke_pass(conn, self._node, order, reason)
        except TradeError as error:
            detail = {"code": error.code, "order": order.number, "area": "release"}
            self._event(conn, "alarm", order.consignment, order.digest, detail)

    def _note(self, conn: Connection, decision: Decision) -> None:
        """Tell an outcome that differs from the one told before."""
        told = rows.outcome_told(conn, decision.container, decision.consignment)
        if told == decision.outcome.value:
            return
        now_ms = self._node.clock.now_ms()
        rows.tell_outcome(
            conn, decision.container, decision.consignment, decision.outcome.value, now_ms
        )
        if told == Outcome.RELEASE.value and decision.outcome is Outcome.HOLD:
            self._event(conn, "release-hold", decision.consignment, None, self._unmet(decision))
        elif decision.outcome is Outcome.RELEASE:
            detail = {"container": decision.container, "outcome": decision.outcome.value}
            self._event(conn, "release-clear", decision.consignment, None, detail)

    def _unmet(self, decision: Decision) -> dict[str, Any]:
        unmet = [
            {"id": each.id, "code": each.code, "reason": each.reason} for each in decision.unmet
        ]
        return {"container": decision.container, "unmet": unmet}

    def _event(
        self,
        conn: Connection,
        kind: str,
        consignment: str,
        document: bytes | None,
        detail: dict[str, Any],
    ) -> None:
        events.record(
            conn,
            kind=kind,
            at=self._node.clock.now_ms(),
            document=document,
            consignment=consignment,
            actor=self._node.did,
            detail=detail,
        )
