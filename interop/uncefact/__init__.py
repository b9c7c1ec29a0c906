"""Our documents in UN/CEFACT's words and back: JSON after the D23B Buy-Ship-Pay schemas.

D23B checks names, not completeness, and has no place for some of what a document must say. A
mapping therefore always tells what it left behind, and may take it along as an extension, which
D23B allows; the signed payload stays the truth. Source: UN/CEFACT spec-JSONschema, D23B.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from interop.uncefact import (
    bill_of_lading,
    certificate_of_origin,
    multimodal_document,
    quality_certificate,
    rail_consignment_note,
    sps_certificate,
)
from interop.uncefact.mapping import EXTENSION, MAPPING_VERSION, Mapped, Table
from interop.uncefact.reading import read
from interop.uncefact.writing import write
from schemas import sps, strict_json
from schemas.errors import RefusedError
from schemas.fields import text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.strict_json import JsonValue

__all__ = [
    "EXTENSION",
    "MAPPING_VERSION",
    "TABLES",
    "Document",
    "Mapped",
    "from_d23b",
    "guess",
    "read",
    "to_d23b",
    "write",
]

TABLES: Mapping[str, Table] = MappingProxyType(
    {
        table.key: table
        for table in (
            *bill_of_lading.TABLES,
            certificate_of_origin.TABLE,
            *multimodal_document.TABLES,
            quality_certificate.TABLE,
            rail_consignment_note.TABLE,
            *sps_certificate.TABLES,
        )
    }
)
_TYPES = {  # UNTDID 1001 as D23B's documents say it → our type
    "3": "quality-certificate",
    "636": "health-certificate",
    "657": "phytosanitary-re-export-certificate",
    "706": "bill-of-lading",
    "720": "rail-consignment-note",
    "851": "phytosanitary-certificate",
    "852": "sanitary-certificate",
    "853": "veterinary-certificate",
    "864": "preferential-certificate-of-origin",
}


@dataclass(frozen=True, slots=True)
class Document:
    """A payload in our profile, and what of the D23B document it does not hold."""

    key: str
    payload: bytes
    left_behind: tuple[str, ...]


def to_d23b(key: str, payload: bytes, *, extended: bool = False) -> Mapped:
    """One payload of type `key` as D23B; extended: with what D23B has no member for.

    Raises MalformedError or TooLargeError when the bytes cannot be read, RefusedError
    no_d23b_mapping for a type without a D23B document.
    """
    table = _table(key)
    if table in sps_certificate.TABLES:
        return write(table, sps.examine(payload)[0]["facts"], extended=extended)
    return write(table, strict_json.loads_object(payload), extended=extended)


def from_d23b(key: str, document: JsonValue) -> Document:
    """A D23B document as a payload of type `key`: indented JSON, or SPS XML in canonical order.

    Raises MalformedError d23b_unreadable or sps_not_writable, RefusedError no_d23b_mapping.
    """
    table = _table(key)
    mapped = read(table, document)
    if table in sps_certificate.TABLES:
        payload = sps.write(mapped.document)
    else:
        payload = strict_json.canonical(mapped.document)
    return Document(key, payload, mapped.left_behind)


def guess(document: JsonValue) -> str | None:
    """Our type of a D23B document: by our extension, else by its type code; None if neither."""
    said = text(document, EXTENSION, "profile")
    if said in TABLES:
        return said
    return _TYPES.get(text(document, "exchangedDocument", "typeCode", "content") or "")


def _table(key: str) -> Table:
    if key not in TABLES:
        raise RefusedError("no_d23b_mapping", "D23B has no document for this type")
    return TABLES[key]
