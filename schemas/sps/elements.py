"""Lenient access to the elements of a certificate: by local name, in any order, never raising.

The tree is walked once: what each element has below it is kept with its `Shape`, and a `Node` is
made of those that somebody asks for. What many rules ask for, the `Root` and its `Line`s hold.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from schemas import strict_xml
from schemas.sps.shapes import SHAPES, generation_of, namespace_fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lxml.etree import _Element

    # An element's children, and where among them each local name stands.
    _Branch: TypeAlias = tuple[Sequence[_Element], Mapping[str, Sequence[int]]]
    _Branches: TypeAlias = dict[_Element, _Branch]
    # What a note is about, what it says, and where it stands.
    Note: TypeAlias = tuple[str, str, "Node"]
    # Where a measure stands, what it says, which is something, and in which unit.
    Measure: TypeAlias = tuple["Node", str, str]

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

_HEAD = "SPSExchangedDocument"
_GOODS = "SPSConsignment"
_LINES = (_GOODS, "IncludedSPSConsignmentItem", "IncludedSPSTradeLineItem")
_MEASURES = ("NetWeightMeasure", "GrossWeightMeasure", "NetVolumeMeasure", "GrossVolumeMeasure")
_NOTHING_BELOW: _Branch = ((), {})


class Node:
    """One element, and those below it by name.

    By name only children in a namespace of the certificate, or in none, as the hub writes some,
    are found; `children` has all.
    """

    __slots__ = ("_at", "_below", "_branches", "element")

    def __init__(self, element: _Element, branches: _Branches) -> None:
        """branches: of the whole tree, see `_walked`."""
        self.element = element
        self._branches = branches
        self._below, self._at = branches.get(element, _NOTHING_BELOW)

    @property
    def name(self) -> str:
        """The local name."""
        return strict_xml.local_name(self.element)

    @property
    def namespace(self) -> str:
        """The namespace name, "" for none."""
        return strict_xml.namespace(self.element)

    @property
    def children(self) -> list[Node]:
        """All elements directly below, in order."""
        return [Node(each, self._branches) for each in self._below]

    def named(self, name: str) -> list[Node]:
        """The children of that local name, in order."""
        return [Node(self._below[at], self._branches) for at in self._at.get(name, ())]

    def first(self, name: str) -> Node | None:
        """The first child of that local name, or None."""
        at = self._at.get(name)
        return Node(self._below[at[0]], self._branches) if at else None

    def said(self, name: str) -> str:
        """The text of the first child of that local name with single spaces, "" without one."""
        at = self._at.get(name)
        return _spaced(self._below[at[0]].text) if at else ""

    def all_said(self, name: str) -> list[str]:
        """The non-empty texts of all children of that local name."""
        said = [_spaced(self._below[at].text) for at in self._at.get(name, ())]
        return [each for each in said if each]

    def end_of(self, names: Sequence[str]) -> list[_Element]:
        """All elements at the end of a path of local names, in order."""
        branches, found = self._branches, [self.element]
        for name in names:
            above, found = found, []
            for element in above:
                below, at = branches.get(element, _NOTHING_BELOW)
                for index in at.get(name, ()):
                    found.append(below[index])
        return found

    def at(self, *names: str) -> list[Node]:
        """The same, as nodes."""
        return [Node(each, self._branches) for each in self.end_of(names)]

    def get(self, attribute: str) -> str:
        """The value of an attribute, "" when absent."""
        return str(self.element.get(attribute, ""))

    def walk(self) -> Iterator[Node]:
        """This element and all below it, in document order."""
        for element in self.element.iter():
            yield Node(element, self._branches)


class Line(Node):
    """A goods line, with what many rules ask for.

    measures: those of its weights, volumes and treatments; counts: how many packages
    """

    __slots__ = ("counts", "measures", "notes", "packages", "processes")

    def __init__(self, element: _Element, branches: _Branches) -> None:
        super().__init__(element, branches)
        self.notes = [*notes(self)]
        self.packages = self.named("PhysicalSPSPackage")
        self.processes = self.named("AppliedSPSProcess")
        measures = [node for name in _MEASURES for node in self.named(name)]
        for process in self.processes:
            measures += process.at("CompletionSPSPeriod", "DurationMeasure")
            measures += process.at("ApplicableSPSProcessCharacteristic", "ValueMeasure")
        self.measures = _saying(measures)
        self.counts = _saying(self.at("PhysicalSPSPackage", "ItemQuantity"))


def _saying(nodes: Iterable[Node]) -> list[Measure]:
    return [(node, said, node.get("unitCode")) for node in nodes if (said := text(node))]


class Root(Node):
    """The whole certificate, with what many rules ask for.

    generation: of its namespace, "" when that is of no certificate
    plain:      all elements below are qualified, known, in order, and alone where they must be
    lines:      all goods lines of all consignment items
    notes:      those of the document and of all its lines
    issued:     the date of issue as it is written; issued_at: as it is read, None when it is none
    """

    __slots__ = (
        "exporting",
        "generation",
        "importing",
        "issued",
        "issued_at",
        "lines",
        "notes",
        "plain",
        "status_code",
        "type_code",
    )

    def __init__(self, element: _Element) -> None:
        self.generation = generation_of(strict_xml.namespace(element))
        branches, plain = _walked(element, self.generation)
        super().__init__(element, branches)
        self.plain = plain and not namespace_fault(self.namespace, self.generation)
        self.lines = [Line(element, branches) for element in self.end_of(_LINES)]
        self.notes = [note for head in self.named(_HEAD) for note in notes(head)]
        self.notes += [note for line in self.lines for note in line.notes]
        self.type_code = text(self, _HEAD, "TypeCode")
        self.status_code = text(self, _HEAD, "StatusCode")
        self.issued = moment_text(child(self, _HEAD, "IssueDateTime"))
        self.issued_at = moment(self.issued)
        self.exporting = text(self, _GOODS, "ExportSPSCountry", "ID")
        self.importing = text(self, _GOODS, "ImportSPSCountry", "ID")

    @property
    def mixed(self) -> bool:
        """Whether words stand beside elements anywhere."""
        before = [element.text for element in self._branches]
        behind = [each.tail for below, _ in self._branches.values() for each in below]
        return any("".join(filter(None, [*before, *behind])).split(maxsplit=1))


def _walked(root: _Element, generation: str) -> tuple[_Branches, bool]:
    """What each element with elements below it has there, and whether all their shapes are plain.

    Elements without any, most of a certificate, have no entry.
    """
    branches: _Branches = {}
    plain = True
    for element in root.iter():
        if len(element):
            below: Any = element[:]  # type: ignore[index]  # quicker than list()
            shape = SHAPES[generation, element.tag, *[each.tag for each in below]]
            branches[element] = (below, shape.at)
            plain = plain and shape.plain
    return branches, plain


def path_of(node: Node) -> str:
    """Where the element stands (see `schemas.strict_xml.path_of`)."""
    return strict_xml.path_of(node.element)


def children(element: Node | None, *names: str) -> list[Node]:
    """All elements at the end of a path of local names; foreign namespaces are not seen."""
    return [] if element is None else element.at(*names)


def child(element: Node | None, *names: str) -> Node | None:
    """The first element at the end of a path, or None."""
    if element is None or not names:
        return element
    if len(names) == 1:
        return element.first(names[0])
    return next(iter(element.at(*names)), None)


def text(element: Node | None, *names: str) -> str:
    """The text at the end of a path with single spaces; "" when absent or empty."""
    if element is None:
        return ""
    if not names:
        return _spaced(element.element.text)
    if len(names) == 1:
        return element.said(names[0])
    found = element.end_of(names)
    return _spaced(found[0].text) if found else ""


def _spaced(said: str | None) -> str:
    """The text with single spaces; most is a code, of letters and digits alone."""
    if not said or said.isalnum():
        return said or ""
    return " ".join(said.split())


def notes(element: Node) -> Iterator[Note]:
    """Every note of the document or of a line."""
    for name in ("IncludedSPSNote", "AdditionalInformationSPSNote"):
        for note in element.named(name):
            yield note.said("Subject"), " ".join(note.all_said("Content")), note


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
