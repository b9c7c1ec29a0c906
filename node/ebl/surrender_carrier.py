"""As a carrier: being asked for delivery, an amendment or paper, and answering once (SUR 3.0.4).

The answer is decided by a person. What was decided is kept first, then done at the title's arbiter
(accepted: ACCEPT_SURRENDER, and END for an amendment or paper; rejected: possession goes back), and
only then told to the platform: a platform never hears SURR of a title that could still move.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from node.documents import documents
from node.ebl import masters, notices, rows
from node.ebl.counterparts import PLATFORM_ROLE
from node.ebl.issuance_carrier import document_of, tell
from node.ebl.rows import CARRIER, ISSUED, VOID, Surrender
from node.title.making import Order
from protocols.pint import surrender
from protocols.pint.notification import Feedback, Status
from protocols.pint.surrender import SurrenderAnswer
from protocols.pint.words import SurrenderAction, SurrenderCode
from protocols.title.machine import Ending, Kind, State
from schemas import strict_json
from schemas.errors import (
    ConflictError,
    ForbiddenError,
    MalformedError,
    NotFoundError,
    TradeError,
    UnavailableError,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.ebl.counterparts import Counterpart
    from node.ebl.rows import Issuance
    from node.runtime import Node

ANSWER_PAUSE_MS = 20
ACCEPTING, REJECTING = "accepting", "rejecting"
_PENDING = {
    SurrenderCode.SREQ: Status.PENDING_SURRENDER_FOR_DELIVERY,
    SurrenderCode.AREQ: Status.PENDING_SURRENDER_FOR_AMENDMENT,
}
_ENDED = {
    Ending.DELIVERED: Status.SURRENDERED_FOR_DELIVERY,
    Ending.AMENDED: Status.SURRENDERED_FOR_AMENDMENT,
    Ending.PAPER: Status.VOIDED,
}


def receive(conn: Connection, node: Node, platform: Counterpart, body: bytes) -> Surrender:
    """Keep a request; the very same one again is the same request.

    Raises MalformedError `pint_message_malformed`, ForbiddenError `ebl_not_a_platform`,
    NotFoundError `ebl_bill_unknown`, ConflictError `ebl_request_reused`, `ebl_bill_not_issued`,
    `ebl_surrender_pending`.
    """
    if PLATFORM_ROLE not in platform.roles:
        raise ForbiddenError("ebl_not_a_platform", "only the platform it was issued on asks")
    request = surrender.read_request(body)
    known = rows.find_surrender(conn, CARRIER, request.reference, platform.name)
    if known is not None:
        if known.body == body:
            return known
        raise ConflictError("ebl_request_reused", "this reference was used before")
    found = rows.of_reference(
        conn, request.relation.reference, side=CARRIER, counterpart=platform.name
    )
    living = [one for one in found if one.state == ISSUED]
    if not found:
        raise NotFoundError("ebl_bill_unknown", "no such bill was issued on this platform")
    if not living:
        raise ConflictError("ebl_bill_not_issued", f"the bill is {found[0].state}")
    values = {
        "side": CARRIER,
        "counterpart": platform.name,
        "request": request.reference,
        "issuance": living[0].number,
        "reference": living[0].reference,
        "code": request.code.value,
        "reason": request.reason.value if request.reason else None,
        "comments": request.comments,
        "state": "asked",
        "body": body,
        "created_at": node.clock.now_ms(),
    }
    number = rows.put_surrender(conn, values)
    notices.send(conn, node, living[0], _PENDING[request.code])
    detail: dict[str, Any] = {"request": request.reference, "code": request.code.value}
    if open_ones := masters.open_masters(conn, living[0]):
        detail["masters"] = open_ones
    tell(conn, node, living[0], "ebl-surrender-asked", detail)
    return rows.surrender(conn, number)


async def answer(node: Node, request: str, *, accept: bool, comment: str | None) -> Surrender:
    """The carrier's one answer to a request.

    Raises NotFoundError `ebl_surrender_unknown`, ConflictError `ebl_answered`,
    `ebl_title_not_surrendered`, MalformedError `ebl_reason_missing`.
    """
    if not accept and not comment:
        raise MalformedError("ebl_reason_missing", "a rejection says why", pointer="/comment")
    held = await node.store.read(rows.find_surrender, CARRIER, request)
    if held is None:
        raise NotFoundError("ebl_surrender_unknown", request)
    bill = await node.store.read(rows.issuance, held.issuance)
    if held.state == "asked" and bill.title is not None:
        title = await node.title.require(bill.title, refresh=True)
        if title.state.state is State.LIVE:
            raise ConflictError("ebl_title_not_surrendered", "its holder still possesses it")
    await node.store.write(_decide, held, accept, comment)
    try:
        await settle(node, held.number)
    except TradeError as error:
        if not error.retryable:
            raise
    found: Surrender = await node.store.read(rows.surrender, held.number)
    return found


def _decide(conn: Connection, held: Surrender, accept: bool, comment: str | None) -> None:
    action = SurrenderAction.SURR if accept else SurrenderAction.SREJ
    body = strict_json.canonical(SurrenderAnswer(held.request, action, comment).to_json())
    values = {"state": ACCEPTING if accept else REJECTING, "answer": body}
    if not rows.change_surrender(conn, held.number, values, only=("asked",)):
        now = rows.surrender(conn, held.number)
        raise ConflictError("ebl_answered", f"the request is {now.state}", state=now.state)


async def settle(node: Node, number: int) -> None:
    """Do what was decided, at the arbiter and then here; repeated until it is done.

    Raises UnavailableError `title_pending` while the arbiter has not made it final.
    """
    async with node.ebl.alone(number):
        await _settle(node, number)


async def _settle(node: Node, number: int) -> None:
    held: Surrender = await node.store.read(rows.surrender, number)
    if held.state not in {ACCEPTING, REJECTING}:
        return
    bill: Issuance = await node.store.read(rows.issuance, held.issuance)
    if bill.title is not None:
        await _move(node, bill.title, held)
    await node.store.write(_done, node, number)
    ended = ending_of(held)
    if held.state == ACCEPTING and ended is not Ending.DELIVERED:
        await _revoke(node, bill, ended)
    node.ebl.wake()


def ending_of(held: Surrender) -> Ending:
    """How the bill ends when the request is granted."""
    assert held.body is not None
    return surrender.read_request(held.body).ending


async def _move(node: Node, title: bytes, held: Surrender) -> None:
    """Bring the title to where the answer says it is."""
    for _ in range(3):
        state = (await node.title.require(title, refresh=True)).state.state
        order = _next(state, held)
        if order is None:
            return
        found = await node.title.operate(title, order)
        if found["outcome"] != "final":
            raise UnavailableError("title_pending", "the arbiter has not made it final yet")


def _next(state: State, held: Surrender) -> Order | None:
    if held.state == REJECTING:
        return Order(Kind.REJECT_SURRENDER) if state is State.SURRENDERED else None
    if state is State.SURRENDERED:
        return Order(Kind.ACCEPT_SURRENDER)
    ending = ending_of(held)
    if state is State.ACCEPTED and ending is not Ending.DELIVERED:
        return Order(Kind.END, ending=ending)
    return None


def _done(conn: Connection, node: Node, number: int) -> None:
    """The answer stands; keep the call that tells the platform."""
    held, now = rows.surrender(conn, number), node.clock.now_ms()
    accepted = held.state == ACCEPTING
    values = {"state": "accepted" if accepted else "rejected", "answered_at": now}
    if not rows.change_surrender(conn, number, values, only=(ACCEPTING, REJECTING)):
        return
    assert held.answer is not None
    draft = rows.Draft(held.counterpart, "POST", surrender.RESPONSES, held.answer, "answer", number)
    rows.put_call(conn, draft, now + ANSWER_PAUSE_MS)
    bill = rows.issuance(conn, held.issuance)
    if accepted:
        rows.change_issuance(conn, bill.number, {"state": VOID})
        notices.send(conn, node, bill, _ENDED[ending_of(held)])
    else:
        said = surrender.read_answer(held.answer).comments or ""
        notices.send(conn, node, bill, Status.ISSUED, Feedback("INFO", "REJECTED", said))
    kind = "ebl-surrender-accepted" if accepted else "ebl-surrender-rejected"
    tell(conn, node, bill, kind, {"request": held.request})


async def _revoke(node: Node, bill: Issuance, ended: Ending) -> None:
    """The amended or paper-bound bill is visibly dead: its credential is revoked."""
    digest = document_of(bill)
    if digest is None:
        return
    held = await node.store.read(documents.get, digest)
    if held is not None and held.revoked_at is None:
        reason = "replaced by an amended bill" if ended is Ending.AMENDED else "switched to paper"
        try:
            await node.documents.revoke(digest, reason)
        except ForbiddenError as error:
            # The answer stands; that the credential falls too is then for persons to approve.
            detail = {"code": error.code, "area": "ebl"}
            await node.store.write(tell, node, bill, "alarm", detail)


def status_of(conn: Connection, bill: Issuance) -> Status:
    """Where a bill that this carrier issued is, in the words of EBL 3.0.4."""
    asked = rows.surrenders_of(conn, bill.number)
    last = asked[-1] if asked else None
    if bill.state == VOID and last is not None:
        return _ENDED[ending_of(last)]
    if last is not None and last.state in rows.UNDECIDED:
        return _PENDING[SurrenderCode(last.code)]
    return Status.ISSUED
