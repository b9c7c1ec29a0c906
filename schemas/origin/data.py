"""The dated data the engine rests on: dates, thresholds, product rules, appendices (DESIGN §7).

Each file of ``schemas/data/origin/`` is one edition. A verdict names every file it used with the
SHA-256 of its bytes, so it can be repeated or told apart from a verdict under other data. What a
file does not say is unknown: lists say whether they are complete.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from schemas.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = "origin"
AGREEMENT = "rcep-agreement"
APPENDICES = "rcep-appendices"
CORRELATION = "hs-correlation"
PRODUCT_RULES = "rcep-rules-hs2012"


@dataclass(frozen=True, slots=True)
class Source:
    """One data file: its name, edition and the SHA-256 (hex) of its bytes."""

    name: str
    edition: str
    digest: str
    content: Mapping[str, Any]

    def to_json(self) -> dict[str, str]:
        """As a verdict cites it."""
        return {"file": f"{self.name}.json", "edition": self.edition, "sha256": self.digest}


@cache
def sources() -> Mapping[str, Source]:
    """Every data file by its name without ``.json``."""
    folder = resources.files("schemas") / "data" / FOLDER
    found = {}
    for file in sorted(folder.iterdir(), key=lambda item: item.name):
        if file.name.endswith(".json"):
            data = file.read_bytes()
            name, content = file.name.removesuffix(".json"), json.loads(data)
            digest = hashlib.sha256(data).hexdigest()
            if "edition" in content:
                found[name] = Source(name, content["edition"], digest, content)
    return MappingProxyType(found)


def source(name: str) -> Source:
    """The file of that name."""
    return sources()[name]


def in_force(content: Mapping[str, Any], on: date) -> bool:
    """Whether that edition, pair, line or period holds on the day."""
    begins, ends = content.get("from"), content.get("until")
    if begins is None or on < date.fromisoformat(begins):
        return False
    return ends is None or on <= date.fromisoformat(ends)


@dataclass(frozen=True, slots=True)
class Agreement:
    """The numbers and dates of the articles. Percentages are inclusive as the articles say."""

    source: Source
    regional_value: Decimal
    tolerance_value: Decimal
    tolerance_weight: Decimal
    appendix_value: Decimal
    minimal_operations: Mapping[str, Mapping[str, Any]]

    @property
    def content(self) -> Mapping[str, Any]:
        """The whole file."""
        return self.source.content

    @property
    def parties(self) -> Mapping[str, Any]:
        """The Parties by country code."""
        parties: Mapping[str, Any] = self.content["parties"]
        return parties

    def begins(self, party: str) -> date | None:
        """Since when it is in force for a Party; None where that differs by partner."""
        text = self.parties[party]["from"]
        return None if text is None else date.fromisoformat(text)

    def pair_begins(self, one: str, other: str) -> date | None:
        """The later of both Parties' dates, or the date listed for the pair; None: unknown."""
        return _pair_begins(self.source.name, *sorted((one, other)))

    def anniversary_counts(self, party: str | None) -> bool:
        """Whether a year still holds on its anniversary, as the importing Party reads 3.16(6)."""
        read: Mapping[str, bool] = self.content["anniversary_counts"]
        return read.get(party or "default", read["default"])

    def weighs(self, hs: str) -> bool:
        """Whether the tolerance by weight is open to a good of that code (3.7(1)(b))."""
        first, last = self.content["weight_chapters"]
        return bool(first <= hs[:2] <= last)


@cache
def _pair_begins(name: str, one: str, other: str) -> date | None:
    """Cached over Parties only, which are few: the caller asks for no other country."""
    content = source(name).content
    for pair in content["pairs"]:
        if [one, other] == pair["parties"]:
            return date.fromisoformat(pair["from"])
    texts = [content["parties"][party]["from"] for party in (one, other)]
    known = [date.fromisoformat(text) for text in texts if text is not None]
    return max(known) if len(known) == len(texts) else None


@cache
def agreement() -> Agreement:
    """The agreement's numbers and dates."""
    found = source(AGREEMENT)
    content = found.content
    numbers = ("regional_value", "tolerance_value", "tolerance_weight", "appendix_value")
    values = {name: Decimal(content[name]) for name in numbers}
    return Agreement(found, minimal_operations=content["minimal_operations"], **values)


@cache
def _rows(name: str) -> Mapping[str, tuple[str, ...]]:
    return {row["hs"]: tuple(row["rule"]) for row in source(name).content["rows"]}


def rules_source(edition: str | None) -> Source:
    """The file of product rules of that edition; RefusedError `origin_rules_unknown`."""
    wanted = edition or source(PRODUCT_RULES).edition
    for found in sources().values():
        if found.edition == wanted and "rows" in found.content and "hsEdition" in found.content:
            return found
    raise RefusedError("origin_rules_unknown", "no product rules of that edition are here")


def product_rule(rules: Source, hs: str) -> tuple[str, tuple[str, ...]] | None:
    """The most specific row for a code (subheading, heading, chapter) and its alternatives."""
    rows = _rows(rules.name)
    for length in (6, 4, 2):
        if (found := rows.get(hs[:length])) is not None:
            return hs[:length], found
    return None


def transposed(hs: str, given: str, wanted: str) -> str | None:
    """A code of one HS edition in another; None where the table does not say it, or says several.

    Source: correlation tables are data; a code that was not checked is not carried over.
    """
    if given == wanted:
        return hs
    table = source(CORRELATION).content
    if (given, wanted) != (table["source"], table["target"]):
        return None
    found = table["rows"].get(hs, ())
    return found[0] if len(found) == 1 else None
