"""The laws under which an electronic title may stand, as dated data, and the rules of titles.

A law's code is what a carrier's issuance manifest names. The text of the rules is packaged; its
SHA-256 is the rulebook digest beside the law. Sources: UK ETDA 2023, MLETR (2017), Singapore ETA
Part 2A, China's Maritime Code (electronic transport records, in force 1 May 2026).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date
from functools import cache
from hashlib import sha256
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

CODE = re.compile(r"(?a:[A-Z][A-Z0-9]*(?:-[A-Z0-9]+){0,5})")
MAX_CODE = 40
#: Of a carrier whose country has no law of its own in the list.
DEFAULT = "MLETR"


@dataclass(frozen=True, slots=True)
class Law:
    """One law: its code, names, the countries whose own it is, and since when it is in force.

    cited: by language, how its clauses are cited where that is not by their own numbers
    """

    code: str
    name: str
    zh: str
    countries: tuple[str, ...]
    since: date
    cited: Mapping[str, str]


@cache
def laws() -> Mapping[str, Law]:
    """All laws by code."""
    text = (resources.files("schemas") / "data" / "laws.json").read_text(encoding="utf-8")
    found = {
        code: Law(
            code,
            each["name"],
            each["zh"],
            tuple(each["countries"]),
            date.fromisoformat(each["since"]),
            MappingProxyType(each.get("cited", {})),
        )
        for code, each in json.loads(text).items()
    }
    return MappingProxyType(found)


def of_country(country: str) -> str:
    """The code of the law of a carrier's country, or of the model law."""
    own = (law.code for law in laws().values() if country in law.countries)
    return next(own, DEFAULT)


@cache
def rulebook() -> bytes:
    """The packaged rules of titles, UTF-8."""
    return (resources.files("schemas") / "data" / "rulebook.md").read_bytes()


def rulebook_digest() -> bytes:
    """SHA-256 of the packaged rules."""
    return sha256(rulebook()).digest()
