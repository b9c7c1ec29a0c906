"""The order of release conditions per country: dated data, cited by content hash (DESIGN §7).

Each file of ``schemas/data/release/`` holds one country's editions. Which conditions count, for
which kind of carriage and for which goods (HS prefixes), stands there and nowhere in code; a
decision names the edition and the SHA-256 of the file it was taken under, so it can be repeated.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from schemas.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from protocols.release.decision import Condition

FOLDER = "release"


@dataclass(frozen=True, slots=True)
class CertificateRule:
    """Goods under one of the HS prefixes need a document of this type (condition `id`)."""

    id: str
    type: str
    hs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CountryRules:
    """One country's release conditions as in force on a day.

    surrender:       kind of transport document → must its title be surrendered
    delivery_order, arrival_notice, handover: modes ("sea", "rail") where each is asked for
    plant_health_hs: HS prefixes under plant-health control
    plant_health_before_customs: customs may release only after plant health accepted
    preference:      document types that bring a preference; their absence never blocks
    discharge, freight, charges, pick_up: modes where each event, or a delegated right, is asked for
    sequence:        condition ids in the order in which they are met in practice, for people
    order_validity:  longest validity of a release order, one slot (R24)
    digest:          SHA-256 (hex) of the data file
    """

    country: str
    edition: str
    digest: str
    surrender: Mapping[str, bool]
    delivery_order: frozenset[str]
    arrival_notice: frozenset[str]
    handover: frozenset[str]
    plant_health_hs: tuple[str, ...]
    plant_health_before_customs: bool
    customs: bool
    certificates: tuple[CertificateRule, ...]
    preference: frozenset[str]
    order_validity: timedelta
    discharge: frozenset[str] = frozenset()
    freight: frozenset[str] = frozenset()
    charges: frozenset[str] = frozenset()
    pick_up: frozenset[str] = frozenset()
    sequence: tuple[str, ...] = ()

    def in_sequence(self, conditions: Iterable[Condition]) -> tuple[Condition, ...]:
        """The conditions in this country's order; those that it does not name, by their id."""
        places = {name: at for at, name in enumerate(self.sequence)}
        last = len(places)
        return tuple(sorted(conditions, key=lambda each: (places.get(each.id, last), each.id)))

    def plant_health_applies(self, hs: Iterable[str]) -> bool:
        """True when any of the goods (HS codes, six digits) is under plant-health control."""
        return any(code.startswith(self.plant_health_hs) for code in hs)

    def must_surrender(self, kind: str) -> bool:
        """True when a bill of this kind has to be surrendered. An unknown kind must (fail safe)."""
        return self.surrender.get(kind, True)


@cache
def _read(country: str) -> tuple[Mapping[str, Any], str] | None:
    file = resources.files("schemas") / "data" / FOLDER / f"{country}.json"
    if not file.is_file():
        return None
    data = file.read_bytes()
    return json.loads(data), hashlib.sha256(data).hexdigest()


@cache
def countries() -> tuple[str, ...]:
    """ISO 3166-1 alpha-2 codes of the countries with release data, sorted."""
    folder = resources.files("schemas") / "data" / FOLDER
    names = (item.name for item in folder.iterdir())
    return tuple(sorted(name.removesuffix(".json") for name in names if name.endswith(".json")))


def _day(text: str) -> datetime:
    return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)


def _in_force(edition: Mapping[str, Any], at: datetime) -> bool:
    until = edition["until"]
    return _day(edition["from"]) <= at and (until is None or at < _day(until))


def parse_edition(country: str, edition: Mapping[str, Any], digest: str) -> CountryRules:
    """One edition of the data as typed rules. `digest`: hex SHA-256 of the file it came from."""
    plants = edition["plant_health"]
    return CountryRules(
        country=country,
        edition=edition["edition"],
        digest=digest,
        surrender=dict(edition["surrender"]),
        delivery_order=frozenset(edition["delivery_order"]),
        arrival_notice=frozenset(edition["arrival_notice"]),
        handover=frozenset(edition["handover"]),
        plant_health_hs=tuple(plants["hs"]),
        plant_health_before_customs=plants["before_customs"],
        customs=edition["customs"],
        certificates=tuple(
            CertificateRule(rule["id"], rule["type"], tuple(rule["hs"]))
            for rule in edition["certificates"]
        ),
        preference=frozenset(edition["preference"]),
        order_validity=timedelta(minutes=edition["order_minutes"]),
        discharge=frozenset(edition["discharge"]),
        freight=frozenset(edition["freight"]),
        charges=frozenset(edition["charges"]),
        pick_up=frozenset(edition["pick_up"]),
        sequence=tuple(edition["sequence"]),
    )


def rules_for(country: str, at: datetime) -> CountryRules:
    """The release rules of `country` (alpha-2) in force at `at` (aware UTC).

    Raises RefusedError `release_rules_missing` when there is no data for that country and day.
    """
    edition, digest = edition_of(country, at)
    return parse_edition(country, edition, digest)


def edition_of(country: str, at: datetime) -> tuple[Mapping[str, Any], str]:
    """The same as data, with the hex SHA-256 of its file: what a node signs as its rules."""
    found = _read(country) if country in countries() else None
    if found is not None:
        data, digest = found
        for edition in data["editions"]:
            if _in_force(edition, at):
                return edition, digest
    known = ", ".join(countries())
    raise RefusedError(
        "release_rules_missing", f"no release rules for {country[:2]} on that day; known: {known}"
    )
