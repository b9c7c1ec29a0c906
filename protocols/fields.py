"""Typed reading of JSON objects: every member is asked for by name, type and bound.

A reader over parsed JSON that turns each wrong member into one MalformedError with the area's
own code and the JSON pointer (RFC 6901) of the place. Members nobody asks for are left alone:
unknown members survive (DESIGN §1.4).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocols import digest, times
from schemas.errors import MalformedError

if TYPE_CHECKING:
    from datetime import datetime

    from schemas.strict_json import JsonValue

MAX_TEXT = 1000
MAX_ITEMS = 10_000
DID = re.compile(
    r"(?a:did:web:[a-z0-9][a-z0-9.-]{0,200}(?:%3A\d{1,5})?(?::[A-Za-z0-9._-]{1,100}){0,8})"
)
#: The concrete type first: asking an abstract one takes as long as all the rest of a reading.
_OBJECT = (dict, Mapping)
COUNTRY = re.compile(r"(?a:[A-Z]{2})")
TYPE_KEY = re.compile(r"(?a:[a-z][a-z0-9]*(?:-[a-z0-9]+){0,9})")
CERTIFICATE_TYPE = re.compile(r"(?a:[A-Z]{2,10})")


@dataclass(frozen=True, slots=True)
class Fields:
    """One JSON object at `pointer`; `code` is raised for whatever is wrong in it."""

    members: Mapping[str, JsonValue]
    code: str
    pointer: str = ""

    def fault(self, name: str, detail: str) -> MalformedError:
        """The error for member `name`."""
        return MalformedError(self.code, detail, pointer=self.place(name))

    def place(self, name: str) -> str:
        """The JSON pointer of member `name`."""
        return f"{self.pointer}/{name.replace('~', '~0').replace('/', '~1')}"

    def has(self, name: str) -> bool:
        """Whether the member is there at all."""
        return name in self.members

    def text(
        self, name: str, *, pattern: re.Pattern[str] | None = None, max_length: int = MAX_TEXT
    ) -> str:
        """A non-empty text, at most `max_length` characters, matching `pattern` as a whole."""
        value = self.members.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= max_length:
            return self._text(value, name, pattern, max_length)
        if pattern is None or pattern.fullmatch(value):
            return value
        return self._text(value, name, pattern, max_length)

    def _text(
        self, value: object, name: str, pattern: re.Pattern[str] | None, max_length: int
    ) -> str:
        if not isinstance(value, str) or not 0 < len(value) <= max_length:
            raise self.fault(name, f"{name} is a text of 1 to {max_length} characters")
        if pattern is not None and not pattern.fullmatch(value):
            raise self.fault(name, f"{name} does not have the form it must have")
        return value

    def optional_text(
        self, name: str, *, pattern: re.Pattern[str] | None = None, max_length: int = MAX_TEXT
    ) -> str | None:
        """As `text`, or None when the member is absent."""
        return self.text(name, pattern=pattern, max_length=max_length) if self.has(name) else None

    def integer(self, name: str, low: int, high: int) -> int:
        """An integer from `low` to `high`."""
        value = self.members.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.fault(name, f"{name} is an integer from {low} to {high}")
        return value

    def boolean(self, name: str) -> bool:
        """true or false."""
        value = self.members.get(name)
        if not isinstance(value, bool):
            raise self.fault(name, f"{name} is true or false")
        return value

    def time(self, name: str) -> datetime:
        """An RFC 3339 time with a zone, as an aware UTC datetime."""
        try:
            return times.from_text(self.members.get(name))
        except MalformedError as error:
            raise self.fault(name, error.detail) from None

    def optional_time(self, name: str) -> datetime | None:
        """As `time`, or None when the member is absent."""
        return self.time(name) if self.has(name) else None

    def digest(self, name: str) -> bytes:
        """32 bytes written as lowercase hexadecimal."""
        try:
            return digest.from_hex(self.members.get(name))
        except MalformedError as error:
            raise self.fault(name, error.detail) from None

    def optional_digest(self, name: str) -> bytes | None:
        """As `digest`, or None when the member is absent."""
        return self.digest(name) if self.has(name) else None

    def child(self, name: str) -> Fields:
        """A nested object."""
        return self._object(self.members.get(name), name)

    def optional_child(self, name: str) -> Fields | None:
        """As `child`, or None when the member is absent."""
        return self.child(name) if self.has(name) else None

    def children(self, name: str, max_items: int = MAX_ITEMS) -> tuple[Fields, ...]:
        """A list of objects; an absent member is an empty list."""
        if name not in self.members:
            return ()
        items = self._list(name, max_items)
        return tuple(self._object(item, f"{name}/{at}", raw=True) for at, item in enumerate(items))

    def texts(
        self,
        name: str,
        *,
        pattern: re.Pattern[str] | None = None,
        max_items: int = 100,
        max_length: int = MAX_TEXT,
    ) -> tuple[str, ...]:
        """A list of different texts; an absent member is an empty list."""
        items = self._list(name, max_items)
        values = tuple(self._text(item, name, pattern, max_length) for item in items)
        if len(set(values)) != len(values):
            raise self.fault(name, f"{name} names something twice")
        return values

    def text_map(self, name: str, max_items: int = 100) -> dict[str, str]:
        """An object of texts; an absent member is an empty one."""
        if not self.has(name):
            return {}
        members = self.child(name).members
        if len(members) > max_items:
            raise self.fault(name, f"{name} has at most {max_items} members")
        return {key: self._text(item, name, None, MAX_TEXT) for key, item in members.items()}

    def _list(self, name: str, max_items: int) -> list[JsonValue]:
        value = self.members.get(name, [])
        if not isinstance(value, list) or len(value) > max_items:
            raise self.fault(name, f"{name} is a list of at most {max_items} items")
        return value

    def _object(self, value: object, name: str, *, raw: bool = False) -> Fields:
        place = f"{self.pointer}/{name}" if raw else self.place(name)
        if not isinstance(value, _OBJECT):
            raise MalformedError(self.code, "an object is expected here", pointer=place)
        return Fields(value, self.code, place)
