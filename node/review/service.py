"""The review service: takes applications in, has the rules review them, issues what is approved.

One task works through the store: first every application received is reviewed, then what is ready
in a signed batch, or approved by persons, is issued. Both begin again after a kill: an application
that was issued just before is issued again with the same bytes, which gives the same document.
"""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

from node.consistency.papers import paper_of
from node.documents import documents
from node.documents.documents import ISSUED
from node.documents.orders import read_issue
from node.review import rows
from node.review.handlers import ReviewHandlers
from node.verification.judging import members_of
from protocols import review
from protocols.digest import sha256
from protocols.review import Circumstances, Lane, Reviewed
from protocols.rights import country_of_right
from schemas import cross, registry, strict_json
from schemas.cross.comparing import LEADING
from schemas.errors import RefusedError, TradeError
from schemas.findings import Finding, Severity
from schemas.view import Examination, View

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from sqlalchemy import Connection

    from node.documents.orders import IssueOrder
    from node.http.routes import Route
    from node.review.rows import Application
    from node.runtime import Node
    from protocols.review import Policy
    from schemas.strict_json import JsonValue

AT_ONCE = 50
ISSUES_AT_ONCE = 16
IDLE_SECONDS = 5.0
POLICY_FILE = "review-policy.json"
MAX_POLICY = 1024 * 1024
MAX_PAPERS = 100


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
        """Always ready."""
        return None

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    def policy(self) -> Policy:
        """The policy in force: the home's own file where there is one, else the packaged one."""
        file = self._node.home.path / POLICY_FILE
        data = None
        if file.is_file():
            with file.open("rb") as source:
                data = source.read(MAX_POLICY)
        return review.policy_at(self._node.clock.now(), data)

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
        if batch:
            total = rows.batch(conn, batch).total
            if first is None or first < 0 or first + len(orders) > total:
                raise RefusedError("batch_too_long", f"{batch} has {total} applications")
        start = first if first is not None and batch else rows.next_place(conn)
        now = self._node.clock.now_ms()
        taken = []
        for place, (item, order) in enumerate(orders, start):
            if rows.take_in(conn, _values(batch, place, item, order, now)):
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
        found = await self._node.store.read(rows.find, states=(rows.RECEIVED,), limit=AT_ONCE)
        if found:
            policy = self.policy()
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
                first_time=rows.is_first(conn, one),
                amount=_amount(one),
            ),
            _across(conn, one),
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
                policy=f"{policy.edition} {policy.digest[:16]}",
                now_ms=now,
            )

    async def _issue_some(self) -> int:
        found = await self._node.store.read(rows.to_issue, ISSUES_AT_ONCE)
        await asyncio.gather(*map(self._issue, found))
        return len(found)

    async def _issue(self, one: Application) -> None:
        try:
            issued = await self._node.documents.issue(read_envelope(one))
        except TradeError as error:
            if error.retryable:
                raise
            told = Finding("REV-004", Severity.ERROR, "", error.code, {"detail": error.detail})
            await self._node.store.write(rows.set_held, one.n, _findings((told,)))
            return
        await self._node.store.write(rows.set_issued, one.n, issued.document.digest)


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
        "exporter": (view.parties.get("exporter", "") if view else "")[:400],
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


def _across(conn: Connection, one: Application) -> tuple[Finding, ...]:
    """Against the leading papers of the same consignment that are here."""
    if one.consignment is None:
        return ()
    held = documents.find(conn, consignment=one.consignment, limit=MAX_PAPERS)
    leading = [each for each in held if each.type in LEADING]
    if not leading:
        return ()
    try:
        mine = cross.Paper(cross.statement(one.type, one.payload))
    except TradeError:
        return ()
    found: list[Finding] = []
    for each in leading:
        other = paper_of(each)
        if other is not None:
            found += cross.examine([other, mine])
    return tuple(found)


def _amount(one: Application) -> Decimal | None:
    try:
        return review.amount_of(strict_json.loads_object(one.payload))
    except TradeError:
        return None  # no JSON: such a document states no amount


def _findings(found: Sequence[Finding]) -> str:
    return strict_json.canonical([each.to_json() for each in found]).decode()
