"""Ours → D23B: what each row offers, what may stand there, and what is left behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from interop.uncefact.mapping import (
    COPY,
    EXTENSION,
    MAX_TOLD,
    NEXT,
    Mapped,
    build,
    fits,
    leaves_of,
    path_of,
)
from schemas.fields import member, pointer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from interop.uncefact.mapping import Path, Stack, Table
    from schemas.strict_json import JsonValue

    Leaves = Mapping[Path, JsonValue]


@dataclass(frozen=True, slots=True)
class _Offer:
    """What one row would carry: from which places of ours, to which place of theirs."""

    row: int
    sources: tuple[Path, ...]
    indexes: tuple[int, ...]
    target: Path
    value: JsonValue


def write(table: Table, document: JsonValue, *, extended: bool = False) -> Mapped:
    """Our document as D23B. extended: with what D23B cannot say, as an extension of it."""
    leaves = leaves_of(document)
    offers = _complete(table, leaves, _settled(table, document, _offers(table, document, leaves)))
    said = {source for offer in offers for source in offer.sources}
    said |= {
        path_of(place)
        for place, value in (table.implied or {}).items()
        if leaves.get(path_of(place)) == value
    }
    theirs = _placed(table, offers)
    for stack in table.stacks:
        theirs |= _marks(document, stack)
    left = [(path, value) for path, value in leaves.items() if path not in said]
    mapped = build(theirs.items())
    if extended and left:
        members: list[JsonValue] = [[list(path), value] for path, value in left]
        mapped[EXTENSION] = {"profile": table.key, "members": members}
    return Mapped(mapped, tuple(pointer(*path) for path, _ in left[:MAX_TOLD]), table.key)


def _offers(table: Table, document: JsonValue, leaves: Leaves) -> Iterator[_Offer]:
    for path, met in leaves.items():
        for at, indexes in table.by_ours.find(path):
            row = table.rows[at]
            sources: tuple[Path, ...] = (path,)
            value = met
            if row.joined:
                sources = _joined(path[:-1], row.joined, leaves)
                value = _one_text([leaves[source] for source in sources], row.separator)
            encoded = row.codec.encode(value)
            if encoded is not None:
                target = _shifted(table, document, row.ours, path_of(row.theirs, indexes))
                yield _Offer(at, sources, indexes, target, encoded)


def _joined(parent: Path, names: tuple[str, ...], leaves: Leaves) -> tuple[Path, ...]:
    """The members that are one text there, up to the first that is absent."""
    found: list[Path] = []
    for name in names:
        if (*parent, name) not in leaves:
            break
        found.append((*parent, name))
    return tuple(found)


def _one_text(parts: list[JsonValue], separator: str) -> JsonValue:
    texts = [part for part in parts if isinstance(part, str)]
    if len(texts) < len(parts) or any(separator in text or not text for text in texts[:-1]):
        return None
    return separator.join(texts)


def _settled(table: Table, document: JsonValue, offers: Iterable[_Offer]) -> list[_Offer]:
    """The first offer for each place, in the order of the rows; without what must not stand."""
    kept: list[_Offer] = []
    said: set[Path] = set()
    targets: set[Path] = set()
    for offer in sorted(offers, key=lambda offer: offer.row):
        alone = table.rows[offer.row].alone
        crowded = alone and _count(document, path_of(alone, offer.indexes)) != 1
        if crowded or offer.target in targets or said & {*offer.sources}:
            continue
        targets.add(offer.target)
        said |= {*offer.sources}
        kept.append(offer)
    while True:
        said = {source for offer in kept for source in offer.sources}
        needed = [offer for offer in kept if _has_needs(table, offer, said)]
        if len(needed) == len(kept):
            return kept
        kept = needed


def _has_needs(table: Table, offer: _Offer, said: set[Path]) -> bool:
    needs = table.rows[offer.row].needs
    return not needs or path_of(needs, offer.indexes) in said


def _count(document: JsonValue, place: Path) -> int:
    value = member(document, *place)
    return len(value) if isinstance(value, list) else int(value is not None)


def _complete(table: Table, leaves: Leaves, offers: list[_Offer]) -> list[_Offer]:
    """Without the arrays of which an element lacks a member that D23B requires."""
    said = {source for offer in offers for source in offer.sources}
    broken: set[Path] = set()
    for rule in table.complete:
        depth = len(path_of(rule.array.replace("*", "0")))
        for path in leaves:
            if len(path) > depth and fits(path, rule.array):
                element = path[: depth + 1]
                if any((*element, *path_of(name)) not in said for name in rule.members):
                    broken.add(path[:depth])
    if not broken:
        return offers
    return [offer for offer in offers if not any(_lies_in(s, broken) for s in offer.sources)]


def _lies_in(path: Path, places: set[Path]) -> bool:
    return any(path[:at] in places for at in range(1, len(path)))


def _placed(table: Table, offers: list[_Offer]) -> dict[Path, Any]:
    """Every value at its place of theirs, with what D23B wants beside it."""
    theirs: dict[Path, Any] = {}
    for offer in offers:
        theirs[offer.target] = offer.value
        for fixed in table.fixed:
            if fixed.beside and fixed.beside == table.rows[offer.row].ours:
                value = offer.value if fixed.value is COPY else fixed.value
                theirs[path_of(fixed.theirs, offer.indexes)] = value
    for path in [path for path in theirs if NEXT in path]:
        array = path[: path.index(NEXT)]
        used = [other[len(array)] for other in theirs if other[: len(array)] == array]
        free = 1 + max((at for at in used if isinstance(at, int)), default=-1)
        theirs[(*array, free, *path[len(array) + 1 :])] = theirs.pop(path)
    theirs |= {path_of(fixed.theirs): fixed.value for fixed in table.fixed if not fixed.beside}
    return theirs


def _shifted(table: Table, document: JsonValue, ours: str, target: Path) -> Path:
    """The target; in an array that holds several things of ours, behind those before it."""
    for stack in table.stacks:
        depth = len(path_of(stack.array))
        if target[:depth] != path_of(stack.array):
            continue
        before = 0
        for part, _ in stack.parts:
            at = target[depth]
            if ours.startswith(f"{part}/") and isinstance(at, int):
                return (*target[:depth], at + before, *target[depth + 1 :])
            before += _count(document, path_of(part))
    return target


def _marks(document: JsonValue, stack: Stack) -> Iterator[tuple[Path, JsonValue]]:
    at = 0
    for part, mark in stack.parts:
        for _ in range(_count(document, path_of(part))):
            if mark:
                yield (*path_of(stack.array), at, *path_of(stack.mark)), mark
            at += 1
