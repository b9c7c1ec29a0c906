"""Rules BOL-001 … BOL-024: the conditions of DCSA Transport Document 3.0.4."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from schemas import check_digits, code_lists
from schemas.fields import (
    beginning,
    flag,
    integer,
    member,
    objects,
    text,
    texts,
    walk,
    weight_in_kilograms,
)
from schemas.rules import Complaint, RuleBook

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from schemas.rules import Document

RULES = RuleBook()

STATUSES = frozenset(
    {
        "DRAFT",
        "APPROVED",
        "ISSUED",
        "PENDING_SURRENDER_FOR_AMENDMENT",
        "SURRENDERED_FOR_AMENDMENT",
        "PENDING_SURRENDER_FOR_DELIVERY",
        "SURRENDERED_FOR_DELIVERY",
        "VOIDED",
    }
)
NOT_YET_ISSUED = frozenset({"DRAFT", "APPROVED"})
ISO_6346 = re.compile(r"[A-Z]{3}[UJZ][0-9]{7}\Z", re.ASCII)
PARTY_ROLES = ("shipper", "onBehalfOfShipper", "consignee", "endorsee")


def is_issued(document: Document) -> bool:
    """Whether the status says that the carrier has issued it."""
    return text(document, "transportDocumentStatus") not in NOT_YET_ISSUED


@RULES.warning("BOL-001")
def container_check_digit(document: Document) -> Iterator[Complaint]:
    """Equipment references in ISO 6346 form have the right check digit."""
    for place, item in objects(document, "utilizedTransportEquipments"):
        number = text(item, "equipment", "equipmentReference") or ""
        if not ISO_6346.match(number) or not check_digits.is_valid("iso6346", number):
            yield Complaint(
                f"{place}/equipment/equipmentReference",
                "the container number has no valid ISO 6346 check digit",
                {"container": number},
            )


@RULES.error("BOL-002")
def cargo_is_in_a_listed_container(document: Document) -> Iterator[Complaint]:
    """Each cargo item names equipment that the document lists."""
    listed = {
        text(item, "equipment", "equipmentReference")
        for _, item in objects(document, "utilizedTransportEquipments")
    }
    for place, cargo in _cargo(document):
        number = text(cargo, "equipmentReference")
        if number not in listed:
            yield Complaint(
                f"{place}/equipmentReference",
                "this cargo is in a container that utilizedTransportEquipments does not list",
                {"container": number},
            )


@RULES.error("BOL-003")
def one_date_of_shipment(document: Document) -> Iterator[Complaint]:
    """Exactly one of shippedOnBoardDate and receivedForShipmentDate once issued."""
    given = ("shippedOnBoardDate" in document) + ("receivedForShipmentDate" in document)
    if given == 2 or (given == 0 and is_issued(document)):
        yield Complaint(
            "/shippedOnBoardDate",
            "an issued bill has exactly one of shippedOnBoardDate and receivedForShipmentDate",
        )


@RULES.warning("BOL-004")
def issue_date_once_issued(document: Document) -> Iterator[Complaint]:
    """issueDate must be there once issued; the standard's own issued example has none."""
    if is_issued(document) and "issueDate" not in document:
        yield Complaint("/issueDate", "the document is issued but does not say when")


def _pair(document: object, place: str, left: str, right: str) -> Iterable[Complaint]:
    if isinstance(document, dict) and (left in document) != (right in document):
        yield Complaint(f"{place}/{right}", f"{left} and {right} are given together or not at all")


@RULES.error("BOL-005")
def declared_value_with_currency(document: Document) -> Iterable[Complaint]:
    """declaredValueCurrency if and only if declaredValue."""
    return _pair(document, "", "declaredValue", "declaredValueCurrency")


def _reefer(document: Document) -> Iterator[tuple[str, Document]]:
    for place, item in objects(document, "utilizedTransportEquipments"):
        settings = member(item, "activeReeferSettings")
        if isinstance(settings, dict):
            yield f"{place}/activeReeferSettings", settings


@RULES.error("BOL-006")
def temperature_with_unit(document: Document) -> Iterator[Complaint]:
    """temperatureUnit if and only if temperatureSetpoint."""
    for place, settings in _reefer(document):
        yield from _pair(settings, place, "temperatureSetpoint", "temperatureUnit")


@RULES.error("BOL-007")
def air_exchange_with_unit(document: Document) -> Iterator[Complaint]:
    """airExchangeUnit if and only if airExchangeSetpoint."""
    for place, settings in _reefer(document):
        yield from _pair(settings, place, "airExchangeSetpoint", "airExchangeUnit")


@RULES.warning("BOL-008")
def party_can_be_found(document: Document) -> Iterator[Complaint]:
    """Address or identifying code; the standard's own examples give some parties neither."""
    for place, party in _parties(document):
        if not (party.get("address") or party.get("addressLines") or party.get("identifyingCodes")):
            yield Complaint(place, "the party has neither address nor identifying code")


def _parties(document: Document) -> Iterator[tuple[str, Document]]:
    """Every party of which the standard says that an address or a code must be given."""
    for role in PARTY_ROLES:
        party = member(document, "documentParties", role)
        if isinstance(party, dict):
            yield f"/documentParties/{role}", party
    yield from objects(document, "documentParties", "notifyParties")
    for place, other in objects(document, "documentParties", "other"):
        party = member(other, "party")
        if isinstance(party, dict):
            yield f"{place}/party", party


@RULES.warning("BOL-009")
def somebody_is_notified(document: Document) -> Iterator[Complaint]:
    """A to-order bill names whom to notify; the standard's own examples do not."""
    parties = member(document, "documentParties")
    notified = any(flag(parties, role, "isNotifyParty") for role in ("consignee", "endorsee"))
    if flag(document, "isToOrder") and not notified and not member(parties, "notifyParties"):
        yield Complaint("/documentParties/notifyParties", "a bill to order names nobody to notify")


@RULES.error("BOL-010")
def straight_bill_has_a_consignee(document: Document) -> Iterator[Complaint]:
    """consignee is mandatory when isToOrder is false."""
    if flag(document, "isToOrder") is False and not member(
        document, "documentParties", "consignee"
    ):
        yield Complaint("/documentParties/consignee", "a bill not to order names its consignee")


@RULES.error("BOL-011")
def consignee_or_endorsee(document: Document) -> Iterator[Complaint]:
    """Consignee and endorsee are mutually exclusive."""
    parties = member(document, "documentParties")
    if member(parties, "consignee") and member(parties, "endorsee"):
        yield Complaint("/documentParties/endorsee", "a bill names a consignee or an endorsee")


@RULES.error("BOL-012")
def endorsee_needs_a_negotiable_bill(document: Document) -> Iterator[Complaint]:
    """An endorsee only when isToOrder is true."""
    endorsee = member(document, "documentParties", "endorsee")
    if endorsee and flag(document, "isToOrder") is False:
        yield Complaint("/documentParties/endorsee", "only a bill to order can have an endorsee")


@RULES.error("BOL-013")
def waybill_is_never_to_order(document: Document) -> Iterator[Complaint]:
    """isToOrder must be false for a sea waybill."""
    if text(document, "transportDocumentTypeCode") == "SWB" and flag(document, "isToOrder"):
        yield Complaint("/isToOrder", "a sea waybill is never to order")


@RULES.error("BOL-014")
def carriage_by_the_carrier_has_a_place(document: Document) -> Iterator[Complaint]:
    """preCarriageBy needs placeOfReceipt, onCarriageBy needs placeOfDelivery."""
    transports = member(document, "transports")
    for mode, place in (("preCarriageBy", "placeOfReceipt"), ("onCarriageBy", "placeOfDelivery")):
        if member(transports, mode) and not member(transports, place):
            yield Complaint(f"/transports/{place}", f"{mode} is given, so {place} must be too")


def _originals(document: Document) -> int:
    names = ("numberOfOriginalsWithCharges", "numberOfOriginalsWithoutCharges")
    return sum(integer(document, name) or 0 for name in names)


@RULES.error("BOL-015")
def one_electronic_original(document: Document) -> Iterator[Complaint]:
    """An electronic bill has at most one original."""
    count = _originals(document)
    if flag(document, "isElectronic") and count > 1:
        yield Complaint(
            "/numberOfOriginalsWithCharges",
            "an electronic bill has at most one original",
            {"originals": count},
        )


@RULES.warning("BOL-016")
def only_bills_have_originals(document: Document) -> Iterator[Complaint]:
    """Numbers of originals apply to BOL only."""
    if text(document, "transportDocumentTypeCode") == "SWB" and _originals(document):
        yield Complaint("/numberOfOriginalsWithCharges", "a sea waybill has no originals")


@RULES.warning("BOL-017")
def electronic_bill_has_no_copies(document: Document) -> Iterator[Complaint]:
    """Numbers of copies do not apply to an electronic bill."""
    names = ("numberOfCopiesWithCharges", "numberOfCopiesWithoutCharges")
    electronic = flag(document, "isElectronic")
    if electronic and text(document, "transportDocumentTypeCode") == "BOL":
        for name in names:
            if integer(document, name):
                yield Complaint(f"/{name}", "an electronic bill has no copies")


CODED = {
    "countryCode": ("country", "the country code is not in ISO 3166-1"),
    "currencyCode": ("currency", "the currency code is not in ISO 4217"),
    "declaredValueCurrency": ("currency", "the currency code is not in ISO 4217"),
    "packageCode": ("package", "the package code is not in UN/ECE Recommendation 21"),
}
NO_COUNTRY = "ZZ"  # DCSA's code for an unknown country in tax references


@RULES.warning("BOL-018")
def codes_are_in_their_lists(document: Document) -> Iterator[Complaint]:
    """Countries, currencies and package codes are in their lists."""
    for place, name, value in walk(document, CODED):
        if isinstance(value, str) and value != NO_COUNTRY:
            list_id, sentence = CODED[name]
            if not code_lists.contains(list_id, value):
                yield Complaint(place, sentence, {"code": value})


@RULES.warning("BOL-019")
def known_status(document: Document) -> Iterator[Complaint]:
    """transportDocumentStatus is one of the values the standard lists."""
    status = text(document, "transportDocumentStatus")
    if status not in STATUSES:
        yield Complaint(
            "/transportDocumentStatus",
            "this status is not listed by the standard",
            {"status": status},
        )


@RULES.warning("BOL-020")
def net_below_gross(document: Document) -> Iterator[Complaint]:
    """A cargo item's net weight does not exceed its gross weight."""
    for place, cargo in _cargo(document):
        net = weight_in_kilograms(cargo, "cargoNetWeight")
        gross = weight_in_kilograms(cargo, "cargoGrossWeight")
        if net is not None and gross is not None and net > gross:
            yield Complaint(
                f"{place}/cargoNetWeight",
                "the net weight exceeds the gross weight",
                {"net": str(net), "gross": str(gross)},
            )


@RULES.warning("BOL-021")
def legal_entity_identifier(document: Document) -> Iterator[Complaint]:
    """Identifying codes from GLEIF have the right check digits (ISO 17442)."""
    for place, _, value in walk(document, {"identifyingCodes"}):
        code = text(value, "partyCode") or ""
        if text(value, "codeListProvider") == "GLEIF" and not check_digits.is_valid("lei", code):
            yield Complaint(f"{place}/partyCode", "the LEI has wrong check digits", {"lei": code})


@RULES.warning("BOL-022")
def settings_of_a_running_reefer(document: Document) -> Iterator[Complaint]:
    """activeReeferSettings only when isNonOperatingReefer is false."""
    for place, item in objects(document, "utilizedTransportEquipments"):
        if flag(item, "isNonOperatingReefer") and "activeReeferSettings" in item:
            yield Complaint(
                f"{place}/activeReeferSettings", "a reefer that does not operate has no settings"
            )


@RULES.warning("BOL-023")
def arrival_after_departure(document: Document) -> Iterator[Complaint]:
    """plannedArrivalDate is not before plannedDepartureDate."""
    departure = text(document, "transports", "plannedDepartureDate")
    arrival = text(document, "transports", "plannedArrivalDate")
    left, right = beginning(departure), beginning(arrival)
    if left and right and right < left:
        yield Complaint(
            "/transports/plannedArrivalDate",
            "the ship arrives before it departs",
            {"departure": departure, "arrival": arrival},
        )


@RULES.warning("BOL-024")
def hs_chapter_exists(document: Document) -> Iterator[Complaint]:
    """HS codes lie in a chapter of the Harmonized System."""
    for place, item in objects(document, "consignmentItems"):
        for name in ("HSCodes", "extendedHSCodes"):
            for code in texts(item, name):
                if not code_lists.is_hs6(code[:6]):
                    yield Complaint(f"{place}/{name}", "no such HS chapter", {"hs": code})


def _cargo(document: Document) -> Iterator[tuple[str, Document]]:
    for place, item in objects(document, "consignmentItems"):
        for below, cargo in objects(item, "cargoItems"):
            yield place + below, cargo
