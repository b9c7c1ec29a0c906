"""Issuing on somebody else's proof: what a back-to-back certificate draws from its original.

RCEP 3.19(1)(e): all partial quantities together do not exceed the original. The quantity is
reserved at the original's register under the new certificate's number before anything is signed,
and written off after; without the register's answer nothing is issued (R23).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.balance import rows
from node.balance.asking import Order
from protocols.balance import Action, Outcome, Quantity, UseState, read_payload
from protocols.digest import from_hex
from schemas import strict_json
from schemas.errors import RefusedError, UnavailableError
from schemas.fields import decimal, text

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.balance.rows import Asked
    from node.balance.service import BalanceService
    from node.documents.issuing import Examined

TYPES = frozenset({"back-to-back-certificate-of-origin", "preferential-certificate-of-origin"})
STANDING = (UseState.RESERVED.value, UseState.WRITTEN_OFF.value)


def drawn_by(examined: Examined) -> Order | None:
    """What a certificate draws from an original that it pins; None when it pins none."""
    if examined.type.key not in TYPES:
        return None
    document = strict_json.loads_object(examined.order.payload)
    digest = text(document, "backToBack", "digest")
    value = decimal(document, "backToBack", "quantity", "value")
    unit = text(document, "backToBack", "quantity", "unit")
    if digest is None or value is None or unit is None:
        return None
    number = examined.view.number
    return Order(from_hex(digest), Action.RESERVE, number, Quantity(value, unit))


async def reserve(service: BalanceService, examined: Examined) -> Order | None:
    """Before it is signed; what is to be written off after, None when nothing is drawn.

    Raises RefusedError `back_to_back_overdrawn` with the register's own words, UnavailableError
    `balance_unknown`, NotFoundError `document_not_here` without the original.
    """
    order = drawn_by(examined)
    if order is None:
        return None
    asked = await service.operate(order)
    if asked.outcome == Outcome.REFUSED.value:
        raise _refusal(asked)
    if asked.pending:
        raise UnavailableError("balance_unknown", f"{asked.register} has not answered")
    return order


def _refusal(asked: Asked) -> RefusedError:
    told = read_payload(asked.answer or "")
    detail = f"{asked.code}: {told.get('detail', '')}"
    return RefusedError("back_to_back_overdrawn", detail, answer=asked.answer)


def require_drawn(conn: Connection, examined: Examined) -> None:
    """By whatever door it came: what an original is to cover must be reserved.

    Raises RefusedError `back_to_back_not_drawn`.
    """
    order = drawn_by(examined)
    if order is None:
        return
    granted = [
        read_payload(each.answer)
        for each in rows.asked_about(conn, order.certificate, order.declaration)
        if each.outcome == Outcome.GRANTED.value and each.answer
    ]
    use = granted[-1].get("use") if granted else None
    value = order.quantity.value if order.quantity else None
    if text(use, "state") not in STANDING or decimal(use, "quantity", "value") != value:
        raise RefusedError("back_to_back_not_drawn", f"{order.declaration} has reserved nothing")
