"""Lenient access to the elements of a certificate: by local name, in any order, never raising.

The tree is walked once into `Node`s that know their children by name; rules and view then ask for
hundreds of paths at the price of a look-up each.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

from schemas import strict_xml
from schemas.sps.layout import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml import etree

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


_NO_CHILDREN: dict[str, list[Node]] = {}


class Node:
    """One element: its local name and namespace, its children in order and by name.

    `named` holds only children in a namespace of the certificate, or in none, as the hub writes
    some; `children` holds all.
    """

    __slots__ = ("children", "element", "name", "named", "namespace")

    def __init__(self, element: etree._Element) -> None:
        tag = str(element.tag)
        self.element = element
        self.namespace, _, self.name = tag[1:].rpartition("}") if tag[0] == "{" else ("", "", tag)
        self.children = [Node(child) for child in element]
        self.named = _by_name(self.children) if self.children else _NO_CHILDREN

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


def _by_name(nodes: list[Node]) -> dict[str, list[Node]]:
    named: dict[str, list[Node]] = {}
    for node in nodes:
        if is_ours(node.namespace):
            named.setdefault(node.name, []).append(node)
    return named


@lru_cache(maxsize=32)
def is_ours(namespace: str) -> bool:
    """True for the namespaces of UN/CEFACT certificates, and for none."""
    return not namespace or NAMESPACE.fullmatch(namespace) is not None


def path_of(node: Node) -> str:
    """Where the element stands (see `schemas.strict_xml.path_of`)."""
    return strict_xml.path_of(node.element)


def children(element: Node | None, *names: str) -> list[Node]:
    """All elements at the end of a path of local names; foreign namespaces are not seen."""
    found = [] if element is None else [element]
    for name in names:
        found = [child for node in found for child in node.named.get(name, ())]
    return found


def child(element: Node | None, *names: str) -> Node | None:
    """The first element at the end of a path, or None."""
    found = children(element, *names)
    return found[0] if found else None


def text(element: Node | None, *names: str) -> str:
    """The text at the end of a path with single spaces; "" when absent or empty."""
    found = child(element, *names)
    return "" if found is None else " ".join((found.element.text or "").split())


def texts(element: Node, name: str) -> list[str]:
    """The non-empty texts of all children of that name."""
    return [said for node in children(element, name) if (said := text(node))]


def lines(root: Node) -> list[Node]:
    """All goods lines of all consignment items."""
    path = ("SPSConsignment", "IncludedSPSConsignmentItem", "IncludedSPSTradeLineItem")
    return children(root, *path)


def notes(element: Node) -> Iterator[tuple[str, str, Node]]:
    """(subject, content, element) of every note of the document or of a line."""
    for name in ("IncludedSPSNote", "AdditionalInformationSPSNote"):
        for note in children(element, name):
            yield text(note, "Subject"), " ".join(texts(note, "Content")), note


def all_notes(root: Node) -> Iterator[tuple[str, str, Node]]:
    """The notes of the document and of all its lines."""
    for document in children(root, "SPSExchangedDocument"):
        yield from notes(document)
    for line in lines(root):
        yield from notes(line)


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
