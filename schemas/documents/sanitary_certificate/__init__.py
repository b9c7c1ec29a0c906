"""Sanitary certificate (UNTDID 852): SPS XML for food of animal or other origin."""

from __future__ import annotations

from schemas.rules import RuleBook
from schemas.sps.official import OFFICIAL, SpsDocument, species_rule
from schemas.view import DocumentType

TYPE = DocumentType(
    key="sanitary-certificate",
    code="852",
    name_en="Sanitary certificate",
    name_zh="卫生证书",
    media_type="application/xml",
    issuer_roles=("issuer", "plant-health", "customs"),
    credential_type="SanitaryCertificateCredential",
)
RULES = RuleBook(OFFICIAL)
species_rule("SAN-001", RULES)
DOCUMENT = SpsDocument(TYPE, RULES)
