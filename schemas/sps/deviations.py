"""Where a certificate differs from the canonical form: PHY-002 (error) and PHY-003 (warning).

Each kind of deviation is reported at its first place with a count, so that a certificate of a
thousand lines does not give a thousand warnings.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from schemas.findings import Finding, Severity
from schemas.sps.elements import path_of
from schemas.sps.layout import GENERATIONS, LAYOUT, NAMESPACE, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.sps.elements import Node

_SENTENCES = {
    "unqualified": "an element has no namespace, as the IPPC hub describes some",
    "foreign": "an element is in a namespace that is not of the certificate; it is not read",
    "spelling": "a namespace is spelt with other capital letters than its standard",
    "generation": "an element is of another generation than the certificate",
    "unknown": "an element is not known in this place; it is kept and not read",
    "order": "elements do not stand in the order of the standard",
}


_POSITIONS = {
    name: {child: place for place, child in enumerate(children)}
    for name, children in LAYOUT.items()
}


def deviations(root: Node) -> Iterator[Finding]:
    """PHY-002 when this is no certificate of a known generation, then PHY-003 once per kind."""
    generation = generation_of(root)
    if generation not in GENERATIONS or root.name != ROOT:
        message = "the root element is not a certificate of UN/CEFACT generation 17 or 8"
        yield Finding("PHY-002", Severity.ERROR, path_of(root), message)
    if root.name != ROOT:
        return
    places: dict[str, list[Node]] = {}
    for kind, element in _all(root, generation):
        places.setdefault(kind, []).append(element)
    for kind, elements in places.items():
        values = {"kind": kind, "count": len(elements)}
        place = path_of(elements[0])
        yield Finding("PHY-003", Severity.WARNING, place, _SENTENCES[kind], values)


def generation_of(root: Node) -> str:
    """The generation of the certificate's namespace, "" when it is of another kind."""
    match = NAMESPACE.fullmatch(root.namespace)
    return match.group(2) if match and match.group(1).lower() == ROOT.lower() else ""


def _all(root: Node, generation: str) -> Iterator[tuple[str, Node]]:
    for node in root.walk():
        kind = _namespace_fault(node.namespace, generation)
        if kind:
            yield kind, node
        if kind == "foreign" or not node.children:
            continue
        known = _POSITIONS.get(node.name, {})
        places = [known.get(child.name, -1) for child in node.children]
        unknown = [child for child, place in zip(node.children, places, strict=True) if place < 0]
        yield from (("unknown", child) for child in unknown)
        standing = [place for place in places if place >= 0]
        if standing != sorted(standing):
            yield "order", node


@lru_cache(maxsize=64)
def _namespace_fault(name: str, generation: str) -> str:
    if not name:
        return "unqualified"
    match = NAMESPACE.fullmatch(name)
    if match is None:
        return "foreign"
    if ":Standard:" in name and match.group(1) != "QualifiedDataType":
        return "spelling"
    expected = {generation, GENERATIONS.get(generation, "")}
    return "" if match.group(2) in expected else "generation"
