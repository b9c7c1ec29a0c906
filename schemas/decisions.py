"""What plant-health and customs decisions share: rules DEC-001 … DEC-005 and their facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.fields import end, instant, member, objects, text
from schemas.own_rules import COMMON_RULES
from schemas.rules import Complaint, RuleBook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document
    from schemas.strict_json import JsonValue

DECISION_RULES = RuleBook(COMMON_RULES)


@DECISION_RULES.error("DEC-001")
def adverse_decision_has_reasons(document: Document) -> Iterator[Complaint]:
    """A refusal or a hold states its reasons."""
    if text(document, "verdict") in ("REFUSED", "HOLD") and not member(document, "reasons"):
        yield Complaint("/reasons", "a refusal or a hold states its reasons")


@DECISION_RULES.error("DEC-002")
def scope_names_its_object(document: Document) -> Iterator[Complaint]:
    """Scope CONTAINER lists containers, scope BILL names the bill."""
    kind = text(document, "scope", "kind") or ""
    name = {"CONTAINER": "containers", "BILL": "billOfLading"}.get(kind)
    if name and not member(document, "scope", name):
        yield Complaint(f"/scope/{name}", "the scope does not name what it covers", {"kind": kind})


@DECISION_RULES.error("DEC-003")
def decided_before_issued(document: Document) -> Iterator[Complaint]:
    """The decision is not younger than the document that states it."""
    decided, issued = instant(text(document, "decidedAt")), end(text(document, "issueDate"))
    if decided and issued and decided > issued:
        yield Complaint("/decidedAt", "the decision is younger than the document")


@DECISION_RULES.error("DEC-004")
def one_decision_per_certificate(document: Document) -> Iterator[Complaint]:
    """No certificate is a subject twice."""
    seen: set[str | None] = set()
    for place, subject in objects(document, "subjects"):
        digest = text(subject, "digest")
        if digest in seen:
            yield Complaint(place, "the same certificate is a subject twice")
        seen.add(digest)


@DECISION_RULES.warning("DEC-005")
def own_country_decides(document: Document) -> Iterator[Complaint]:
    """The authority belongs to the importing country."""
    issuer, country = text(document, "issuer", "country"), text(document, "importCountry")
    if issuer != country:
        yield Complaint(
            "/issuer/country",
            "the authority does not belong to the importing country",
            {"issuer": issuer, "import": country},
        )


def decision_facts(document: Document) -> dict[str, JsonValue]:
    """Verdict, moment, scope, subjects (type, number, digest), reasons and the rules' version."""
    return {
        "verdict": text(document, "verdict"),
        "decidedAt": text(document, "decidedAt"),
        "scope": text(document, "scope", "kind"),
        "bill": text(document, "scope", "billOfLading", "number"),
        "subjects": member(document, "subjects"),
        "reasons": member(document, "reasons"),
        "ruleVersion": text(document, "ruleVersion"),
    }
