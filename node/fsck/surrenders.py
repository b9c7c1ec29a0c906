"""fsck of surrenders (SUR 3.0.4): the kept request, the carrier's answer, the bill it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.ebl import rows, tables
from node.ebl.rows import CARRIER, ISSUED, PLATFORM, VOID, Surrender
from node.fsck import told_bills as told
from node.fsck.stored import each, there
from protocols.fields import DID
from protocols.pint import surrender
from protocols.pint.words import SurrenderAction
from schemas.errors import NotFoundError, TradeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from node.fsck import Context

_STATES = {
    PLATFORM: frozenset({"asking", "asked", "accepted", "rejected", "refused"}),
    CARRIER: frozenset({"asked", "accepting", "rejecting", "accepted", "rejected"}),
}
_ANSWERED = frozenset({"accepted", "rejected", "refused"})
_ANSWERS = {
    "accepting": SurrenderAction.SURR,
    "accepted": SurrenderAction.SURR,
    "rejecting": SurrenderAction.SREJ,
    "rejected": SurrenderAction.SREJ,
}


def surrenders(conn: Connection, context: Context) -> Iterator[str]:
    """FSCK-19: requests and answers are what their columns say, each of an issuance kept here."""
    yield from told.numbers(conn, tables.surrenders)
    yield from told.surrenders(conn)
    yield from each(conn, context, tables.surrenders, _faults)


def _faults(conn: Connection, _context: Context, number: int) -> Iterator[str]:
    held = rows.surrender(conn, number)
    if held.state not in _STATES.get(held.side, ()):
        yield f"there is no side {held.side} with a state {held.state}"
        return
    if held.party is not None and (held.side == CARRIER or DID.fullmatch(held.party) is None):
        yield "its party is not one that gives back here"
    yield from _bill(conn, held)
    yield from _answer(held)
    yield from _request(conn, held)
    answered = held.side == CARRIER and held.state in _ANSWERED
    if answered and not there(conn, tables.calls, about="answer", subject=held.number):
        yield "the call that carries its answer is lost"


def _bill(conn: Connection, held: Surrender) -> Iterator[str]:
    try:
        bill = rows.issuance(conn, held.issuance)
    except NotFoundError:
        yield f"the issuance {held.issuance} that it is about is not here"
        return
    wanted = (held.side, held.counterpart, held.reference)
    if (bill.side, bill.counterpart, bill.reference) != wanted:
        yield f"the issuance {held.issuance} is of another bill or counterpart"
    elif bill.state not in ({VOID} if held.state == "accepted" else {ISSUED, VOID}):
        yield f"it is {held.state}, but the bill is {bill.state}"


def _answer(held: Surrender) -> Iterator[str]:
    if (held.answered_at is not None) != (held.state in _ANSWERED):
        yield f"the moment of its answer does not go with the state {held.state}"
    expected = _ANSWERS.get(held.state)
    if expected is None or held.answer is None:
        if expected is not None or held.answer is not None:
            yield f"its answer is missing, or none goes with the state {held.state}"
        return
    try:
        said = surrender.read_answer(held.answer, reason_required=False)
    except TradeError as error:
        yield f"its answer cannot be read: {error.code}"
        return
    if (said.action, said.reference) != (expected, held.request):
        yield f"its answer says something else than {held.state}, or is to another request"


def _request(conn: Connection, held: Surrender) -> Iterator[str]:
    if held.body is None:
        # A platform keeps the request when it goes out; an answer may not be waited for so long.
        called = {"about": "surrender", "subject": held.number}
        sent = held.state == "asked" or there(conn, tables.calls, **called)
        if held.side == CARRIER or sent:
            yield "its request is lost"
        return
    asks = {"about": "surrender", "subject": held.number}
    if held.side == PLATFORM and not there(conn, tables.calls, **asks):
        yield "the call that carries its request is lost"
    said = surrender.read_request(held.body)
    inside = (said.reference, said.relation.reference, said.code, said.reason, said.comments)
    if inside != (held.request, held.reference, held.code, held.reason, held.comments):
        yield "its request says something else than its columns"
