"""What the names of an element and of its children tell: namespaces, order, repetition.

Certificates repeat a few dozen such shapes thousands of times, so what is known of one is kept; the
keys that are kept are bounded in number and length, for names come from strangers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.sps.layout import GENERATIONS, LAYOUT, NAMESPACE, ROOT, SINGLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LONGEST_KEPT = 4096  # characters
_MOST_KEPT = 1024
_POSITIONS = {
    name: {child: place for place, child in enumerate(children)}
    for name, children in LAYOUT.items()
}


@dataclass(frozen=True, slots=True)
class Shape:
    """An element's children by name: where each name stands, and whether all is canonical.

    at: local name → indexes of the children so named in a namespace of the certificate or in none
    plain: every child is qualified, known, in its order, and alone where it must be
    """

    at: Mapping[str, Sequence[int]]
    plain: bool


class _Shapes(dict[tuple[str, ...], Shape]):
    """The shapes met so far by generation of the certificate, own tag and tags of the children."""

    def __missing__(self, key: tuple[str, ...]) -> Shape:
        shape = _shape(*key)
        if sum(map(len, key)) <= _LONGEST_KEPT:
            if len(self) >= _MOST_KEPT:
                self.clear()
            self[key] = shape
        return shape


SHAPES = _Shapes()


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


def _shape(generation: str, tag: str, *tags: str) -> Shape:
    """The shape of an element with that tag and children of these (Clark notation)."""
    name, parts = split(tag)[1], [split(each) for each in tags]
    at: dict[str, list[int]] = {}
    for index, (namespace, child) in enumerate(parts):
        if is_ours(namespace):
            at.setdefault(child, []).append(index)
    standing = places(name, [child for _, child in parts])
    single = SINGLE.get(name, frozenset())
    plain = (
        standing == sorted(standing)
        and min(standing, default=0) >= 0
        and not any(namespace_fault(namespace, generation) for namespace, _ in parts)
        and not any(len(found) > 1 for child, found in at.items() if child in single)
    )
    return Shape(at, plain)
