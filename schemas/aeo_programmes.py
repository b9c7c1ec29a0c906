"""Programmes of authorised economic operators: code forms and classes, as dated data.

``schemas/data/aeo/programmes.json`` says which administration grants, how its codes are formed
(AEOCN and ten characters, EORI, other trader identification numbers) and which classes hold the
security part: mutual recognition covers holders of that part only (SAFE Framework, Pillar 2;
EU arrangements: AEOS and AEOF, not AEOC). An answer cites the SHA-256 of the file.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


@dataclass(frozen=True, slots=True)
class Programme:
    """One administration's programme.

    codes:   scheme → pattern of the whole code
    classes: class of authorisation → does it hold the security part
    """

    id: str
    name: str
    zh: str
    countries: tuple[str, ...]
    begins: date
    ends: date | None
    codes: Mapping[str, re.Pattern[str]]
    classes: Mapping[str, bool]

    def in_force(self, day: date) -> bool:
        """Whether the programme ran on that day."""
        return self.begins <= day and (self.ends is None or day < self.ends)

    def scheme_of(self, code: str) -> str | None:
        """The scheme whose form the code has, or None."""
        return next(
            (name for name, form in self.codes.items() if form.fullmatch(code)),
            None,
        )

    def to_json(self) -> dict[str, Any]:
        """For people and machines."""
        return {
            "id": self.id,
            "name": self.name,
            "nameZh": self.zh,
            "countries": list(self.countries),
            "from": self.begins.isoformat(),
            "until": self.ends.isoformat() if self.ends else None,
            "codes": {name: form.pattern for name, form in self.codes.items()},
            "classes": dict(self.classes),
        }


@cache
def _file() -> tuple[tuple[Programme, ...], str]:
    data = (resources.files("schemas") / "data" / "aeo" / "programmes.json").read_bytes()
    listed = json.loads(data)["programmes"]
    return tuple(map(_programme, listed)), hashlib.sha256(data).hexdigest()


def _programme(item: Mapping[str, Any]) -> Programme:
    until = item["until"]
    return Programme(
        id=item["id"],
        name=item["name"],
        zh=item["zh"],
        countries=tuple(item["countries"]),
        begins=date.fromisoformat(item["from"]),
        ends=date.fromisoformat(until) if until else None,
        codes={code["scheme"]: re.compile(f"(?a:{code['pattern']})") for code in item["codes"]},
        classes=dict(item["classes"]),
    )


def programmes() -> tuple[Programme, ...]:
    """Every programme in the data."""
    return _file()[0]


def digest() -> str:
    """SHA-256 (hex) of the data file; answers cite it."""
    return _file()[1]


def country_named(code: str) -> str:
    """The country that a code names: AEOCN… and CN… name CN; "" where it names none."""
    body = code.removeprefix("AEO")[:2]
    return body if re.fullmatch("(?a:[A-Z]{2})", body) else ""


def programme_of(code: str, day: date) -> Programme | None:
    """The programme of the country that the code names, as in force on that day."""
    country = country_named(code)
    fitting = (one for one in programmes() if country in one.countries and one.in_force(day))
    return next(fitting, None)
