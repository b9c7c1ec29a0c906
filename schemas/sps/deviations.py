"""Where a certificate differs from the canonical form: PHY-002 (error) and PHY-003 (warning).

Each kind of deviation is reported at its first place with a count, so that a certificate of a
thousand lines does not give a thousand warnings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.findings import Finding, Severity
from schemas.sps.layout import GENERATIONS, LAYOUT, NAMESPACE, ROOT
from schemas.strict_xml import local_name, namespace, path_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml import etree

_SENTENCES = {
    "unqualified": "an element has no namespace, as the IPPC hub describes some",
    "foreign": "an element is in a namespace that is not of the certificate; it is not read",
    "spelling": "a namespace is spelt with other capital letters than its standard",
    "generation": "an element is of another generation than the certificate",
    "unknown": "an element is not known in this place; it is kept and not read",
    "order": "elements do not stand in the order of the standard",
}


def deviations(root: etree._Element) -> Iterator[Finding]:
    """PHY-002 when this is no certificate of a known generation, then PHY-003 once per kind."""
    generation = generation_of(root)
    if generation not in GENERATIONS or local_name(root) != ROOT:
        message = "the root element is not a certificate of UN/CEFACT generation 17 or 8"
        yield Finding("PHY-002", Severity.ERROR, path_of(root), message)
    if local_name(root) != ROOT:
        return
    places: dict[str, list[etree._Element]] = {}
    for kind, element in _all(root, generation):
        places.setdefault(kind, []).append(element)
    for kind, elements in places.items():
        values = {"kind": kind, "count": len(elements)}
        place = path_of(elements[0])
        yield Finding("PHY-003", Severity.WARNING, place, _SENTENCES[kind], values)


def generation_of(root: etree._Element) -> str:
    """The generation of the certificate's namespace, "" when it is of another kind."""
    match = NAMESPACE.fullmatch(namespace(root))
    return match.group(2) if match and match.group(1).lower() == ROOT.lower() else ""


def _all(root: etree._Element, generation: str) -> Iterator[tuple[str, etree._Element]]:
    for element in root.iter():
        kind = _namespace_fault(element, generation)
        if kind:
            yield kind, element
        if kind == "foreign":
            continue
        known = LAYOUT.get(local_name(element), ())
        places = [known.index(name) for name in map(local_name, element) if name in known]
        if places != sorted(places):
            yield "order", element
        for child in element:
            if local_name(child) not in known:
                yield "unknown", child


def _namespace_fault(element: etree._Element, generation: str) -> str:
    name = namespace(element)
    if not name:
        return "unqualified"
    match = NAMESPACE.fullmatch(name)
    if match is None:
        return "foreign"
    if ":Standard:" in name and match.group(1) != "QualifiedDataType":
        return "spelling"
    expected = {generation, GENERATIONS.get(generation, "")}
    return "" if match.group(2) in expected else "generation"
