"""Phytosanitary certificate (UNTDID 851): UN/CEFACT SPS XML, read and judged by `schemas.sps`.

The consignment's UCR travels in the credential, not in the payload. A re-export certificate (657)
is accepted here as well as under its own type, because the hub sends both under one name. The rules
PHY-… belong to `schemas.sps`, which works on the XML tree.
"""

from __future__ import annotations

from schemas.rules import RuleBook
from schemas.sps.official import SpsDocument
from schemas.view import DocumentType

TYPE = DocumentType(
    key="phytosanitary-certificate",
    code="851",
    name_en="Phytosanitary certificate",
    name_zh="植物检疫证书",
    media_type="application/xml",
    issuer_roles=("issuer", "plant-health"),
    credential_type="PhytosanitaryCertificateCredential",
)
DOCUMENT = SpsDocument(TYPE, RuleBook(), frozenset({"851", "657"}))
