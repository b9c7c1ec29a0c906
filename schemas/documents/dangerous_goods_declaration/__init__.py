"""Dangerous goods declaration (UNTDID 890; IMO FAL form 7, IMDG code chapter 5.4)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from schemas.definitions import JsonDocument
from schemas.fields import decimal, flag, member, objects, text
from schemas.own_rules import COMMON_RULES
from schemas.own_view import own_view
from schemas.rules import Complaint, RuleBook
from schemas.view import DocumentType, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document
    from schemas.strict_json import JsonValue

TYPE = DocumentType(
    key="dangerous-goods-declaration",
    code="890",
    name_en="Dangerous goods declaration",
    name_zh="危险货物申报单",
    media_type="application/json",
    issuer_roles=("carrier", "port", "terminal", "issuer", "dry-port"),
    credential_type="DangerousGoodsDeclarationCredential",
)
RULES = RuleBook(COMMON_RULES)

# UN number → class, for the entries this software knows (UN Model Regulations, list of 3.2).
CLASSES = {
    "1203": "3",
    "1263": "3",
    "1950": "2.1",
    "3077": "9",
    "3082": "9",
    "3090": "9",
    "3091": "9",
    "3480": "9",
    "3481": "9",
    "3536": "9",
}
LITHIUM = frozenset({"3090", "3091", "3480", "3481"})
WITHOUT_PACKING_GROUP = frozenset({"1", "2", "7"})
INTERNATIONAL_PHONE = re.compile(r"\+[0-9][0-9 ()-]{5,28}\Z", re.ASCII)


def _dangerous(document: Document) -> Iterator[tuple[str, Document]]:
    for place, line in objects(document, "goods"):
        goods = member(line, "dangerous")
        if isinstance(goods, dict):
            yield f"{place}/dangerous", goods


@RULES.error("DGD-001")
def class_of_the_number(document: Document) -> Iterator[Complaint]:
    """The class is the one of the UN number, where that number is known here."""
    for place, goods in _dangerous(document):
        number, hazard = text(goods, "unNumber") or "", text(goods, "class")
        if CLASSES.get(number, hazard) != hazard:
            yield Complaint(
                f"{place}/class",
                "this is not the class of that UN number",
                {"un": number, "class": hazard, "expected": CLASSES[number]},
            )


@RULES.error("DGD-002")
def no_packing_group_where_there_is_none(document: Document) -> Iterator[Complaint]:
    """Classes 1, 2 and 7 and lithium batteries have no packing group (IMDG 2.0.1.3)."""
    for place, goods in _dangerous(document):
        hazard, number = text(goods, "class") or "", text(goods, "unNumber")
        without = hazard[:1] in WITHOUT_PACKING_GROUP or number in LITHIUM
        if without and "packingGroup" in goods:
            yield Complaint(
                f"{place}/packingGroup",
                "a packing group is given where there is none",
                {"un": number, "class": hazard},
            )


@RULES.warning("DGD-003")
def phone_can_be_called_from_abroad(document: Document) -> Iterator[Complaint]:
    """The emergency number is international (ITU-T E.123)."""
    if not INTERNATIONAL_PHONE.match(text(document, "emergencyContact", "phone") or ""):
        yield Complaint("/emergencyContact/phone", "the number does not begin with + and a country")


@RULES.warning("DGD-004")
def flash_point_of_flammable_liquids(document: Document) -> Iterator[Complaint]:
    """Class 3 states a flash point of at most 60 °C (IMDG 5.4.1.4.3.6)."""
    for place, goods in _dangerous(document):
        point = decimal(goods, "flashPointCelsius")
        if text(goods, "class") == "3" and (point is None or point > 60):
            yield Complaint(
                f"{place}/flashPointCelsius", "class 3 states a flash point of at most 60 degrees"
            )


@RULES.warning("DGD-005")
def lithium_batteries_were_tested(document: Document) -> Iterator[Complaint]:
    """Lithium batteries name the summary of their UN 38.3 tests (IMDG 2.9.4.7)."""
    for place, goods in _dangerous(document):
        if text(goods, "unNumber") in LITHIUM and not text(goods, "testSummary"):
            yield Complaint(f"{place}/testSummary", "no summary of the UN 38.3 tests is named")


@RULES.error("DGD-006")
def explosives_are_never_limited_quantities(document: Document) -> Iterator[Complaint]:
    """Classes 1 and 7 are not carried as limited quantities (IMDG 3.4)."""
    for place, goods in _dangerous(document):
        hazard = text(goods, "class") or ""
        if flag(goods, "limitedQuantity") and hazard[:1] in ("1", "7"):
            yield Complaint(
                f"{place}/limitedQuantity", "this class is not carried as limited quantity"
            )


@RULES.warning("DGD-007")
def hazard_is_not_its_own_subsidiary(document: Document) -> Iterator[Complaint]:
    """The class is not repeated among the subsidiary hazards."""
    for place, goods in _dangerous(document):
        hazards = member(goods, "subsidiaryHazards")
        if isinstance(hazards, list) and text(goods, "class") in hazards:
            yield Complaint(
                f"{place}/subsidiaryHazards", "the class is repeated as a subsidiary hazard"
            )


def view(document: Document) -> View:
    """The normalised view."""
    dangerous: list[JsonValue] = [
        {
            "unNumber": text(goods, "unNumber"),
            "class": text(goods, "class"),
            "packingGroup": text(goods, "packingGroup"),
            "properShippingName": text(goods, "properShippingName"),
        }
        for _, goods in _dangerous(document)
    ]
    facts: dict[str, JsonValue] = {
        "dangerousGoods": dangerous,
        "emergencyPhone": text(document, "emergencyContact", "phone"),
    }
    return own_view(document, TYPE.key, facts)


DOCUMENT = JsonDocument(TYPE, RULES, view)
