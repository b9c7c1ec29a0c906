"""fsck of what events and numbers tell of bills: rows of ISS, SUR and PINT that are gone.

Rows of these tables are settled and never deleted, save by a test that resets its platform; what
was told before the newest reset is not looked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Select, Table, and_, func, or_, select

from node.ebl.tables import issuances
from node.ebl.tables import surrenders as surrender_table
from node.fsck.stored import has, pages, there
from node.fsck.streams import gone
from node.pint.tables import bills as pint_bills
from node.pint.tables import outgoing, transfers
from node.store.events import RESET, events
from schemas import strict_json
from schemas.errors import TradeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import TypeAlias

    Missing: TypeAlias = Callable[[Connection, Any, Mapping[str, Any]], str]

_ARRIVED = ("pint-received", "pint-notified")


def numbers(conn: Connection, table: Table) -> Iterator[str]:
    """Rows missing by their numbers, on SQLite and where no test has emptied the table."""
    if has(conn, table) and not _reset(conn):
        yield from gone(conn, table, "number")


def bills(conn: Connection) -> Iterator[str]:
    """Bills put up for issuance that events tell of, and no row."""
    yield from _missing(conn, events.c.kind.startswith("ebl-"), _issuance)


def surrenders(conn: Connection) -> Iterator[str]:
    """Requests to give a bill back that events tell of, and no row."""
    yield from _missing(conn, events.c.kind.startswith("ebl-surrender-"), _surrender)


def moves(conn: Connection) -> Iterator[str]:
    """Transfers of bills across platforms that events tell of, and no row, or no bill."""
    left = and_(events.c.kind.startswith("ebl-"), events.c.detail.contains('"transfer":'))
    yield from _missing(conn, or_(events.c.kind.in_(_ARRIVED), left), _move)


def _missing(conn: Connection, wanted: Any, find: Missing) -> Iterator[str]:
    if not has(conn, events):
        return
    for row in pages(conn, _query(wanted, _reset(conn))):
        try:
            missing = find(conn, row, strict_json.loads_object(row.detail.encode()))
        except (TradeError, KeyError, TypeError, ValueError):
            missing = "its detail cannot be read"
        if missing:
            yield f"event {row.number} ({row.kind}): {missing}"


def _query(wanted: Any, after: int) -> Select[Any]:
    query = select(events.c.number, events.c.kind, events.c.actor, events.c.detail)
    return query.where(wanted, events.c.number > after).order_by(events.c.number)


def _reset(conn: Connection) -> int:
    """The number of the newest reset; 0 for none."""
    if not has(conn, events):
        return 0
    query = select(func.max(events.c.number)).where(events.c.kind == RESET)
    return int(conn.execute(query).scalar() or 0)


def _issuance(conn: Connection, row: Any, detail: Mapping[str, Any]) -> str:
    if "side" not in detail:
        return ""
    named = {"side": detail["side"], "reference": detail["reference"]}
    if there(conn, issuances, counterpart=row.actor, **named):
        return ""
    return f"the bill {detail['reference']} of {row.actor} is not in ebl_issuances"


def _surrender(conn: Connection, row: Any, detail: Mapping[str, Any]) -> str:
    named = {"side": detail["side"], "request": detail["request"]}
    if there(conn, surrender_table, counterpart=row.actor, **named):
        return ""
    return f"the request {detail['request']} is not in ebl_surrenders"


def _move(conn: Connection, row: Any, detail: Mapping[str, Any]) -> str:
    if row.kind not in _ARRIVED:
        here = there(conn, outgoing, entry=bytes.fromhex(detail["transfer"]))
        return "" if here else f"the transfer {detail['transfer']} is not in pint_outgoing"
    bill, entry = bytes.fromhex(detail["bill"]), bytes.fromhex(detail["entry"])
    if not there(conn, pint_bills, document=bill):
        return f"the bill {detail['bill']} is not in pint_bills"
    here = there(conn, transfers, document=bill, entry=entry, state="received")
    return "" if here else f"the transfer {detail['entry']} is not in pint_transfers"
