"""What a document type's members are, told from its profile: for people, screens and the pages.

The profile is the truth; this reads the keywords that our profiles use and never decides anything.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from schemas import profiles

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH = 12
_WORDS = (
    ("enum", "one of {}"),
    ("const", "always {}"),
    ("format", "{}"),
    ("pattern", "`{}`"),
    ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"),
    ("minimum", "from {}"),
    ("maximum", "to {}"),
    ("exclusiveMinimum", "more than {}"),
    ("minItems", "at least {}"),
    ("maxItems", "at most {}"),
)


@dataclass(frozen=True, slots=True)
class Member:
    """One member: where it stands (``goods[].hs``), whether it must be there, its form."""

    place: str
    required: bool
    form: str


def title(key: str) -> str:
    """What the profile calls itself, with its description where it has one."""
    profile = profiles.bundle(key)
    said = [profile.get("title", ""), profile.get("description", "")]
    return ". ".join(text.rstrip(".") for text in said if text) + "."


def members(key: str) -> tuple[Member, ...]:
    """Every member that the profile of a JSON type names, in its order, outer before inner."""
    root = profiles.bundle(key)
    return tuple(_members(_parts(root, root, ""), root, "", ()))


Part = tuple[dict[str, Any], str]


def _members(
    parts: list[Part], root: dict[str, Any], place: str, above: tuple[str, ...]
) -> Iterator[Member]:
    required = {name for part, _ in parts for name in part.get("required", ())}
    found: dict[str, list[Part]] = {}
    for part, base in parts:
        for name, said in _properties(part):
            found.setdefault(name, []).extend(_parts(said, root, base))
    for name, inner in found.items():
        array = [one for part, base in inner for one in _items(part, root, base)]
        where = f"{place}{name}{'[]' if array else ''}"
        yield Member(where, name in required, _form([part for part, _ in inner], array))
        if len(above) < MAX_DEPTH and above.count(name) < 1:
            yield from _members([*inner, *array], root, f"{where}.", (*above, name))


def _properties(part: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from part.get("properties", {}).items()
    for word in ("oneOf", "anyOf"):
        for one in part.get(word, ()):
            yield from one.get("properties", {}).items()


def _items(part: dict[str, Any], root: dict[str, Any], base: str) -> list[Part]:
    return _parts(part["items"], root, base) if isinstance(part.get("items"), dict) else []


def _parts(schema: dict[str, Any], root: dict[str, Any], base: str) -> list[Part]:
    """The schema and all it refers to, each with the profile its own references begin in."""
    found = [(schema, base)]
    if "$ref" in schema:
        name, _, path = schema["$ref"].partition("#")
        base = name.split(":")[3] if name else base
        node = root["$defs"][base] if base else root
        for step in path.strip("/").split("/"):
            node = node[step] if step else node
        found += _parts(node, root, base)
    return found


def _form(parts: list[dict[str, Any]], array: list[Part]) -> str:
    """Type and limits in words; of an array, those of its elements after it."""
    told = _words(parts)
    inner = _words([part for part, _ in array])
    return f"{told}; each {inner}" if inner and array else told


def _words(parts: list[dict[str, Any]]) -> str:
    merged: dict[str, Any] = {}
    for part in reversed(parts):
        merged |= part
    said = [merged["type"]] if isinstance(merged.get("type"), str) else []
    for keyword, sentence in _WORDS:
        if keyword in merged:
            said.append(sentence.format(_value(merged[keyword])))
    return ", ".join(said)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_value, value))
    return value if isinstance(value, str) else json.dumps(value)
