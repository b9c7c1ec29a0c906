"""Code lists as compact data: is this code in the list, and what is it called.

Lists live in ``schemas/data/codes/<list>.json`` as ``{"code": "name"}`` in the words of UN/CEFACT
D23B: country (ISO 3166-1 alpha-2), currency (ISO 4217), unit (Recommendation 20), package
(Recommendation 21), transport-mode (Recommendation 19), document (UNTDID 1001), document-status
(1373), reference (1153), party-role (3035), equipment (8053), government-action (9417),
message-function (1225), dangerous-goods-regulation (8273), process (7187), carriage-condition
(4065), seal-party (9303), seal-condition (4517), equipment-fullness (8169: one code) and
date-format (2379 in JSON). Incoterm holds the eleven rules of Incoterms 2020, of which D23B lacks
DPU. Any other list is what D23B carries, no more.
UN/LOCODE and HS codes are checked by form: their lists are too large to be carried here.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LISTS = (
    "carriage-condition",
    "country",
    "currency",
    "dangerous-goods-regulation",
    "date-format",
    "document",
    "document-status",
    "equipment",
    "equipment-fullness",
    "government-action",
    "incoterm",
    "message-function",
    "package",
    "party-role",
    "process",
    "reference",
    "seal-condition",
    "seal-party",
    "transport-mode",
    "unit",
)

_LOCODE = re.compile(r"([A-Z]{2})[A-Z2-9]{3}")
_HS = re.compile(r"(?:0[1-9]|[1-8][0-9]|9[0-7])[0-9]{4}")


@cache
def codes(list_id: str) -> Mapping[str, str]:
    """Code → name of one list. Raises ValueError for a list that is not carried."""
    if list_id not in LISTS:
        raise ValueError(f"no code list {list_id}; there are {', '.join(LISTS)}")
    file = resources.files("schemas") / "data" / "codes" / f"{list_id}.json"
    return MappingProxyType(json.loads(file.read_text(encoding="utf-8")))


def contains(list_id: str, code: object) -> bool:
    """True when `code` is a string of that list, spelt exactly so."""
    return isinstance(code, str) and code in codes(list_id)


def name(list_id: str, code: str) -> str | None:
    """What the list calls `code`, None when it is not in the list."""
    return codes(list_id).get(code)


def is_locode(code: object) -> bool:
    """True when `code` has the form of a UN/LOCODE in a known country (Recommendation 16)."""
    match = _LOCODE.fullmatch(code) if isinstance(code, str) else None
    return match is not None and contains("country", match.group(1))


def is_hs6(code: object) -> bool:
    """True when `code` has the form of a six-digit HS subheading (chapters 01 to 97)."""
    return isinstance(code, str) and _HS.fullmatch(code) is not None
