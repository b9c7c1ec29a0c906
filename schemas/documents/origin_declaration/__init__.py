"""Origin declaration (UNTDID 862): the exporter's or producer's own proof of origin.

RCEP 3.16(1)(b): by an approved exporter, who names the code of the approval; (c): by any exporter
or producer, where the Parties have put that into force. The rules COO-… on proofs hold here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from schemas.definitions import JsonDocument
from schemas.documents import preferential_certificate_of_origin
from schemas.fields import text
from schemas.rules import Complaint, RuleBook
from schemas.view import DocumentType, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document

TYPE = DocumentType(
    key="origin-declaration",
    code="862",
    name_en="Origin declaration",
    name_zh="原产地声明",
    media_type="application/json",
    issuer_roles=(
        "issuer",
        "customs",
        "carrier",
        "port",
        "terminal",
        "dry-port",
        "bank",
    ),
    credential_type="OriginDeclarationCredential",
)
RULES = RuleBook(preferential_certificate_of_origin.RULES)


@RULES.error("DOO-001")
def declarant_is_a_party(document: Document) -> Iterator[Complaint]:
    """The document is issued by who declares: the exporter, or the producer as such."""
    role = "producer" if text(document, "capacity") == "PRODUCER" else "exporter"
    if text(document, "issuer", "name") != text(document, "parties", role, "name"):
        yield Complaint("/issuer/name", f"the declaration is not issued by the {role}")


@RULES.error("DOO-002")
def code_only_of_an_approval(document: Document) -> Iterator[Complaint]:
    """Only an approved exporter has the code of an approval (RCEP 3.18(2), 3.21)."""
    approved = text(document, "capacity") == "APPROVED_EXPORTER"
    if not approved and text(document, "approvedExporterCode"):
        yield Complaint("/capacity", "a code of approval is named, but no approved exporter")


@RULES.warning("DOO-003")
def others_must_be_admitted(document: Document) -> Iterator[Complaint]:
    """Declarations of any exporter or producer need the Parties' implementation (3.16(2), (3))."""
    if text(document, "capacity") != "APPROVED_EXPORTER":
        yield Complaint(
            "/capacity", "ask whether both Parties admit declarations of any exporter or producer"
        )


def view(document: Document) -> View:
    """The view of a preferential proof, with the capacity of who declares."""
    base = preferential_certificate_of_origin.view(document)
    facts = {**base.facts, "capacity": text(document, "capacity")}
    return replace(base, type=TYPE.key, facts=facts)


DOCUMENT = JsonDocument(TYPE, RULES, view)
