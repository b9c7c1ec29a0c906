"""The definition that every SPS certificate type shares, and the rules of official certificates.

Phytosanitary (851), its re-export (657), sanitary (852), veterinary (853) and health (636)
certificates are one XML format; they differ in the type code and in what else they must say. The
rules PHY-… of `schemas.sps` look at the XML; the rules here look at the facts read from it.
Sources: ISPM 12; Codex CXG 38-2001, generic model official certificate; WOAH Terrestrial Animal
Health Code, chapters 5.2 and 5.10.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from schemas import sps
from schemas.fields import beginning, member, objects, text, texts
from schemas.rules import Complaint, RuleBook
from schemas.view import DocumentType, Examination, Reference, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document

POINTERS = {
    "grossKg": "gross_kg",
    "netKg": "net_kg",
    "exportCountry": "export_country",
    "importCountry": "import_country",
    "portOfDischarge": "port_of_discharge",
}
OFFICIAL = RuleBook()


@OFFICIAL.error("SPS-001")
def officer_is_named(document: Document) -> Iterator[Complaint]:
    """The certifying officer is named (CXG 38-2001, model certificate; WOAH 5.2.2)."""
    if not text(document, "officer"):
        yield Complaint("/officer", "the certifying officer is not named")


@OFFICIAL.error("SPS-002")
def both_sides_are_named(document: Document) -> Iterator[Complaint]:
    """Consignor and consignee are named (CXG 38-2001, model certificate; WOAH 5.10.1)."""
    for role in ("consignor", "consignee"):
        if not text(document, role, "name"):
            yield Complaint(f"/{role}/name", f"the {role} is not named")


@OFFICIAL.warning("SPS-003")
def signed_not_after_issue(document: Document) -> Iterator[Complaint]:
    """The certificate is signed no later than it is issued."""
    signed = beginning(text(document, "signedAt"))
    issued = beginning(text(document, "issuedAt"))
    if signed and issued and signed.date() > issued.date():
        yield Complaint("/signedAt", "the certificate is signed after its date of issue")


def species_rule(rule_id: str, book: RuleBook) -> None:
    """Adds to `book`: every line says from which species it is (WOAH 5.10; CXG 38-2001)."""

    @book.error(rule_id)
    def species(document: Document) -> Iterator[Complaint]:
        for place, line in objects(document, "lines"):
            if not (texts(line, "scientificName") or texts(line, "commonName")):
                yield Complaint(f"{place}/scientificName", "no species is named for this line")


def view_of(fields: dict[str, Any], key: str) -> View:
    """The normalised view of what `schemas.sps.examine` read."""
    pointers = {POINTERS.get(name, name): path for name, path in fields["pointers"].items()}
    return View(
        type=key,
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

    __slots__ = ("_codes", "rules", "type")

    def __init__(
        self, document_type: DocumentType, rules: RuleBook, codes: frozenset[str] = frozenset()
    ) -> None:
        """codes: the type codes the certificate may have, where it is not only the type's own."""
        self.type = document_type
        self.rules = rules
        self._codes = codes or frozenset({document_type.code})

    def examine(self, payload: bytes) -> Examination:
        """Reads one certificate; see `schemas.sps.examine`."""
        fields, findings = sps.examine(payload, type_codes=self._codes)
        if fields["facts"]:
            findings = (*findings, *self.rules.examine(fields["facts"]))
        return Examination(view_of(fields, self.type.key), findings)

    def recognises(self, document: Document) -> bool:
        """Whether these facts of a certificate have this type's own code."""
        return member(document, "typeCode") == self.type.code
