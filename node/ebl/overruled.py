"""Bills that are called `title-refused` and whose title its arbiter made final all the same.

The arbiter decides (R21): a refusal that was believed too early, or a carrier's word that was heard
before the chain's, falls as soon as the title is final here. The bill is issued, as its platform
said, and both sides say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from node.ebl import notices, rows
from node.ebl.issuance_carrier import tell
from node.ebl.rows import CARRIER, ISSUED, PLATFORM, TITLE_REFUSED, Issuance
from node.ebl.tables import issuances
from node.pint import rows as pint_rows
from node.title.tables import titles
from protocols.pint.notification import Status

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.runtime import Node


def overruled(conn: Connection) -> list[int]:
    """The numbers of those bills, on either side."""
    query = (
        select(issuances.c.number)
        .join(titles, titles.c.title == issuances.c.title)
        .where(issuances.c.state == TITLE_REFUSED)
        .order_by(issuances.c.number)
        .limit(rows.MAX_PAGE)
    )
    return list(conn.execute(query).scalars())


def let_stand(conn: Connection, node: Node) -> None:
    """Every one of `overruled` is in force."""
    for number in overruled(conn):
        _stands(conn, node, rows.issuance(conn, number))


def _stands(conn: Connection, node: Node, held: Issuance) -> None:
    values = {"state": ISSUED, "fault": None}
    if not rows.change_issuance(conn, held.number, values, only=(TITLE_REFUSED,)):
        return
    if held.side == PLATFORM:
        _take_back(conn, node, held)
    assert held.title is not None
    detail = {"title": held.title.hex(), "again": _is_put_up_again(conn, held)}
    tell(conn, node, held, "ebl-title-stands", detail)
    tell(conn, node, held, "alarm", {"area": "ebl", "code": "ebl_title_stands", **detail})
    if held.side == CARRIER:
        notices.send(conn, node, held, Status.ISSUED)


def _take_back(conn: Connection, node: Node, held: Issuance) -> None:
    """The bill itself is here again, unless another title of it has taken its place."""
    bill = pint_rows.bill(conn, held.checksum)
    if bill is not None and (bill.title, bill.status) == (held.title, pint_rows.ENDED):
        now = node.clock.now_ms()
        pint_rows.put_bill(conn, held.checksum, now, status=pint_rows.HERE)


def _is_put_up_again(conn: Connection, held: Issuance) -> bool:
    """Whether the reference is in use a second time: then two bills of it may be in force."""
    same = rows.of_reference(conn, held.reference, side=held.side, counterpart=held.counterpart)
    return any(one.number != held.number and one.state in rows.TAKEN for one in same)
