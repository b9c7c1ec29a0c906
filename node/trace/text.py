"""Text in drawings and tables: safe for markup, measured and wrapped without a font at hand."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING
from unicodedata import east_asian_width

if TYPE_CHECKING:
    from collections.abc import Iterable

_CONTROLS = dict.fromkeys((*range(32), 0x7F, 0xFFFE, 0xFFFF), " ")
_NARROW = frozenset("iljtfrI.,:;'|!()[]/ -")
ELLIPSIS = "…"


def safe(text: str) -> str:
    """Text for markup: escaped, and without the characters that XML 1.0 §2.2 forbids."""
    return escape(text.translate(_CONTROLS))


def safe_lines(lines: Iterable[str]) -> str:
    """The same for several lines, kept apart."""
    return "\n".join(safe(line) for line in lines)


def width(text: str, size: float) -> float:
    """About how wide a line is, in the unit of `size`, in a sans-serif face; rather too wide."""
    return sum(_em(char) for char in text) * size


def _em(char: str) -> float:
    if east_asian_width(char) in "WF":
        return 1.0
    if char in _NARROW:
        return 0.36
    return 0.74 if char.isupper() or char in "mwMW%@" else 0.58


def wrap(text: str, size: float, room: float, lines: int) -> list[str]:
    """`text` in at most `lines` lines no wider than `room`; the rest becomes an ellipsis."""
    rows: list[str] = []
    for word in _pieces(text):
        if rows and width(rows[-1] + word.rstrip(), size) <= room:
            rows[-1] += word
        else:
            rows.append(word)
    kept, rest = rows[:lines], rows[lines:]
    if rest:
        kept[-1] += "".join(rest)
    return [_cut(row.strip(), size, room) for row in kept]


def _pieces(text: str) -> list[str]:
    """Where a line may break: after a space, and around every ideograph."""
    pieces: list[str] = []
    for char in text:
        wide = east_asian_width(char) in "WF"
        whole = not pieces or wide or pieces[-1].endswith(" ")
        if whole or east_asian_width(pieces[-1][-1]) in "WF":
            pieces.append(char)
        else:
            pieces[-1] += char
    return pieces


def _cut(line: str, size: float, room: float) -> str:
    if width(line, size) <= room:
        return line
    while line and width(line + ELLIPSIS, size) > room:
        line = line[:-1]
    return line.rstrip() + ELLIPSIS
