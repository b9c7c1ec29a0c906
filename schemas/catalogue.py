"""Every stable code that a person or a peer may meet, with a plain sentence and a next step.

Entries live in ``schemas/data/catalogue/<area>.json``, one object per file, code → entry:

``{"kind": "error" | "check" | "rule" | "condition", "family": "<error family, errors only>",
"en": sentence, "zh": sentence, "next": next step, "next_zh": next step, "source": clause}``

`pratique explain CODE`, the problem documents (RFC 9457) and the generated pages in ``docs/``
all read this one catalogue, so a code cannot be documented in two ways.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS = frozenset({"error", "check", "rule", "condition"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One explained code. `family` is set for errors only (see `schemas.errors`)."""

    code: str
    kind: str
    area: str
    en: str
    zh: str
    next: str
    next_zh: str
    source: str = ""
    family: str = ""

    def sentence(self, lang: str = "en") -> str:
        """The plain sentence in English (``en``) or Chinese (``zh``)."""
        return self.zh if lang == "zh" else self.en

    def next_step(self, lang: str = "en") -> str:
        """What to do about it, in English (``en``) or Chinese (``zh``)."""
        return self.next_zh if lang == "zh" else self.next


@cache
def catalogue() -> Mapping[str, Entry]:
    """All entries by code. Raises ValueError when two areas define the same code."""
    entries: dict[str, Entry] = {}
    folder = resources.files("schemas") / "data" / "catalogue"
    for file in sorted(folder.iterdir(), key=lambda item: item.name):
        if not file.name.endswith(".json"):
            continue
        area = file.name.removesuffix(".json")
        for code, fields in json.loads(file.read_text(encoding="utf-8")).items():
            if code in entries:
                raise ValueError(f"{code} is defined in {entries[code].area} and in {area}")
            if fields.get("kind") not in KINDS:
                raise ValueError(f"{code} in {area} has no known kind")
            entries[code] = Entry(code=code, area=area, **fields)
    return MappingProxyType(entries)


def explain(code: str) -> Entry | None:
    """The entry for `code`, or None when nobody defined it."""
    return catalogue().get(code)
