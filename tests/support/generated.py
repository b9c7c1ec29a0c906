"""Documents made from a profile: every combination of members that its schema allows.

A small reader of the JSON Schema keywords that our profiles use; codes are drawn from short lists
by the name of the member, so that what a rule looks up is found.
"""

from __future__ import annotations

import json
import re
from datetime import UTC
from functools import cache
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from schemas import profiles

if TYPE_CHECKING:
    from collections.abc import Mapping

_KNOWN: Mapping[str, tuple[str, ...]] = {
    "country": ("CN", "DE", "NL", "SG"),
    "countryCode": ("CN", "DE"),
    "exportCountry": ("CN", "VN"),
    "importCountry": ("SG", "KZ"),
    "originCountry": ("CN", "JP"),
    "currency": ("CNY", "USD"),
    "currencyCode": ("CNY", "USD"),
    "declaredValueCurrency": ("EUR",),
    "unit": ("KGM", "TNE", "H87"),
    "packageType": ("CT", "PX"),
    "packageCode": ("CT", "BX"),
    "mode": ("1", "2", "3", "6"),
}
_TEXT = st.text(st.sampled_from("ABCxyz 019-./:提单é"), min_size=1, max_size=12).map(
    lambda said: said.strip() or "A"
)


def documents(key: str) -> st.SearchStrategy[dict[str, Any]]:
    """Documents of a JSON type that satisfy its profile."""
    schema = profiles.bundle(key)
    for name, inner in schema.get("$defs", {}).items():
        if "$id" in inner:  # another profile, embedded: its own references begin in itself
            full = json.dumps(inner).replace('"#/$defs/', f'"{inner["$id"]}#/$defs/')
            schema["$defs"][name] = json.loads(full)
    made: st.SearchStrategy[dict[str, Any]] = _value(schema, schema, "").filter(
        lambda document: not profiles.faults(key, document)
    )
    return made


def _resolved(schema: dict[str, Any], root: dict[str, Any]) -> list[dict[str, Any]]:
    """The schema and all it refers to."""
    found = [schema]
    if "$ref" in schema:
        found += _resolved(*_target(schema["$ref"], root))
    return found


def _target(reference: str, root: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    base, _, place = reference.partition("#")
    node = root["$defs"][base.split(":")[3]] if base else root
    for part in filter(None, place.split("/")):
        node = node[part]
    return node, root


def _value(schema: dict[str, Any], root: dict[str, Any], name: str) -> st.SearchStrategy[Any]:
    parts = _resolved(schema, root)
    merged: dict[str, Any] = {}
    for part in reversed(parts):
        merged |= {word: value for word, value in part.items() if word not in ("$ref", "required")}
    if name in _KNOWN:
        return st.sampled_from(_KNOWN[name])
    if "const" in merged:
        return st.just(merged["const"])
    if "enum" in merged:
        return st.sampled_from(merged["enum"])
    if any("properties" in part or part.get("type") == "object" for part in parts):
        return _object(parts, root)
    return _simple(merged, root, name)


def _simple(schema: dict[str, Any], root: dict[str, Any], name: str) -> st.SearchStrategy[Any]:
    match schema.get("type"):
        case "array":
            # An "items" beside a "$ref" narrows it: only the outer one is needed to draw.
            inner = _value(schema["items"], root, name)
            least = schema.get("minItems", 0)
            return st.lists(inner, min_size=least, max_size=min(schema.get("maxItems", 3), 3))
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema.get("minimum", 0), min(schema.get("maximum", 99), 9999))
        case "number":
            return st.integers(1, 99999) | st.decimals(1, 9999, places=2).map(float)
        case _:
            return _string(schema)


def _string(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    return _drawn(
        schema.get("format", ""),
        schema.get("pattern", ""),
        schema.get("maxLength", 0),
    )


@cache
def _drawn(kind: str, pattern: str, longest: int) -> st.SearchStrategy[str]:
    """One strategy per kind of string: making them anew for every document takes most of a test."""
    if kind == "date":
        return st.dates().map(str).filter(lambda day: day >= "1900")
    if kind == "date-time":
        return st.datetimes(timezones=st.just(UTC)).map(
            lambda at: at.isoformat(timespec="seconds").replace("+00:00", "Z")
        )
    if pattern in ("", r"^\S(?:.*\S)?$"):
        return _TEXT.map(lambda said: said[: longest or 12].strip() or "A")
    drawn = st.from_regex(re.compile(pattern.replace("$", r"\Z"), re.ASCII))
    return drawn.filter(lambda said: len(said) <= (longest or 300) and said.isprintable())


@st.composite
def _object(draw: st.DrawFn, parts: list[dict[str, Any]], root: dict[str, Any]) -> dict[str, Any]:
    members: dict[str, list[dict[str, Any]]] = {}
    for part in parts:
        chosen = [part, *_alternatives(part)]
        for one in chosen:
            for name, inner in one.get("properties", {}).items():
                members.setdefault(name, []).append(inner)
    needed = {name for part in parts for name in part.get("required", ())}
    for part in parts:
        for word in ("oneOf", "anyOf"):
            if word in part:
                needed |= set(draw(st.sampled_from(part[word])).get("required", ()))
    optional = sorted(set(members) - needed - _excluded(parts, needed))
    taken = needed | set(draw(st.lists(st.sampled_from(optional), unique=True)) if optional else ())
    return {
        name: draw(_value(_joined(members.get(name, [{}])), root, name)) for name in sorted(taken)
    }


def _alternatives(part: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for word in ("oneOf", "anyOf") for one in part.get(word, ())]


def _excluded(parts: list[dict[str, Any]], needed: set[str]) -> set[str]:
    """The members of the other alternatives of a oneOf."""
    named = {
        name for part in parts for one in part.get("oneOf", ()) for name in one.get("required", ())
    }
    return named - needed


def _joined(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    """What several places say of one member: the first decides, the others add."""
    joined: dict[str, Any] = {}
    for schema in reversed(schemas):
        joined |= schema
    return joined
