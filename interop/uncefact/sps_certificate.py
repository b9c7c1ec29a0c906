"""Our SPS certificates (851, 657, 852, 853, 636) as SPSCertificate of D23B, and back.

Ours is the `facts` that `schemas.sps.examine` gives and `schemas.sps.write` takes. Without
statusCode: in UNTDID 1373 ePhyto's numbers mean something else, or nothing (40 is *withdrawn* here
and *suspended* there). The characteristics of a treatment and the clauses
of a signature have no place in D23B either.
"""

from __future__ import annotations

from interop.uncefact.codecs import (
    COUNTRY,
    DATE_OR_MOMENT,
    DECIMAL_TEXT,
    MODE,
    PACKAGE,
    code,
    one_of,
)
from interop.uncefact.mapping import Complete, Row, Table
from interop.uncefact.parts import address_in_lines, measure, notes

CARGO = one_of("0", "1", "2", "3", "4", "5", "6", "7", "9")  # UN/ECE Recommendation 21, annex
LEVELS = one_of("1", "2", "3", "4", "5", "6")  # UNTDID 7075

_HEAD, _GOODS = "exchangedDocument", "specifiedConsignment/0"
_SIGNATURE = f"{_HEAD}/firstSignatoryDocumentAuthentication"
_LINE = f"{_GOODS}/includedConsignmentItem/0/includedTradeLineItem/*"
_PRODUCT = f"{_LINE}/specifiedTradeProduct/0"
_TREATED = f"{_LINE}/appliedProductHandlingProcess/*"
_REFERRED = f"{_HEAD}/referenceReferencedDocument/*"

_DOCUMENT = (
    Row("number", f"{_HEAD}/id/content"),
    Row("name", f"{_HEAD}/name/0/content"),
    Row("typeCode", f"{_HEAD}/typeCode/content", code("document")),
    Row("issuedAt", f"{_HEAD}/issueDateTime", DATE_OR_MOMENT),
    Row("issuer", f"{_HEAD}/issuer/name/0/content"),
    *notes("notes", f"{_HEAD}/includedNote"),
    Row("documents/*/number", f"{_REFERRED}/id/0/content"),
    Row("documents/*/typeCode", f"{_REFERRED}/typeCode/content", code("document")),
    Row("documents/*/relationship", f"{_REFERRED}/relationshipTypeCode/content", code("reference")),
    Row("documents/*/issuedAt", f"{_REFERRED}/issueDateTime", DATE_OR_MOMENT),
    Row("documents/*/information", f"{_REFERRED}/information/0/content"),
    Row("signedAt", f"{_SIGNATURE}/actualDateTime", DATE_OR_MOMENT),
    Row("place", f"{_SIGNATURE}/issueLogisticsLocation/name/0/content"),
    Row("authority", f"{_SIGNATURE}/provider/name/0/content"),
    Row(
        "officer",
        f"{_SIGNATURE}/provider/specifiedAuthoritativeSignatoryPerson/0/name/content",
    ),
)

_PORT = f"{_GOODS}/unloadingBaseportLogisticsLocation"
_MOVEMENT = f"{_GOODS}/mainCarriageLogisticsTransportMovement/*"
_EQUIPMENT = f"{_GOODS}/utilizedLogisticsTransportEquipment/*"

_CONSIGNMENT = (
    *(
        row
        for role in ("consignor", "consignee")
        for row in (
            Row(f"{role}/name", f"{_GOODS}/{role}/name/0/content"),
            *address_in_lines(f"{role}/address", f"{_GOODS}/{role}/postalTradeAddress"),
        )
    ),
    Row("exportCountry", f"{_GOODS}/exportTradeCountry/id/0/content", COUNTRY),
    Row("importCountry", f"{_GOODS}/importTradeCountry/id/0/content", COUNTRY),
    Row("transitCountries/*", f"{_GOODS}/transitTradeCountry/*/id/0/content", COUNTRY),
    Row("pointOfEntry/code", f"{_PORT}/id/0/content"),
    Row("pointOfEntry/name", f"{_PORT}/name/0/content"),
    Row(
        "examinationPlace",
        f"{_GOODS}/examinationEvent/0/occurrenceLogisticsLocation/name/0/content",
    ),
    Row("transports/*/voyage", f"{_MOVEMENT}/id/content"),
    Row("transports/*/mode", f"{_MOVEMENT}/modeCode/content", MODE),
    Row("transports/*/name", f"{_MOVEMENT}/usedLogisticsTransportMeans/name/content"),
    Row(
        "cargoType",
        f"{_GOODS}/includedConsignmentItem/0/natureIdCargo/0/typeCode/content",
        CARGO,
    ),
    Row("equipment/*/number", f"{_EQUIPMENT}/id/content"),
    Row("equipment/*/seals/*", f"{_EQUIPMENT}/affixedLogisticsSeal/*/id/0/content"),
)

_CLASSIFIED = f"{_PRODUCT}/designatedProductClassification/*"
_PACKAGE = f"{_LINE}/physicalReferencedLogisticsPackage/*"
_ORIGIN = f"{_PRODUCT}/originTradeCountry/*"

_LINES = (
    Row("lines/*/sequence", f"{_LINE}/sequenceNumeric/0/content", DECIMAL_TEXT),
    *(
        Row(f"lines/*/{name}/0", f"{_PRODUCT}/{name}/0/content")
        for name in ("description", "commonName", "scientificName", "intendedUse")
    ),
    *(
        row
        for name in ("netWeight", "grossWeight", "netVolume", "grossVolume")
        for row in measure(f"lines/*/{name}", f"{_PRODUCT}/{name}/0")
    ),
    *notes("lines/*/notes", f"{_LINE}/additionalInformationNote"),
    Row("lines/*/classifications/*/system", f"{_CLASSIFIED}/systemName/0/content"),
    Row("lines/*/classifications/*/code", f"{_CLASSIFIED}/classCode/content"),
    Row("lines/*/classifications/*/name", f"{_CLASSIFIED}/className/0/content"),
    Row("lines/*/packages/*/level", f"{_PACKAGE}/levelCode/content", LEVELS),
    Row("lines/*/packages/*/quantity", f"{_PACKAGE}/itemQuantity/content", DECIMAL_TEXT),
    Row("lines/*/packages/*/type", f"{_PACKAGE}/typeCode/content", PACKAGE),
    Row("lines/*/origins/*/country", f"{_ORIGIN}/id/0/content", COUNTRY),
    Row("lines/*/origins/*/name", f"{_ORIGIN}/name/0/content"),
    Row(
        "lines/*/origins/*/region",
        f"{_ORIGIN}/subordinateTradeCountrySubDivision/0/name/0/content",
    ),
    Row("lines/*/treatments/*/typeCode", f"{_TREATED}/typeCode/content", code("process")),
    Row("lines/*/treatments/*/start", f"{_TREATED}/completionPeriod/startDateTime", DATE_OR_MOMENT),
    Row("lines/*/treatments/*/end", f"{_TREATED}/completionPeriod/endDateTime", DATE_OR_MOMENT),
    *measure("lines/*/treatments/*/duration", f"{_TREATED}/completionPeriod/duration/0"),
)

KEYS = (
    "phytosanitary-certificate",
    "phytosanitary-re-export-certificate",
    "sanitary-certificate",
    "veterinary-certificate",
    "health-certificate",
)
TABLES = tuple(
    Table(
        key=key,
        snapshot="SPSCertificate",
        rows=(*_DOCUMENT, *_CONSIGNMENT, *_LINES),
        complete=(Complete("lines/*/packages", ("level", "quantity")),),
    )
    for key in KEYS
)
