"""Rules BOL-025 … BOL-037: what else DCSA Transport Document 3.0.4 says in words.

Deprecated members beside their successors (the successor wins, whoever still reads the older one is
told another story), what applies to paper, reefers or dangerous goods only, and places and dates
that must go together.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from schemas.documents.bill_of_lading import rules
from schemas.fields import flag, integer, member, objects, text, texts, walk
from schemas.rules import Complaint, RuleBook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document

RULES = RuleBook(rules.RULES)

PLACES = ("placeOfReceipt", "placeOfDelivery", "onwardInlandRouting")
PHYSICAL_LINES = 2
#: ITU-T E.123 §2.4: the international prefix symbol +, then digits with spaces between groups.
INTERNATIONAL = re.compile(r"\+[1-9][0-9() .-]{3,38}\Z", re.ASCII)
#: ISO 6346 annex: R is refrigerated or heated, H has removable machinery.
REEFER_GROUPS = frozenset("RH")
#: The terms that the standard itself names as too general for customs.
TOO_GENERAL = frozenset({"consolidated", "general cargo", "parts", "freight of all kinds"})


@RULES.warning("BOL-025")
def hs_codes_agree(document: Document) -> Iterator[Complaint]:
    """HSCodes is required but ignored where extendedHSCodes is given; both begin alike."""
    for place, item in objects(document, "consignmentItems"):
        extended = texts(item, "extendedHSCodes")
        for code in texts(item, "HSCodes"):
            if extended and not any(_begin_alike(code, longer) for longer in extended):
                yield Complaint(
                    f"{place}/HSCodes", "extendedHSCodes says another HS code", {"hs": code}
                )


def _begin_alike(left: str, right: str) -> bool:
    return left.startswith(right) or right.startswith(left)


@RULES.warning("BOL-026")
def charge_names_agree(document: Document) -> Iterator[Complaint]:
    """chargeName is required but ignored where extendedChargeName is given."""
    for place, charge in objects(document, "charges"):
        short, long = text(charge, "chargeName"), text(charge, "extendedChargeName")
        if short and long and not _begin_alike(short, long):
            yield Complaint(f"{place}/chargeName", "extendedChargeName names another charge")


@RULES.warning("BOL-027")
def quotation_references_agree(document: Document) -> Iterator[Complaint]:
    """contractQuotationReference is ignored where the extended one is given."""
    short = text(document, "contractQuotationReference")
    long = text(document, "extendedContractQuotationReference")
    if short and long and not _begin_alike(short, long):
        yield Complaint(
            "/contractQuotationReference",
            "extendedContractQuotationReference is another reference",
        )


def _commodity_places(document: Document) -> Iterator[tuple[str, Document]]:
    for place, item in objects(document, "consignmentItems"):
        yield place, item
        for below, cargo in objects(item, "cargoItems"):
            yield place + below, cargo


@RULES.warning("BOL-028")
def commodity_codes_agree(document: Document) -> Iterator[Complaint]:
    """nationalCommodityCodes are ignored where the extended ones are given."""
    for place, item in _commodity_places(document):
        short, long = (
            {
                (text(one, "type"), text(one, "countryCode"), value)
                for _, one in objects(item, name)
                for value in texts(one, "values")
            }
            for name in ("nationalCommodityCodes", "extendedNationalCommodityCodes")
        )
        if short and long and not short <= long:
            yield Complaint(
                f"{place}/nationalCommodityCodes",
                "extendedNationalCommodityCodes does not list these codes",
            )


@RULES.warning("BOL-029")
def address_lines_are_not_alone(document: Document) -> Iterator[Complaint]:
    """Readers of 3.0.2 and earlier do not know addressLines of a place."""
    for name in PLACES:
        place = member(document, "transports", name)
        if (
            isinstance(place, dict)
            and "addressLines" in place
            and not set(place)
            - {
                "addressLines",
                "locationName",
                "facilityName",
            }
        ):
            yield Complaint(
                f"/transports/{name}/addressLines", "addressLines alone identify no place"
            )


@RULES.warning("BOL-030")
def displayed_address_on_paper(document: Document) -> Iterator[Complaint]:
    """A physical bill shows two lines of an address; some carriers allow more."""
    if flag(document, "isElectronic"):
        return
    for place, _, lines in walk(document, {"displayedAddress"}):
        if isinstance(lines, list) and len(lines) > PHYSICAL_LINES:
            yield Complaint(
                place, "a physical bill shows two lines of an address", {"lines": len(lines)}
            )


@RULES.warning("BOL-031")
def facility_has_a_location(document: Document) -> Iterator[Complaint]:
    """A BIC or SMDG facility code is defined only together with a UN location code."""
    for name in PLACES:
        place = member(document, "transports", name)
        if member(place, "facility") and not text(place, "UNLocationCode"):
            yield Complaint(
                f"/transports/{name}/UNLocationCode", "the facility code needs a UN location code"
            )


@RULES.warning("BOL-032")
def one_code_for_dangerous_packaging(document: Document) -> Iterator[Complaint]:
    """imoPackagingCode is for dangerous goods, packageCode there only where it is not available."""
    for place, item in _commodity_places(document):
        packaging = member(item, "outerPackaging")
        if not isinstance(packaging, dict) or "imoPackagingCode" not in packaging:
            continue
        where = f"{place}/outerPackaging/imoPackagingCode"
        if not packaging.get("dangerousGoods"):
            yield Complaint(where, "an IMO packaging code is for dangerous goods only")
        elif "packageCode" in packaging:
            yield Complaint(where, "the IMO packaging code is given, so packageCode is not")


@RULES.warning("BOL-033")
def reefer_members_at_a_reefer(document: Document) -> Iterator[Complaint]:
    """isNonOperatingReefer and settings apply to a reefer by its ISO 6346 type only."""
    for place, item in objects(document, "utilizedTransportEquipments"):
        code = text(item, "equipment", "ISOEquipmentCode") or ""
        told = bool(flag(item, "isNonOperatingReefer")) or "activeReeferSettings" in item
        if told and len(code) == 4 and code[2] not in REEFER_GROUPS:
            yield Complaint(
                f"{place}/equipment/ISOEquipmentCode",
                "the type is no reefer, yet the equipment is told to be one",
                {"type": code},
            )


@RULES.warning("BOL-034")
def rider_pages_on_paper(document: Document) -> Iterator[Complaint]:
    """Rider pages apply to physical documents only."""
    if flag(document, "isElectronic") and integer(document, "numberOfRiderPages"):
        yield Complaint("/numberOfRiderPages", "an electronic document has no rider pages")


@RULES.warning("BOL-035")
def emergency_phone_is_international(document: Document) -> Iterator[Complaint]:
    """The phone number of an emergency contact is in the international form of ITU-T E.123."""
    for place, _, contact in walk(document, {"emergencyContactDetails"}):
        phone = text(contact, "phone")
        if phone and not INTERNATIONAL.match(phone):
            yield Complaint(f"{place}/phone", "the emergency number is not in international form")


@RULES.warning("BOL-036")
def description_is_precise(document: Document) -> Iterator[Complaint]:
    """General terms cannot be accepted by customs as a description of goods."""
    for place, item in objects(document, "consignmentItems"):
        words = " ".join(texts(item, "descriptionOfGoods")).strip(" .").casefold()
        if words in TOO_GENERAL:
            yield Complaint(f"{place}/descriptionOfGoods", "the description is too general")


@RULES.warning("BOL-037")
def type_and_date_of_shipment_agree(document: Document) -> Iterator[Complaint]:
    """shippedOnBoardDate makes it shipped on board, receivedForShipmentDate received."""
    on_board = flag(document, "isShippedOnBoardType")
    for name, expected in (("shippedOnBoardDate", True), ("receivedForShipmentDate", False)):
        if name in document and on_board is not None and on_board is not expected:
            yield Complaint(f"/{name}", "the date contradicts isShippedOnBoardType")
