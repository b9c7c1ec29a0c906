"""Bill of lading and sea waybill (UNTDID 705): DCSA Transport Document 3.0.4, kept as it is.

Rules BOL-… are the conditions the standard states in words (EBL 3.0.4, descriptions of the
members). A rule is an error only where the standard says must or mandatory *and* its own published
examples comply; otherwise it is a warning. The consignment's UCR travels in the credential.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from schemas.definitions import JsonDocument
from schemas.documents.bill_of_lading.conditions import RULES
from schemas.fields import (
    beginning,
    decimal,
    flag,
    integer,
    member,
    objects,
    pointer,
    text,
    texts,
    weight_in_kilograms,
)
from schemas.view import MASTER_BILL, DocumentType, Reference, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document
    from schemas.strict_json import JsonValue

TYPE = DocumentType(
    key="bill-of-lading",
    code="705",
    name_en="Electronic bill of lading",
    name_zh="电子提单",
    media_type="application/json",
    issuer_roles=("carrier",),
    credential_type="BillOfLadingCredential",
)
SINGLE_PARTIES = (
    "shipper",
    "consignee",
    "endorsee",
    "issuingParty",
    "onBehalfOfShipper",
    "onBehalfOfConsignee",
    "carriersAgentAtDestination",
)
_MASTER = "MB"  # UN/CEFACT 1153: master bill of lading number


def recognises(document: Document) -> bool:
    """A DCSA Transport Document is known by its required members; a waybill has its type."""
    known = "transportDocumentReference" in document and "transportDocumentTypeCode" in document
    return known and text(document, "transportDocumentTypeCode") != "SWB"


def kind(document: Document) -> str:
    """straight | to-order | blank: EBL 3.0.4, isToOrder and endorsee."""
    if not flag(document, "isToOrder"):
        return "straight"
    endorsee = member(document, "documentParties", "endorsee")
    return "to-order" if isinstance(endorsee, dict) else "blank"


def view(document: Document) -> View:
    """The normalised view. Weights are sums over the cargo items, in kilograms."""
    items = [item for _, item in objects(document, "consignmentItems")]
    cargo = [entry for item in items for _, entry in objects(item, "cargoItems")]
    counts = [integer(entry, "outerPackaging", "numberOfPackages") for entry in cargo]
    first = pointer("consignmentItems", 0, "cargoItems", 0)
    loading = text(document, "transports", "portOfLoading", "UNLocationCode")
    discharge = text(document, "transports", "portOfDischarge", "UNLocationCode")
    return View(
        type=TYPE.key,
        number=text(document, "transportDocumentReference") or "",
        issued_at=beginning(text(document, "issueDate")),
        export_country=loading[:2] if loading else None,
        import_country=discharge[:2] if discharge else None,
        containers=_containers(document),
        packages=sum(count for count in counts if count is not None) if any(counts) else None,
        gross_kg=_sum(cargo, "cargoGrossWeight"),
        net_kg=_sum(cargo, "cargoNetWeight"),
        hs=tuple(dict.fromkeys(code[:6] for item in items for code in _hs(item))),
        parties=dict(_parties(document)),
        references=_references(document),
        port_of_loading=loading,
        port_of_discharge=discharge,
        facts=_facts(document),
        pointers={
            "number": "/transportDocumentReference",
            "containers": "/utilizedTransportEquipments",
            "packages": first + "/outerPackaging/numberOfPackages",
            "gross_kg": first + "/cargoGrossWeight/value",
            "net_kg": first + "/cargoNetWeight/value",
            "hs": "/consignmentItems/0/HSCodes",
            "port_of_loading": "/transports/portOfLoading/UNLocationCode",
            "port_of_discharge": "/transports/portOfDischarge/UNLocationCode",
        },
    )


def _hs(item: JsonValue) -> tuple[str, ...]:
    """extendedHSCodes win over the deprecated but required HSCodes."""
    return texts(item, "extendedHSCodes") or texts(item, "HSCodes")


def _containers(document: Document) -> tuple[str, ...]:
    found = (
        text(item, "equipment", "equipmentReference")
        for _, item in objects(document, "utilizedTransportEquipments")
    )
    return tuple(dict.fromkeys(number for number in found if number))


def _sum(cargo: list[Document], name: str) -> Decimal | None:
    """The sum over the cargo items, or None when any item does not say."""
    weights = [weight_in_kilograms(entry, name) for entry in cargo]
    known = [weight for weight in weights if weight is not None]
    return sum(known, Decimal(0)) if known and len(known) == len(weights) else None


def _parties(document: Document) -> Iterator[tuple[str, str]]:
    for role in SINGLE_PARTIES:
        name = text(document, "documentParties", role, "partyName")
        if name:
            yield role, name
    for index, (_, party) in enumerate(objects(document, "documentParties", "notifyParties")):
        name = text(party, "partyName")
        if name:
            yield ("notifyParty" if index == 0 else f"notifyParty{index + 1}"), name


def _references(document: Document) -> tuple[Reference, ...]:
    bookings = (
        text(item, "carrierBookingReference") for _, item in objects(document, "consignmentItems")
    )
    instructions = text(document, "shippingInstructionsReference")
    found = [Reference("booking", number) for number in dict.fromkeys(bookings) if number]
    if instructions:
        found.append(Reference("shipping-instructions", instructions))
    return (*found, *(Reference(MASTER_BILL, number) for number in master_bills(document)))


def master_bills(document: Document) -> tuple[str, ...]:
    """The master bills that a house bill names (UN/CEFACT 1153, MB), each once; itself never.

    DCSA has references of the whole document, and of each consignment item.
    """
    named = [
        text(each, "value")
        for _, each in objects(document, "references")
        if text(each, "type") == _MASTER
    ]
    for _, item in objects(document, "consignmentItems"):
        for _, each in objects(item, "references"):
            if text(each, "type") == _MASTER:
                named += texts(each, "values")
    own = text(document, "transportDocumentReference")
    return tuple(dict.fromkeys(number for number in named if number and number != own))


def _facts(document: Document) -> dict[str, JsonValue]:
    vessels: list[JsonValue] = [
        {"name": text(item, "vesselName"), "voyage": text(item, "carrierExportVoyageNumber")}
        for _, item in objects(document, "transports", "vesselVoyages")
    ]
    seals: dict[str, JsonValue] = {}
    for _, item in objects(document, "utilizedTransportEquipments"):
        number = text(item, "equipment", "equipmentReference")
        if number:
            seals[number] = [text(seal, "number") for _, seal in objects(item, "seals")]
    declared = decimal(document, "declaredValue")
    facts: dict[str, JsonValue] = {
        "status": text(document, "transportDocumentStatus"),
        "documentKind": text(document, "transportDocumentTypeCode"),
        "isToOrder": flag(document, "isToOrder"),
        "isElectronic": flag(document, "isElectronic"),
        "kind": kind(document),
        "carrier": text(document, "carrierCode"),
        "carrierCodeListProvider": text(document, "carrierCodeListProvider"),
        "freightPaymentTerm": text(document, "freightPaymentTermCode"),
        "shippedOnBoardDate": text(document, "shippedOnBoardDate"),
        "receivedForShipmentDate": text(document, "receivedForShipmentDate"),
        "plannedDepartureDate": text(document, "transports", "plannedDepartureDate"),
        "plannedArrivalDate": text(document, "transports", "plannedArrivalDate"),
        "vessels": vessels,
        "seals": seals,
        "declaredValue": None if declared is None else str(declared),
    }
    return {name: value for name, value in facts.items() if value is not None}


DOCUMENT = JsonDocument(TYPE, RULES, view, recognises)
