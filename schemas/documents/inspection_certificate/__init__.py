"""Inspection certificate (UNTDID 856): what was inspected, how it was sampled, what was found.

Sampling and acceptance after ISO 2859-1 (inspection by attributes).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.definitions import JsonDocument
from schemas.fields import end, instant, integer, member, objects, text, weight_in_kilograms
from schemas.own_rules import COMMON_RULES
from schemas.own_view import own_view
from schemas.rules import Complaint, RuleBook
from schemas.view import DocumentType, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document
    from schemas.strict_json import JsonValue

TYPE = DocumentType(
    key="inspection-certificate",
    code="856",
    name_en="Inspection certificate",
    name_zh="检验证书",
    media_type="application/json",
    issuer_roles=(
        "issuer",
        "customs",
        "plant-health",
    ),
    credential_type="InspectionCertificateCredential",
)
RULES = RuleBook(COMMON_RULES)


@RULES.error("INS-001")
def result_follows_the_sample(document: Document) -> Iterator[Complaint]:
    """A lot conforms exactly when the defects do not exceed the acceptance number."""
    defects = integer(document, "sampling", "defects")
    most = integer(document, "sampling", "acceptanceNumber")
    if defects is None or most is None:
        return
    critical = any(
        text(finding, "severity") == "CRITICAL" for _, finding in objects(document, "findings")
    )
    conforms = defects <= most and not critical
    if conforms != (text(document, "result") == "CONFORMING"):
        yield Complaint(
            "/result",
            "the result does not follow from the sample",
            {"defects": defects, "acceptanceNumber": most, "critical": critical},
        )


@RULES.error("INS-002")
def sample_within_the_lot(document: Document) -> Iterator[Complaint]:
    """A sample is not larger than its lot."""
    lot, size = (
        integer(document, "sampling", "lotSize"),
        integer(document, "sampling", "sampleSize"),
    )
    if lot is not None and size is not None and size > lot:
        yield Complaint(
            "/sampling/sampleSize",
            "the sample is larger than the lot",
            {"lot": lot, "sample": size},
        )


@RULES.warning("INS-003")
def found_what_is_declared(document: Document) -> Iterator[Complaint]:
    """The quantity found is the quantity of the lines, within half of one per cent."""
    found = weight_in_kilograms(document, "quantityFound")
    declared = [weight_in_kilograms(line, "quantity") for _, line in objects(document, "goods")]
    known = [one for one in declared if one is not None]
    if found is None or not known or len(known) < len(declared):
        return
    total = sum(known)
    if abs(found - total) * 200 > total:
        yield Complaint(
            "/quantityFound",
            "the quantity found differs from the lines",
            {"found": str(found), "declared": str(total)},
        )


@RULES.error("INS-004")
def inspected_before_issued(document: Document) -> Iterator[Complaint]:
    """The inspection is not younger than the certificate."""
    inspected, issued = instant(text(document, "inspectedAt")), end(text(document, "issueDate"))
    if inspected and issued and inspected > issued:
        yield Complaint("/inspectedAt", "the inspection is younger than the certificate")


def view(document: Document) -> View:
    """The normalised view."""
    facts: dict[str, JsonValue] = {
        "result": text(document, "result"),
        "inspectedAt": text(document, "inspectedAt"),
        "scope": member(document, "scope"),
        "quantityFound": member(document, "quantityFound"),
    }
    return own_view(document, TYPE.key, facts)


DOCUMENT = JsonDocument(TYPE, RULES, view)
