"""Logistics event (own type): a milestone, a settled payment, a hold or its lifting.

One type for what carriers, terminals and authorities say they saw, so that each is signed, sent,
logged and revoked like any document (release set of the reference: DISCHARGED, FREIGHT_CLEARED,
PORT_CHARGES, HOLD; milestones: loaded, departed, transhipped, border crossed, discharged, gate).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.definitions import JsonDocument
from schemas.fields import end, instant, member, objects, text
from schemas.own_rules import COMMON_RULES
from schemas.own_view import own_view
from schemas.rules import Complaint, RuleBook
from schemas.view import DocumentType, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document
    from schemas.strict_json import JsonValue

TYPE = DocumentType(
    key="logistics-event",
    code="",
    name_en="Logistics event",
    name_zh="物流事件",
    media_type="application/json",
    issuer_roles=("carrier", "terminal", "port", "dry-port", "customs", "plant-health"),
    credential_type="LogisticsEventCredential",
)
RULES = RuleBook(COMMON_RULES)
MILESTONES = (
    "LOADED",
    "DEPARTED",
    "TRANSHIPPED",
    "BORDER_CROSSED",
    "ARRIVED",
    "DISCHARGED",
    "GATE_IN",
    "GATE_OUT",
)
_OF_ONE_BOX = frozenset({"LOADED", "DISCHARGED", "GATE_IN", "GATE_OUT"})


@RULES.error("EVT-001")
def happened_before_it_was_written(document: Document) -> Iterator[Complaint]:
    """The event is not younger than the day of issue."""
    at, issued = instant(text(document, "occurredAt")), end(text(document, "issueDate"))
    if at and issued and at > issued:
        yield Complaint("/occurredAt", "the event is younger than the document that tells of it")


@RULES.error("EVT-002")
def hold_and_lift_have_a_reason(document: Document) -> Iterator[Complaint]:
    """A hold and its lifting say why."""
    if text(document, "event") in ("HOLD", "LIFT") and not text(document, "reason", "text"):
        yield Complaint("/reason", "nobody is told why")


@RULES.error("EVT-003")
def lift_names_its_hold(document: Document) -> Iterator[Complaint]:
    """A lifting names the hold by digest, and nothing else does."""
    if (text(document, "event") == "LIFT") != ("lifts" in document):
        yield Complaint("/lifts", "a lifting names the hold that it lifts, nothing else does")


@RULES.error("EVT-004")
def box_events_name_boxes(document: Document) -> Iterator[Complaint]:
    """Loading, discharge and gate moves are events of containers."""
    if text(document, "event") in _OF_ONE_BOX and "containers" not in document:
        yield Complaint("/containers", "the containers are not named")


@RULES.error("EVT-005")
def plan_lies_ahead(document: Document) -> Iterator[Complaint]:
    """What is planned comes after what happened."""
    at = instant(text(document, "occurredAt"))
    for place, item in objects(document, "plan"):
        planned = instant(text(item, "at"))
        if at and planned and planned < at:
            yield Complaint(f"{place}/at", "the plan lies before the event")


@RULES.warning("EVT-006")
def damage_is_told(document: Document) -> Iterator[Complaint]:
    """A damaged container has remarks."""
    if text(document, "condition") == "DAMAGED" and not text(document, "remarks"):
        yield Complaint("/remarks", "the damage is not described")


def view(document: Document) -> View:
    """The normalised view; plan items are {event, at, place}."""
    plan: list[JsonValue] = [dict(item) for _, item in objects(document, "plan")]
    facts: dict[str, JsonValue] = {
        "event": text(document, "event"),
        "occurredAt": text(document, "occurredAt"),
        "place": member(document, "place"),
        "reason": text(document, "reason", "text"),
        "lifts": text(document, "lifts", "digest"),
        "vehicle": text(document, "vehicle"),
        "condition": text(document, "condition"),
        "plan": plan or None,
    }
    return own_view(document, TYPE.key, facts)


DOCUMENT = JsonDocument(TYPE, RULES, view)
