"""Lenient access to the members of a parsed JSON document.

A view must be computed from any JSON object, also from one that breaks its profile, so that a
report can at least say which document it is about. Every function here answers None (or nothing)
where a member is absent or of another kind, and never raises. Pointers are RFC 6901.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping
    from typing import TypeAlias

    from schemas.strict_json import JsonValue

    Path: TypeAlias = "tuple[()] | tuple[Path, str | int]"

_CONTAINERS = (dict, list)

DECIMAL = re.compile(r"-?[0-9]{1,24}(\.[0-9]{1,12})?\Z", re.ASCII)
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z", re.ASCII)
DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})\Z",
    re.ASCII,
)

# Pounds to kilograms, exact by the international yard and pound agreement.
KILOGRAMS: Mapping[str, Decimal] = {
    "KGM": Decimal(1),
    "GRM": Decimal("0.001"),
    "TNE": Decimal(1000),
    "LBR": Decimal("0.45359237"),
}


def pointer(*parts: str | int) -> str:
    """The JSON pointer of a path, escaped: ``pointer("a/b", 0)`` is ``/a~1b/0``."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def member(node: JsonValue, *path: str | int) -> JsonValue:
    """The value at a path of member names and indexes, or None."""
    for part in path:
        if isinstance(part, str) and isinstance(node, dict):
            node = node.get(part)
        elif isinstance(part, int) and isinstance(node, list) and part < len(node):
            node = node[part]
        else:
            return None
    return node


def text(node: JsonValue, *path: str | int) -> str | None:
    """A non-empty string at the path, or None."""
    value = member(node, *path)
    return value if isinstance(value, str) and value else None


def flag(node: JsonValue, *path: str | int) -> bool | None:
    """A boolean at the path, or None."""
    value = member(node, *path)
    return value if isinstance(value, bool) else None


def integer(node: JsonValue, *path: str | int) -> int | None:
    """A whole number at the path, or None; 12.0 counts as 12 (JSON has one kind of number)."""
    value = member(node, *path)
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) else None


def decimal(node: JsonValue, *path: str | int) -> Decimal | None:
    """An exact decimal at the path, from a decimal string or a JSON number, or None."""
    value = member(node, *path)
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return Decimal(repr(value))
    if isinstance(value, str) and DECIMAL.match(value):
        return Decimal(value)
    return None


def texts(node: JsonValue, *path: str | int) -> tuple[str, ...]:
    """The strings of an array at the path; other elements are left out."""
    value = member(node, *path)
    if not isinstance(value, list):
        return ()
    return tuple(item for item in value if isinstance(item, str) and item)


def objects(node: JsonValue, *path: str) -> Iterator[tuple[str, dict[str, JsonValue]]]:
    """The objects of an array at the path, each with its pointer."""
    value = member(node, *path)
    if not isinstance(value, list):
        return
    base = pointer(*path)
    for index, item in enumerate(value):
        if isinstance(item, dict):
            yield f"{base}/{index}", item


def weight_in_kilograms(node: JsonValue, *path: str | int) -> Decimal | None:
    """A measure {value, unit (Rec 20)} in kilograms, or None when it is no weight."""
    value, unit = decimal(node, *path, "value"), text(node, *path, "unit")
    factor = KILOGRAMS.get(unit or "")
    return None if value is None or factor is None else value * factor


def instant(value: str | None) -> datetime | None:
    """A date-time (RFC 3339, zone required) in UTC, or None."""
    if value is None or not DATE_TIME.match(value):
        return None
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def day(value: str | None) -> datetime | None:
    """Midnight UTC at the beginning of a calendar date, or None."""
    if value is None or not DATE.match(value):
        return None
    try:
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    except ValueError:
        return None


def beginning(value: str | None) -> datetime | None:
    """A date or date-time; a date counts from its first moment, in UTC."""
    return instant(value) or day(value)


def end(value: str | None) -> datetime | None:
    """A date or date-time; a date counts to its last moment, in UTC."""
    moment = day(value)
    if moment is not None:
        return datetime.combine(moment, time.max, UTC).replace(microsecond=999_000)
    return instant(value)


def walk(
    node: JsonValue, names: Container[str] | None = None
) -> Iterator[tuple[str, str, JsonValue]]:
    """Every member below `node` that has one of `names`, as (pointer, name, value), in order.

    Without `names` it is every member, the outermost value itself excepted.
    Elements of an array carry the array's name. Bounded by the caps of the strict reader.
    """
    return ((pointer_of(path), name, value) for path, name, value in walk_paths(node, names))


def walk_paths(
    node: JsonValue, names: Container[str] | None = None
) -> Iterator[tuple[Path, str, JsonValue]]:
    """As `walk`, with the path instead of the pointer that `pointer_of` makes of it."""
    pending: list[tuple[Path, str, JsonValue]] = [((), "", node)]
    while pending:
        path, name, value = pending.pop()
        if path and (names is None or name in names):
            yield path, name, value
        if isinstance(value, dict):
            for key, item in reversed(value.items()):
                if names is None or key in names or isinstance(item, _CONTAINERS):
                    pending.append(((path, key), key, item))
        elif isinstance(value, list):
            wanted = names is None or name in names
            pending.extend(
                ((path, index), name, value[index])
                for index in range(len(value) - 1, -1, -1)
                if wanted or isinstance(value[index], _CONTAINERS)
            )


def pointer_of(path: Path) -> str:
    """The JSON pointer of a path of `walk_paths`: the innermost step last, the rest before it."""
    parts: list[str] = []
    while path:
        path, part = path
        parts.append(part if isinstance(part, str) else str(part))
    parts.append("")
    plain = "/".join(reversed(parts))
    # Nothing to escape: no tilde, and no slash but those just put between the steps.
    if "~" not in plain and plain.count("/") == len(parts) - 1:
        return plain
    return pointer(*parts[-2::-1])
