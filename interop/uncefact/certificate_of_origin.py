"""Our preferential certificate of origin as PreferentialCoO (UNTDID 864) of D23B, and back.

D23B's certificate has no origin criterion, quantity, FOB value, validity or name of a party: it
identifies parties by one number and holds little else. Its published schema carries one sample code
per code list (its only country is DE); codes here are of the full lists of the same release.
"""

from __future__ import annotations

from interop.uncefact.codecs import (
    COUNTRY,
    DATE,
    DID,
    MODE,
    NO_DID,
    lookup,
)
from interop.uncefact.mapping import Fixed, Row, Table
from interop.uncefact.parts import goods_packages

AGREEMENTS = {
    "RCEP_COO": "Regional Comprehensive Economic Partnership Agreement",
    "RCEP_DOO": "Regional Comprehensive Economic Partnership Agreement, declaration of origin",
    "ATIGA_D": "ASEAN Trade in Goods Agreement",
    "ACFTA_E": "Agreement on Trade in Goods between ASEAN and China",
}
UNECE = "6"  # UNTDID 3055: the agency of UN/LOCODE
NO_HIERARCHY = "4"  # UNTDID 7075: no packaging hierarchy

_GOODS = "specifiedConsignment/0/includedConsignmentItem/0/includedTradeLineItem/*"
_PRODUCT = f"{_GOODS}/specifiedTradeProduct/0"
_PACKAGE = f"{_GOODS}/physicalReferencedLogisticsPackage/0"
_CONSIGNMENT = "specifiedConsignment/0"
_MOVEMENT = f"{_CONSIGNMENT}/mainCarriageLogisticsTransportMovement/0"
_PORTS = (
    ("portOfLoading", f"{_CONSIGNMENT}/loadingLogisticsLocation/id/0"),
    ("portOfDischarge", f"{_CONSIGNMENT}/unloadingLogisticsLocation/id/0"),
)
_PARTIES = (
    ("parties/exporter", f"{_CONSIGNMENT}/consignor"),
    ("parties/consignee", f"{_CONSIGNMENT}/consignee"),
    ("parties/producer", f"{_CONSIGNMENT}/associated/0"),
    ("issuer", "exchangedDocument/issuer"),
)


def _party(ours: str, theirs: str) -> tuple[Row, ...]:
    """One number, the national one first; else the DID."""
    return (
        Row(f"{ours}/identifiers/0/value", f"{theirs}/id/0/content", NO_DID),
        Row(f"{ours}/did", f"{theirs}/id/0/content", DID),
    )


TABLE = Table(
    key="preferential-certificate-of-origin",
    snapshot="PreferentialCoO",
    rows=(
        Row("number", "exchangedDocument/id/content"),
        Row("issueDate", "exchangedDocument/issueDateTime", DATE),
        Row("consignment", f"{_CONSIGNMENT}/id/0/content"),
        Row(
            "kind",
            f"{_CONSIGNMENT}/applicableCrossBorderRegulatoryProcedure/0/freeTradeAgreementName/content",
            lookup(AGREEMENTS),
        ),
        *(row for ours, theirs in _PARTIES for row in _party(ours, theirs)),
        Row("transport/mode", f"{_MOVEMENT}/modeCode/content", MODE),
        Row("transport/voyage", f"{_MOVEMENT}/id/content"),
        Row("transport/vessel/name", f"{_MOVEMENT}/usedLogisticsTransportMeans/name/content"),
        *(Row(f"transport/{name}", f"{theirs}/content") for name, theirs in _PORTS),
        Row("goods/*/hs", f"{_PRODUCT}/designatedProductClassification/0/classCode/content"),
        Row("goods/*/originCountry", f"{_PRODUCT}/originTradeCountry/0/id/0/content", COUNTRY),
        *goods_packages("goods/*/packages", _PACKAGE),
        Row(
            "goods/*/marks",
            f"{_PACKAGE}/physicalLogisticsShippingMarks/0/marking/0/content",
            needs="goods/*/packages/count",
        ),
    ),
    fixed=(
        Fixed("exchangedDocument/typeCode/content", "864"),
        Fixed(f"{_PACKAGE}/levelCode/content", NO_HIERARCHY, beside="goods/*/packages/count"),
        *(Fixed(f"{at}/schemeAgencyId", UNECE, beside=f"transport/{name}") for name, at in _PORTS),
    ),
    implied={"documentType": "preferential-certificate-of-origin"},
)
