"""As a platform: giving a bill back to its carrier for a party here (SUR 3.0.4).

The title is surrendered at its arbiter first, so the carrier is in possession when it is asked; a
title that became SURRENDERED in any other way (a transfer chain that came back, the commands for
titles) is noticed and asked about too. The carrier answers once; its answer may come before the
204 of the request, which is kept before it is sent.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from node.ebl import chains, rows
from node.ebl.issuance_carrier import tell
from node.ebl.rows import ISSUED, PLATFORM, VOID, Issuance, Surrender
from node.ebl.tables import issuances
from node.pint import rows as pint_rows
from node.pint.tables import bills as pint_bills
from node.title import rows as title_rows
from node.title.making import Order
from node.title.tables import titles
from protocols.pint import surrender
from protocols.pint.issuance import TransportDocumentRelation
from protocols.pint.surrender import SurrenderRequest
from protocols.pint.words import (
    FROM_REQUEST,
    TO_REQUEST,
    TO_TITLE,
    Reason,
    SurrenderAction,
    SurrenderCode,
)
from protocols.title.machine import Kind, State
from schemas import strict_json
from schemas.errors import ConflictError, NotFoundError, TradeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from node.ebl.counterparts import Counterpart
    from node.runtime import Node
    from node.title.rows import StoredTitle
    from protocols.pint.surrender import SurrenderAnswer

AT_ONCE = 50
#: For so long the entry of a surrender for amendment is waited for, which says why.
ENTRY_MS = 3000
_CODES = {
    kind: TO_REQUEST[action]
    for action, kind in TO_TITLE.items()
    if kind is not None and action in TO_REQUEST
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a party wants of the carrier. party: its DID, by default whoever possesses the bill"""

    reference: str
    code: SurrenderCode
    reason: Reason | None = None
    comments: str | None = None
    party: str | None = None


async def ask(node: Node, wanted: Wanted) -> Surrender:
    """Give a bill back: at the title's arbiter, then to the carrier.

    Raises NotFoundError `ebl_bill_unknown`, ConflictError `ebl_surrender_pending`,
    `ebl_bill_not_issued`, and what the title's arbiter refuses.
    """
    held = await node.store.read(issued, wanted.reference)
    title = None if held.title is None else await node.title.require(held.title, refresh=True)
    number = await node.store.write(_begin, node, held, wanted, title)
    if title is not None:
        await _give_back(node, number, wanted, title)
    await node.store.write(proceed, node, number)
    node.ebl.wake()
    found: Surrender = await node.store.read(rows.surrender, number)
    return found


def issued(conn: Connection, reference: str) -> Issuance:
    """The living bill of a reference that was issued on this platform.

    Raises NotFoundError `ebl_bill_unknown`, ConflictError `ebl_bill_not_issued`,
    `ebl_reference_ambiguous`.
    """
    found = rows.of_reference(conn, reference, side=PLATFORM)
    living = [one for one in found if one.state == ISSUED]
    if len(living) > 1:
        raise ConflictError("ebl_reference_ambiguous", "two carriers use this reference")
    if not living and found:
        raise ConflictError("ebl_bill_not_issued", f"the bill is {found[0].state}")
    if not living:
        raise NotFoundError("ebl_bill_unknown", "no such bill was issued on this platform")
    return living[0]


def _begin(
    conn: Connection, node: Node, held: Issuance, wanted: Wanted, title: StoredTitle | None
) -> int:
    seq = None if title is None else title.state.seq + 1
    if title is not None and title.state.state is State.SURRENDERED:
        seq = title.state.seq
    values = {
        "request": _request(held, seq),
        "code": wanted.code.value,
        "reason": wanted.reason.value if wanted.reason else None,
        "comments": wanted.comments,
        "party": wanted.party,
    }
    return _put(conn, node, held, values)


def _request(held: Issuance, seq: int | None) -> str:
    """The reference of a request, never used again: of a title by its sequence number."""
    ending = secrets.token_hex(6) if seq is None else f"{seq}"
    name = held.title.hex()[:16] if held.title is not None else f"{held.number}"
    return f"{held.reference}-{name}-{ending}"


def _put(conn: Connection, node: Node, held: Issuance, values: dict[str, Any]) -> int:
    fixed = {
        "side": PLATFORM,
        "counterpart": held.counterpart,
        "issuance": held.number,
        "reference": held.reference,
        "state": "asking",
        "created_at": node.clock.now_ms(),
    }
    if rows.find_surrender(conn, PLATFORM, values["request"], held.counterpart) is not None:
        raise ConflictError("ebl_surrender_pending", values["request"])
    return rows.put_surrender(conn, fixed | values)


async def _give_back(node: Node, number: int, wanted: Wanted, title: StoredTitle) -> None:
    if title.state.state is State.SURRENDERED:
        return
    kind = TO_TITLE[FROM_REQUEST[wanted.code]]
    assert kind is not None
    try:
        await node.title.operate(title.title, Order(kind, by=wanted.party))
    except TradeError as error:
        if not error.retryable:
            refused = {"state": "refused", "answered_at": node.clock.now_ms()}
            await node.store.write(rows.change_surrender, number, refused, only=("asking",))
        raise


def proceed(conn: Connection, node: Node, number: int) -> bool:
    """Keep the call to the carrier once the title is with it; False while it is not."""
    held = rows.surrender(conn, number)
    bill = rows.issuance(conn, held.issuance)
    if held.state != "asking":
        return False
    if bill.title is not None:
        title = title_rows.find(conn, bill.title)
        if title is None or title.state.state is not State.SURRENDERED:
            return False
    now = node.clock.now_ms()
    body = strict_json.canonical(_message(conn, node, bill, held).to_json())
    rows.change_surrender(conn, number, {"state": "asked", "body": body})
    draft = rows.Draft(held.counterpart, "POST", surrender.REQUESTS, body, "surrender", number)
    rows.put_call(conn, draft, now)
    tell(conn, node, bill, "ebl-surrender-asked", {"request": held.request, "code": held.code})
    return True


def _message(conn: Connection, node: Node, bill: Issuance, held: Surrender) -> SurrenderRequest:
    """The request with the chain of endorsements that led to it."""
    relation = TransportDocumentRelation(bill.reference, bill.sub_reference)
    told = chains.transactions(conn, node, bill)
    links = surrender.request_of(held.request, relation, told).links if told else ()
    return SurrenderRequest(
        held.request,
        relation,
        SurrenderCode(held.code),
        Reason(held.reason) if held.reason else None,
        held.comments,
        links,
    )


def any_given_back(conn: Connection, node: Node) -> bool:
    """Whether a look is worth a transaction: bills issued here that are with their carrier."""
    return any(_is_new(conn, one) for one in _given_back(conn, node))


def discover(conn: Connection, node: Node) -> int:
    """Bills that were given back without `ask`; how many requests were begun."""
    count = 0
    for one in _given_back(conn, node):
        if _is_new(conn, one):
            wanted = {"request": one.request, "code": one.code.value, "party": one.party}
            wanted |= {"reason": one.reason and one.reason.value, "comments": one.comments}
            number = _put(conn, node, one.bill, wanted)
            count += proceed(conn, node, number)
    return count


@dataclass(frozen=True, slots=True)
class _GivenBack:
    """A bill that is with its carrier, and what its transfer chain says of why."""

    bill: Issuance
    code: SurrenderCode
    party: str | None
    seq: int
    reason: Reason | None = None
    comments: str | None = None

    @property
    def request(self) -> str:
        return _request(self.bill, self.seq)


def _is_new(conn: Connection, one: _GivenBack) -> bool:
    known = rows.surrenders_of(conn, one.bill.number)
    return all(
        other.request != one.request and other.state not in rows.UNDECIDED for other in known
    )


def _given_back(conn: Connection, node: Node) -> list[_GivenBack]:
    now = node.clock.now_ms()
    return [*_by_title(conn, now), *_by_chain(conn)]


def _by_title(conn: Connection, now_ms: int) -> Iterator[_GivenBack]:
    query = (
        select(issuances.c.number, titles.c.updated_at)
        .join(titles, titles.c.title == issuances.c.title)
        .where(
            issuances.c.side == PLATFORM,
            issuances.c.state == ISSUED,
            titles.c.status == State.SURRENDERED.value,
        )
        .limit(AT_ONCE)
    )
    for number, since in conn.execute(query).all():
        bill = rows.issuance(conn, number)
        title = title_rows.find(conn, bill.title or b"")
        if title is None or title.state.purpose is None:
            continue
        code, told = _CODES[Kind(title.state.purpose)], chains.told_by_chain(conn, bill.checksum)
        last = told[-1] if told and told[-1].action is FROM_REQUEST[code] else None
        if last is None and code is SurrenderCode.AREQ and now_ms < since + ENTRY_MS:
            continue  # the chain's entry, which says what is to be amended, may be on its way
        by = title.state.surrendered_by
        yield _GivenBack(
            bill,
            code,
            by.did if by else None,
            title.state.seq,
            last.reason if last else None,
            last.comments if last else None,
        )


def _by_chain(conn: Connection) -> Iterator[_GivenBack]:
    """Of carriers outside: a chain that came back with a surrender as its last transaction."""
    query = (
        select(issuances.c.number)
        .join(pint_bills, pint_bills.c.document == issuances.c.checksum)
        .where(
            issuances.c.side == PLATFORM,
            issuances.c.state == ISSUED,
            issuances.c.title.is_(None),
            pint_bills.c.status == pint_rows.SURRENDERED,
        )
        .limit(AT_ONCE)
    )
    for number in list(conn.execute(query).scalars()):
        bill = rows.issuance(conn, number)
        told = chains.told_by_chain(conn, bill.checksum)
        last = told[-1] if told else None
        if last is not None and last.action in TO_REQUEST:
            code, by = TO_REQUEST[last.action], last.actor.did
            yield _GivenBack(bill, code, by, len(told), last.reason, last.comments)


# -- the carrier's answer ----------------------------------------------------------------------


def take_answer(
    conn: Connection, node: Node, carrier: Counterpart, answer: SurrenderAnswer, body: bytes
) -> None:
    """Keep the carrier's one answer.

    Raises NotFoundError `ebl_surrender_unknown`, ConflictError `ebl_answered` for any second one.
    """
    held = rows.find_surrender(conn, PLATFORM, answer.reference, carrier.name)
    if held is None:
        raise NotFoundError("ebl_surrender_unknown", "no such surrender was asked of this carrier")
    if held.state in {"accepted", "rejected"}:
        raise ConflictError("ebl_answered", f"it was {held.state}", state=held.state)
    accepted = answer.action is SurrenderAction.SURR
    state, now = "accepted" if accepted else "rejected", node.clock.now_ms()
    rows.change_surrender(conn, held.number, {"state": state, "answer": body, "answered_at": now})
    for call in rows.calls_of(conn, "surrender", held.number):
        if call.state == "waiting":
            rows.change_call(conn, call.number, {"state": "done"})
    bill = rows.issuance(conn, held.issuance)
    if accepted:
        rows.change_issuance(conn, bill.number, {"state": VOID})
    status = pint_rows.ENDED if accepted else pint_rows.HERE
    # Of a title's bill the arbiter's word counts, from which its chain is continued.
    if bill.title is None and pint_rows.bill(conn, bill.checksum) is not None:
        pint_rows.put_bill(conn, bill.checksum, now, status=status)
    detail = {"request": held.request, "action": answer.action.value}
    tell(conn, node, bill, f"ebl-surrender-{state}", detail)
