"""Our bill of lading and sea waybill (DCSA Transport Document 3.0.4) as MaritimeBillofLading.

D23B has one weight per consignment item where DCSA has one per cargo item, so weights go over only
where an item has one cargo item; LBR and the air exchange units of DCSA are not in its lists;
originals are one number there and two here; an endorsee has no place. All of this is told.
"""

from __future__ import annotations

from interop.uncefact.codecs import (
    COUNTRY,
    CURRENCY,
    DATE,
    FLAG,
    NUMBER,
    PACKAGE,
    TEXT,
    VOLUME_UNIT,
    WEIGHT_UNIT,
    WHOLE,
    Codec,
    lookup,
    one_of,
)
from interop.uncefact.mapping import Complete, Row, Table

KINDS = {"BOL": "706"}  # UNTDID 1001; the snapshot takes no other code, not even 710
PAYMENT = {"PRE": "P", "COL": "C"}  # UNTDID 4237
SEALED_BY = {"CAR": "CA", "SHI": "SH", "VET": "AC", "CUS": "CU"}  # UNTDID 9303
MOVED = {"FCL FCL": "3", "LCL LCL": "2", "FCL LCL": "4", "LCL FCL": "5"}  # UNTDID 8335
HANDED = {  # UNTDID 8335; a container freight station is a station, a container yard a terminal
    "SD SD": "11",
    "SD CY": "12",
    "CY SD": "21",
    "CY CY": "22",
    "CFS CFS": "41",
    "CFS SD": "44",
}

_HEAD, _GOODS = "exchangedDocument", "specifiedConsignment/0"
_PARTIES = {
    "documentParties/issuingParty": (f"{_HEAD}/issuer", ""),
    "documentParties/shipper": (f"{_GOODS}/consignor", "address tax contact"),
    "documentParties/consignee": (f"{_GOODS}/consignee", "address tax contact"),
    "documentParties/onBehalfOfShipper": (f"{_GOODS}/consignorAgent", "address tax"),
    "documentParties/onBehalfOfConsignee": (f"{_GOODS}/consigneeAgent", "tax"),
    "documentParties/notifyParties/*": (f"{_GOODS}/notified/*", "address contact"),
}
_SHIP = f"{_GOODS}/mainCarriageLogisticsTransportMovement"
_PLACES = {
    "transports/placeOfReceipt": f"{_GOODS}/carrierAcceptanceLogisticsLocation",
    "transports/placeOfDelivery": f"{_GOODS}/consigneeReceiptLogisticsLocation",
    "transports/onwardInlandRouting": f"{_GOODS}/finalDestinationLogisticsLocation",
    "transports/portOfLoading": f"{_SHIP}/0/loadingEvent/occurrenceLogisticsLocation",
    "transports/portOfDischarge": f"{_SHIP}/0/unloadingEvent/occurrenceLogisticsLocation",
    "placeOfIssue": f"{_HEAD}/issueLogisticsLocation",
}
_ITEM, _THEIR_ITEM = "consignmentItems/*", f"{_GOODS}/includedConsignmentItem/*"
_CARGO = f"{_ITEM}/cargoItems"
_BOX, _THEIR_BOX = (
    "utilizedTransportEquipments/*",
    f"{_GOODS}/utilizedLogisticsTransportEquipment/*",
)
_CHARGE, _THEIR_CHARGE = "charges/*", f"{_GOODS}/applicableLogisticsServiceCharge/*"
_DANGER = f"{_CARGO}/0/outerPackaging/dangerousGoods/*"


def _number(ours: str, theirs: str, unit: str, units: Codec, alone: str = "") -> tuple[Row, ...]:
    """A JSON number and its unit, both or neither."""
    return (
        Row(f"{ours}/value", f"{theirs}/content", NUMBER, needs=f"{ours}/{unit}", alone=alone),
        Row(f"{ours}/{unit}", f"{theirs}/unitCode", units, needs=f"{ours}/value", alone=alone),
    )


def _contact(ours: str, theirs: str) -> tuple[Row, ...]:
    """The first contact; D23B has one per party."""
    to = f"{theirs}/definedTradeContact/0"
    return (
        Row(f"{ours}/0/name", f"{to}/personName/0/content"),
        Row(f"{ours}/0/phone", f"{to}/telephoneUniversalCommunication/0/completeNumber/content"),
        Row(f"{ours}/0/email", f"{to}/emailURIUniversalCommunication/uri/content"),
    )


def _party(ours: str, theirs: str, holds: str) -> tuple[Row, ...]:
    """holds: which of address, tax numbers, contact D23B has for this party."""
    codes = f"{ours}/identifyingCodes/*"
    return (
        Row(f"{ours}/partyName", f"{theirs}/name/0/content"),
        Row(f"{codes}/partyCode", f"{theirs}/id/*/content"),
        Row(
            codes,
            f"{theirs}/id/*/schemeId",
            needs=f"{codes}/partyCode",
            joined=("codeListProvider", "codeListName"),
            separator=":",
        ),
        *(_address(f"{ours}/address", theirs) if "address" in holds else ()),
        *(_taxes(f"{ours}/taxLegalReferences/*", theirs) if "tax" in holds else ()),
        *(_contact(f"{ours}/partyContactDetails", theirs) if "contact" in holds else ()),
    )


def _address(ours: str, party: str) -> tuple[Row, ...]:
    theirs = f"{party}/postalTradeAddress"
    return (
        Row(f"{ours}/street", f"{theirs}/streetName/0/content"),
        Row(f"{ours}/postCode", f"{theirs}/postcodeCode/0/content"),
        Row(f"{ours}/city", f"{theirs}/cityName/0/content"),
        Row(f"{ours}/stateRegion", f"{theirs}/countrySubDivisionName/0/content"),
        Row(f"{ours}/countryCode", f"{theirs}/countryId/content", COUNTRY),
    )


def _taxes(ours: str, party: str) -> tuple[Row, ...]:
    theirs = f"{party}/specifiedTaxRegistration/*"
    return (
        Row(f"{ours}/value", f"{theirs}/id/content"),
        Row(f"{ours}/countryCode", f"{theirs}/id/schemeId", needs=f"{ours}/value"),
        Row(f"{ours}/type", f"{theirs}/associatedRegisteredTax/typeCode/content"),
    )


_DOCUMENT = (
    Row("transportDocumentReference", f"{_HEAD}/id/content"),
    Row("transportDocumentTypeCode", f"{_HEAD}/typeCode/content", lookup(KINDS)),
    Row("issueDate", f"{_HEAD}/issueDateTime", DATE),
    Row("isElectronic", f"{_HEAD}/isOrHasElectronicPresentation", FLAG),
    Row("carrierClauses/*", f"{_HEAD}/contractualDocumentClause/*/content/0/content"),
    Row("termsAndConditions", f"{_GOODS}/contractTermsInformation/0/content"),
    Row("shippingInstructionsReference", f"{_GOODS}/consignorAssignedId/content"),
    Row("transportDocumentSubReference", f"{_GOODS}/carrierAssignedId/content"),
    Row(
        "serviceContractReference",
        f"{_GOODS}/transportContractReferencedDocument/id/0/content",
    ),
    Row("shippedOnBoardDate", f"{_GOODS}/shippedOnboardDateTime/0", DATE),
    Row("declaredValue", f"{_GOODS}/declaredValueForCarriageAmount/content", NUMBER),
    Row(
        "declaredValueCurrency",
        f"{_GOODS}/declaredValueForCarriageAmount/currencyId",
        CURRENCY,
        needs="declaredValue",
    ),
    Row(
        "freightPaymentTermCode",
        f"{_GOODS}/transportService/0/paymentArrangementCode/content",
        lookup(PAYMENT),
    ),
    Row(
        "",
        f"{_GOODS}/transportService/0/contractMovementTypeCode/0/content",
        lookup(MOVED),
        joined=("cargoMovementTypeAtOrigin", "cargoMovementTypeAtDestination"),
    ),
    Row(
        "",
        f"{_GOODS}/transportService/1/contractMovementTypeCode/0/content",
        lookup(HANDED),
        joined=("receiptTypeAtOrigin", "deliveryTypeAtDestination"),
    ),
    Row("carrierCode", f"{_GOODS}/carrier/id/0/content"),
    Row("carrierCodeListProvider", f"{_GOODS}/carrier/id/0/schemeId", needs="carrierCode"),
    *_contact("partyContactDetails", f"{_GOODS}/carrier"),
)
_ROUTE = (
    *(
        row
        for ours, theirs in _PLACES.items()
        for row in (
            Row(f"{ours}/UNLocationCode", f"{theirs}/id/0/content"),
            Row(f"{ours}/locationName", f"{theirs}/name/0/content"),
        )
    ),
    Row(
        "transports/plannedDepartureDate",
        f"{_SHIP}/0/departureEvent/0/estimatedOccurrenceDateTime",
        DATE,
    ),
    Row(
        "transports/plannedArrivalDate",
        f"{_SHIP}/0/unloadingEvent/estimatedOccurrenceDateTime",
        DATE,
    ),
    Row(
        "transports/vesselVoyages/*/vesselName",
        f"{_SHIP}/*/usedLogisticsTransportMeans/name/content",
    ),
    Row("transports/vesselVoyages/*/carrierExportVoyageNumber", f"{_SHIP}/*/id/content"),
)
_LINES = (
    Row(f"{_ITEM}/carrierBookingReference", f"{_GOODS}/contractId/*/content"),
    Row(f"{_ITEM}/descriptionOfGoods/*", f"{_THEIR_ITEM}/natureIdCargo/0/id/*/content"),
    Row(f"{_ITEM}/HSCodes/*", f"{_THEIR_ITEM}/information/*/content"),
    Row(
        f"{_ITEM}/shippingMarks/*",
        f"{_THEIR_ITEM}/physicalLogisticsShippingMarks/*/marking/0/content",
    ),
    Row(
        f"{_CARGO}/*/equipmentReference",
        f"{_THEIR_ITEM}/associatedReferencedLogisticsTransportEquipment/*/id/content",
    ),
    *_number(
        f"{_CARGO}/0/cargoGrossWeight", f"{_THEIR_ITEM}/grossWeight/0", "unit", WEIGHT_UNIT, _CARGO
    ),
    *_number(
        f"{_CARGO}/0/cargoGrossVolume", f"{_THEIR_ITEM}/grossVolume/0", "unit", VOLUME_UNIT, _CARGO
    ),
    Row(
        f"{_CARGO}/*/outerPackaging/numberOfPackages",
        f"{_THEIR_ITEM}/transportLogisticsPackage/*/itemQuantity/content",
        WHOLE,
    ),
    Row(
        f"{_CARGO}/*/outerPackaging/packageCode",
        f"{_THEIR_ITEM}/transportLogisticsPackage/*/typeCode/0/content",
        PACKAGE,
    ),
    *(
        Row(
            f"{_DANGER}/{ours}",
            f"{_THEIR_ITEM}/applicableDangerousGoods/*/{theirs}",
            codec,
            alone=_CARGO,
        )
        for ours, theirs, codec in (
            ("UNNumber", "undgIdCode/content", TEXT),
            ("imoClass", "hazardClassificationId/content", TEXT),
            ("properShippingName", "information/0/content", TEXT),
            ("EMSNumber", "emsId/content", TEXT),
        )
    ),
)
_EQUIPMENT = (
    Row(f"{_BOX}/equipment/equipmentReference", f"{_THEIR_BOX}/id/content"),
    Row(f"{_BOX}/equipment/ISOEquipmentCode", f"{_THEIR_BOX}/characteristicCode/content"),
    *_number(f"{_BOX}/equipment/tareWeight", f"{_THEIR_BOX}/tareWeight", "unit", WEIGHT_UNIT),
    Row(f"{_BOX}/seals/*/number", f"{_THEIR_BOX}/affixedLogisticsSeal/*/id/0/content"),
    Row(
        f"{_BOX}/seals/*/source",
        f"{_THEIR_BOX}/affixedLogisticsSeal/*/sealingPartyRoleCode/content",
        lookup(SEALED_BY),
    ),
    Row(
        f"{_BOX}/activeReeferSettings/humiditySetpoint",
        f"{_THEIR_BOX}/humidityPercent/content",
        NUMBER,
    ),
    Row(
        f"{_BOX}/activeReeferSettings/temperatureSetpoint",
        f"{_THEIR_BOX}/settingTransportSettingTemperature/0/value/content",
        NUMBER,
        needs=f"{_BOX}/activeReeferSettings/temperatureUnit",
    ),
    Row(
        f"{_BOX}/activeReeferSettings/temperatureUnit",
        f"{_THEIR_BOX}/settingTransportSettingTemperature/0/value/unitCode",
        one_of("CEL", "FAH"),
        needs=f"{_BOX}/activeReeferSettings/temperatureSetpoint",
    ),
    Row(f"{_CHARGE}/chargeName", f"{_THEIR_CHARGE}/description/0/content"),
    Row(f"{_CHARGE}/currencyAmount", f"{_THEIR_CHARGE}/appliedAmount/0/content", NUMBER),
    Row(
        f"{_CHARGE}/currencyCode",
        f"{_THEIR_CHARGE}/appliedAmount/0/currencyId",
        CURRENCY,
        needs=f"{_CHARGE}/currencyAmount",
    ),
    Row(
        f"{_CHARGE}/paymentTermCode",
        f"{_THEIR_CHARGE}/paymentArrangementCode/content",
        lookup(PAYMENT),
    ),
)
_PAYABLE = f"{_GOODS}/applicableLogisticsServiceCharge/0/paymentPlaceLogisticsLocation"
_ROWS = (
    *_DOCUMENT,
    *_ROUTE,
    Row("invoicePayableAt/UNLocationCode", f"{_PAYABLE}/id/0/content"),
    Row("invoicePayableAt/freeText", f"{_PAYABLE}/name/0/content"),
    *(row for ours, place in _PARTIES.items() for row in _party(ours, *place)),
    *_LINES,
    *_EQUIPMENT,
)
_COMPLETE = tuple(Complete(f"{ours}/identifyingCodes", ("partyCode",)) for ours in _PARTIES)
BILL = Table("bill-of-lading", "MaritimeBillofLading", _ROWS, complete=_COMPLETE)
# A waybill goes without a type code: the snapshot has none for it. Who reads it back says the type.
WAYBILL = Table(
    "sea-waybill",
    "MaritimeBillofLading",
    tuple(row for row in _ROWS if row.ours != "transportDocumentTypeCode"),
    complete=_COMPLETE,
    implied={"transportDocumentTypeCode": "SWB", "isToOrder": False},
)
TABLES = (BILL, WAYBILL)
