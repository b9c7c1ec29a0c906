"""fsck of our calls to carriers and platforms, and of notifications sent and received."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from node.ebl import rows, tables
from node.ebl.rows import CARRIER, PLATFORM, Call, Issuance, Surrender
from node.fsck import told_bills as told
from node.fsck.stored import each, there
from protocols.pint import issuance, notification, surrender
from schemas.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.fsck import Context

_STATES = frozenset({"waiting", "done", "refused", "given-up"})
#: about → who makes such calls, by which method, to where
_KINDS = {
    "issuance": (CARRIER, "PUT", issuance.REQUESTS),
    "response": (PLATFORM, "POST", issuance.RESPONSES),
    "surrender": (PLATFORM, "POST", surrender.REQUESTS),
    "answer": (CARRIER, "POST", surrender.RESPONSES),
    "notice": (CARRIER, "POST", notification.NOTIFICATIONS),
}
_OF_SURRENDERS = frozenset({"surrender", "answer"})
_SENT, _RECEIVED = "sent", "received"


def calls(conn: Connection, context: Context) -> Iterator[str]:
    """FSCK-20: each call is about something kept here, and carries what that matter sends."""
    yield from told.numbers(conn, tables.calls)
    yield from each(conn, context, tables.calls, _faults)


def _faults(conn: Connection, _context: Context, number: int) -> Iterator[str]:
    held = rows.call(conn, number)
    if held.about not in _KINDS or held.state not in _STATES:
        yield f"there is no call about {held.about} with a state {held.state}"
        return
    side, *way = _KINDS[held.about]
    if [held.method, held.path] != way:
        yield f"a call about {held.about} goes elsewhere"
    of_surrender = held.about in _OF_SURRENDERS
    find = rows.surrender if of_surrender else rows.issuance
    try:
        subject: Issuance | Surrender = find(conn, held.subject)
    except NotFoundError:
        yield f"the {'surrender' if of_surrender else 'issuance'} {held.subject} is not here"
        return
    if (subject.side, subject.counterpart) != (side, held.counterpart):
        yield f"it goes to another counterpart than {held.about} {held.subject}"
    yield from _notice(conn, held, subject) if held.about == "notice" else _body(held, subject)


def _body(held: Call, subject: Issuance | Surrender) -> Iterator[str]:
    asks = held.about in {"issuance", "surrender"}
    kept = subject.body if asks else subject.answer
    if held.body != (kept.encode() if isinstance(kept, str) else kept):
        yield f"its body is not what {held.about} {held.subject} sends"


def _notice(conn: Connection, held: Call, subject: Issuance | Surrender) -> Iterator[str]:
    event, table = notification.read_notification(held.body), tables.notifications
    query = select(table.c.body).where(
        table.c.direction == _SENT,
        table.c.counterpart == held.counterpart,
        table.c.source == event.source,
        table.c.event == event.id,
    )
    kept = conn.execute(query).scalar_one_or_none()
    if event.relation.reference != subject.reference or kept is None or bytes(kept) != held.body:
        yield "it carries no notification that is kept, or one of another bill"


def notifications(conn: Connection, context: Context) -> Iterator[str]:
    """FSCK-21: each notification is the event that its columns name; ours are of our bills."""
    return each(conn, context, tables.notifications, _event_faults)


def _event_faults(conn: Connection, _context: Context, number: int) -> Iterator[str]:
    table = tables.notifications
    row = conn.execute(select(table).where(table.c.number == number)).one()
    if row.direction not in {_SENT, _RECEIVED}:
        yield f"there is no direction {row.direction}"
    event = notification.read_notification(bytes(row.body))
    inside = (event.source, event.id, event.relation.reference, event.status)
    if inside != (row.source, row.event, row.reference, row.status):
        yield "its body is another event than its columns name"
    bill = {"side": CARRIER, "counterpart": row.counterpart, "reference": row.reference}
    if row.direction == _SENT and not there(conn, tables.issuances, **bill):
        yield f"no bill {row.reference} was put before {row.counterpart}"
    carried = {"counterpart": row.counterpart, "about": "notice", "body": bytes(row.body)}
    if row.direction == _SENT and not there(conn, tables.calls, **carried):
        yield "the call that carries it is lost"
