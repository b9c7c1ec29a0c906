"""The story as data, and one consignment of it seen from a moment.

All names are fictional. Business dates lie around `now`, the moment the cargo arrives: invoices and
certificates weeks before, decisions on the day. Nothing here reads a clock.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

# Where a party sits, its address lines, street and city: the script only names it.
HOMES: Mapping[str, tuple[str, str, str]] = {
    "cn-cert": ("CN", "18 Quay Lane", "Shanghai"),
    "nhl": ("SG", "1 Heron Quay", "Singapore"),
    "cn-rail": ("CN", "7 Steppe Road", "Xi'an"),
    "kr-cert": ("KR", "22 Coast Road", "Busan"),
    "vn-cert": ("VN", "5 River Street", "Hai Phong"),
    "sg-port": ("SG", "9 Strait View", "Singapore"),
    "sg-customs": ("SG", "11 Strait View", "Singapore"),
    "nl-port": ("NL", "Deltaweg 100", "Rotterdam"),
    "nl-customs": ("NL", "Deltaweg 12", "Rotterdam"),
    "kz-rail": ("KZ", "3 Alatau Avenue", "Almaty"),
    "exp-a": ("CN", "66 Orchard Road, Ginger Valley", "Weifang"),
    "exp-b": ("CN", "200 Island Road", "Shanghai"),
    "exp-c": ("CN", "8 Sunny Plain Road", "Xi'an"),
    "imp-a": ("NL", "Polderdijk 4", "Barendrecht"),
    "imp-b": ("SG", "40 Tanjong Lane", "Singapore"),
    "imp-c": ("KZ", "15 Alatau Avenue", "Almaty"),
    "bank": ("NL", "Havenlicht 1", "Rotterdam"),
    "haulier-a": ("NL", "Dijkstraat 9", "Rotterdam"),
    "forwarder-a": ("NL", "Laagwater 2", "Rotterdam"),
}
SCHEMES = {"uscc": "USCC", "lei": "LEI"}
# Package words of the script → UN/ECE Recommendation 21.
PACKAGE_TYPES = {"CTN": "CT", "PAL": "PX"}
EXPORTERS = {"A": "exp-a", "B": "exp-b", "C": "exp-c"}
IMPORTERS = {"A": "imp-a", "B": "imp-b", "C": "imp-c"}


@cache
def load_story() -> dict[str, Any]:
    """The script that this package carries."""
    file = resources.files("testnet.story") / "story.json"
    story: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return story


def actor_did(actor_id: str) -> str:
    """The DID of an actor on the demonstration network."""
    return f"did:web:{actor_id}.example"


@dataclass(frozen=True, slots=True)
class Scene:
    """One consignment of the story at one moment (aware, UTC)."""

    story: Mapping[str, Any]
    consignment: Mapping[str, Any]
    now: datetime

    @property
    def id(self) -> str:
        """A, B or C."""
        return str(self.consignment["id"])

    @property
    def goods(self) -> Mapping[str, Any]:
        """The one goods line of the consignment."""
        line: Mapping[str, Any] = self.consignment["goods"][0]
        return line

    @property
    def containers(self) -> tuple[str, ...]:
        """Its container numbers."""
        return tuple(self.consignment["containers"])

    @property
    def exporter(self) -> str:
        """The exporter's actor id."""
        return EXPORTERS[self.id]

    @property
    def importer(self) -> str:
        """The importer's actor id."""
        return IMPORTERS[self.id]

    @property
    def export_country(self) -> str:
        """Where the goods leave."""
        return HOMES[self.exporter][0]

    @property
    def import_country(self) -> str:
        """Where the goods are cleared."""
        return HOMES[self.importer][0]

    @property
    def package_type(self) -> str:
        """UN/ECE Recommendation 21."""
        return PACKAGE_TYPES[self.goods["unit"]]

    def actor(self, actor_id: str) -> Mapping[str, Any]:
        """The script's entry for an actor."""
        return next(actor for actor in self.story["actors"] if actor["id"] == actor_id)

    def host(self, actor_id: str) -> str:
        """The node that acts for a party; a node acts for itself."""
        return str(self.actor(actor_id).get("host", actor_id))

    def name(self, actor_id: str) -> str:
        """The actor's English name."""
        return str(self.actor(actor_id)["name"])

    def party(self, actor_id: str) -> dict[str, Any]:
        """An actor as a party of our own profiles."""
        country, street, city = HOMES[actor_id]
        actor = self.actor(actor_id)
        identifiers = [
            {"scheme": scheme, "value": actor[name]}
            for name, scheme in SCHEMES.items()
            if name in actor
        ]
        return {
            "name": actor["name"],
            "address": [street, city],
            "country": country,
            "did": actor_did(actor_id),
            **({"identifiers": identifiers} if identifiers else {}),
        }

    def issuer(self, actor_id: str) -> dict[str, Any]:
        """An actor as the issuer of a document, with the place of issue."""
        return self.party(actor_id) | {"place": HOMES[actor_id][2]}

    def day(self, days: int) -> str:
        """The date that many days from now (negative: before)."""
        return (self.now + timedelta(days=days)).date().isoformat()

    def moment(self, **offset: int) -> str:
        """RFC 3339, milliseconds, UTC; `offset` as for timedelta."""
        moment = self.now + timedelta(**offset)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def kilograms(value: Decimal | float) -> dict[str, str]:
    """A weight in kilograms as a measure."""
    return {"value": number(value), "unit": "KGM"}


def number(value: Decimal | float) -> str:
    """A decimal string without exponent or superfluous zeros."""
    text = f"{Decimal(str(value)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def money(value: Decimal | float) -> str:
    """An amount with two places."""
    return f"{Decimal(str(value)):.2f}"
