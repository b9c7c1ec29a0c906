"""The review service: takes applications in, has the rules review them, issues what is approved.

One task works through the store: first every application received is reviewed, then what is ready
in a signed batch, or approved by persons, is issued. Both begin again after a kill: an application
that was issued just before is issued again with the same bytes, which gives the same document.
What the signer finds not approved enough goes back to be reviewed again (R26).
"""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from node.documents import documents
from node.documents.documents import ISSUED
from node.documents.orders import read_issue, subject_of
from node.review import approving, desk_policy, lanes, rows
from node.review.handlers import ReviewHandlers
from node.verification.judging import members_of
from protocols import approval, review, times
from protocols.digest import sha256
from protocols.review import Circumstances, Lane, Reviewed
from protocols.rights import country_of_right
from schemas import registry, strict_json
from schemas.errors import ConflictError, ForbiddenError, RefusedError, TradeError
from schemas.findings import Finding, Severity
from schemas.view import Examination, View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from node.documents.orders import IssueOrder
    from node.http.routes import Route
    from node.review.rows import Application
    from node.runtime import Node
    from protocols.approval import Asked, Subject
    from protocols.review import Policy
    from schemas.strict_json import JsonValue

AT_ONCE = 50
ISSUES_AT_ONCE = 16
IDLE_SECONDS = 5.0
_WAITING = (rows.RECEIVED, rows.MANUAL, rows.READY)


class ReviewService:
    """`node.review`."""

    name = "review"

    def __init__(self, node: Node) -> None:
        """Works in one background task."""
        self._node = node
        self._handlers = ReviewHandlers(node, self)
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def routes(self) -> Sequence[Route]:
        """See `node.review.handlers`."""
        return self._handlers.routes()

    async def start(self) -> None:
        """Goes on where the last run ended."""
        self._wake.set()
        self._task = asyncio.create_task(self._work(), name="review")

    async def stop(self) -> None:
        """Ends the work; what was begun is begun again at the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def ready(self) -> str | None:
        """A policy that cannot be read lets nothing be signed."""
        try:
            desk_policy.binding(self._node)
        except RefusedError as error:
            return error.detail
        return None

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    # -- taking in -------------------------------------------------------------------------------

    async def submit(self, batch: str, first: int | None, items: Sequence[Any]) -> list[int]:
        """Keep applications, each once; the places that are new.

        batch: "" for single applications, which are numbered here
        Raises NotFoundError `batch_unknown`, ConflictError `application_differs`, and what cannot
        be read at all (`issue_malformed`).
        """
        orders = [(item, read_issue(item)) for item in items]
        taken = await self._node.store.write(self._take_in, batch, first, orders)
        self._wake.set()
        return taken

    def _take_in(
        self,
        conn: Connection,
        batch: str,
        first: int | None,
        orders: Sequence[tuple[dict[str, JsonValue], IssueOrder]],
    ) -> list[int]:
        signed = b""
        if batch:
            held = rows.batch(conn, batch)
            total, signed = held.total, bytes(held.documents)
            if first is None or first < 0 or first + len(orders) > total:
                raise RefusedError("batch_too_long", f"{batch} has {total} applications")
        start = first if first is not None and batch else rows.next_place(conn)
        now = self._node.clock.now_ms()
        taken = []
        for place, (item, order) in enumerate(orders, start):
            values = _values(batch, place, item, order, now)
            wanted = signed[32 * place : 32 * place + 32]
            if wanted and subject_of(order, values["type"], "").item != wanted:
                raise ConflictError("application_differs", f"place {place} was signed otherwise")
            if rows.take_in(conn, values):
                taken.append(place)
        return taken

    # -- working ---------------------------------------------------------------------------------

    async def _work(self) -> None:
        while True:
            self._wake.clear()
            try:
                if self._node.members.current is not None:
                    while await self._review_some() or await self._issue_some():
                        continue
            except TradeError as error:
                self._node.telemetry.log.warning("review.turn", code=error.code)
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _review_some(self) -> int:
        if not await self._node.store.read(rows.find, states=_WAITING, limit=1):
            return 0
        policy = desk_policy.policy_of(self._node)
        if await self._node.store.read(rows.is_outdated, policy.version):
            await self._node.store.write(rows.requeue, policy.version)
        found = await self._node.store.read(rows.find, states=(rows.RECEIVED,), limit=AT_ONCE)
        if found:
            told = [(one, await self._reviewed(one, policy)) for one in found]
            await self._node.store.write(self._keep, told, policy)
        return len(found)

    async def _reviewed(self, one: Application, policy: Policy) -> Reviewed:
        examination = _examine(one)
        around, across = await self._node.store.read(self._around, one, examination.view)
        findings = (*examination.findings, *across)
        digest = one.payload_digest
        return review.review(one.type, examination.view, findings, around, policy, digest)

    def _around(
        self, conn: Connection, one: Application, view: View
    ) -> tuple[Circumstances, tuple[Finding, ...]]:
        """What the desk knows, and where the papers of the consignment disagree with this one."""
        issued = documents.find(conn, type=one.type, number=one.number, origin=ISSUED)
        used = any(
            each.revoked_at is None and each.payload_digest != one.payload_digest for each in issued
        )
        return (
            Circumstances(
                number_used=used or rows.same_number(conn, one),
                right_missing=self._missing_right(one, view),
                first_time=rows.is_first(conn, one.type, one.exporter),
                amount=lanes.amount(one.payload),
                returned=one.returned,
            ),
            lanes.across_papers(conn, one.type, one.payload, one.consignment),
        )

    def _missing_right(self, one: Application, view: View) -> str:
        try:
            kind = registry.get(one.type)
        except RefusedError as error:
            return error.detail
        export = read_envelope(one).export_country or view.export_country
        members, did = members_of(self._node), self._node.did
        now = self._node.clock.now()
        right = country_of_right(members, did, kind, export_country=export, at=now)
        return "" if right is not None else f"no right to issue {one.type} for {export or '?'}"

    def _keep(
        self, conn: Connection, told: Sequence[tuple[Application, Reviewed]], policy: Policy
    ) -> None:
        now = self._node.clock.now_ms()
        for one, each in told:
            lane = each.lane
            if lane is not Lane.HOLD and rows.same_number(conn, one):
                # Two applications with one number were reviewed in the same turn.
                lane = Lane.HOLD
            rows.set_reviewed(
                conn,
                one.n,
                lane.value,
                _findings(each.findings),
                second=each.second,
                policy=policy.version,
                now_ms=now,
            )

    async def _issue_some(self) -> int:
        found = await self._node.store.read(rows.to_issue, ISSUES_AT_ONCE)
        await asyncio.gather(*map(self._issue, found))
        return len(found)

    async def _issue(self, one: Application) -> None:
        try:
            issued = await self._node.documents.issue(_order(one))
        except TradeError as error:
            if error.retryable or error.code == review.CODE:
                raise
            await self._node.store.write(self._not_issued, one, error)
            return
        await self._node.store.write(rows.set_issued, one.n, issued.document.digest)

    def _not_issued(self, conn: Connection, one: Application, error: TradeError) -> None:
        if error.code not in approval.REFUSALS:
            told = Finding("REV-004", Severity.ERROR, "", error.code, {"detail": error.detail})
            rows.set_held(conn, one.n, _findings((told,)))
            return
        self._node.telemetry.log.warning("review.returned", n=one.n, code=error.code)
        if one.state == rows.READY and error.code not in _OF_ONE:
            rows.lapse_batch(conn, one.batch, error.code)
        else:
            rows.give_back(conn, one, error.code, self._node.clock.now_ms())

    # -- deciding ------------------------------------------------------------------------------

    async def decide(self, n: int, text: str) -> Application:
        """Keep a person's signed decision on an application.

        Raises NotFoundError `application_unknown`, as `Asked.decided` and as `rows.decide`.
        """
        kept: Application = await self._node.store.write(self._decide, n, text)
        self._wake.set()
        return kept

    def _decide(self, conn: Connection, n: int, text: str) -> Application:
        one = rows.require(conn, n)
        asked = approving.asked(conn, self._node, subject_of_application(one))
        decided = asked.decided(text)
        said = decided.signed.approval
        if one.state in (rows.MANUAL, rows.READY) and one.policy != asked.policy:
            raise RefusedError("approval_other_policy", "it is about to be reviewed again")
        entry = {
            "by": decided.person,
            "decision": said.decision,
            "at": times.to_text(self._node.clock.now()),
            "approval": text,
            **({"reason": said.reason} if said.reason else {}),
        }
        counting, lapsed = _counting(asked, one)
        return rows.decide(conn, one, entry, counting, lapsed)

    async def open_batch(self, name: str, total: int, items: bytes, text: str) -> None:
        """Begin a batch, or go on with it; text: the approval of who signs for its AUTO lane.

        Raises as `Asked.decided` and `rows.open_batch`.
        """
        await self._node.store.write(self._open, name, total, items, text)
        self._wake.set()

    def _open(self, conn: Connection, name: str, total: int, items: bytes, text: str) -> None:
        now_ms = self._node.clock.now_ms()
        if not text:
            rows.open_batch(conn, rows.Opening(name, total), now_ms)
            return
        asked = approving.asked(conn, self._node, approval.batch_subject(name, items))
        (signer,) = approval.require_approvals([text], asked, 1)
        rows.open_batch(conn, rows.Opening(name, total, items, signer.person, text), now_ms)


#: Refusals that say something about one application of a signed batch, and nothing about the batch.
_OF_ONE = frozenset({"approval_missing", "approval_other_subject"})


def _order(one: Application) -> IssueOrder:
    """What is handed to the signer: its own approvals, or its place in a signed batch."""
    order = replace(read_envelope(one), persons=one.persons)
    if one.state == rows.READY:
        return replace(order, batch=(one.batch, one.place))
    return replace(order, approvals=one.approvals)


def subject_of_application(one: Application) -> Subject:
    """What a person signs who decides on it."""
    return subject_of(read_envelope(one), one.type, one.number)


def _counting(asked: Asked, one: Application) -> tuple[set[str], dict[str, str]]:
    """Who approved it in a way that still counts, and why the other approvals count no more."""
    found, lapsed = set(), {}
    for text in one.approvals:
        try:
            found.add(asked.decided(text).person)
        except (ForbiddenError, RefusedError) as error:
            lapsed[text] = error.code
    return found, lapsed


def read_envelope(one: Application) -> IssueOrder:
    """The order as it was applied for."""
    body = dict(strict_json.loads_object(one.envelope.encode()))
    return read_issue(body | {"payload": base64.b64encode(one.payload).decode()})


def _values(
    batch: str, place: int, item: dict[str, JsonValue], order: IssueOrder, now_ms: int
) -> dict[str, Any]:
    key = order.type or registry.detect(order.payload, order.media_type) or ""
    envelope = {name: value for name, value in item.items() if name != "payload"}
    if key:
        envelope["type"] = key
    view = _view(key, order.payload)
    return {
        "batch": batch,
        "place": place,
        "payload_digest": sha256(order.payload),
        "payload": order.payload,
        "envelope": strict_json.canonical(envelope).decode(),
        "type": key[:100],
        "number": view.number[:200] if view else "",
        "consignment": order.consignment or (view.consignment if view else None),
        "exporter": lanes.exporter(view),
        "state": rows.RECEIVED,
        "lane": "",
        "second": False,
        "findings": "[]",
        "decisions": "[]",
        "policy": "",
        "submitted_at": now_ms,
        "reviewed_at": None,
        "document": None,
    }


def _view(key: str, payload: bytes) -> View | None:
    try:
        return registry.examine(key, payload).view
    except TradeError:
        return None


def _examine(one: Application) -> Examination:
    """What the type's own rules say; what cannot be read at all is one finding that holds it."""
    try:
        return registry.examine(one.type, one.payload)
    except TradeError as error:
        told = Finding("REV-005", Severity.ERROR, error.pointer or "", error.detail or error.code)
        return Examination(View(one.type, one.number), (told,))


def _findings(found: Sequence[Finding]) -> str:
    return strict_json.canonical([each.to_json() for each in found]).decode()
