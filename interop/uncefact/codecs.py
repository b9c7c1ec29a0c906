"""How one value of ours is written in D23B and read back.

D23B writes numbers as decimal strings, days as date-times and codes of its own lists only. A codec
answers None where the other side cannot say the value; such a value is left behind, never bent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from schemas import code_lists
from schemas.fields import DECIMAL, day, instant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from schemas.strict_json import JsonValue

    Convert = Callable[[JsonValue], "JsonValue"]

_MIDNIGHT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})T00:00:00Z")
_DIGITS = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class Codec:
    """Ours → theirs and back; either answers None for what it cannot say."""

    encode: Convert
    decode: Convert


def _text(value: JsonValue) -> JsonValue:
    return value if isinstance(value, str) else None


def _flag(value: JsonValue) -> JsonValue:
    return value if isinstance(value, bool) else None


def _decimal_text(value: JsonValue) -> JsonValue:
    return value if isinstance(value, str) and DECIMAL.match(value) else None


def _number_out(value: JsonValue) -> JsonValue:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return f"{Decimal(repr(value)):f}"


def _number_in(value: JsonValue) -> JsonValue:
    if not isinstance(value, str) or not DECIMAL.match(value):
        return None
    return float(value) if "." in value else int(value)


def _whole_out(value: JsonValue) -> JsonValue:
    known = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return str(value) if known else None


def _whole_in(value: JsonValue) -> JsonValue:
    return int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else None


def _date_out(value: JsonValue) -> JsonValue:
    return f"{value}T00:00:00Z" if isinstance(value, str) and day(value) else None


def _date_in(value: JsonValue) -> JsonValue:
    """The date as it is written there; the time of day has no place in a date of ours."""
    written = isinstance(value, str) and bool(day(value) or instant(value))
    return value[:10] if isinstance(value, str) and written else None


def _moment(value: JsonValue) -> JsonValue:
    return value if isinstance(value, str) and instant(value) else None


def _either_in(value: JsonValue) -> JsonValue:
    found = _MIDNIGHT.fullmatch(value) if isinstance(value, str) else None
    return found.group(1) if found else _moment(value)


TEXT = Codec(_text, _text)
FLAG = Codec(_flag, _flag)
DECIMAL_TEXT = Codec(_decimal_text, _decimal_text)
NUMBER = Codec(_number_out, _number_in)  # a JSON number of ours
WHOLE = Codec(_whole_out, _whole_in)
DATE = Codec(_date_out, _date_in)
MOMENT = Codec(_moment, _moment)
DATE_OR_MOMENT = Codec(lambda value: _date_out(value) or _moment(value), _either_in)


def code(list_id: str) -> Codec:
    """A code, where D23B has it in its list of this name (`schemas.code_lists`)."""

    def check(value: JsonValue) -> JsonValue:
        return value if code_lists.contains(list_id, value) else None

    return Codec(check, check)


def one_of(*codes: str) -> Codec:
    """A code of a short list that a snapshot restricts further than its standard."""
    known = frozenset(codes)

    def check(value: JsonValue) -> JsonValue:
        return value if isinstance(value, str) and value in known else None

    return Codec(check, check)


def lookup(names: Mapping[str, str]) -> Codec:
    """A word of ours for a word of theirs, one for one."""
    back = {theirs: ours for ours, theirs in names.items()}

    def out(value: JsonValue) -> JsonValue:
        return names.get(value) if isinstance(value, str) else None

    def into(value: JsonValue) -> JsonValue:
        return back.get(value) if isinstance(value, str) else None

    return Codec(out, into)


def text_when(wanted: Callable[[str], bool]) -> Codec:
    """A text, only where `wanted` says so: two members of ours may share a place of theirs."""

    def check(value: JsonValue) -> JsonValue:
        return value if isinstance(value, str) and wanted(value) else None

    return Codec(check, check)


COUNTRY, CURRENCY, UNIT = code("country"), code("currency"), code("unit")
PACKAGE, MODE = code("package"), code("transport-mode")
WEIGHT_UNIT = one_of("GRM", "KGM", "TNE")
VOLUME_UNIT = one_of("CMQ", "FTQ", "LTR", "MMQ", "MTQ")
DID = text_when(lambda value: value.startswith("did:"))
NO_DID = text_when(lambda value: not value.startswith("did:"))
