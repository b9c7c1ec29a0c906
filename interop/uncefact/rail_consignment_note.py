"""Our rail consignment note as MMTCIM-SMGSConsignmentNote of D23B, and back.

The combined snapshot serves CIM, SMGS and both: it holds what the SMGS one does, the station where
the carrier takes over and the net weight. It has no country of destination, no country of origin of
a line, no net weight of a container or line, no name of the issuer and no digest of a document.
"""

from __future__ import annotations

from interop.uncefact.codecs import COUNTRY, DATE, DID, NO_DID, WEIGHT_UNIT, WHOLE, lookup, one_of
from interop.uncefact.mapping import Complete, Fixed, Row, Stack, Table
from interop.uncefact.parts import goods_packages, measure, own_party, place, weights

RELATED = {"master-transport-document": "916"}  # UNTDID 1001: related document
RAIL_CAR = "RR"  # UNTDID 8053, the only code that this snapshot has of it

_HEAD, _GOODS = "exchangedDocument", "specifiedConsignment/0"
_SIGNATURE = f"{_HEAD}/firstSignatoryDocumentAuthentication"
_ITEM = f"{_GOODS}/includedConsignmentItem/*"
_EQUIPMENT = f"{_GOODS}/utilizedLogisticsTransportEquipment"
_TRAIN = f"{_GOODS}/specifiedLogisticsTransportMovement/0"
_BORDER = f"{_GOODS}/mainCarriageLogisticsTransportMovement/0/transshipmentIntermediateEvent/*"
_PARTIES = {
    "parties/consignor": f"{_GOODS}/consignor",
    "parties/consignee": f"{_GOODS}/consignee",
    "parties/carrier": f"{_GOODS}/carrier",
}
_MASTER = f"{_GOODS}/associatedReferencedDocument/0"
_REFERRED = f"{_HEAD}/referenceReferencedDocument/*"

_DOCUMENT = (
    Row("number", f"{_HEAD}/id/content"),
    Row("issueDate", f"{_HEAD}/issueDateTime", DATE),
    Row("remarks", f"{_HEAD}/information/0/content"),
    Row(
        "note",
        "exchangedDocumentContext/guidelineSpecifiedDocumentContextParameter/0/id/content",
    ),
    Row("issuer/place", f"{_SIGNATURE}/issueLogisticsLocation/name/0/content"),
    Row("references/*/number", f"{_REFERRED}/id/0/content"),
    Row("supersedes/number", f"{_HEAD}/senderAssignedId/0/content"),
    Row("consignment", f"{_GOODS}/id/0/content"),
    Row("exportCountry", f"{_GOODS}/exportTradeCountry/id/0/content", COUNTRY),
    Row("masterReference/number", f"{_MASTER}/id/0/content"),
    Row("masterReference/type", f"{_MASTER}/typeCode/content", lookup(RELATED)),
    Row(
        "sendingIdentification",
        f"{_GOODS}/carrierAssignedId/content",
        joined=("country", "station", "carrier", "consignmentNumber"),
    ),
    *place("stationOfDeparture", f"{_GOODS}/carrierAcceptanceLogisticsLocation"),
    *place(
        "stationOfDestination",
        f"{_GOODS}/deliveryEvent/occurrenceLogisticsLocation",
        country=True,
    ),
    *place("borderPoints/*", f"{_BORDER}/occurrenceLogisticsLocation"),
    Row("transport/voyage", f"{_TRAIN}/id/content"),
    Row("transport/mode", f"{_TRAIN}/modeCode/content", one_of("2")),
    *weights("totals", _GOODS),
)
_LINES = (
    Row("goods/*/sequence", f"{_ITEM}/sequenceNumeric/content", WHOLE),
    Row("goods/*/description", f"{_ITEM}/natureIdCargo/0/id/0/content"),
    Row("goods/*/batch", f"{_ITEM}/id/0/content"),
    Row("goods/*/hs", f"{_ITEM}/applicableNote/0/content/0/content"),
    Row("goods/*/hsEdition", f"{_ITEM}/applicableNote/0/contentCode/0/content", needs="goods/*/hs"),
    Row("goods/*/marks", f"{_ITEM}/physicalLogisticsShippingMarks/0/marking/0/content"),
    *goods_packages("goods/*/packages", f"{_ITEM}/transportLogisticsPackage/0", "typeCode/0"),
    *measure("goods/*/grossWeight", f"{_ITEM}/grossWeight/0", WEIGHT_UNIT),
    Row(
        "goods/*/container",
        f"{_ITEM}/associatedReferencedLogisticsTransportEquipment/0/id/content",
    ),
)
_BOXES = (
    Row("containers/*/number", f"{_EQUIPMENT}/*/id/content"),
    Row("containers/*/isoType", f"{_EQUIPMENT}/*/characteristicCode/content"),
    *measure("containers/*/grossWeight", f"{_EQUIPMENT}/*/grossWeight", WEIGHT_UNIT),
    Row("containers/*/seals/*", f"{_EQUIPMENT}/*/affixedLogisticsSeal/*/id/0/content"),
    Row("wagons/*/number", f"{_EQUIPMENT}/*/id/content"),
    Row(
        "wagons/*/containers/*",
        f"{_EQUIPMENT}/*/carriedAssociatedTransportEquipment/*/id/0/content",
    ),
)
TABLE = Table(
    key="rail-consignment-note",
    snapshot="MMTCIM-SMGSConsignmentNote",
    rows=(
        *_DOCUMENT,
        Row("issuer/identifiers/*/value", f"{_HEAD}/sender/id/*/content", NO_DID),
        Row("issuer/did", f"{_HEAD}/sender/id/+/content", DID),
        *(
            row
            for ours, theirs in _PARTIES.items()
            for row in own_party(ours, theirs)
            if ours == "parties/carrier" or not row.ours.endswith("/scheme")
        ),
        *_LINES,
        *_BOXES,
    ),
    fixed=(Fixed(f"{_HEAD}/typeCode/content", "720"),),
    complete=tuple(Complete(f"{ours}/identifiers", ("value",)) for ours in (*_PARTIES, "issuer")),
    stacks=(
        Stack(
            _EQUIPMENT,
            "categoryCode/content",
            (("containers", ""), ("wagons", RAIL_CAR)),
        ),
    ),
    implied={
        "documentType": "rail-consignment-note",
        "negotiable": False,
    },
)
