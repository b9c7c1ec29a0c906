"""Our quality certificate as eQualityCertificate of D23B, and back.

D23B names the certificate, its issuer, the goods and who is concerned; tests, results, sampling and
the verdict have no place there.
"""

from __future__ import annotations

from interop.uncefact.codecs import COUNTRY, DATE, DID, MODE, NO_DID, WHOLE
from interop.uncefact.mapping import COPY, Fixed, Row, Stack, Table
from interop.uncefact.parts import address_in_lines, goods_packages, measure

NO_HIERARCHY = "4"  # UNTDID 7075
ROLES = (("parties/consignor", "CZ"), ("parties/consignee", "CN"), ("parties/manufacturer", "MF"))

_HEAD, _GOODS = "exchangedDocument", "specifiedConsignment/0"
_SIGNATURE = f"{_HEAD}/firstSignatoryDocumentAuthentication"
_ITEM = f"{_GOODS}/includedConsignmentItem/0/includedTradeLineItem/*"
_PRODUCT = f"{_ITEM}/specifiedTradeProduct/0"
_PACKAGE = f"{_ITEM}/physicalReferencedLogisticsPackage/0"
_CLASS = f"{_PRODUCT}/designatedProductClassification/0"
_ASSOCIATED = f"{_GOODS}/associated"
_MOVEMENT = f"{_GOODS}/mainCarriageLogisticsTransportMovement/0"


def _party(ours: str, theirs: str) -> tuple[Row, ...]:
    """D23B has one number per party: the first of a register, else the DID."""
    address = f"{theirs}/postalTradeAddress"
    return (
        Row(f"{ours}/name", f"{theirs}/name/0/content"),
        Row(f"{ours}/identifiers/0/value", f"{theirs}/id/0/content", NO_DID),
        Row(f"{ours}/did", f"{theirs}/id/0/content", DID),
        *address_in_lines(f"{ours}/address", address),
        Row(f"{ours}/country", f"{address}/countryId/content", COUNTRY),
    )


TABLE = Table(
    key="quality-certificate",
    snapshot="eQualityCertificate",
    rows=(
        Row("number", f"{_HEAD}/id/content"),
        Row("issueDate", f"{_HEAD}/issueDateTime", DATE),
        Row("remarks", f"{_HEAD}/description/0/content"),
        Row("issuer/place", f"{_HEAD}/issueLogisticsLocation/name/0/content"),
        Row(
            "issuer/signatory",
            f"{_SIGNATURE}/provider/specifiedAuthoritativeSignatoryPerson/0/name/content",
        ),
        *_party("issuer", f"{_HEAD}/issuer"),
        Row("references/*/number", f"{_HEAD}/referenceReferencedDocument/*/id/0/content"),
        Row("references/*/issueDate", f"{_HEAD}/referenceReferencedDocument/*/issueDateTime", DATE),
        Row("consignment", f"{_GOODS}/id/0/content"),
        Row("exportCountry", f"{_GOODS}/exportTradeCountry/id/0/content", COUNTRY),
        Row("importCountry", f"{_GOODS}/importTradeCountry/id/0/content", COUNTRY),
        Row("transport/mode", f"{_MOVEMENT}/modeCode/content", MODE),
        Row("transport/voyage", f"{_MOVEMENT}/id/content"),
        Row("transport/vessel/name", f"{_MOVEMENT}/usedLogisticsTransportMeans/name/content"),
        Row("transport/vessel/imo", f"{_MOVEMENT}/usedLogisticsTransportMeans/id/0/content"),
        Row("transport/portOfLoading", f"{_GOODS}/loadingLogisticsLocation/id/0/content"),
        Row("transport/portOfDischarge", f"{_GOODS}/unloadingLogisticsLocation/id/0/content"),
        *(row for role, _ in ROLES for row in _party(role, f"{_ASSOCIATED}/0")),
        Row("goods/*/sequence", f"{_ITEM}/sequenceNumeric/0/content", WHOLE),
        Row("goods/*/description", f"{_PRODUCT}/description/0/content"),
        Row("goods/*/batch", f"{_PRODUCT}/batchId/0/content"),
        Row("goods/*/hs", f"{_CLASS}/classCode/content"),
        Row("goods/*/hsEdition", f"{_CLASS}/systemName/0/content", needs="goods/*/hs"),
        Row("goods/*/originCountry", f"{_PRODUCT}/originTradeCountry/0/id/0/content", COUNTRY),
        *measure("goods/*/netWeight", f"{_PRODUCT}/netWeight/0"),
        *measure("goods/*/grossWeight", f"{_PRODUCT}/grossWeight/0"),
        *goods_packages("goods/*/packages", _PACKAGE),
    ),
    fixed=(
        Fixed(f"{_HEAD}/typeCode/content", "3"),
        Fixed(f"{_SIGNATURE}/actualDateTime", COPY, beside="issueDate"),
        Fixed(f"{_PACKAGE}/levelCode/content", NO_HIERARCHY, beside="goods/*/packages/count"),
    ),
    stacks=(Stack(_ASSOCIATED, "roleCode/0/content", ROLES),),
    implied={"documentType": "quality-certificate"},
)
