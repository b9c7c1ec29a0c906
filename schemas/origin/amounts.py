"""Exact amounts: nothing is rounded before a comparison (RCEP 3.5 has no rounding rule).

Amounts have at most 15 digits before and 6 after the point, so every sum and product of a
comparison fits the exact context; a rounding inside it would raise instead of deciding.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import (
    ROUND_FLOOR,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
)

AMOUNT = re.compile(r"(0|[1-9][0-9]{0,14})(\.[0-9]{1,6})?\Z", re.ASCII)
#: Sums of 10 000 amounts of 21 digits, times a percentage of 9, need fewer than 40 digits.
EXACT = Context(prec=60, traps=[DivisionByZero, Inexact, InvalidOperation, Overflow])
_SHOWN = Context(prec=60, rounding=ROUND_FLOOR)
_PLACES = Decimal("0.0001")
_HUNDRED = Decimal(100)
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Ratio:
    """A part of a whole. `whole` is positive."""

    part: Decimal
    whole: Decimal

    def reaches(self, percent: Decimal) -> bool:
        """Whether it is no less than `percent` per cent, by cross-multiplication."""
        return EXACT.multiply(self.part, _HUNDRED) >= EXACT.multiply(percent, self.whole)

    def exceeds(self, percent: Decimal) -> bool:
        """Whether it is more than `percent` per cent, by cross-multiplication."""
        return EXACT.multiply(self.part, _HUNDRED) > EXACT.multiply(percent, self.whole)

    def percent(self) -> str:
        """For showing only: at most four places, never shown higher than it is."""
        hundred = _SHOWN.multiply(self.part, _HUNDRED)
        return plain(_SHOWN.quantize(_SHOWN.divide(hundred, self.whole), _PLACES))


def plain(amount: Decimal) -> str:
    """The shortest decimal text of an exact amount, without an exponent."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
