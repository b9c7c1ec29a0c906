"""The documents of the carriage: bill, notice, orders, the multimodal master and its legs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from testnet.story.scene import HOMES, actor_did
from testnet.story.trade import INVOICES, containers, goods_line, head, mark, seal, totals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testnet.story.scene import Scene

BILLS = {"A": "NHLSHARTM261118A", "B": "NHLSHASIN261119B"}
PORTS = {"A": "NLRTM", "B": "SGSIN"}
# Days from now of departure and arrival.
SAILINGS = {"A": (-34, 0), "B": (-7, -1)}
SECOND_SHIP = {"name": "SOUTHERN HERON", "imo": "9999981", "voyage": "117S"}
MASTER_NUMBER = "SLR-MTD-2026-0412"
RAIL_NUMBER = "SLR-SMGS-318253"
ROAD_NUMBER = "SLR-ROAD-2026-1877"
WAGONS = {"SLRU7004514": "316870045143", "SLRU7004664": "316870046646"}
WORKS = {"name": "Guanzhong Solar works, Xi'an", "country": "CN"}
XIAN = {"name": "Xi'an rail terminal", "country": "CN"}
KHORGOS = {"name": "Khorgos border station", "country": "KZ"}
ALMATY = {"locode": "KZALA", "name": "Almaty Dry Port", "country": "KZ"}
TERMS = (
    "Fictional terms for a demonstration: no ship sails, no goods are carried and nobody is bound. "
    "The carrier delivers against surrender of this electronic record to the person in control."
)


def voyage(scene: Scene) -> Mapping[str, str]:
    """The ship of the consignment; B, which the script gives none, sails on the sister ship."""
    ship: Mapping[str, str] = scene.consignment.get("vessel", SECOND_SHIP)
    return ship


def bill_of_lading(scene: Scene, variation: Mapping[str, Any]) -> dict[str, Any]:
    """eB/L (705), DCSA Transport Document 3.0.4: A to order of the bank, B straight.

    variation["endorsee"]: another actor as endorsee of A.
    """
    departs, arrives = SAILINGS[scene.id]
    ship = voyage(scene)
    to_order = scene.id == "A"
    return {
        "transportDocumentReference": BILLS[scene.id],
        "transportDocumentStatus": "ISSUED",
        "transportDocumentTypeCode": "BOL",
        "isShippedOnBoardType": True,
        "freightPaymentTermCode": "PRE",
        "isElectronic": True,
        "isToOrder": to_order,
        "numberOfOriginalsWithCharges": 0,
        "numberOfOriginalsWithoutCharges": 1,
        "shippedOnBoardDate": scene.day(departs),
        "issueDate": scene.day(departs),
        "termsAndConditions": TERMS,
        "receiptTypeAtOrigin": "CY",
        "deliveryTypeAtDestination": "CY",
        "cargoMovementTypeAtOrigin": "FCL",
        "cargoMovementTypeAtDestination": "FCL",
        "carrierCode": "NHLX",
        "carrierCodeListProvider": "SMDG",
        "transports": {
            "plannedDepartureDate": scene.day(departs),
            "plannedArrivalDate": scene.day(arrives),
            "portOfLoading": {"UNLocationCode": "CNSHA"},
            "portOfDischarge": {"UNLocationCode": PORTS[scene.id]},
            "vesselVoyages": [
                {"vesselName": ship["name"], "carrierExportVoyageNumber": ship["voyage"]}
            ],
        },
        "placeOfIssue": {"UNLocationCode": "CNSHA"},
        "invoicePayableAt": {"UNLocationCode": "CNSHA"},
        "partyContactDetails": [{"name": "Heron documents desk", "email": "desk@nhl.example"}],
        "documentParties": _document_parties(scene, variation, to_order=to_order),
        "consignmentItems": [_consignment_item(scene)],
        "utilizedTransportEquipments": [_equipment(scene, one) for one in scene.containers],
    }


def _document_parties(
    scene: Scene, variation: Mapping[str, Any], *, to_order: bool
) -> dict[str, Any]:
    """Shipper, endorsee or consignee, carrier; the importer is notified in either case."""
    parties = {
        "shipper": on_platform(scene, scene.exporter),
        "issuingParty": dcsa_party(scene, "nhl"),
    }
    if to_order:
        endorsee = on_platform(scene, variation.get("endorsee", "bank"))
        return parties | {
            "endorsee": endorsee,
            "notifyParties": [dcsa_party(scene, scene.importer)],
        }
    return parties | {"consignee": on_platform(scene, scene.importer) | {"isNotifyParty": True}}


def dcsa_party(scene: Scene, actor_id: str) -> dict[str, Any]:
    """An actor as a party of a DCSA document, known by its DID and, where it has one, its LEI."""
    country, street, city = HOMES[actor_id]
    actor = scene.actor(actor_id)
    codes = [{"codeListProvider": "W3C", "codeListName": "DID", "partyCode": actor_did(actor_id)}]
    if "lei" in actor:
        codes.append(
            {"codeListProvider": "GLEIF", "codeListName": "LEI", "partyCode": actor["lei"]}
        )
    return {
        "partyName": actor["name"],
        "address": {"street": street, "city": city, "countryCode": country},
        "identifyingCodes": codes,
    }


def on_platform(scene: Scene, actor_id: str) -> dict[str, Any]:
    """The same with the eBL platform of the node that acts for it, where that is a platform."""
    platform = scene.actor(scene.host(actor_id)).get("platform")
    return dcsa_party(scene, actor_id) | ({"eblPlatform": platform} if platform else {})


def _consignment_item(scene: Scene) -> dict[str, Any]:
    goods = scene.goods
    count = len(scene.containers)
    words = goods["desc"]
    cut = words.rfind(" ", 0, 36) if len(words) > 35 else len(words)
    return {
        "carrierBookingReference": f"NHLBK-{scene.consignment['ucr'][-6:]}",
        "descriptionOfGoods": [part for part in (words[:cut], words[cut:].strip()) if part],
        "HSCodes": [goods["hs"]],
        "shippingMarks": [mark(scene)],
        "cargoItems": [
            {
                "equipmentReference": container,
                "cargoGrossWeight": {"value": goods["gross_kg"] // count, "unit": "KGM"},
                "cargoNetWeight": {"value": goods["net_kg"] // count, "unit": "KGM"},
                "outerPackaging": {
                    "packageCode": scene.package_type,
                    "numberOfPackages": goods["pkgs"] // count,
                    "description": "Cartons",
                    **({"dangerousGoods": [LITHIUM]} if scene.id == "B" else {}),
                },
            }
            for container in scene.containers
        ],
    }


LITHIUM = {
    "UNNumber": "3480",
    "properShippingName": "LITHIUM ION BATTERIES",
    "imoClass": "9",
    "EMSNumber": "F-A S-I",
}


def _equipment(scene: Scene, container: str) -> dict[str, Any]:
    cooled = "temp_c" in scene.consignment
    settings = {
        "isNonOperatingReefer": False,
        "activeReeferSettings": {
            "temperatureSetpoint": scene.consignment.get("temp_c"),
            "temperatureUnit": "CEL",
        },
    }
    return {
        "equipment": {
            "equipmentReference": container,
            "ISOEquipmentCode": "45R1" if cooled else "45G1",
        },
        "isShipperOwned": False,
        **(settings if cooled else {}),
        "seals": [{"number": seal(container), "source": "CAR"}],
    }


def bill_reference(scene: Scene, variation: Mapping[str, Any]) -> dict[str, str]:
    """The transport document of the consignment; variation["bill"] is its digest (hex)."""
    if scene.id == "C":
        found = {"type": "master-transport-document", "number": MASTER_NUMBER}
    else:
        found = {"type": "bill-of-lading", "number": BILLS[scene.id]}
    return found | ({"digest": variation["bill"]} if "bill" in variation else {})


def arrival_notice(scene: Scene, variation: Mapping[str, Any]) -> dict[str, Any]:
    """Arrival notice (781)."""
    departs, arrives = SAILINGS[scene.id]
    ship = voyage(scene)
    return head(scene, "arrival-notice", f"{BILLS[scene.id]}-AN", "nhl", arrives - 3) | {
        "parties": {"carrier": scene.party("nhl"), "consignee": scene.party(scene.importer)},
        "transport": {
            "mode": "1",
            "vessel": {"name": ship["name"], "imo": ship["imo"]},
            "voyage": ship["voyage"],
            "portOfLoading": "CNSHA",
            "portOfDischarge": PORTS[scene.id],
            "departureDate": scene.day(departs),
        },
        "billOfLading": bill_reference(scene, variation),
        "estimatedArrival": scene.moment(days=arrives, hours=-6),
        "terminal": {"locode": PORTS[scene.id]},
        "containers": containers(scene),
        "goods": [goods_line(scene, marks=True)],
        "totals": totals(scene),
    }


def delivery_order(scene: Scene, variation: Mapping[str, Any]) -> dict[str, Any]:
    """Delivery order (640); variation["title"]: title id (hex) whose surrender was accepted."""
    title = {"title": variation["title"]} if "title" in variation else {}
    return head(scene, "delivery-order", f"{BILLS[scene.id]}-DO", "nhl", 0) | {
        "validUntil": scene.day(7),
        "parties": {"carrier": scene.party("nhl"), "consignee": scene.party(scene.importer)},
        "billOfLading": bill_reference(scene, variation),
        "containers": containers(scene),
        "freight": "PREPAID",
        "surrender": {"acceptedAt": scene.moment(), **title},
        "terminal": {"locode": PORTS[scene.id]},
        "emptyReturn": {"locode": PORTS[scene.id], "name": "Empty depot"},
    }


def master_transport_document(scene: Scene, _variation: Mapping[str, Any]) -> dict[str, Any]:
    """Master transport document (765) of consignment C: not transferable, no legal basis named."""
    carrier = scene.party("cn-rail")
    rail = {"type": "rail-consignment-note", "number": RAIL_NUMBER}
    road = {"type": "road-leg-note", "number": ROAD_NUMBER}
    legs = [
        _leg(scene, 1, "3", WORKS, XIAN, "road carriage law", road, (-16, -16)),
        _leg(scene, 2, "2", XIAN, KHORGOS, "SMGS", rail, (-14, -6)),
        _leg(scene, 3, "2", KHORGOS, ALMATY, "SMGS", rail, (-5, 0)),
    ]
    return head(scene, "master-transport-document", MASTER_NUMBER, "cn-rail", -16) | {
        "parties": {
            "shipper": scene.party(scene.exporter),
            "consignee": scene.party(scene.importer),
            "carrier": carrier,
        },
        "negotiable": False,
        "placeOfReceipt": WORKS,
        "placeOfDelivery": ALMATY,
        "legs": legs,
        "containers": containers(scene),
        "goods": [goods_line(scene, origin=True, marks=True)],
        "totals": totals(scene),
    }


def _leg(
    scene: Scene,
    sequence: int,
    mode: str,
    begins: Mapping[str, str],
    ends: Mapping[str, str],
    regime: str,
    document: Mapping[str, str],
    days: tuple[int, int],
) -> dict[str, Any]:
    return {
        "sequence": sequence,
        "mode": mode,
        "carrier": scene.party("cn-rail"),
        "from": begins,
        "to": ends,
        "liabilityRegime": regime,
        "document": document,
        "departureDate": scene.day(days[0]),
        "arrivalDate": scene.day(days[1]),
    }


def _leg_note(scene: Scene) -> dict[str, Any]:
    """What the notes of the legs share: parties, goods, and the master they refer to."""
    return {
        "parties": {
            "consignor": scene.party(scene.exporter),
            "consignee": scene.party(scene.importer),
            "carrier": scene.party("cn-rail"),
        },
        "negotiable": False,
        "masterReference": {"type": "master-transport-document", "number": MASTER_NUMBER},
        "containers": containers(scene),
        "goods": [goods_line(scene, marks=True)],
        "totals": totals(scene),
    }


def rail_consignment_note(scene: Scene, _variation: Mapping[str, Any]) -> dict[str, Any]:
    """SMGS rail note (720) of consignment C."""
    return (
        head(scene, "rail-consignment-note", RAIL_NUMBER, "cn-rail", -14)
        | _leg_note(scene)
        | {
            "note": "SMGS",
            "sendingIdentification": {
                "country": "CN",
                "station": "396520",
                "carrier": "0033",
                "consignmentNumber": RAIL_NUMBER[-6:],
            },
            "stationOfDeparture": XIAN,
            "borderPoints": [KHORGOS],
            "stationOfDestination": ALMATY,
            "wagons": [{"number": WAGONS[one], "containers": [one]} for one in scene.containers],
        }
    )


def road_leg_note(scene: Scene, _variation: Mapping[str, Any]) -> dict[str, Any]:
    """Road note (730) of the first leg of consignment C."""
    return (
        head(scene, "road-leg-note", ROAD_NUMBER, "cn-rail", -16)
        | _leg_note(scene)
        | {
            "vehicle": {"plate": "DEMO-A-1877"},
            "placeOfReceipt": WORKS,
            "placeOfDelivery": XIAN,
            "takenOverAt": scene.moment(days=-16),
        }
    )


def handover_note(scene: Scene, _variation: Mapping[str, Any]) -> dict[str, Any]:
    """Handover of consignment C at Khorgos, written by the side that takes over."""
    return head(scene, "handover-note", f"KHG-{INVOICES[scene.id]}", "kz-rail", -5) | {
        "handedOverAt": scene.moment(days=-5),
        "place": KHORGOS,
        "parties": {"from": scene.party("cn-rail"), "to": scene.party("kz-rail")},
        "containers": [
            item | {"sealsObserved": item["seals"], "condition": "SOUND"}
            for item in containers(scene)
        ],
        "references": [
            {"type": "rail-consignment-note", "number": RAIL_NUMBER},
            {"type": "master-transport-document", "number": MASTER_NUMBER},
        ],
    }
