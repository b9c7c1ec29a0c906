"""Decision of a plant-health authority on certificates: accepted, refused or on hold.

Each certificate is pinned by the digest of its credential, so a replacement needs a new decision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.decisions import DECISION_RULES, decision_facts
from schemas.definitions import JsonDocument
from schemas.fields import objects, text
from schemas.own_view import own_view
from schemas.rules import Complaint, RuleBook
from schemas.view import DocumentType, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document

TYPE = DocumentType(
    key="plant-health-decision",
    code="",
    name_en="Plant-health decision",
    name_zh="植物检疫决定",
    media_type="application/json",
    issuer_roles=("plant-health",),
    credential_type="PlantHealthDecisionCredential",
)
RULES = RuleBook(DECISION_RULES)


@RULES.error("DEC-020")
def decides_on_a_phytosanitary_certificate(document: Document) -> Iterator[Complaint]:
    """An acceptance pins at least one phytosanitary certificate."""
    types = {text(subject, "type") for _, subject in objects(document, "subjects")}
    if text(document, "verdict") == "ACCEPTED" and "phytosanitary-certificate" not in types:
        yield Complaint("/subjects", "the acceptance rests on no phytosanitary certificate")


def view(document: Document) -> View:
    """The normalised view."""
    facts = decision_facts(document) | {"inspection": text(document, "inspection")}
    return own_view(document, TYPE.key, facts)


DOCUMENT = JsonDocument(TYPE, RULES, view)
