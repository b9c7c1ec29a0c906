"""Issuing on somebody else's proof: what a back-to-back certificate draws from its original.

RCEP 3.19(1)(e): all partial quantities together do not exceed the original. The quantity, or that
of each line of the original that it names, is reserved at the original's register under the new
certificate's number before anything is signed, and written off after; without the register's
answer nothing is issued (R23). Lines are drawn all or none: one refused releases the others.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from node.balance import rows
from node.balance.asking import Order
from protocols.balance import Action, Outcome, Quantity, UseState, read_payload
from protocols.digest import from_hex
from schemas import strict_json
from schemas.errors import RefusedError, TradeError, UnavailableError
from schemas.fields import decimal, integer, objects, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from node.balance.rows import Asked
    from node.balance.service import BalanceService
    from node.documents.issuing import Examined
    from schemas.strict_json import JsonValue

TYPES = frozenset({"back-to-back-certificate-of-origin", "preferential-certificate-of-origin"})
STANDING = (UseState.RESERVED.value, UseState.WRITTEN_OFF.value)
#: How long what comes after a decision is waited for; the exchange repeats it anyway.
AFTER_SECONDS = 0.5


def drawn_by(examined: Examined) -> tuple[Order, ...]:
    """What a certificate draws from an original that it pins; nothing when it pins none."""
    if examined.type.key not in TYPES:
        return ()
    document = strict_json.loads_object(examined.order.payload)
    digest = text(document, "backToBack", "digest")
    if digest is None:
        return ()
    certificate, number = from_hex(digest), examined.view.number
    return tuple(
        Order(certificate, Action.RESERVE, number, quantity, line=line)
        for line, quantity in _drawn(document)
    )


def _drawn(document: dict[str, JsonValue]) -> Iterator[tuple[int | None, Quantity]]:
    """By line of the original where it names lines, else without a line."""
    given: list[tuple[int | None, JsonValue]] = [
        (integer(each, "line"), each) for _, each in objects(document, "backToBack", "lines")
    ]
    for line, each in given or [(None, document.get("backToBack"))]:
        value, unit = decimal(each, "quantity", "value"), text(each, "quantity", "unit")
        if value is not None and unit is not None:
            yield line, Quantity(value, unit)


async def reserve(service: BalanceService, examined: Examined) -> tuple[Order, ...]:
    """Before it is signed; what is to be written off after, nothing when nothing is drawn.

    Raises RefusedError `back_to_back_overdrawn` with the register's own words,
    `balance_line_missing`, `balance_line_unknown`; UnavailableError `balance_unknown`,
    NotFoundError `document_not_here` without the original.
    """
    orders = drawn_by(examined)
    # All at once: a register that does not answer is waited for once.
    answers = await asyncio.gather(*map(service.operate, orders), return_exceptions=True)
    failed = [each for each in answers if isinstance(each, BaseException)]
    asked = [each for each in answers if not isinstance(each, BaseException)]
    refused = [each for each in asked if each.outcome == Outcome.REFUSED.value]
    if failed or refused:
        pairs = zip(orders, answers, strict=True)
        await release(service, [order for order, answer in pairs if _granted(answer)])
        raise failed[0] if failed else _refusal(refused[0])
    for each in asked:
        if each.pending:
            raise UnavailableError("balance_unknown", f"{each.register} has not answered")
    return orders


def _granted(answer: Asked | BaseException) -> bool:
    return not isinstance(answer, BaseException) and answer.outcome == Outcome.GRANTED.value


async def release(service: BalanceService, orders: Sequence[Order]) -> None:
    """Give back what was reserved, as nothing was signed; who asks for it again gets it."""

    async def undo(order: Order) -> None:
        undone = replace(order, action=Action.RELEASE, quantity=None)
        with suppress(TradeError):  # what it fails with is told; a reserve can be released
            await service.operate(undone, seconds=AFTER_SECONDS)

    await asyncio.gather(*map(undo, orders))


async def write_off(service: BalanceService, orders: Sequence[Order]) -> None:
    """For good, once it is signed."""
    final = (replace(order, action=Action.WRITE_OFF) for order in orders)
    await asyncio.gather(*(service.operate(each, seconds=AFTER_SECONDS) for each in final))


def _refusal(asked: Asked) -> RefusedError:
    told = read_payload(asked.answer or "")
    detail = f"{asked.code}: {told.get('detail', '')}"
    return RefusedError("back_to_back_overdrawn", detail, answer=asked.answer)


def require_drawn(conn: Connection, examined: Examined) -> None:
    """By whatever door it came: what an original is to cover must be reserved.

    Raises RefusedError `back_to_back_not_drawn`.
    """
    for order in drawn_by(examined):
        if not _is_drawn(conn, order):
            told = f"line {order.line}: " if order.line else ""
            detail = f"{told}{order.declaration} has reserved nothing"
            raise RefusedError("back_to_back_not_drawn", detail)


def _is_drawn(conn: Connection, order: Order) -> bool:
    line = order.line or rows.WHOLE
    granted = [
        read_payload(each.answer)
        for each in rows.asked_about(conn, order.certificate, order.declaration, line)
        if each.outcome == Outcome.GRANTED.value and each.answer
    ]
    use = granted[-1].get("use") if granted else None
    value = order.quantity.value if order.quantity else None
    return text(use, "state") in STANDING and decimal(use, "quantity", "value") == value
