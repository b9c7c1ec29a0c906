"""Health certificate (UNTDID 636): SPS XML for food, after Codex CXG 38-2001."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.fields import objects, text, texts
from schemas.rules import Complaint, RuleBook
from schemas.sps.official import OFFICIAL, SpsDocument
from schemas.view import DocumentType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document

TYPE = DocumentType(
    key="health-certificate",
    code="636",
    name_en="Health certificate",
    name_zh="健康证书",
    media_type="application/xml",
    issuer_roles=("issuer", "plant-health", "customs"),
    credential_type="HealthCertificateCredential",
)
RULES = RuleBook(OFFICIAL)


@RULES.error("HLT-001")
def says_what_it_is_for(document: Document) -> Iterator[Complaint]:
    """Each line says its intended use: a health certificate is for human consumption or not."""
    for place, line in objects(document, "lines"):
        if not texts(line, "intendedUse"):
            yield Complaint(f"{place}/intendedUse", "no intended use is stated for this line")


@RULES.warning("HLT-002")
def lots_can_be_traced(document: Document) -> Iterator[Complaint]:
    """Each line says a net weight, without which a lot cannot be compared (CXG 38-2001)."""
    for place, line in objects(document, "lines"):
        if text(line, "netWeight", "value") is None:
            yield Complaint(f"{place}/netWeight", "no net weight is stated for this line")


DOCUMENT = SpsDocument(TYPE, RULES)
