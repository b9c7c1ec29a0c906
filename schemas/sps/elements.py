"""Lenient access to the elements of a certificate: by local name, in any order, never raising.

The tree is walked once into `Node`s that know their children by name; rules and view then ask for
hundreds of paths at the price of a look-up each. What many rules ask for, the `Root` holds.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lxml import etree

from schemas import strict_xml
from schemas.sps.shapes import generation_of, namespace_fault, shape_of, split

if TYPE_CHECKING:
    from collections.abc import Iterator

DECIMAL = re.compile(r"[+-]?[0-9]{1,24}(\.[0-9]{1,12})?", re.ASCII)
CONTAINER = re.compile(r"[A-Z]{4}[0-9]{7}", re.ASCII)
MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?P<time>T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?)?(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?",
    re.ASCII,
)

# What a note's subject says (IPPC ePhyto mapping); only those that rules or the view ask for.
IMPORT_PERMIT = ("ADIPEDL", "ADIPTLIL")
INSPECTION_DATE = ("ADDIEDL", "ADDITLIL")
DECLARATION = ("ADEDL", "ADTLIL", "ADAOEDL", "ADAOTLIL")
MARKS = ("DMCL", "DMTLIL")


_NO_CHILDREN: list[Node] = []
_NO_NAMES: dict[str, list[Node]] = {}
_LINES = ("SPSConsignment", "IncludedSPSConsignmentItem", "IncludedSPSTradeLineItem")
_MEASURES = ("NetWeightMeasure", "GrossWeightMeasure", "NetVolumeMeasure", "GrossVolumeMeasure")
_HAS_MIXED_TEXT = etree.XPath("boolean(/descendant::*[*]/text()[normalize-space()])")


class Node:
    """One element: its local name and namespace, its children in order and by name.

    `named` holds only children in a namespace of the certificate, or in none, as the hub writes
    some; `children` holds all.
    """

    __slots__ = ("children", "element", "name", "named", "namespace")

    def __init__(
        self,
        element: etree._Element,
        parts: tuple[str, str],
        generation: str,
        odd: list[Node],
    ) -> None:
        """parts: namespace and local name; odd: gets the elements that are not canonical."""
        self.element = element
        self.namespace, self.name = parts
        below: Any = element[:]  # type: ignore[index]  # quicker than list()
        if not below:
            self.children, self.named = _NO_CHILDREN, _NO_NAMES
            return
        shape = shape_of(parts[1], tuple([each.tag for each in below]), generation)
        if not shape.plain:
            odd.append(self)
        self.children = made = [
            Node(each, parted, generation, odd)
            for each, parted in zip(below, shape.parts)  # noqa: B905 - as many by construction
        ]
        self.named = named = {}
        for name, first, further in shape.named:
            named[name] = [made[first], *[made[at] for at in further]] if further else [made[first]]

    def get(self, attribute: str) -> str:
        """The value of an attribute, "" when absent."""
        return str(self.element.get(attribute, ""))

    def walk(self) -> Iterator[Node]:
        """This element and all below it, in document order."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack += node.children[::-1]


class Root(Node):
    """The whole certificate, with what many rules ask for.

    generation: of its namespace, "" when that is of no certificate
    lines:      all goods lines of all consignment items
    measures:   of each line, the measures of its weights, volumes and treatments
    notes:      (subject, content, element) of the document and of all its lines
    plain:      all elements below are qualified, known, in order, and alone where they must be
    """

    __slots__ = ("_mixed", "generation", "lines", "measures", "notes", "plain")

    def __init__(self, element: etree._Element) -> None:
        odd: list[Node] = []
        self.generation = generation_of(strict_xml.namespace(element))
        super().__init__(element, split(str(element.tag)), self.generation, odd)
        self.plain = not (odd or namespace_fault(self.namespace, self.generation))
        self.lines = children(self, *_LINES)
        self.notes = [*_notes_of(self)]
        self.measures = [[*_measures_of(line)] for line in self.lines]
        self._mixed: bool | None = None

    @property
    def mixed(self) -> bool:
        """Whether words stand beside elements anywhere."""
        if self._mixed is None:
            self._mixed = bool(_HAS_MIXED_TEXT(self.element))
        return self._mixed


def path_of(node: Node) -> str:
    """Where the element stands (see `schemas.strict_xml.path_of`)."""
    return strict_xml.path_of(node.element)


def children(element: Node | None, *names: str) -> list[Node]:
    """All elements at the end of a path of local names; foreign namespaces are not seen."""
    found = [] if element is None else [element]
    for name in names:
        if len(found) == 1:
            found = found[0].named.get(name, _NO_CHILDREN)
        else:
            found = [child for node in found for child in node.named.get(name, ())]
    return found


def child(element: Node | None, *names: str) -> Node | None:
    """The first element at the end of a path, or None."""
    for at, name in enumerate(names):
        found = _NO_CHILDREN if element is None else element.named.get(name, _NO_CHILDREN)
        if len(found) > 1 and at + 1 < len(names):
            return next(iter(children(element, *names[at:])), None)
        element = found[0] if found else None
    return element


def text(element: Node | None, *names: str) -> str:
    """The text at the end of a path with single spaces; "" when absent or empty."""
    for at, name in enumerate(names):
        found = _NO_CHILDREN if element is None else element.named.get(name, _NO_CHILDREN)
        if len(found) > 1 and at + 1 < len(names):
            return text(child(element, *names[at:]))
        element = found[0] if found else None
    said = element.element.text if element is not None else None
    return " ".join(said.split()) if said else ""


def texts(element: Node, name: str) -> list[str]:
    """The non-empty texts of all children of that name."""
    return [said for node in element.named.get(name, ()) if (said := text(node))]


def notes(element: Node) -> Iterator[tuple[str, str, Node]]:
    """(subject, content, element) of every note of the document or of a line."""
    for name in ("IncludedSPSNote", "AdditionalInformationSPSNote"):
        for note in element.named.get(name, ()):
            yield text(note, "Subject"), " ".join(texts(note, "Content")), note


def _notes_of(root: Root) -> Iterator[tuple[str, str, Node]]:
    """The notes of the document and of all its lines."""
    for document in children(root, "SPSExchangedDocument"):
        yield from notes(document)
    for line in root.lines:
        yield from notes(line)


def _measures_of(line: Node) -> Iterator[Node]:
    for name in _MEASURES:
        yield from line.named.get(name, ())
    for process in line.named.get("AppliedSPSProcess", ()):
        yield from children(process, "CompletionSPSPeriod", "DurationMeasure")
        yield from children(process, "ApplicableSPSProcessCharacteristic", "ValueMeasure")


def noted(element: Node, *subjects: str) -> list[str]:
    """The non-empty contents of the notes with one of these subjects."""
    return [content for subject, content, _ in notes(element) if subject in subjects and content]


def equipment_number(element: Node) -> str:
    """A container number without the spaces and hyphens people put in; any other as it is."""
    value = text(element)
    bare = value.replace(" ", "").replace("-", "")
    return bare if CONTAINER.fullmatch(bare) else value


def number(element: Node | None) -> Decimal | None:
    """The element's text as an exact decimal, or None."""
    value = text(element)
    return Decimal(value) if DECIMAL.fullmatch(value) else None


def moment_text(element: Node | None) -> str:
    """The date or time in the element itself or in its DateTimeString or DateTime."""
    inner = child(element, "DateTimeString")
    return text(inner if inner is not None else child(element, "DateTime")) or text(element)


def moment(value: str) -> datetime | None:
    """An ISO 8601 date or time in its own zone; UTC where it names none; None otherwise."""
    match = MOMENT.fullmatch(value)
    if match is None:
        return None
    try:
        read = datetime.fromisoformat(value if match["time"] else value[:10])
    except ValueError:
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def has_zone(value: str) -> bool:
    """True when the date or time names its zone."""
    match = MOMENT.fullmatch(value)
    return match is not None and match["time"] is not None and match["zone"] is not None


def has_text(node: Node) -> bool:
    """True when words stand beside the element's children."""
    said = [node.element.text, *(child.element.tail for child in node.children)]
    return any(part and not part.isspace() for part in said)
