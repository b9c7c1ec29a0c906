"""Each rule with a failing and a passing example, made from the packaged examples by edits."""

from __future__ import annotations

from typing import Any

import pytest

from schemas import registry
from schemas.catalogue import explain
from schemas.consistency import SETS, SINGLE_FIELDS
from schemas.findings import Severity
from schemas.profiles import MANY, OTHER, SENTENCES
from schemas.rules import RuleBook
from tests.unit.documents.example_edits import (
    DROP,
    JSON_TYPES,
    cases_of,
    edited,
    edited_rules,
    example,
    rules_of,
)

COO = "certificate-of-origin"
PREF = "preferential-certificate-of-origin"
BOL = "bill-of-lading"
DGD = "dangerous-goods-declaration"
INV = "commercial-invoice"
PACK = "packing-list"
QUA = "quality-certificate"
AEO = "aeo-status"
ARR = "arrival-notice"
PLANT = "plant-health-decision"
CUSTOMS = "customs-decision"
DEL = "delivery-order"
ORD = "release-order"
MTD = "master-transport-document"
RCN = "rail-consignment-note"
RLN = "road-leg-note"
HND = "handover-note"
EVT = "logistics-event"
OEV = "origin-evaluation"
H64 = "ab" * 32
KG = {"value": "1", "unit": "KGM"}
BACK = {
    "number": "CN-1",
    "issueDate": "2026-10-01",
    "validUntil": "2027-09-30",
    "originCountry": "CN",
    "quantity": {"value": "100", "unit": "H87"},
    "originalQuantity": {"value": "160", "unit": "H87"},
}
ISSUED_EARLY = {"/issueDate": "2026-11-08", "/validUntil": "2027-09-30"}
BOX = "/utilizedTransportEquipments/0"
CARGO = "/consignmentItems/0/cargoItems/0"
CHARGE = {
    "chargeName": "Ocean freight",
    "currencyAmount": 10,
    "currencyCode": "EUR",
    "paymentTermCode": "PRE",
    "calculationBasis": "Per container",
    "unitPrice": 10,
    "quantity": 1,
}
HTS = {"type": "HTS", "countryCode": "US", "values": ["1111"]}
FACILITY = {"facilityCode": "ECT", "facilityCodeListProvider": "SMDG"}
DANGEROUS = {
    "codedVariantList": "2200",
    "properShippingName": "Paint",
    "imoClass": "3",
    "UNNumber": "1263",
    "emergencyContactDetails": {"contact": "Desk", "phone": "+31 10 123 4567"},
}

# rule → (type, edits that break it, edits under which it is looked at and holds)
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "DOC-001": (COO, {"/goods/0/originCountry": "XX"}, {"/goods/0/originCountry": "VN"}),
    "DOC-002": (PREF, {"/goods/0/fob/currency": "XYZ"}, {"/goods/0/fob/currency": "CNY"}),
    "DOC-003": (COO, {"/goods/0/quantity/unit": "KG"}, {"/goods/0/quantity/unit": "TNE"}),
    "DOC-004": (COO, {"/goods/0/packages/packageType": "9Z"}, {}),
    "DOC-005": (MTD, {"/legs/0/mode": "10"}, {"/legs/0/mode": "8"}),
    "DOC-006": (DEL, {"/containers/0/number": "NHLU2631076"}, {}),
    "DOC-007": (COO, {"/parties/exporter/identifiers/0/value": "91370784MA0DEMQ00X"}, {}),
    "DOC-008": (ARR, {"/terminal/locode": "XXRTM"}, {"/terminal/locode": "NLAMS"}),
    "DOC-009": (COO, {"/goods/-": {}}, {}),
    "DOC-010": (
        COO,
        {"/goods/0/netWeight/value": "26460.1"},
        {"/goods/0/netWeight/value": "26460"},
    ),
    "DOC-011": (PACK, {"/totals/packages": 1889, "/totals/netWeight/value": "1"}, {}),
    "DOC-012": (DEL, {"/validUntil": "2026-11-17"}, {"/validUntil": "2026-11-18"}),
    "DOC-013": (COO, {"/goods/0/hs": "980100"}, {"/goods/0/hs": "970110"}),
    "DOC-014": (ARR, {"/transport/vessel/imo": "9999994"}, {}),
    "DOC-015": (DEL, {"/containers/-": {"number": "NHLU2631075"}}, {}),
    "DOC-016": (
        DGD,
        {"/goods/0/container": "NHLU2631075"},
        {"/containers/-": {"number": "NHLU2631075"}, "/goods/0/container": "NHLU2631075"},
    ),
    "BOL-001": (BOL, {f"{BOX}/equipment/equipmentReference": "NHLU2631076"}, {}),
    "BOL-002": (BOL, {f"{CARGO}/equipmentReference": "NHLU4188222"}, {}),
    "BOL-003": (BOL, {"/receivedForShipmentDate": "2026-10-14"}, {}),
    "BOL-004": (BOL, {"/issueDate": DROP}, {}),
    "BOL-005": (
        BOL,
        {"/declaredValue": 10},
        {"/declaredValue": 10, "/declaredValueCurrency": "EUR"},
    ),
    "BOL-006": (BOL, {f"{BOX}/activeReeferSettings/temperatureUnit": DROP}, {}),
    "BOL-007": (
        BOL,
        {f"{BOX}/activeReeferSettings/airExchangeSetpoint": 15.4},
        {
            f"{BOX}/activeReeferSettings/airExchangeSetpoint": 15.4,
            f"{BOX}/activeReeferSettings/airExchangeUnit": "MQH",
        },
    ),
    "BOL-008": (
        BOL,
        {
            "/documentParties/shipper/address": DROP,
            "/documentParties/shipper/identifyingCodes": DROP,
        },
        {"/documentParties/shipper/address": DROP},
    ),
    "BOL-009": (
        BOL,
        {"/documentParties/notifyParties": DROP},
        {"/documentParties/notifyParties": DROP, "/documentParties/endorsee/isNotifyParty": True},
    ),
    "BOL-010": (BOL, {"/isToOrder": False, "/documentParties/endorsee": DROP}, {}),
    "BOL-011": (
        BOL,
        {
            "/documentParties/consignee": {
                "partyName": "Somebody",
                "identifyingCodes": [{"codeListProvider": "ZZZ", "partyCode": "1"}],
            }
        },
        {},
    ),
    "BOL-012": (BOL, {"/isToOrder": False}, {}),
    "BOL-013": (BOL, {"/transportDocumentTypeCode": "SWB"}, {}),
    "BOL-014": (
        BOL,
        {"/transports/preCarriageBy": "RAIL"},
        {
            "/transports/preCarriageBy": "RAIL",
            "/transports/placeOfReceipt": {"UNLocationCode": "CNSHA"},
        },
    ),
    "BOL-015": (BOL, {"/numberOfOriginalsWithCharges": 1}, {}),
    "BOL-016": (
        BOL,
        {"/transportDocumentTypeCode": "SWB"},
        {"/transportDocumentTypeCode": "SWB", "/numberOfOriginalsWithoutCharges": 0},
    ),
    "BOL-017": (BOL, {"/numberOfCopiesWithCharges": 2}, {"/numberOfCopiesWithCharges": 0}),
    "BOL-018": (BOL, {"/documentParties/shipper/address/countryCode": "XX"}, {}),
    "BOL-019": (BOL, {"/transportDocumentStatus": "LOST"}, {"/transportDocumentStatus": "VOIDED"}),
    "BOL-020": (BOL, {f"{CARGO}/cargoNetWeight/value": 26461}, {f"{CARGO}/cargoNetWeight": DROP}),
    "BOL-021": (
        BOL,
        {"/documentParties/issuingParty/identifyingCodes/1/partyCode": "984500NHL0DEMO000005"},
        {},
    ),
    "BOL-022": (BOL, {f"{BOX}/isNonOperatingReefer": True}, {}),
    "BOL-023": (BOL, {"/transports/plannedArrivalDate": "2026-10-01"}, {}),
    "BOL-024": (
        BOL,
        {"/consignmentItems/0/extendedHSCodes": ["9811001234"]},
        {"/consignmentItems/0/extendedHSCodes": ["091011001234"]},
    ),
    "BOL-025": (
        BOL,
        {"/consignmentItems/0/extendedHSCodes": ["091012001234"]},
        {"/consignmentItems/0/extendedHSCodes": ["091011001234"]},
    ),
    "BOL-026": (
        BOL,
        {"/charges": [CHARGE | {"extendedChargeName": "Demurrage"}]},
        {"/charges": [CHARGE | {"extendedChargeName": "Ocean freight, all in"}]},
    ),
    "BOL-027": (
        BOL,
        {"/contractQuotationReference": "Q1", "/extendedContractQuotationReference": "Q2"},
        {"/contractQuotationReference": "Q1", "/extendedContractQuotationReference": "Q1-2026"},
    ),
    "BOL-028": (
        BOL,
        {
            f"{CARGO}/nationalCommodityCodes": [HTS],
            f"{CARGO}/extendedNationalCommodityCodes": [HTS | {"values": ["2222"]}],
        },
        {
            f"{CARGO}/nationalCommodityCodes": [HTS],
            f"{CARGO}/extendedNationalCommodityCodes": [HTS | {"values": ["2222", "1111"]}],
        },
    ),
    "BOL-029": (
        BOL,
        {"/transports/placeOfDelivery": {"addressLines": ["Polderdijk 4"]}},
        {"/transports/placeOfDelivery": {"addressLines": ["a"], "UNLocationCode": "NLRTM"}},
    ),
    "BOL-030": (
        BOL,
        {"/isElectronic": False, "/documentParties/shipper/displayedAddress": ["a", "b", "c"]},
        {"/isElectronic": False, "/documentParties/shipper/displayedAddress": ["a", "b"]},
    ),
    "BOL-031": (
        BOL,
        {"/transports/placeOfDelivery": {"facility": FACILITY}},
        {"/transports/placeOfDelivery": {"facility": FACILITY, "UNLocationCode": "NLRTM"}},
    ),
    "BOL-032": (
        BOL,
        {f"{CARGO}/outerPackaging/imoPackagingCode": "1A2"},
        {
            f"{CARGO}/outerPackaging/imoPackagingCode": "1A2",
            f"{CARGO}/outerPackaging/packageCode": DROP,
            f"{CARGO}/outerPackaging/dangerousGoods": [DANGEROUS],
        },
    ),
    "BOL-033": (BOL, {f"{BOX}/equipment/ISOEquipmentCode": "22G1"}, {}),
    "BOL-034": (BOL, {"/numberOfRiderPages": 1}, {"/numberOfRiderPages": 0}),
    "BOL-035": (
        BOL,
        {
            f"{CARGO}/outerPackaging/dangerousGoods": [
                DANGEROUS | {"emergencyContactDetails": {"contact": "Desk", "phone": "0101234567"}}
            ]
        },
        {f"{CARGO}/outerPackaging/dangerousGoods": [DANGEROUS]},
    ),
    "BOL-036": (
        BOL,
        {"/consignmentItems/0/descriptionOfGoods": ["Freight of", "all kinds."]},
        {"/consignmentItems/0/descriptionOfGoods": ["Parts of ginger graters"]},
    ),
    "BOL-037": (
        BOL,
        {"/isShippedOnBoardType": False},
        {
            "/isShippedOnBoardType": False,
            "/shippedOnBoardDate": DROP,
            "/receivedForShipmentDate": "2026-10-14",
        },
    ),
    "COO-001": (COO, {"/importCountry": "CN"}, {}),
    "COO-002": (COO, {"/issuer/country": "NL"}, {}),
    "COO-003": (COO, {"/invoice/date": "2026-11-01"}, {"/invoice": DROP}),
    "COO-004": (COO, {"/goods/-": {"hsEdition": "HS2012"}}, {}),
    "COO-010": (PREF, {"/importCountry": "NL"}, {"/kind": "ACFTA_E"}),
    "COO-011": (PREF, {"/goods/0/originCountry": "NL"}, {"/goods/0/originCountry": "KR"}),
    "COO-012": (
        PREF,
        {"/goods/0/fob": DROP},
        {"/goods/0/fob": DROP, "/goods/0/originCriterion": "PE"},
    ),
    "COO-013": (PREF, {"/validUntil": "2027-11-10"}, {"/validUntil": "2027-11-09"}),
    "COO-014": (
        PREF,
        {"/departureDate": "2026-11-07"},
        {"/departureDate": "2026-11-07", "/issuedRetroactively": True},
    ),
    "COO-015": (PREF, {"/departureDate": "2025-11-06"}, {"/departureDate": "2025-11-07"}),
    "COO-016": (
        PREF,
        {"/backToBack": BACK | {"quantity": {"value": "161", "unit": "H87"}}},
        {"/backToBack": BACK, **ISSUED_EARLY},
    ),
    "COO-017": (
        PREF,
        {"/backToBack": BACK},
        {"/backToBack": {n: v for n, v in BACK.items() if n != "validUntil"}, **ISSUED_EARLY},
    ),
    "COO-018": (
        PREF,
        {"/backToBack": BACK | {"originCountry": "KR"}},
        {"/backToBack": BACK, **ISSUED_EARLY},
    ),
    "COO-019": (
        PREF,
        {"/kind": "RCEP_DOO"},
        {"/kind": "RCEP_DOO", "/approvedExporterCode": "CN-AE-1"},
    ),
    "COO-020": (
        PREF,
        {"/goods/0/regionalValueContent": "39.999999"},
        {"/goods/0/regionalValueContent": "40"},
    ),
    "COO-021": (PREF, {"/inputs": DROP}, {}),
    "QUA-001": (QUA, {"/results/0/value": "80.1"}, {"/results/0/value": "80"}),
    "QUA-002": (QUA, {"/verdict": "FAIL"}, {}),
    "QUA-003": (QUA, {"/sample/takenAt": "2026-10-13T00:00:00Z"}, {"/sample": DROP}),
    "QUA-004": (QUA, {"/inspectedAt": "2026-10-14T00:00:00Z"}, {}),
    "DGD-001": (DGD, {"/goods/0/dangerous/class": "8"}, {"/goods/0/dangerous/unNumber": "2794"}),
    "DGD-002": (
        DGD,
        {"/goods/0/dangerous/packingGroup": "II"},
        {"/goods/0/dangerous/packingGroup": "III", "/goods/0/dangerous/unNumber": "3077"},
    ),
    "DGD-003": (DGD, {"/emergencyContact/phone": "021 5550 0110"}, {}),
    "DGD-004": (
        DGD,
        {"/goods/0/dangerous/class": "3", "/goods/0/dangerous/unNumber": "1263"},
        {
            "/goods/0/dangerous/class": "3",
            "/goods/0/dangerous/unNumber": "1263",
            "/goods/0/dangerous/flashPointCelsius": "-4",
        },
    ),
    "DGD-005": (DGD, {"/goods/0/dangerous/testSummary": DROP}, {}),
    "DGD-006": (
        DGD,
        {
            "/goods/0/dangerous/class": "1.4S",
            "/goods/0/dangerous/unNumber": "0012",
            "/goods/0/dangerous/limitedQuantity": True,
        },
        {"/goods/0/dangerous/limitedQuantity": True},
    ),
    "DGD-007": (
        DGD,
        {"/goods/0/dangerous/subsidiaryHazards": ["9"]},
        {"/goods/0/dangerous/subsidiaryHazards": ["6.1"]},
    ),
    "INV-001": (INV, {"/goods/0/amount": "33169.51"}, {"/goods/0/unitPrice": "1.350000"}),
    "INV-002": (
        INV,
        {"/charges": [{"description": "Freight", "amount": "10.00"}]},
        {
            "/charges": [{"description": "Freight", "amount": "10.00"}],
            "/totalAmount": "33179.5",
        },
    ),
    "INV-003": (INV, {"/delivery/incoterm": "XXX"}, {"/delivery/incoterm": "CIF"}),
    "INV-004": (INV, {"/parties/buyer/name": "Anhe Fresh Produce Co., Ltd."}, {}),
    "PAC-001": (PACK, {"/containers/0/packages": 1}, {"/containers": DROP}),
    "PAC-002": (
        PACK,
        {"/containers/0/grossWeight/value": "26461"},
        {"/containers/0/grossWeight": DROP},
    ),
    "PAC-003": (PACK, {"/goods/0/marks": DROP}, {}),
    "AEO-001": (AEO, {"/holder/code": "AEOCN37"}, {"/holder/code": "CN370712345"}),
    "AEO-002": (AEO, {"/programme/country": "NL"}, {}),
    "AEO-003": (AEO, {"/seq": 2}, {"/seq": 2, "/prevHash": H64}),
    "AEO-004": (AEO, {"/status": "EXPIRED"}, {"/seq": 2, "/prevHash": H64, "/status": "EXPIRED"}),
    "AEO-005": (AEO, {"/consent/given": False}, {"/consent/given": False, "/holder/name": DROP}),
    "AEO-006": (
        AEO,
        {"/seq": 2, "/prevHash": H64, "/status": "SUSPENDED"},
        {"/seq": 2, "/prevHash": H64, "/status": "SUSPENDED", "/reason": "audit"},
    ),
    "AEO-007": (AEO, {"/consent/date": "2026-11-18"}, {}),
    "ARR-001": (
        ARR,
        {"/actualArrival": "2026-10-01T00:00:00Z"},
        {"/transport/departureDate": DROP},
    ),
    "ARR-002": (ARR, {"/transport/portOfDischarge": "BEANR"}, {}),
    "ARR-003": (
        ARR,
        {"/transport/vessel/imo": DROP},
        {"/transport/mode": "2", "/transport/vessel": DROP},
    ),
    "ARR-004": (
        ARR,
        {"/billOfLading/type": "packing-list"},
        {"/billOfLading/type": "rail-consignment-note"},
    ),
    "DEC-001": (
        PLANT,
        {"/verdict": "REFUSED"},
        {"/verdict": "REFUSED", "/reasons": [{"text": "Live insects"}]},
    ),
    "DEC-002": (
        CUSTOMS,
        {"/scope/kind": "BILL"},
        {"/scope/kind": "CONSIGNMENT", "/scope/containers": DROP},
    ),
    "DEC-003": (PLANT, {"/decidedAt": "2026-11-19T00:00:00Z"}, {}),
    "DEC-004": (
        PLANT,
        {
            "/subjects": [
                {"type": "phytosanitary-certificate", "number": "1", "digest": H64},
                {"type": "phytosanitary-certificate", "number": "1", "digest": H64},
            ]
        },
        {},
    ),
    "DEC-005": (PLANT, {"/issuer/country": "BE"}, {}),
    "DEC-010": (CUSTOMS, {"/action": "2"}, {}),
    "DEC-020": (PLANT, {"/subjects/0/type": "quality-certificate"}, {}),
    "DEL-001": (DEL, {"/billOfLading/type": "packing-list"}, {}),
    "DEL-002": (DEL, {"/surrender/acceptedAt": "2026-11-19T00:00:00Z"}, {"/surrender": DROP}),
    "DEL-003": (DEL, {"/emptyReturn": DROP}, {}),
    "DEL-004": (
        DEL,
        {"/issuer/name": "Someone Else"},
        {"/parties/agent": {"name": "Northern Heron Lines"}},
    ),
    "ORD-001": (ORD, {"/notAfter": "2026-11-18T09:00:00Z"}, {}),
    "ORD-002": (
        ORD,
        {"/notAfter": "2026-11-18T13:00:00.001Z"},
        {"/notAfter": "2026-11-18T13:00:00Z"},
    ),
    "ORD-003": (ORD, {"/collector/keyThumbprint": DROP}, {}),
    "ORD-004": (ORD, {"/containers/-": {"number": "NHLU4188222"}}, {}),
    "MTD-001": (
        MTD,
        {"/negotiable": True},
        {"/negotiable": True, "/legalBasis": "a treaty in force"},
    ),
    "MTD-002": (MTD, {"/legs/1/sequence": 3}, {}),
    "MTD-003": (
        MTD,
        {"/legs/1/from": {"name": "Elsewhere"}, "/placeOfDelivery": {"name": "X"}},
        {},
    ),
    "MTD-004": (MTD, {"/legs/1/departureDate": "2026-10-01"}, {"/legs/1/departureDate": DROP}),
    "RCN-001": (RCN, {"/wagons/0/number": "316870045144"}, {}),
    "RCN-002": (RCN, {"/sendingIdentification/consignmentNumber": "318254"}, {}),
    "RCN-003": (RCN, {"/wagons/0/containers": ["SLRU7004664"]}, {}),
    "RCN-004": (RCN, {"/masterReference/type": "bill-of-lading"}, {}),
    "RLN-001": (RLN, {"/masterReference/type": "bill-of-lading"}, {}),
    "RLN-002": (RLN, {"/containers/0/seals": DROP}, {}),
    "HND-001": (HND, {"/containers/0/sealsObserved": ["OTHER"]}, {}),
    "HND-002": (
        HND,
        {"/containers/0/condition": "DAMAGED"},
        {"/containers/0/condition": "DAMAGED", "/containers/0/remarks": "Dent in the left side"},
    ),
    "EVT-001": (EVT, {"/occurredAt": "2026-11-19T01:00:00Z", "/plan": []}, {}),
    "EVT-002": (
        EVT,
        {"/event": "HOLD", "/plan": []},
        {"/event": "HOLD", "/reason": {"text": "damaged seal"}},
    ),
    "EVT-003": (
        EVT,
        {"/event": "LIFT", "/reason": {"text": "seal replaced"}},
        {
            "/event": "LIFT",
            "/reason": {"text": "seal replaced"},
            "/lifts": {"type": EVT, "number": "H-1", "digest": H64},
        },
    ),
    "EVT-004": (EVT, {"/event": "DISCHARGED", "/containers": DROP}, {"/event": "DISCHARGED"}),
    "EVT-005": (EVT, {"/plan/0/at": "2026-11-17T00:00:00Z"}, {}),
    "EVT-006": (EVT, {"/condition": "DAMAGED"}, {"/condition": "DAMAGED", "/remarks": "dented"}),
    "OEV-001": (OEV, {"/evaluation/on": "2026-11-09"}, {}),
    "OEV-002": (OEV, {"/evaluation/data/0/sha256": H64}, {}),
    "OEV-003": (OEV, {"/criterion": "CTC"}, {}),
    "HND-003": (HND, {"/parties/to/name": "Steppe Link Rail"}, {}),
    "HND-004": (HND, {"/handedOverAt": "2026-11-14T00:00:00Z"}, {}),
}


for _key in registry.document_types():
    CASES |= cases_of(_key)


def _document(key: str, edits: dict[str, Any]) -> dict[str, Any]:
    """The edited example; an appended goods line begins as a copy of the first."""
    document = example(key)
    lines = {
        pointer: document["goods"][0] | value
        for pointer, value in edits.items()
        if pointer == "/goods/-"
    }
    return edited(document, edits | lines)


def _found(key: str, edits: dict[str, Any]) -> dict[str, list[str]]:
    return (
        edited_rules(key, edits) if key not in JSON_TYPES else rules_of(key, _document(key, edits))
    )


@pytest.mark.parametrize("rule", CASES)
def test_a_broken_rule_is_reported_with_a_pointer(rule: str) -> None:
    key, failing, _ = CASES[rule]
    found = _found(key, failing)
    assert not [one for one in found if one.startswith("SCH")]
    assert rule in found
    assert all(pointer.startswith("/") for pointer in found[rule])


@pytest.mark.parametrize("rule", CASES)
def test_a_kept_rule_is_silent(rule: str) -> None:
    key, _, passing = CASES[rule]
    found = _found(key, passing)
    assert rule not in found
    assert not [one for one in found if one.startswith("SCH")]


def test_every_rule_has_a_case() -> None:
    assert set(registry.rules()) == set(CASES)


def test_every_rule_is_explained_in_both_languages_with_its_source() -> None:
    ids = {one[0] for one in (*SENTENCES.values(), OTHER, *SINGLE_FIELDS.values(), *SETS.values())}
    for rule in (*registry.rules(), *ids, MANY):
        entry = explain(rule)
        assert entry is not None, rule
        assert entry.kind == "rule"
        assert all((entry.en, entry.zh, entry.next, entry.next_zh, entry.source)), rule


def test_a_rule_book_refuses_the_same_id_twice() -> None:
    book = RuleBook()
    book.error("X-001")(lambda document: ())
    with pytest.raises(ValueError, match="X-001"):
        book.warning("X-001")


def test_inherited_rules_keep_their_severity() -> None:
    assert registry.rules()["DOC-006"].severity is Severity.WARNING
    assert registry.rules()["DOC-001"].severity is Severity.ERROR


def test_one_rule_complains_at_most_twenty_times() -> None:
    document = example(QUA)
    document["results"] = [document["results"][0] | {"value": "99"} for _ in range(30)]
    assert len(rules_of(QUA, document)["QUA-001"]) == 20


def test_a_total_is_compared_only_where_every_line_says_its_part() -> None:
    document = edited(example(ARR), {"/goods/0/netWeight": DROP, "/totals/netWeight/value": "1"})
    assert "DOC-011" not in rules_of(ARR, document)


def test_the_amount_of_the_largest_invoice_line_is_computed_exactly() -> None:
    digits = "999999999999999.999999"
    edits = {"/goods/0/quantity/value": digits, "/goods/0/unitPrice": digits}
    assert "INV-001" in rules_of(INV, edited(example(INV), edits))
