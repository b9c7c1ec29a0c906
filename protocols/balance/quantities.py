"""Exact amounts in a unit of UN/ECE Recommendation 20, as documents write a measure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from schemas.fields import decimal

if TYPE_CHECKING:
    from protocols.fields import Fields
    from schemas.strict_json import JsonValue

CODE = "balance_malformed"
#: As in the profiles. With them any sum of a certificate's amounts is exact in 28 digits.
PLACES = 6
_BOUND = Decimal(10**15)


@dataclass(frozen=True, slots=True)
class Quantity:
    """An exact amount, zero or more, in a unit of UN/ECE Recommendation 20."""

    value: Decimal
    unit: str

    def to_json(self) -> dict[str, JsonValue]:
        """As documents write a measure."""
        return {"value": plain(self.value), "unit": self.unit}


def plain(value: Decimal) -> str:
    """Without exponent and without zeros at the end."""
    whole = format(value, "f")
    return whole.rstrip("0").rstrip(".") if "." in whole else whole


def read_quantity(fields: Fields, name: str = "quantity") -> Quantity | None:
    """A measure above zero, or None when the member is absent; raises MalformedError."""
    given = fields.optional_child(name)
    if given is None:
        return None
    value = decimal(dict(given.members), "value")
    fits = value is not None and value.is_finite() and 0 < value < _BOUND
    if value is None or not fits or value != round(value, PLACES):
        told = f"value is a decimal number above zero, with at most {PLACES} decimals, as a text"
        raise given.fault("value", told)
    return Quantity(value, given.text("unit", max_length=3))


def read_total(fields: Fields) -> Quantity:
    """The member `quantity` of a register's own: zero is possible; raises MalformedError."""
    given = fields.child("quantity")
    return Quantity(read_amount(given, "value"), given.text("unit", max_length=3))


def read_amount(fields: Fields, name: str) -> Decimal:
    """What is left, reserved or written off; raises MalformedError."""
    value = decimal(dict(fields.members), name)
    if value is None or not value.is_finite():
        raise fields.fault(name, f"{name} is a decimal number, as a text")
    return value
