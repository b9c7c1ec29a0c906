"""Equipment interchange receipt: who handed over which container, in what state.

A type of our own. Damage is coded as in ISO 9897 (CEDEX): location, then a two-letter code.
"""

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
    key="equipment-interchange-receipt",
    code="",
    name_en="Equipment interchange receipt",
    name_zh="设备交接单",
    media_type="application/json",
    issuer_roles=(
        "port",
        "terminal",
        "dry-port",
        "carrier",
    ),
    credential_type="EquipmentInterchangeReceiptCredential",
)
RULES = RuleBook(COMMON_RULES)


@RULES.error("EIR-001")
def damage_is_listed(document: Document) -> Iterator[Complaint]:
    """Damages are listed exactly when the container is damaged."""
    damaged = text(document, "condition") == "DAMAGED"
    if damaged != any(True for _ in objects(document, "damages")):
        yield Complaint("/damages", "the condition and the list of damages disagree")


@RULES.warning("EIR-002")
def seals_as_declared(document: Document) -> Iterator[Complaint]:
    """A full container carries the seals that it is declared with."""
    declared = sorted(
        seal for _, box in objects(document, "containers") for seal in texts(box, "seals")
    )
    observed = sorted(texts(document, "sealsObserved"))
    if text(document, "loadStatus") == "FULL" and declared != observed:
        yield Complaint(
            "/sealsObserved",
            "the seals observed are not the seals declared",
            {"declared": [*declared], "observed": [*observed]},
        )


@RULES.error("EIR-003")
def two_hands(document: Document) -> Iterator[Complaint]:
    """One party hands over to another."""
    if text(document, "parties", "from", "name") == text(document, "parties", "to", "name"):
        yield Complaint("/parties/to/name", "a party hands over to itself")


@RULES.error("EIR-004")
def written_after_the_interchange(document: Document) -> Iterator[Complaint]:
    """The receipt is not older than the interchange."""
    at, issued = instant(text(document, "interchangedAt")), end(text(document, "issueDate"))
    if at and issued and at > issued:
        yield Complaint("/interchangedAt", "the receipt is older than the interchange")


def view(document: Document) -> View:
    """The normalised view."""
    facts: dict[str, JsonValue] = {
        "direction": text(document, "direction"),
        "interchangedAt": text(document, "interchangedAt"),
        "condition": text(document, "condition"),
        "loadStatus": text(document, "loadStatus"),
        "damages": member(document, "damages"),
        "gatePass": text(document, "gatePass", "number"),
    }
    return own_view(document, TYPE.key, facts)


DOCUMENT = JsonDocument(TYPE, RULES, view)
