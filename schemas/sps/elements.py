"""Lenient access to the elements of a certificate: by local name, in any order, never raising."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from schemas.sps.layout import NAMESPACE
from schemas.strict_xml import local_name, namespace

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


def is_ours(element: etree._Element) -> bool:
    """True when the element is in a UN/CEFACT namespace, or in none, as the hub writes some."""
    name = namespace(element)
    return not name or NAMESPACE.fullmatch(name) is not None


def children(element: etree._Element | None, *names: str) -> list[etree._Element]:
    """All elements at the end of a path of local names; foreign namespaces are not seen."""
    found = [] if element is None else [element]
    for name in names:
        found = [
            child
            for node in found
            for child in node
            if local_name(child) == name and is_ours(child)
        ]
    return found


def child(element: etree._Element | None, *names: str) -> etree._Element | None:
    """The first element at the end of a path, or None."""
    found = children(element, *names)
    return found[0] if found else None


def text(element: etree._Element | None, *names: str) -> str:
    """The text at the end of a path with single spaces; "" when absent or empty."""
    found = child(element, *names)
    return "" if found is None else " ".join((found.text or "").split())


def texts(element: etree._Element, name: str) -> list[str]:
    """The non-empty texts of all children of that name."""
    return [said for node in children(element, name) if (said := text(node))]


def lines(root: etree._Element) -> list[etree._Element]:
    """All goods lines of all consignment items."""
    path = ("SPSConsignment", "IncludedSPSConsignmentItem", "IncludedSPSTradeLineItem")
    return children(root, *path)


def notes(element: etree._Element) -> Iterator[tuple[str, str, etree._Element]]:
    """(subject, content, element) of every note of the document or of a line."""
    for name in ("IncludedSPSNote", "AdditionalInformationSPSNote"):
        for note in children(element, name):
            yield text(note, "Subject"), " ".join(texts(note, "Content")), note


def all_notes(root: etree._Element) -> Iterator[tuple[str, str, etree._Element]]:
    """The notes of the document and of all its lines."""
    for document in children(root, "SPSExchangedDocument"):
        yield from notes(document)
    for line in lines(root):
        yield from notes(line)


def noted(element: etree._Element, *subjects: str) -> list[str]:
    """The non-empty contents of the notes with one of these subjects."""
    return [content for subject, content, _ in notes(element) if subject in subjects and content]


def equipment_number(element: etree._Element) -> str:
    """A container number without the spaces and hyphens people put in; any other as it is."""
    value = text(element)
    bare = value.replace(" ", "").replace("-", "")
    return bare if CONTAINER.fullmatch(bare) else value


def number(element: etree._Element | None) -> Decimal | None:
    """The element's text as an exact decimal, or None."""
    value = text(element)
    return Decimal(value) if DECIMAL.fullmatch(value) else None


def moment_text(element: etree._Element | None) -> str:
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
