"""Master transport document (UNTDID 765): one document over many legs.

Negotiable only where a legal basis is named; leg documents are non-negotiable and refer to it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from schemas.definitions import JsonDocument
from schemas.fields import beginning, flag, integer, member, objects, text
from schemas.own_rules import COMMON_RULES
from schemas.own_view import own_view
from schemas.rules import Complaint, RuleBook
from schemas.view import DocumentType, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document
    from schemas.strict_json import JsonValue

TYPE = DocumentType(
    key="master-transport-document",
    code="765",
    name_en="Master transport document",
    name_zh="多式联运主单证",
    media_type="application/json",
    issuer_roles=("carrier",),
    credential_type="MasterTransportDocumentCredential",
)
RULES = RuleBook(COMMON_RULES)
MULTIMODAL = "multimodal"


def place_id(node: JsonValue) -> str:
    """A place by its UN/LOCODE, else by its name."""
    return text(node, "locode") or text(node, "name") or ""


@RULES.error("MTD-001")
def negotiable_needs_a_legal_basis(document: Document) -> Iterator[Complaint]:
    """Title passes with it only where a law says so, and the document names that law."""
    if flag(document, "negotiable") and not text(document, "legalBasis"):
        yield Complaint("/legalBasis", "the document is negotiable, but names no legal basis")


@RULES.error("MTD-002")
def legs_in_order(document: Document) -> Iterator[Complaint]:
    """Legs are numbered 1, 2, 3 …"""
    for index, (place, leg) in enumerate(objects(document, "legs"), start=1):
        if integer(leg, "sequence") != index:
            yield Complaint(f"{place}/sequence", "the legs are not numbered 1, 2, 3 …")


@RULES.error("MTD-003")
def legs_join(document: Document) -> Iterator[Complaint]:
    """Each leg begins where the one before ends, the first and last at receipt and delivery."""
    legs = [*objects(document, "legs")]
    for (_, before), (place, after) in pairwise(legs):
        if place_id(member(before, "to")) != place_id(member(after, "from")):
            yield Complaint(f"{place}/from", "the leg does not begin where the one before ends")
    ends = (
        (legs[0], "from", "placeOfReceipt", "the first leg does not begin at the place of receipt"),
        (legs[-1], "to", "placeOfDelivery", "the last leg does not end at the place of delivery"),
    )
    for (place, leg), name, other, sentence in ends:
        if place_id(member(leg, name)) != place_id(document.get(other)):
            yield Complaint(f"{place}/{name}", sentence)


@RULES.warning("MTD-004")
def legs_follow_in_time(document: Document) -> Iterator[Complaint]:
    """No leg departs before the one before has arrived."""
    for (_, before), (place, after) in pairwise(objects(document, "legs")):
        arrival = beginning(text(before, "arrivalDate"))
        departure = beginning(text(after, "departureDate"))
        if arrival and departure and departure < arrival:
            yield Complaint(
                f"{place}/departureDate", "the leg departs before the one before arrives"
            )


def view(document: Document) -> View:
    """The normalised view; ``kind`` is multimodal."""
    legs: list[JsonValue] = [
        {
            "sequence": integer(leg, "sequence"),
            "mode": text(leg, "mode"),
            "carrier": text(leg, "carrier", "name"),
            "from": place_id(member(leg, "from")),
            "to": place_id(member(leg, "to")),
        }
        for _, leg in objects(document, "legs")
    ]
    facts: dict[str, JsonValue] = {
        "kind": MULTIMODAL,
        "negotiable": flag(document, "negotiable"),
        "legalBasis": text(document, "legalBasis"),
        "legs": legs,
        "consignee": text(document, "parties", "consignee", "name"),
        "placeOfReceipt": place_id(document.get("placeOfReceipt")),
        "placeOfDelivery": place_id(document.get("placeOfDelivery")),
    }
    return own_view(document, TYPE.key, facts)


DOCUMENT = JsonDocument(TYPE, RULES, view)
