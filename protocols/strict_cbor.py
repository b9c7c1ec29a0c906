"""CBOR (RFC 8949) as strictly as JSON is read here: one item, one spelling, no name twice.

Integers, byte and text strings, arrays, maps, true, false and null, each in its shortest encoding
and of a stated length (§4.2.1; the order of names is left to the writer). No tags and no floats:
what they build (dates, decimals, patterns, shared references) nothing here is written in, and
a library that builds it does work for strangers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from schemas.errors import MalformedError

Label: TypeAlias = int | str
CborValue: TypeAlias = "bool | int | bytes | str | list[CborValue] | dict[Label, CborValue] | None"
MAX_DEPTH = 8
MAX_ITEMS = 10_000
_SIMPLE = {20: False, 21: True, 22: None}
#: Additional information 24 to 27: how many bytes hold the number, and the least that needs them.
_WIDE = {24: (1, 24), 25: (2, 1 << 8), 26: (4, 1 << 16), 27: (8, 1 << 32)}


def loads(data: bytes, code: str) -> CborValue:
    """The one item that `data` is; raises MalformedError `code`."""
    reader = _Reader(data, code)
    value = reader.item(0)
    if reader.at != len(data):
        raise reader.fault("one CBOR item and no more")
    return value


def loads_map(data: bytes, code: str) -> dict[Label, CborValue]:
    """The one map that `data` is; raises MalformedError `code`."""
    value = loads(data, code)
    if not isinstance(value, dict):
        raise MalformedError(code, "a CBOR map is expected here")
    return value


@dataclass(slots=True)
class _Reader:
    data: bytes
    code: str
    at: int = 0
    items: int = 0

    def fault(self, detail: str) -> MalformedError:
        return MalformedError(self.code, f"{detail} (byte {self.at})")

    def take(self, size: int) -> bytes:
        part = self.data[self.at : self.at + size]
        if len(part) != size:
            raise self.fault("the CBOR ends early")
        self.at += size
        return part

    def item(self, depth: int) -> CborValue:
        self.items += 1
        if depth > MAX_DEPTH or self.items > MAX_ITEMS:
            raise self.fault(f"more than {MAX_DEPTH} levels or {MAX_ITEMS} items of CBOR")
        first = self.take(1)[0]
        major, short = first >> 5, first & 31
        if major == 7:
            if short not in _SIMPLE:
                raise self.fault("no floats and no simple values but true, false and null")
            return _SIMPLE[short]
        number = self.number(short)
        if major < 2:
            return -1 - number if major else number
        if major == 2:
            return self.take(number)
        if major == 3:
            return self.text(number)
        if major == 6:
            raise self.fault("no tag may stand here")
        # What is not there is noticed at the first item missing, so a stated size costs nothing.
        return self.array(number, depth + 1) if major == 4 else self.map(number, depth + 1)

    def number(self, short: int) -> int:
        if short < 24:
            return short
        if short not in _WIDE:
            raise self.fault("a length is always stated")
        size, least = _WIDE[short]
        number = int.from_bytes(self.take(size), "big")
        if number < least:
            raise self.fault("a number is in its shortest encoding")
        return number

    def text(self, size: int) -> str:
        try:
            return self.take(size).decode()
        except UnicodeDecodeError:
            raise self.fault("a text is in UTF-8") from None

    def array(self, count: int, depth: int) -> CborValue:
        items: list[CborValue] = []
        while len(items) < count:
            items.append(self.item(depth))
        return items

    def map(self, count: int, depth: int) -> CborValue:
        members: dict[Label, CborValue] = {}
        while len(members) < count:
            label = self.item(depth)
            if isinstance(label, bool) or not isinstance(label, int | str):
                raise self.fault("a name in a map is an integer or a text")
            if label in members:
                raise self.fault("a name stands twice in a map")
            members[label] = self.item(depth)
        return members
