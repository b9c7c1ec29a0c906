"""Release order (UNTDID 129): one gate group may let these containers out to one collector (R24).

``conditionsDigest`` is the SHA-256 of the release decision the order rests on.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from schemas.definitions import JsonDocument
from schemas.fields import instant, member, text
from schemas.own_rules import COMMON_RULES
from schemas.own_view import own_view
from schemas.rules import Complaint, RuleBook
from schemas.view import DocumentType, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document
    from schemas.strict_json import JsonValue

TYPE = DocumentType(
    key="release-order",
    code="129",
    name_en="Release order",
    name_zh="放行单",
    media_type="application/json",
    issuer_roles=("port", "terminal", "dry-port"),
    credential_type="ReleaseOrderCredential",
)
RULES = RuleBook(COMMON_RULES)
LONGEST_SLOT = timedelta(hours=4)


@RULES.error("ORD-001")
def ends_after_it_begins(document: Document) -> Iterator[Complaint]:
    """notAfter lies after notBefore."""
    begins, ends = instant(text(document, "notBefore")), instant(text(document, "notAfter"))
    if begins and ends and ends <= begins:
        yield Complaint("/notAfter", "the order ends before it begins")


@RULES.error("ORD-002")
def at_most_one_slot(document: Document) -> Iterator[Complaint]:
    """R24: the validity is at most one slot, which is the exposure to a late revocation."""
    begins, ends = instant(text(document, "notBefore")), instant(text(document, "notAfter"))
    if begins and ends and ends - begins > LONGEST_SLOT:
        yield Complaint(
            "/notAfter",
            "the order is valid for longer than one slot of four hours",
            {"hours": str((ends - begins) / timedelta(hours=1))},
        )


@RULES.warning("ORD-003")
def collector_has_a_key(document: Document) -> Iterator[Complaint]:
    """R24: the collector is known by a key, not only by a name."""
    if not text(document, "collector", "keyThumbprint"):
        yield Complaint("/collector/keyThumbprint", "anybody of that name could collect")


@RULES.warning("ORD-004")
def one_container(document: Document) -> Iterator[Complaint]:
    """Release is decided, and an order used up, per container."""
    containers = member(document, "containers")
    if isinstance(containers, list) and len(containers) > 1:
        yield Complaint(
            "/containers", "one order covers several containers", {"containers": len(containers)}
        )


def view(document: Document) -> View:
    """The normalised view; it is valid until ``notAfter``."""
    facts: dict[str, JsonValue] = {
        "gateGroup": text(document, "gateGroup"),
        "collector": text(document, "collector", "name"),
        "collectorDid": text(document, "collector", "did"),
        "collectorKey": text(document, "collector", "keyThumbprint"),
        "vehicle": text(document, "vehicle"),
        "notBefore": text(document, "notBefore"),
        "notAfter": text(document, "notAfter"),
        "conditionsDigest": text(document, "conditionsDigest"),
        "ruleVersion": text(document, "ruleVersion"),
    }
    normalised = own_view(document, TYPE.key, facts)
    return replace(normalised, valid_until=instant(text(document, "notAfter")))


DOCUMENT = JsonDocument(TYPE, RULES, view)
