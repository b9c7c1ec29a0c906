"""Road consignment note for one leg (UNTDID 730); never negotiable, refers to its master."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.definitions import JsonDocument
from schemas.documents.rail_consignment_note import MASTERS
from schemas.fields import flag, objects, text
from schemas.own_rules import COMMON_RULES
from schemas.own_view import own_view
from schemas.rules import Complaint, RuleBook
from schemas.view import DocumentType, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document
    from schemas.strict_json import JsonValue

TYPE = DocumentType(
    key="road-leg-note",
    code="730",
    name_en="Road leg note",
    name_zh="公路段运单",
    media_type="application/json",
    issuer_roles=("carrier",),
    credential_type="RoadLegNoteCredential",
)
RULES = RuleBook(COMMON_RULES)


@RULES.error("RLN-001")
def refers_to_a_master(document: Document) -> Iterator[Complaint]:
    """masterReference names a master transport document."""
    kind = text(document, "masterReference", "type")
    if kind not in MASTERS:
        yield Complaint(
            "/masterReference/type", "this is no master transport document", {"type": kind}
        )


@RULES.warning("RLN-002")
def containers_are_sealed(document: Document) -> Iterator[Complaint]:
    """A container on the road carries a seal."""
    for place, item in objects(document, "containers"):
        if not item.get("seals"):
            yield Complaint(f"{place}/seals", "the container has no seal")


def view(document: Document) -> View:
    """The normalised view; ``kind`` is road."""
    facts: dict[str, JsonValue] = {
        "kind": "road",
        "negotiable": flag(document, "negotiable"),
        "master": text(document, "masterReference", "number"),
        "plate": text(document, "vehicle", "plate"),
        "takenOverAt": text(document, "takenOverAt"),
    }
    return own_view(document, TYPE.key, facts)


DOCUMENT = JsonDocument(TYPE, RULES, view)
