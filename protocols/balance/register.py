"""The register: a certificate's balance and its uses, and how one operation changes them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from protocols.balance.named import GoodsLine, line_of
from protocols.balance.quantities import Quantity, plain
from protocols.balance.requests import Action, Request
from schemas.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_USES = 10_000


class UseState(StrEnum):
    """How one use stands."""

    RESERVED = "RESERVED"
    WRITTEN_OFF = "WRITTEN_OFF"
    RELEASED = "RELEASED"


@dataclass(frozen=True, slots=True)
class Use:
    """One use: by which node, under which declaration, how much of which line, since when.

    line: None where it draws on the whole
    """

    by: str
    declaration: str
    quantity: Decimal
    state: UseState
    at: datetime
    line: int | None = None

    @property
    def counts(self) -> bool:
        """Whether it takes from the balance."""
        return self.state is not UseState.RELEASED


@dataclass(frozen=True, slots=True)
class Part:
    """How a line stands, or the whole (line None).

    left: what may still be reserved of it; of a line never more than is left of the whole
    """

    line: int | None
    quantity: Quantity
    left: Decimal
    reserved: Decimal
    written_off: Decimal


@dataclass(frozen=True, slots=True)
class Balance:
    """A certificate's register: how often it changed, and its uses in order.

    quantity: the whole; None where the lines have no one unit
    lines:    those that have balances of their own, by number
    """

    certificate: bytes
    quantity: Quantity | None
    seq: int = 0
    uses: tuple[Use, ...] = ()
    lines: tuple[GoodsLine, ...] = ()

    @property
    def whole(self) -> Part | None:
        """How all of it stands, whatever was drawn by line or not."""
        return self._whole(self._sums())

    def parts(self, only: int | None = None) -> tuple[Part, ...]:
        """How each line stands; only: that one."""
        sums = self._sums()
        whole = self._whole(sums)
        told = (line for line in self.lines if only in (None, line.number))
        return tuple(_part(line, sums, whole) for line in told)

    def part(self, line: GoodsLine | None) -> Part:
        """How that line stands, or the whole, which there is."""
        found = self.whole if line is None else self.parts(line.number)[0]
        assert found is not None
        return found

    def _sums(self) -> Mapping[tuple[int | None, UseState], Decimal]:
        found: dict[tuple[int | None, UseState], Decimal] = {}
        for use in self.uses:
            key = (use.line, use.state)
            found[key] = found.get(key, Decimal(0)) + use.quantity
        return found

    def _whole(self, sums: Mapping[tuple[int | None, UseState], Decimal]) -> Part | None:
        if self.quantity is None:
            return None
        drawn = dict.fromkeys(UseState, Decimal(0))
        for (_, state), amount in sums.items():
            drawn[state] += amount
        reserved, written_off = drawn[UseState.RESERVED], drawn[UseState.WRITTEN_OFF]
        left = self.quantity.value - reserved - written_off
        return Part(None, self.quantity, left, reserved, written_off)

    def use_of(self, by: str, declaration: str, line: int | None) -> Use | None:
        """The use of one declaration, on a line or on the whole."""
        key = (by, declaration, line)
        return next((u for u in self.uses if (u.by, u.declaration, u.line) == key), None)

    def first_use(self, line: int | None) -> Use | None:
        """The first use that counts and bears on the line, or on the whole: a refusal names it."""
        bearing = (use for use in self.uses if line is None or use.line in (None, line))
        counting = (use for use in bearing if use.counts)
        return min(counting, key=lambda use: use.at, default=None)


def _part(
    line: GoodsLine, sums: Mapping[tuple[int | None, UseState], Decimal], whole: Part | None
) -> Part:
    reserved, written_off = (
        sums.get((line.number, state), Decimal(0))
        for state in (UseState.RESERVED, UseState.WRITTEN_OFF)
    )
    left = line.quantity.value - reserved - written_off
    if whole is not None:
        left = min(left, whole.left)
    return Part(line.number, line.quantity, left, reserved, written_off)


@dataclass(frozen=True, slots=True)
class Applied:
    """A balance after an operation, the use it concerns, and whether anything changed."""

    balance: Balance
    use: Use
    changed: bool


def apply(balance: Balance, request: Request, *, by: str, at: datetime) -> Applied:
    """The balance after the operation.

    Raises RefusedError: `balance_used` (too little is left, or it is used up), `balance_moved`
    (another seq than expected), `balance_unit_differs`, `balance_quantity_missing`,
    `balance_other_quantity` (this declaration stands with another one), `balance_not_reserved`,
    `balance_written_off` (final), `balance_full`, `balance_line_missing`, `balance_line_unknown`.
    """
    line = line_of(balance.quantity, balance.lines, request.line)
    part, quantity = balance.part(line), request.quantity
    if quantity is not None and quantity.unit != part.quantity.unit:
        told = f"{_place(part)}it is counted in {part.quantity.unit}"
        raise RefusedError("balance_unit_differs", told)
    before = balance.use_of(by, request.declaration, part.line)
    repeated = _repeated(before, request.action, quantity.value if quantity else None)
    if repeated is not None:
        return Applied(balance, repeated, changed=False)
    if request.expect is not None and request.expect != balance.seq:
        raise RefusedError("balance_moved", f"the balance is at {balance.seq}")
    standing = before if before is not None and before.counts else None
    if request.action is Action.RELEASE:
        after = replace(_reserved(standing), state=UseState.RELEASED, at=at)
    else:
        taken = _taken(balance, part, request, standing)
        state = _REACHED[request.action]
        after = Use(by, request.declaration, taken, state, at, part.line)
    if before is None and len(balance.uses) >= MAX_USES:
        raise RefusedError("balance_full", f"more than {MAX_USES} uses")
    return Applied(_with(balance, before, after), after, changed=True)


_REACHED = {
    Action.RESERVE: UseState.RESERVED,
    Action.WRITE_OFF: UseState.WRITTEN_OFF,
    Action.RELEASE: UseState.RELEASED,
}


def _repeated(before: Use | None, action: Action, wanted: Decimal | None) -> Use | None:
    """The use when this very thing was done already: one answer, however often it is asked."""
    if before is None or before.state is not _REACHED[action]:
        # What is written off needs no reserve any more.
        later = before is not None and before.state is UseState.WRITTEN_OFF
        if not (later and action is Action.RESERVE):
            return None
    assert before is not None
    if action is Action.RELEASE or wanted is None or wanted == before.quantity:
        return before
    raise RefusedError(
        "balance_other_quantity", f"this declaration stands with {plain(before.quantity)}"
    )


def _reserved(standing: Use | None) -> Use:
    if standing is None:
        raise RefusedError("balance_not_reserved", "nothing is reserved for this declaration")
    if standing.state is UseState.WRITTEN_OFF:
        raise RefusedError("balance_written_off", "what is written off stays so")
    return standing


def _taken(balance: Balance, part: Part, request: Request, standing: Use | None) -> Decimal:
    """How much: what is reserved, or free; what a write-off leaves of a reserve is free again."""
    held = standing.quantity if standing else Decimal(0)
    wanted = request.quantity.value if request.quantity else held
    if wanted <= 0:
        raise RefusedError("balance_quantity_missing", "say how much")
    # A use holds as much of its line as of the whole, so what it holds is free to it in both.
    if wanted > part.left + held:
        first = balance.first_use(part.line)
        told = f"{_place(part)}{plain(part.left)} {part.quantity.unit} left of {plain(wanted)}"
        if first is not None:
            told += f"; first used for {first.declaration} by {first.by}"
        raise RefusedError("balance_used", told)
    return wanted


def _place(part: Part) -> str:
    return "" if part.line is None else f"line {part.line}: "


def _with(balance: Balance, before: Use | None, after: Use) -> Balance:
    others = tuple(use for use in balance.uses if use is not before)
    return replace(balance, seq=balance.seq + 1, uses=(*others, after))
