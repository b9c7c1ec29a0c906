"""Negotiable multimodal transport document (UNTDID 766): title over all legs in one document.

The United Nations Convention on Negotiable Cargo Documents (2025) is the model: the operator who
takes charge of the goods issues one original in electronic form; documents of the single legs are
not negotiable beside it. The rules MTD-… on legs hold as in the non-negotiable document (765).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from schemas import titled
from schemas.definitions import JsonDocument
from schemas.documents import master_transport_document
from schemas.fields import objects, text
from schemas.rules import Complaint, RuleBook
from schemas.view import DocumentType, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document

TYPE = DocumentType(
    key=titled.NEGOTIABLE_MULTIMODAL,
    code="766",
    name_en="Negotiable multimodal transport document",
    name_zh="可转让多式联运单证",
    media_type="application/json",
    issuer_roles=("carrier",),
    credential_type="NegotiableMultimodalDocumentCredential",
)
RULES = RuleBook(master_transport_document.RULES)


@RULES.error("NMD-001")
def no_leg_carries_title(document: Document) -> Iterator[Complaint]:
    """No leg is under a document of title of its own: two could be transferred apart."""
    for place, leg in objects(document, "legs"):
        kind = text(leg, "document", "type")
        if kind in titled.TYPES:
            yield Complaint(
                f"{place}/document/type", "a leg's document must not be negotiable", {"type": kind}
            )


@RULES.error("NMD-002")
def straight_names_its_consignee(document: Document) -> Iterator[Complaint]:
    """To order or in blank, the goods go to the holder; else the consignee has an identity."""
    if text(document, "toOrder") == "STRAIGHT" and not text(
        document, "parties", "consignee", "did"
    ):
        yield Complaint("/parties/consignee/did", "a straight document identifies its consignee")


@RULES.warning("NMD-003")
def issued_by_the_operator(document: Document) -> Iterator[Complaint]:
    """The multimodal operator issues it, who answers for all legs."""
    if text(document, "issuer", "name") != text(document, "parties", "carrier", "name"):
        yield Complaint("/issuer/name", "the issuer is not the carrier of the whole transport")


@RULES.warning("NMD-004")
def names_a_legal_basis_by_kind(document: Document) -> Iterator[Complaint]:
    """legalBasis is ``Contract: …``, ``Law: …`` or the Convention; else no title is issued."""
    said = text(document, "legalBasis")
    if said is not None and titled.legal_basis(document) is None:
        yield Complaint("/legalBasis", "no title is issued on this basis", {"legalBasis": said})


def view(document: Document) -> View:
    """The view of a multimodal document, with what makes it negotiable."""
    base = master_transport_document.view(document)
    facts = {**base.facts, "toOrder": text(document, "toOrder"), "title": text(document, "title")}
    known = {name: value for name, value in facts.items() if value is not None}
    return replace(base, type=TYPE.key, facts=known)


DOCUMENT = JsonDocument(TYPE, RULES, view)
