"""Handover of containers between two carriers at a border (own type)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.definitions import JsonDocument
from schemas.fields import end, instant, member, objects, text, texts
from schemas.own_rules import COMMON_RULES
from schemas.own_view import own_view
from schemas.rules import Complaint, RuleBook
from schemas.view import DocumentType, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document
    from schemas.strict_json import JsonValue

TYPE = DocumentType(
    key="handover-note",
    code="",
    name_en="Border handover note",
    name_zh="口岸交接单",
    media_type="application/json",
    issuer_roles=("carrier", "dry-port", "customs", "terminal", "port"),
    credential_type="HandoverNoteCredential",
)
RULES = RuleBook(COMMON_RULES)


@RULES.warning("HND-001")
def seals_as_declared(document: Document) -> Iterator[Complaint]:
    """The seals observed are the seals declared."""
    for place, item in objects(document, "containers"):
        declared, observed = texts(item, "seals"), texts(item, "sealsObserved")
        if sorted(declared) != sorted(observed):
            yield Complaint(
                f"{place}/sealsObserved",
                "the seals observed are not the seals declared",
                {"declared": [*declared], "observed": [*observed]},
            )


@RULES.error("HND-002")
def damage_is_described(document: Document) -> Iterator[Complaint]:
    """A damaged container has remarks."""
    for place, item in objects(document, "containers"):
        if text(item, "condition") == "DAMAGED" and not text(item, "remarks"):
            yield Complaint(f"{place}/remarks", "the damage is not described")


@RULES.error("HND-003")
def two_sides(document: Document) -> Iterator[Complaint]:
    """One party hands over to another."""
    giver = text(document, "parties", "from", "name")
    if giver == text(document, "parties", "to", "name"):
        yield Complaint("/parties/to/name", "a party hands over to itself")


@RULES.error("HND-004")
def written_after_the_handover(document: Document) -> Iterator[Complaint]:
    """The note is not older than the handover."""
    at, issued = instant(text(document, "handedOverAt")), end(text(document, "issueDate"))
    if at and issued and at > issued:
        yield Complaint("/handedOverAt", "the note is older than the handover")


def view(document: Document) -> View:
    """The normalised view."""
    damaged: list[JsonValue] = [
        text(item, "number")
        for _, item in objects(document, "containers")
        if text(item, "condition") == "DAMAGED"
    ]
    facts: dict[str, JsonValue] = {
        "handedOverAt": text(document, "handedOverAt"),
        "place": member(document, "place"),
        "damaged": damaged,
    }
    return own_view(document, TYPE.key, facts)


DOCUMENT = JsonDocument(TYPE, RULES, view)
