"""The grammar of a product rule (RCEP Annex 3A, headnotes 4 to 9).

A rule is a list of alternatives, one of which suffices (headnote 4). Seen in the schedule: ``WO``,
``CC``, ``CTH``, ``CTSH``, ``RVC40``, ``CR``, and a change of classification with exclusions, as in
``CC except from 01`` or ``CC except from 1211.20``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from schemas.errors import MalformedError
from schemas.origin.reading import CODE

SHIFTS = {"CC": 2, "CTH": 4, "CTSH": 6}
_RULE = re.compile(
    r"(?:(?P<word>WO|CR)|RVC ?(?P<percent>[1-9][0-9]?)|"
    r"(?P<shift>CC|CTH|CTSH)(?: except from (?P<codes>[0-9., ]{2,200}))?)\Z",
    re.ASCII,
)
_PREFIX = re.compile(r"[0-9]{2}(?:[0-9]{2}){0,2}\Z", re.ASCII)
MAX_ALTERNATIVES = 10


@dataclass(frozen=True, slots=True)
class Alternative:
    """One alternative. kind: WO, CTC, RVC or CR; digits: how many of the code must change."""

    text: str
    kind: str
    digits: int = 0
    percent: Decimal = Decimal(0)
    excluded: tuple[str, ...] = ()


@lru_cache(maxsize=1024)
def parse(text: str) -> Alternative:
    """One alternative; raises MalformedError `origin_question_malformed`."""
    found = _RULE.match(text)
    if found is None:
        raise MalformedError(CODE, "a product rule is WO, CC, CTH, CTSH, RVC40 or CR")
    if found["word"]:
        return Alternative(text, found["word"])
    if found["percent"]:
        return Alternative(text, "RVC", percent=Decimal(found["percent"]))
    listed = re.split(r"[, ]+", (found["codes"] or "").replace(".", "").strip(", "))
    codes = tuple(code for code in listed if code)
    if not all(_PREFIX.match(code) for code in codes):
        raise MalformedError(CODE, "an exclusion names a chapter, heading or subheading")
    return Alternative(text, "CTC", SHIFTS[found["shift"]], excluded=codes)


def parse_all(texts: tuple[str, ...]) -> tuple[Alternative, ...]:
    """All alternatives of a rule, in its order."""
    if not 0 < len(texts) <= MAX_ALTERNATIVES:
        raise MalformedError(CODE, "a product rule has one to ten alternatives", pointer="/rule")
    return tuple(parse(text) for text in texts)
