"""Where two JSON payloads differ, member by member.

It is what a report names when an altered copy meets the intact one. Two different documents about
the same goods are compared by `schemas.cross`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING

from schemas import strict_json
from schemas.fields import pointer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.strict_json import JsonValue

MAX_DIFFERENCES = 100


class Change(StrEnum):
    """How one member differs between left and right."""

    CHANGED = "changed"
    MISSING_LEFT = "missing-left"
    MISSING_RIGHT = "missing-right"


@dataclass(frozen=True, slots=True)
class Difference:
    """One member that differs: its JSON pointer and both values (None where it is missing)."""

    pointer: str
    left: JsonValue
    right: JsonValue
    change: Change = Change.CHANGED

    def to_json(self) -> dict[str, JsonValue]:
        """For reports."""
        return {
            "pointer": self.pointer,
            "change": self.change.value,
            "left": self.left,
            "right": self.right,
        }


def compare_payloads(left: bytes, right: bytes) -> tuple[Difference, ...]:
    """Where two JSON payloads differ, in document order, at most `MAX_DIFFERENCES`.

    Raises MalformedError or TooLargeError when either is no strict JSON. Numbers are compared by
    value, so 12000 and 12000.0 are equal; the order of members does not matter, that of arrays
    does.
    """
    return compare(strict_json.loads(left), strict_json.loads(right))


def compare(left: JsonValue, right: JsonValue) -> tuple[Difference, ...]:
    """The same for two parsed values."""
    return tuple(islice(_differences(left, right, ""), MAX_DIFFERENCES))


def _differences(left: JsonValue, right: JsonValue, place: str) -> Iterator[Difference]:
    if isinstance(left, dict) and isinstance(right, dict):
        yield from _members(left, right, place)
    elif isinstance(left, list) and isinstance(right, list):
        yield from _elements(left, right, place)
    elif left != right or isinstance(left, bool) != isinstance(right, bool):
        yield Difference(place, left, right)


def _members(
    left: dict[str, JsonValue], right: dict[str, JsonValue], place: str
) -> Iterator[Difference]:
    for name in dict.fromkeys([*left, *right]):
        below = place + pointer(name)
        if name not in left:
            yield Difference(below, None, right[name], Change.MISSING_LEFT)
        elif name not in right:
            yield Difference(below, left[name], None, Change.MISSING_RIGHT)
        else:
            yield from _differences(left[name], right[name], below)


def _elements(left: list[JsonValue], right: list[JsonValue], place: str) -> Iterator[Difference]:
    for index in range(max(len(left), len(right))):
        below = f"{place}/{index}"
        if index >= len(left):
            yield Difference(below, None, right[index], Change.MISSING_LEFT)
        elif index >= len(right):
            yield Difference(below, left[index], None, Change.MISSING_RIGHT)
        else:
            yield from _differences(left[index], right[index], below)
