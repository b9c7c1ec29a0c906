"""Where a certificate differs from the canonical form: PHY-002 (error) and PHY-003 (warning).

Each kind of deviation is reported at its first place with a count, so that a certificate of a
thousand lines does not give a thousand warnings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.findings import Finding, Severity
from schemas.sps.elements import path_of
from schemas.sps.layout import GENERATIONS, ROOT
from schemas.sps.shapes import namespace_fault, places

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.sps.elements import Node, Root

_SENTENCES = {
    "unqualified": "an element has no namespace, as the IPPC hub describes some",
    "foreign": "an element is in a namespace that is not of the certificate; it is not read",
    "spelling": "a namespace is spelt with other capital letters than its standard",
    "generation": "an element is of another generation than the certificate",
    "unknown": "an element is not known in this place; it is kept and not read",
    "order": "elements do not stand in the order of the standard",
}


def deviations(root: Root) -> Iterator[Finding]:
    """PHY-002 when this is no certificate of a known generation, then PHY-003 once per kind."""
    if root.generation not in GENERATIONS or root.name != ROOT:
        message = "the root element is not a certificate of UN/CEFACT generation 17 or 8"
        yield Finding("PHY-002", Severity.ERROR, path_of(root), message)
    if root.name != ROOT:
        return
    found: dict[str, list[Node]] = {}
    for kind, element in _all(root):
        found.setdefault(kind, []).append(element)
    for kind, elements in found.items():
        values = {"kind": kind, "count": len(elements)}
        place = path_of(elements[0])
        yield Finding("PHY-003", Severity.WARNING, place, _SENTENCES[kind], values)


def _all(root: Root) -> Iterator[tuple[str, Node]]:
    if root.plain:
        return
    for node in root.walk():
        kind = namespace_fault(node.namespace, root.generation)
        if kind:
            yield kind, node
        if kind == "foreign" or not node.children:
            continue
        standing = places(node.name, [child.name for child in node.children])
        placed = zip(node.children, standing, strict=True)
        yield from (("unknown", child) for child, place in placed if place < 0)
        known = [place for place in standing if place >= 0]
        if known != sorted(known):
            yield "order", node
