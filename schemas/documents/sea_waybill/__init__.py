"""Sea waybill (UNTDID 710): a DCSA Transport Document 3.0.4 of type SWB, kept as it is.

Evidence of the contract and receipt for the goods, never a document of title: the carrier delivers
to the named consignee without surrender (CMI Uniform Rules for Sea Waybills, rule 7). The rules
BOL-… of the Transport Document hold here as well.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from schemas.definitions import JsonDocument
from schemas.documents import bill_of_lading
from schemas.documents.bill_of_lading.conditions import RULES as BILL_RULES
from schemas.fields import integer, member, text
from schemas.rules import Complaint, RuleBook
from schemas.view import DocumentType, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document

TYPE = DocumentType(
    key="sea-waybill",
    code="710",
    name_en="Sea waybill",
    name_zh="海运单",
    media_type="application/json",
    issuer_roles=("carrier",),
    credential_type="SeaWaybillCredential",
)
RULES = RuleBook(BILL_RULES)


@RULES.error("SWB-001")
def names_its_consignee(document: Document) -> Iterator[Complaint]:
    """The goods go to a named consignee, for nobody can present a waybill."""
    if not text(document, "documentParties", "consignee", "partyName"):
        yield Complaint("/documentParties/consignee", "a sea waybill names its consignee")


@RULES.error("SWB-002")
def nobody_endorses_it(document: Document) -> Iterator[Complaint]:
    """No endorsee: a waybill is not transferred."""
    if member(document, "documentParties", "endorsee") is not None:
        yield Complaint("/documentParties/endorsee", "a sea waybill cannot be endorsed")


@RULES.error("SWB-003")
def has_no_originals(document: Document) -> Iterator[Complaint]:
    """Originals are for documents that are presented (EBL 3.0.4: not applicable to SWB)."""
    for name in ("numberOfOriginalsWithCharges", "numberOfOriginalsWithoutCharges"):
        if integer(document, name):
            yield Complaint(f"/{name}", "a sea waybill has no originals")


def recognises(document: Document) -> bool:
    """A Transport Document that says it is a waybill."""
    return text(document, "transportDocumentTypeCode") == "SWB" and (
        "transportDocumentReference" in document
    )


def view(document: Document) -> View:
    """The view of the Transport Document, under this type's name."""
    return replace(bill_of_lading.view(document), type=TYPE.key)


DOCUMENT = JsonDocument(TYPE, RULES, view, recognises)
