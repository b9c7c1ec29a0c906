"""Arrival notice (UNTDID 781): which containers come when, and under which bill."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.definitions import JsonDocument
from schemas.fields import beginning, instant, member, text
from schemas.own_rules import COMMON_RULES
from schemas.own_view import own_view
from schemas.rules import Complaint, RuleBook
from schemas.view import DocumentType, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document
    from schemas.strict_json import JsonValue

TYPE = DocumentType(
    key="arrival-notice",
    code="781",
    name_en="Arrival notice",
    name_zh="到货通知",
    media_type="application/json",
    issuer_roles=("carrier",),
    credential_type="ArrivalNoticeCredential",
)
RULES = RuleBook(COMMON_RULES)


@RULES.error("ARR-001")
def arrives_after_departure(document: Document) -> Iterator[Complaint]:
    """The arrival is not before the departure."""
    departure = beginning(text(document, "transport", "departureDate"))
    for name in ("estimatedArrival", "actualArrival"):
        arrival = instant(text(document, name))
        if departure and arrival and arrival < departure:
            yield Complaint(f"/{name}", "the arrival lies before the departure")


@RULES.warning("ARR-002")
def port_lies_in_the_importing_country(document: Document) -> Iterator[Complaint]:
    """The port of discharge lies in the importing country."""
    port = text(document, "transport", "portOfDischarge") or ""
    country = text(document, "importCountry")
    if port[:2] != country:
        yield Complaint(
            "/transport/portOfDischarge",
            "the port of discharge does not lie in the importing country",
            {"port": port, "country": country},
        )


@RULES.error("ARR-003")
def sea_arrival_names_the_ship(document: Document) -> Iterator[Complaint]:
    """An arrival by sea (mode 1) names the ship with its IMO number."""
    by_sea = text(document, "transport", "mode") == "1"
    if by_sea and not text(document, "transport", "vessel", "imo"):
        yield Complaint("/transport/vessel/imo", "an arrival by sea names the ship's IMO number")


@RULES.error("ARR-004")
def refers_to_a_transport_document(document: Document) -> Iterator[Complaint]:
    """The notice refers to a bill or another transport document."""
    kind = text(document, "billOfLading", "type")
    allowed = ("bill-of-lading", "master-transport-document", "rail-consignment-note")
    if kind not in allowed:
        yield Complaint(
            "/billOfLading/type", "this is no type of a transport document", {"type": kind}
        )


def view(document: Document) -> View:
    """The normalised view."""
    facts: dict[str, JsonValue] = {
        "billOfLading": text(document, "billOfLading", "number"),
        "vessel": text(document, "transport", "vessel", "name"),
        "imo": text(document, "transport", "vessel", "imo"),
        "voyage": text(document, "transport", "voyage"),
        "estimatedArrival": text(document, "estimatedArrival"),
        "actualArrival": text(document, "actualArrival"),
        "terminal": member(document, "terminal"),
    }
    return own_view(document, TYPE.key, facts)


DOCUMENT = JsonDocument(TYPE, RULES, view)
