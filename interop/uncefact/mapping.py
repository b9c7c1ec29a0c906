"""One table per document, read in both directions.

A row pairs a place in our document with a place in the D23B document; `*` stands for any index of
an array and means the same index on both sides. Out and back are the same table, so what goes out
comes back, and what no row names is told by its JSON pointer. D23B lets extensions begin with
``x-``: under `EXTENSION` a document may take along what D23B itself has no member for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from interop.uncefact.codecs import TEXT, Codec
from schemas.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from schemas.strict_json import JsonValue

    Path = tuple[str | int, ...]
    Leaf = tuple[Path, JsonValue]

EXTENSION = "x-pratique"
MAPPING_VERSION = "2"
MAX_TOLD = 1000
MAX_DEPTH = 64
MAX_GAPS = 1000
ANY, NEXT = "*", "+"
COPY = object()


@dataclass(frozen=True, slots=True)
class Row:
    """Ours ↔ theirs. A `+` in theirs is the next free index of an array, filled after its `*`.

    needs:  a place of ours without which this value may not stand there
    alone:  an array of ours that must have one element only for this value to be true there
    joined: members of ours at `ours` that are one text there, with what stands between them; the
            members after the first may be absent, the last may contain the separator
    """

    ours: str
    theirs: str
    codec: Codec = TEXT
    needs: str = ""
    alone: str = ""
    joined: tuple[str, ...] = ()
    separator: str = " "


@dataclass(frozen=True, slots=True)
class Fixed:
    """A value D23B wants where ours says nothing; written beside what `beside` carries.

    The value `COPY` is that of `beside` itself: D23B wants it in two places.
    """

    theirs: str
    value: object
    beside: str = ""


@dataclass(frozen=True, slots=True)
class Complete:
    """An array of ours that goes as a whole or not: every element has these members there."""

    array: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stack:
    """An array of theirs that holds several things of ours, told apart by a code at `mark`.

    The code "" means none.
    """

    array: str
    mark: str
    parts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Table:
    """The mapping of one document type to one snapshot.

    implied: members of ours that the type says already (place → value)
    """

    key: str
    snapshot: str
    rows: tuple[Row, ...]
    fixed: tuple[Fixed, ...] = ()
    complete: tuple[Complete, ...] = ()
    stacks: tuple[Stack, ...] = ()
    implied: Mapping[str, JsonValue] | None = None

    @cached_property
    def by_ours(self) -> Index:
        """The rows by their place in our document; a joined row by its first member."""
        return Index((_first(row), at) for at, row in enumerate(self.rows))

    @cached_property
    def by_theirs(self) -> Index:
        """The rows by their place in the D23B document."""
        return Index((row.theirs, at) for at, row in enumerate(self.rows))


def _first(row: Row) -> str:
    return "/".join(filter(None, (row.ours, *row.joined[:1])))


@dataclass(frozen=True, slots=True)
class Mapped:
    """A mapped document, and the JSON pointers into the source of every value left behind."""

    document: dict[str, Any]
    left_behind: tuple[str, ...]
    key: str
    mapping_version: str = MAPPING_VERSION


class Index:
    """Patterns by their steps, so that a value finds its rows without trying them all."""

    __slots__ = ("_root",)

    def __init__(self, patterns: Iterable[tuple[str, int]]) -> None:
        self._root = _Branch()
        for pattern, at in patterns:
            node = self._root
            for part in steps_of(pattern):
                node = node.inner.setdefault(part, _Branch())
            node.rows.append(at)

    def find(self, path: Path) -> Iterator[tuple[int, tuple[int, ...]]]:
        """The rows of a place, each with the indexes its stars stand for."""
        pending: list[tuple[_Branch, int, tuple[int, ...]]] = [(self._root, 0, ())]
        while pending:
            node, at, indexes = pending.pop()
            if at == len(path):
                yield from ((row, indexes) for row in node.rows)
                continue
            step = path[at]
            if step in node.inner and step not in (ANY, NEXT):
                pending.append((node.inner[step], at + 1, indexes))
            if isinstance(step, int) and ANY in node.inner:
                pending.append((node.inner[ANY], at + 1, (*indexes, step)))
            if isinstance(step, int) and NEXT in node.inner:
                pending.append((node.inner[NEXT], at + 1, indexes))


class _Branch:
    __slots__ = ("inner", "rows")

    def __init__(self) -> None:
        self.inner: dict[str | int, _Branch] = {}
        self.rows: list[int] = []


def steps_of(pattern: str) -> list[str | int]:
    """The steps of a pattern: names, indexes, `*` and `+`."""
    return [int(part) if part.isdecimal() else part for part in pattern.split("/") if part]


def path_of(pattern: str, indexes: Iterable[int] = ()) -> Path:
    """The place a pattern names when its stars stand for `indexes`, in order."""
    given = iter(indexes)
    return tuple(next(given) if part == ANY else part for part in steps_of(pattern))


def fits(path: Path, pattern: str) -> bool:
    """Whether a place begins as a pattern says."""
    steps = steps_of(pattern)
    return len(path) >= len(steps) and all(
        isinstance(step, int) if part == ANY else step == part
        for step, part in zip(path, steps, strict=False)
    )


def leaves_of(document: JsonValue) -> dict[Path, JsonValue]:
    """Every value that is no container, and every empty container, by its place, in order."""
    found: dict[Path, JsonValue] = {}
    pending: list[Leaf] = [((), document)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, dict) and value:
            pending += [((*path, name), item) for name, item in reversed(value.items())]
        elif isinstance(value, list) and value:
            at = range(len(value) - 1, -1, -1)
            pending += [((*path, index), value[index]) for index in at]
        elif path:
            found[path] = value
    return found


def build(leaves: Iterable[Leaf], most_gaps: int | None = None) -> dict[str, Any]:
    """The document of these values; an array keeps its missing elements as empty objects.

    most_gaps: how many of these there may be, where a stranger chose the indexes.
    Raises MalformedError d23b_unreadable when one place is both a value and a container.
    """
    root = _Node()
    for path, value in leaves:
        node = root
        for step in path[:-1]:
            inner = node.setdefault(step, _Node())
            if not isinstance(inner, _Node):
                raise MalformedError("d23b_unreadable", "a member is both a value and an object")
            node = inner
        if path[-1] in node:
            raise MalformedError("d23b_unreadable", "a member is said twice")
        node[path[-1]] = value
    if most_gaps is not None and _gaps(root) > most_gaps:
        raise MalformedError("d23b_unreadable", "an array has too many elements without content")
    return {str(name): _finished(inner) for name, inner in root.items()}


class _Node(dict[Any, Any]):
    """A container that is still being built: members by name, elements by index."""


def _gaps(node: _Node) -> int:
    inner = sum(_gaps(one) for one in node.values() if isinstance(one, _Node))
    places = [step for step in node if isinstance(step, int)]
    return inner + (max(places) + 1 - len(places) if places else 0)


def _finished(node: Any) -> Any:
    if not isinstance(node, _Node):
        return node
    places = [step for step in node if isinstance(step, int)]
    if not places:
        return {name: _finished(inner) for name, inner in node.items()}
    if len(places) < len(node):
        raise MalformedError("d23b_unreadable", "a member is both an array and an object")
    return [_finished(node[at]) if at in node else {} for at in range(max(places) + 1)]
