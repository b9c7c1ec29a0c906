"""Packing list (UNTDID 271): which packages, in which container, with which marks."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from schemas.definitions import JsonDocument
from schemas.fields import integer, objects, text, weight_in_kilograms
from schemas.own_rules import COMMON_RULES
from schemas.own_view import own_view
from schemas.rules import Complaint, RuleBook
from schemas.view import DocumentType, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document
    from schemas.strict_json import JsonValue

TYPE = DocumentType(
    key="packing-list",
    code="271",
    name_en="Packing list",
    name_zh="装箱单",
    media_type="application/json",
    issuer_roles=("carrier", "port", "terminal", "dry-port", "bank", "issuer"),
    credential_type="PackingListCredential",
)
RULES = RuleBook(COMMON_RULES)


@RULES.error("PAC-001")
def containers_hold_all_packages(document: Document) -> Iterator[Complaint]:
    """Where every container states its packages, they add up to the total."""
    counts = [integer(item, "packages") for _, item in objects(document, "containers")]
    known = [count for count in counts if count is not None]
    total = integer(document, "totals", "packages")
    if known and len(known) == len(counts) and total is not None and sum(known) != total:
        yield Complaint(
            "/containers",
            "the packages in the containers do not add up to the total",
            {"containers": sum(known), "total": total},
        )


@RULES.error("PAC-002")
def containers_hold_all_weight(document: Document) -> Iterator[Complaint]:
    """Where every container states its gross weight, they add up to the total."""
    items = [item for _, item in objects(document, "containers")]
    weights = [weight_in_kilograms(item, "grossWeight") for item in items]
    known = [weight for weight in weights if weight is not None]
    total = weight_in_kilograms(document, "totals", "grossWeight")
    weighed = sum(known, Decimal(0))
    if known and len(known) == len(weights) and total is not None and weighed != total:
        yield Complaint(
            "/containers",
            "the gross weights of the containers do not add up to the total",
            {"containers": str(weighed), "total": str(total)},
        )


@RULES.warning("PAC-003")
def packages_are_marked(document: Document) -> Iterator[Complaint]:
    """Every line states marks, so that packages can be found."""
    for place, line in objects(document, "goods"):
        if not text(line, "marks"):
            yield Complaint(f"{place}/marks", "the packages of this line have no marks")


def view(document: Document) -> View:
    """The normalised view."""
    marks: list[JsonValue] = [
        mark for _, line in objects(document, "goods") if (mark := text(line, "marks"))
    ]
    facts: dict[str, JsonValue] = {"marks": marks, "invoice": text(document, "invoice", "number")}
    return own_view(document, TYPE.key, facts)


DOCUMENT = JsonDocument(TYPE, RULES, view)
