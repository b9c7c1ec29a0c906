"""Veterinary certificate (UNTDID 853): SPS XML for animals and animal products (WOAH 5.10)."""

from __future__ import annotations

from schemas.rules import RuleBook
from schemas.sps.official import OFFICIAL, SpsDocument, species_rule
from schemas.view import DocumentType

TYPE = DocumentType(
    key="veterinary-certificate",
    code="853",
    name_en="Veterinary certificate",
    name_zh="兽医证书",
    media_type="application/xml",
    issuer_roles=("issuer", "plant-health", "customs"),
    credential_type="VeterinaryCertificateCredential",
)
RULES = RuleBook(OFFICIAL)
species_rule("VET-001", RULES)
DOCUMENT = SpsDocument(TYPE, RULES)
