"""Rail consignment note (UNTDID 720): CIM, SMGS or both; never negotiable, refers to its master."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas import check_digits
from schemas.definitions import JsonDocument
from schemas.fields import flag, member, objects, text, texts
from schemas.own_rules import COMMON_RULES
from schemas.own_view import containers, own_view
from schemas.rules import Complaint, RuleBook
from schemas.titled import NEGOTIABLE_MULTIMODAL
from schemas.view import DocumentType, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document
    from schemas.strict_json import JsonValue

TYPE = DocumentType(
    key="rail-consignment-note",
    code="720",
    name_en="Rail consignment note",
    name_zh="铁路运单",
    media_type="application/json",
    issuer_roles=("carrier",),
    credential_type="RailConsignmentNoteCredential",
)
RULES = RuleBook(COMMON_RULES)
MASTERS = ("master-transport-document", NEGOTIABLE_MULTIMODAL)


@RULES.warning("RCN-001")
def wagon_check_digits(document: Document) -> Iterator[Complaint]:
    """Wagon numbers have the right check digit (UIC 438-2)."""
    for place, wagon in objects(document, "wagons"):
        number = text(wagon, "number") or ""
        if not check_digits.is_valid("uic_wagon", number):
            yield Complaint(
                f"{place}/number", "the wagon number has a wrong check digit", {"wagon": number}
            )


@RULES.error("RCN-002")
def consignment_number_check_digit(document: Document) -> Iterator[Complaint]:
    """The consignment number has the right check digit (GLV-CIM/SMGS box 62)."""
    number = text(document, "sendingIdentification", "consignmentNumber") or ""
    if not check_digits.is_valid("cim_consignment", number):
        yield Complaint(
            "/sendingIdentification/consignmentNumber",
            "the consignment number has a wrong check digit",
            {"number": number},
        )


@RULES.error("RCN-003")
def every_container_on_one_wagon(document: Document) -> Iterator[Complaint]:
    """Each listed container is on exactly one wagon, and no other container is."""
    loaded = [
        number for _, wagon in objects(document, "wagons") for number in texts(wagon, "containers")
    ]
    if sorted(loaded) != sorted(containers(document)):
        yield Complaint(
            "/wagons",
            "the containers on the wagons are not the containers of the note",
            {"wagons": [*loaded], "note": [*containers(document)]},
        )


@RULES.error("RCN-004")
def refers_to_a_master(document: Document) -> Iterator[Complaint]:
    """masterReference names a master transport document."""
    kind = text(document, "masterReference", "type")
    if kind not in MASTERS:
        yield Complaint(
            "/masterReference/type", "this is no master transport document", {"type": kind}
        )


def view(document: Document) -> View:
    """The normalised view; ``kind`` is rail."""
    wagons: list[JsonValue] = [text(wagon, "number") for _, wagon in objects(document, "wagons")]
    facts: dict[str, JsonValue] = {
        "kind": "rail",
        "note": text(document, "note"),
        "negotiable": flag(document, "negotiable"),
        "master": text(document, "masterReference", "number"),
        "wagons": wagons,
        "consignee": text(document, "parties", "consignee", "name"),
        "stationOfDeparture": member(document, "stationOfDeparture"),
        "stationOfDestination": member(document, "stationOfDestination"),
    }
    return own_view(document, TYPE.key, facts)


DOCUMENT = JsonDocument(TYPE, RULES, view)
