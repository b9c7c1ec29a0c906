"""What the names of an element and of its children tell: namespaces, order, repetition.

Certificates repeat a few dozen such shapes thousands of times, so what is known of one is kept; the
keys that are kept are bounded in number and length, for names come from strangers.
"""

from __future__ import annotations

from dataclasses import dataclass

from schemas.sps.layout import GENERATIONS, LAYOUT, NAMESPACE, ROOT, SINGLE

_LONGEST_KEPT = 4096  # characters
_MOST_KEPT = 1024
_POSITIONS = {
    name: {child: place for place, child in enumerate(children)}
    for name, children in LAYOUT.items()
}


@dataclass(frozen=True, slots=True)
class Shape:
    """An element's children by name: where each name stands, and whether all is canonical.

    parts: namespace name and local name of each child
    named: local name, first index and further ones, of the children in a namespace of the
        certificate or in none
    plain: every child is qualified, known, in its order, and alone where it must be
    """

    parts: tuple[tuple[str, str], ...]
    named: tuple[tuple[str, int, tuple[int, ...]], ...]
    plain: bool


_SHAPES: dict[tuple[str, tuple[str, ...], str], Shape] = {}


def shape_of(name: str, tags: tuple[str, ...], generation: str) -> Shape:
    """The shape of an element `name` with children of these tags (Clark notation), in a
    certificate of that generation.
    """
    key = (name, tags, generation)
    known = _SHAPES.get(key)
    if known is not None:
        return known
    shape = _shape(name, tags, generation)
    if len(name) + sum(map(len, tags)) <= _LONGEST_KEPT:
        if len(_SHAPES) >= _MOST_KEPT:
            _SHAPES.clear()
        _SHAPES[key] = shape
    return shape


def split(tag: str) -> tuple[str, str]:
    """Namespace name ("" for none) and local name of a tag in Clark notation."""
    namespace, _, name = tag[1:].rpartition("}") if tag[:1] == "{" else ("", "", tag)
    return namespace, name


def generation_of(namespace: str) -> str:
    """The generation that a certificate's namespace names, "" when it is of another kind."""
    match = NAMESPACE.fullmatch(namespace)
    return match.group(2) if match and match.group(1).lower() == ROOT.lower() else ""


def is_ours(namespace: str) -> bool:
    """True for the namespaces of UN/CEFACT certificates, and for none."""
    return not namespace or NAMESPACE.fullmatch(namespace) is not None


def namespace_fault(namespace: str, generation: str) -> str:
    """How an element's namespace deviates (see `schemas.sps.deviations`), "" when it does not."""
    if not namespace:
        return "unqualified"
    match = NAMESPACE.fullmatch(namespace)
    if match is None:
        return "foreign"
    if ":Standard:" in namespace and match.group(1) != "QualifiedDataType":
        return "spelling"
    expected = {generation, GENERATIONS.get(generation, "")}
    return "" if match.group(2) in expected else "generation"


def places(name: str, children: list[str]) -> list[int]:
    """Where children of these local names stand in the canonical order; -1 for an unknown one."""
    known = _POSITIONS.get(name, {})
    return [known.get(child, -1) for child in children]


def _shape(name: str, tags: tuple[str, ...], generation: str) -> Shape:
    parts = tuple(split(tag) for tag in tags)
    named: dict[str, list[int]] = {}
    for index, (namespace, child) in enumerate(parts):
        if is_ours(namespace):
            named.setdefault(child, []).append(index)
    standing = places(name, [child for _, child in parts])
    single = SINGLE.get(name, frozenset())
    plain = (
        standing == sorted(standing)
        and min(standing, default=0) >= 0
        and not any(namespace_fault(namespace, generation) for namespace, _ in parts)
        and not any(len(found) > 1 for child, found in named.items() if child in single)
    )
    found = ((child, first, tuple(more)) for child, (first, *more) in named.items())
    return Shape(parts, tuple(found), plain)
