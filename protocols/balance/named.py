"""What a certificate says about its balance: who keeps it, and of how much of which goods line."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING

from protocols.balance.quantities import Quantity
from protocols.balance.requests import MAX_LINE
from schemas.errors import RefusedError
from schemas.fields import decimal, integer, objects, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from schemas.strict_json import JsonValue

#: Lines that have balances of their own: what a signed answer can tell within `MAX_ANSWER`.
MAX_LINES = 200
_TOLD = 20


@dataclass(frozen=True, slots=True)
class GoodsLine:
    """A goods line by its number in the document (`sequence`), and how much it covers."""

    number: int
    quantity: Quantity


@dataclass(frozen=True, slots=True)
class Named:
    """Who keeps the balance, and of how much.

    quantity: the whole; None where the lines have no one unit
    lines:    those with balances of their own; none where the certificate states one quantity
    """

    register: str
    quantity: Quantity | None
    lines: tuple[GoodsLine, ...] = ()


def named_in(document: Mapping[str, JsonValue], issuer: str) -> Named:
    """The register of a certificate, its lines and the whole.

    A quantity in the `balance` member is one pool without lines. Without it the issuer, or the
    register that the member names, keeps a balance of each line; more than `MAX_LINES` lines, or
    lines that cannot be told apart by their numbers, are kept as a whole if they have one unit.
    Raises RefusedError `balance_not_kept` where there is no quantity to keep.
    """
    told = dict(document)
    register = text(told, "balance", "register") or issuer
    stated = _quantity(told, "balance")
    if stated is not None:
        return Named(register, stated)
    goods = [line for _, line in objects(told, "goods")]
    counted = [_quantity(line) for line in goods]
    whole, lines = _sum(counted), _lines(goods, counted)
    if whole is None and not lines:
        reason = f"its lines have no quantities, or are more than {MAX_LINES} in several units"
        raise RefusedError("balance_not_kept", reason)
    return Named(register, whole, lines)


def _quantity(node: JsonValue, *path: str) -> Quantity | None:
    value, unit = decimal(node, *path, "quantity", "value"), text(node, *path, "quantity", "unit")
    return None if value is None or unit is None or value < 0 else Quantity(value, unit)


def _sum(counted: Sequence[Quantity | None]) -> Quantity | None:
    """All lines together: None where one has no quantity, or another unit than the rest."""
    known = [each for each in counted if each is not None]
    units = {each.unit for each in known}
    if len(units) != 1 or len(known) != len(counted):
        return None
    return Quantity(sum((each.value for each in known), Decimal(0)), units.pop())


def _lines(
    goods: Sequence[dict[str, JsonValue]], counted: Sequence[Quantity | None]
) -> tuple[GoodsLine, ...]:
    numbers = [integer(line, "sequence") or 0 for line in goods]
    distinct = len(set(numbers)) == len(goods)
    if len(goods) > MAX_LINES or not distinct or not all(0 < n <= MAX_LINE for n in numbers):
        return ()
    found = zip(numbers, counted, strict=True)
    kept = (GoodsLine(number, each) for number, each in found if each is not None)
    return tuple(sorted(kept, key=lambda line: line.number))


def line_of(
    whole: Quantity | None, lines: Sequence[GoodsLine], asked: int | None
) -> GoodsLine | None:
    """The line that a request draws on; None for the whole.

    Raises RefusedError `balance_line_missing` (the units differ, and it names none),
    `balance_line_unknown` (no such line has a balance here).
    """
    if asked is None:
        if whole is None:
            raise RefusedError("balance_line_missing", f"its lines are {_told(lines)}")
        return lines[0] if len(lines) == 1 else None
    found = next((line for line in lines if line.number == asked), None)
    if found is None:
        there = f"its lines are {_told(lines)}" if lines else "it is kept as one, without lines"
        raise RefusedError("balance_line_unknown", f"no line {asked}: {there}")
    return found


def _told(lines: Sequence[GoodsLine]) -> str:
    """Numbers and units, and of many lines how many more there are."""
    told = ", ".join(f"{line.number} ({line.quantity.unit})" for line in islice(lines, _TOLD))
    return f"{told} and {len(lines) - _TOLD} more" if len(lines) > _TOLD else told
