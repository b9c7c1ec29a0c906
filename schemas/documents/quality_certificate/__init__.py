"""Quality certificate (UNTDID 3): tests, results and a verdict on a lot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.definitions import JsonDocument
from schemas.fields import decimal, end, flag, instant, objects, text
from schemas.own_rules import COMMON_RULES
from schemas.own_view import own_view
from schemas.rules import Complaint, RuleBook
from schemas.view import DocumentType, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document
    from schemas.strict_json import JsonValue

TYPE = DocumentType(
    key="quality-certificate",
    code="3",
    name_en="Quality certificate",
    name_zh="品质证书",
    media_type="application/json",
    issuer_roles=("issuer", "customs", "plant-health"),
    credential_type="QualityCertificateCredential",
)
RULES = RuleBook(COMMON_RULES)


@RULES.error("QUA-001")
def result_within_its_limits(document: Document) -> Iterator[Complaint]:
    """A test is passed exactly when its value lies within the stated limits."""
    for place, result in objects(document, "results"):
        value = decimal(result, "value")
        low, high = decimal(result, "minimum"), decimal(result, "maximum")
        if value is None or (low is None and high is None):
            continue
        within = (low is None or value >= low) and (high is None or value <= high)
        if within != flag(result, "passed"):
            yield Complaint(
                f"{place}/passed",
                "the mark does not agree with the value and its limits",
                {"value": str(value), "within": within},
            )


@RULES.error("QUA-002")
def verdict_follows_the_results(document: Document) -> Iterator[Complaint]:
    """The verdict is PASS exactly when every test is passed."""
    passed = all(flag(result, "passed") for _, result in objects(document, "results"))
    if passed != (text(document, "verdict") == "PASS"):
        yield Complaint("/verdict", "the verdict does not follow from the results")


@RULES.error("QUA-003")
def sampled_before_inspected(document: Document) -> Iterator[Complaint]:
    """The sample is taken before the inspection ends."""
    taken = instant(text(document, "sample", "takenAt"))
    inspected = instant(text(document, "inspectedAt"))
    if taken and inspected and taken > inspected:
        yield Complaint("/sample/takenAt", "the sample is younger than the inspection")


@RULES.warning("QUA-004")
def inspected_before_issued(document: Document) -> Iterator[Complaint]:
    """The inspection is not younger than the certificate."""
    inspected, issued = instant(text(document, "inspectedAt")), end(text(document, "issueDate"))
    if inspected and issued and inspected > issued:
        yield Complaint("/inspectedAt", "the inspection is younger than the certificate")


def view(document: Document) -> View:
    """The normalised view."""
    failed: list[JsonValue] = [
        text(result, "test")
        for _, result in objects(document, "results")
        if not flag(result, "passed")
    ]
    facts: dict[str, JsonValue] = {
        "verdict": text(document, "verdict"),
        "inspectedAt": text(document, "inspectedAt"),
        "standard": text(document, "standard"),
        "failedTests": failed,
    }
    return own_view(document, TYPE.key, facts)


DOCUMENT = JsonDocument(TYPE, RULES, view)
