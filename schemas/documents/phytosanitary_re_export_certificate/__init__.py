"""Phytosanitary certificate for re-export (UNTDID 657, ISPM 12 section 6): SPS XML.

The rules PHY-060 and PHY-062 want the original certificate, its country and the packing.
"""

from __future__ import annotations

from schemas.rules import RuleBook
from schemas.sps.official import OFFICIAL, SpsDocument
from schemas.view import DocumentType

TYPE = DocumentType(
    key="phytosanitary-re-export-certificate",
    code="657",
    name_en="Phytosanitary certificate for re-export",
    name_zh="植物检疫转口证书",
    media_type="application/xml",
    issuer_roles=("issuer", "plant-health"),
    credential_type="PhytosanitaryReExportCertificateCredential",
)
RULES = RuleBook(OFFICIAL)
DOCUMENT = SpsDocument(TYPE, RULES)
