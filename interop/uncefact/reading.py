"""D23B → ours: the same rows the other way, and what nobody took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interop.uncefact.mapping import (
    COPY,
    EXTENSION,
    MAX_DEPTH,
    MAX_GAPS,
    MAX_TOLD,
    Mapped,
    build,
    fits,
    leaves_of,
    path_of,
    steps_of,
)
from schemas.errors import MalformedError
from schemas.fields import member, pointer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from interop.uncefact.mapping import Leaf, Path, Stack, Table
    from schemas.strict_json import JsonValue

    # Element of a stacked array → the part of ours it is, and which of them.
    Elements = Mapping[Path, tuple[str, int]]


def read(table: Table, theirs: JsonValue) -> Mapped:
    """D23B as our document. Raises MalformedError d23b_unreadable when it contradicts itself.

    What comes out is ours in form; whether it satisfies the profile is for `registry.examine`.
    """
    rest, members = _without_extension(theirs, table.key)
    leaves = {path: value for path, value in leaves_of(rest).items() if value not in ({}, [])}
    ours: dict[Path, JsonValue] = {
        path_of(place): value for place, value in (table.implied or {}).items()
    }
    used = _taken(table, rest, leaves, ours)
    told = [pointer(*path) for path, value in leaves.items() if path not in used]
    document = build([*ours.items(), *members], MAX_GAPS)
    return Mapped(document, tuple(told[:MAX_TOLD]), table.key)


def _taken(
    table: Table, rest: JsonValue, leaves: Mapping[Path, JsonValue], ours: dict[Path, JsonValue]
) -> set[Path]:
    """Fills `ours`; answers the places of theirs that were understood."""
    elements: dict[Path, tuple[str, int]] = {}
    for stack in table.stacks:
        elements |= _elements(rest, stack)
    offers = [
        (at, path, places)
        for path, value in leaves.items()
        for at, places in _offers(table, path, value, elements)
    ]
    used: set[Path] = set()
    for _, path, places in sorted(offers, key=lambda offer: offer[0]):
        if path not in used and not any(place in ours for place, _ in places):
            used.add(path)
            ours.update(places)
    said = [leaves[path] for path in used]
    used |= {path for path, value in leaves.items() if _is_expected(table, path, value, said)}
    return used


def _offers(
    table: Table, path: Path, value: JsonValue, elements: Elements
) -> Iterator[tuple[int, list[Leaf]]]:
    part = ""
    for depth in range(1, len(path)):
        if path[: depth + 1] in elements:
            part, at = elements[path[: depth + 1]]
            path = (*path[:depth], at, *path[depth + 1 :])
            break
    for row_at, indexes in table.by_theirs.find(path):
        row = table.rows[row_at]
        decoded = row.codec.decode(value)
        if decoded is None or (part and not row.ours.startswith(f"{part}/")):
            continue
        place = path_of(row.ours, indexes)
        if row.joined and isinstance(decoded, str):
            texts = decoded.split(row.separator, len(row.joined) - 1)
            named = zip(row.joined, texts, strict=False)
            yield row_at, [((*place, name), text) for name, text in named]
        else:
            yield row_at, [(place, decoded)]


def _elements(rest: JsonValue, stack: Stack) -> Iterator[tuple[Path, tuple[str, int]]]:
    """Which part of ours each element of a stacked array is."""
    counted: dict[str, int] = {}
    by_mark = {mark: part for part, mark in stack.parts}
    array = path_of(stack.array)
    listed = member(rest, *array)
    for at, element in enumerate(listed if isinstance(listed, list) else ()):
        mark = member(element, *steps_of(stack.mark))
        part = by_mark.get(mark if isinstance(mark, str) else "")
        if part:
            yield (*array, at), (part, counted.get(part, 0))
            counted[part] = counted.get(part, 0) + 1


def _is_expected(table: Table, path: Path, value: JsonValue, said: list[JsonValue]) -> bool:
    """Whether this is a value that D23B wants and ours says without words."""
    places = [(fixed.theirs, fixed.value) for fixed in table.fixed]
    places += [
        (f"{stack.array}/*/{stack.mark}", mark) for stack in table.stacks for _, mark in stack.parts
    ]
    return any(
        (value == wanted or (wanted is COPY and value in said))
        and len(path) == len(steps_of(place))
        and fits(path, place)
        for place, wanted in places
    )


def _without_extension(theirs: JsonValue, key: str) -> tuple[JsonValue, list[Leaf]]:
    """The document without our extension, and the members that this carries."""
    said = member(theirs, EXTENSION)
    if not isinstance(theirs, dict) or member(said, "profile") != key:
        return theirs, []
    members: list[Leaf] = []
    listed = member(said, "members")
    for item in listed if isinstance(listed, list) else ():
        match item:
            case [[str(), *_] as steps, value] if _is_place(steps) and _is_leaf(value):
                path = tuple(one for one in steps if isinstance(one, str | int))
                members.append((path, value))
            case _:
                raise MalformedError("d23b_unreadable", f"{EXTENSION} does not name a member")
    return {name: value for name, value in theirs.items() if name != EXTENSION}, members


def _is_place(steps: list[JsonValue]) -> bool:
    named = all(isinstance(one, str) or (type(one) is int and one >= 0) for one in steps)
    return named and len(steps) <= MAX_DEPTH


def _is_leaf(value: JsonValue) -> bool:
    return not (isinstance(value, dict | list) and value)
