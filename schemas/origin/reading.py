"""Reading a question strictly: members by name and kind; a name nobody knows is refused.

A misspelt member would silently change a verdict, so an origin question, unlike a document, holds
nothing unknown. Every fault is MalformedError `origin_question_malformed` with its JSON pointer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from schemas.errors import MalformedError
from schemas.fields import pointer as pointer_of
from schemas.origin.amounts import AMOUNT

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

CODE = "origin_question_malformed"
COUNTRY = re.compile(r"[A-Z]{2}\Z", re.ASCII)
HS = re.compile(r"(?!00|77|98|99)[0-9]{6}\Z", re.ASCII)
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._:/()+-]{0,139}\Z", re.ASCII)
DIGEST = re.compile(r"[0-9a-f]{64}\Z", re.ASCII)
CURRENCY = re.compile(r"[A-Z]{3}\Z", re.ASCII)
#: Periods of years are added to days, so a day lies well inside the calendar.
_DAY = re.compile(r"(19|20|21)[0-9]{2}-[0-9]{2}-[0-9]{2}\Z", re.ASCII)
MAX_ITEMS = 10_000
MAX_TEXT = 500
_Made = TypeVar("_Made")


@dataclass(slots=True)
class Members:
    """One JSON object of a question, at a path of names and indexes."""

    values: Mapping[str, Any]
    path: tuple[str | int, ...] = ()

    def fault(self, name: str | int, detail: str) -> MalformedError:
        """The error for the member `name`."""
        return MalformedError(CODE, detail, pointer=pointer_of(*self.path, name))

    def only(self, names: frozenset[str]) -> None:
        """Refuses any other name."""
        if not names.issuperset(self.values):
            unknown = min(set(self.values) - names)
            raise self.fault(unknown[:60], "no such member is known here")

    def text(self, name: str, pattern: re.Pattern[str] | None = None) -> str | None:
        """A text of at most 500 characters in that form, or None where it is absent."""
        value = self.values.get(name)
        if isinstance(value, str) and 0 < len(value) <= MAX_TEXT:
            if pattern is None or pattern.match(value):
                return value
            raise self.fault(name, f"{name} does not have the form it must have")
        if value is None and name not in self.values:
            return None
        raise self.fault(name, f"{name} is a text of 1 to {MAX_TEXT} characters")

    def required(self, name: str, pattern: re.Pattern[str] | None = None) -> str:
        """As `text`, and it must be there."""
        value = self.text(name, pattern)
        if value is None:
            raise self.fault(name, f"{name} is missing")
        return value

    def choice(self, name: str, among: Container[str], default: str | None = None) -> str:
        """One of a few words."""
        value = self.values.get(name, default)
        if not isinstance(value, str) or value not in among:
            raise self.fault(name, f"{name} is none of the words it can be")
        return value

    def amount(self, name: str) -> Decimal | None:
        """A decimal text or a whole number, never negative; None where it is absent."""
        value = self.values.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and AMOUNT.match(value):
            return Decimal(value)
        if value is None and name not in self.values:
            return None
        raise self.fault(name, f"{name} is a decimal text, as in 86400.00, or a whole number")

    def flag(self, name: str) -> bool | None:
        """true or false, or None where it is absent."""
        value = self.values.get(name)
        if value is None and name not in self.values:
            return None
        if not isinstance(value, bool):
            raise self.fault(name, f"{name} is true or false")
        return value

    def day(self, name: str) -> date | None:
        """A calendar date, or None where it is absent."""
        text = self.text(name)
        if text is None:
            return None
        try:
            if _DAY.match(text):
                return date.fromisoformat(text)
        except ValueError:
            pass
        raise self.fault(name, f"{name} is a date, as in 2026-11-08")

    def child(self, name: str) -> Members | None:
        """A nested object, or None where it is absent."""
        if name not in self.values:
            return None
        return self._object(self.values[name], name)

    def children(self, name: str, make: Callable[[Members], _Made]) -> tuple[_Made, ...] | None:
        """What `make` makes of each object of an array, or None where it is absent."""
        if name not in self.values:
            return None
        items = self._array(name)
        return tuple(make(self._object(item, name, at)) for at, item in enumerate(items))

    def texts(self, name: str) -> tuple[str, ...] | None:
        """An array of texts, or None where it is absent."""
        if name not in self.values:
            return None
        items = self._array(name)
        for at, item in enumerate(items):
            if not isinstance(item, str) or not 0 < len(item) <= MAX_TEXT:
                raise MalformedError(
                    CODE, "an array of texts holds texts", pointer=pointer_of(*self.path, name, at)
                )
        return tuple(items)

    def by_party(self, name: str) -> dict[str, Decimal] | None:
        """An object of country → amount, or None where it is absent."""
        inner = self.child(name)
        if inner is None:
            return None
        found: dict[str, Decimal] = {}
        for country in inner.values:
            amount = inner.amount(country)
            if amount is None or not COUNTRY.match(country):
                raise inner.fault(country[:60], "a country code with an amount")
            found[country] = amount
        return found

    def _array(self, name: str) -> list[Any]:
        items = self.values[name]
        if not isinstance(items, list) or len(items) > MAX_ITEMS:
            raise self.fault(name, f"{name} is an array of at most {MAX_ITEMS}")
        return items

    def _object(self, value: Any, *place: str | int) -> Members:
        if not isinstance(value, dict):
            raise MalformedError(CODE, "this is an object", pointer=pointer_of(*self.path, *place))
        return Members(value, (*self.path, *place))
