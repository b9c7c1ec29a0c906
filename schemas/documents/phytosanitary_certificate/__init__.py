"""Phytosanitary certificate (UNTDID 851): UN/CEFACT SPS XML, read and judged by `schemas.sps`.

The consignment's UCR travels in the credential, not in the payload. The rules PHY-… belong to
`schemas.sps`, which works on the XML tree; this folder only gives the certificate its view.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from schemas import sps
from schemas.fields import beginning
from schemas.rules import RuleBook
from schemas.view import DocumentType, Examination, Reference, View

if TYPE_CHECKING:
    from schemas.rules import Document

TYPE = DocumentType(
    key="phytosanitary-certificate",
    code="851",
    name_en="Phytosanitary certificate",
    name_zh="植物检疫证书",
    media_type="application/xml",
    issuer_roles=("issuer", "plant-health"),
    credential_type="PhytosanitaryCertificateCredential",
)
POINTERS = {
    "grossKg": "gross_kg",
    "netKg": "net_kg",
    "exportCountry": "export_country",
    "importCountry": "import_country",
    "portOfDischarge": "port_of_discharge",
}


def view(fields: dict[str, Any]) -> View:
    """The normalised view of what `schemas.sps.examine` read."""
    pointers = {POINTERS.get(name, name): path for name, path in fields["pointers"].items()}
    return View(
        type=TYPE.key,
        number=fields.get("number") or "",
        issued_at=beginning(fields.get("issuedAt") or None),
        export_country=fields.get("exportCountry"),
        import_country=fields.get("importCountry"),
        containers=tuple(fields.get("containers", ())),
        packages=fields.get("packages"),
        gross_kg=_decimal(fields.get("grossKg")),
        net_kg=_decimal(fields.get("netKg")),
        hs=tuple(fields.get("hs", ())),
        parties=fields.get("parties", {}),
        references=tuple(
            Reference(item["type"], item["number"]) for item in fields.get("references", ())
        ),
        port_of_discharge=fields.get("portOfDischarge"),
        facts=fields["facts"],
        pointers=pointers,
    )


def _decimal(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)


class SpsDocument:
    """The definition of a type whose payload is SPS XML (see `schemas.definitions.Definition`)."""

    __slots__ = ("rules", "type")

    def __init__(self, document_type: DocumentType) -> None:
        self.type = document_type
        self.rules = RuleBook()

    def examine(self, payload: bytes) -> Examination:
        """Reads one certificate; see `schemas.sps.examine`."""
        fields, findings = sps.examine(payload)
        return Examination(view(fields), findings)

    def recognises(self, document: Document) -> bool:  # noqa: ARG002
        """Never: this type is XML, and `document` is a JSON object."""
        return False


DOCUMENT = SpsDocument(TYPE)
