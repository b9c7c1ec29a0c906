"""Delivery order (UNTDID 640): to whom the carrier delivers which containers, until when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.definitions import JsonDocument
from schemas.fields import end, instant, member, text
from schemas.own_rules import COMMON_RULES
from schemas.own_view import own_view
from schemas.rules import Complaint, RuleBook
from schemas.view import DocumentType, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document
    from schemas.strict_json import JsonValue

TYPE = DocumentType(
    key="delivery-order",
    code="640",
    name_en="Delivery order",
    name_zh="提货单",
    media_type="application/json",
    issuer_roles=("carrier",),
    credential_type="DeliveryOrderCredential",
)
RULES = RuleBook(COMMON_RULES)


@RULES.error("DEL-001")
def refers_to_a_transport_document(document: Document) -> Iterator[Complaint]:
    """The order refers to the bill it delivers against."""
    kind = text(document, "billOfLading", "type")
    if kind not in ("bill-of-lading", "master-transport-document"):
        yield Complaint("/billOfLading/type", "a delivery order rests on a bill", {"type": kind})


@RULES.error("DEL-002")
def surrender_before_the_order(document: Document) -> Iterator[Complaint]:
    """The surrender was accepted before the order was issued."""
    accepted = instant(text(document, "surrender", "acceptedAt"))
    issued = end(text(document, "issueDate"))
    if accepted and issued and accepted > issued:
        yield Complaint("/surrender/acceptedAt", "the surrender is younger than the order")


@RULES.warning("DEL-003")
def empty_container_goes_somewhere(document: Document) -> Iterator[Complaint]:
    """The order says where the empty container is returned."""
    if not member(document, "emptyReturn"):
        yield Complaint("/emptyReturn", "nobody is told where to return the empty container")


@RULES.warning("DEL-004")
def carrier_issues_it(document: Document) -> Iterator[Complaint]:
    """The issuer is the carrier or its named agent."""
    issuer = text(document, "issuer", "name")
    named = (text(document, "parties", role, "name") for role in ("carrier", "agent"))
    if issuer not in named:
        yield Complaint("/issuer/name", "the issuer is neither the carrier nor its agent")


def view(document: Document) -> View:
    """The normalised view."""
    facts: dict[str, JsonValue] = {
        "billOfLading": text(document, "billOfLading", "number"),
        "billDigest": text(document, "billOfLading", "digest"),
        "consignee": text(document, "parties", "consignee", "name"),
        "consigneeDid": text(document, "parties", "consignee", "did"),
        "freight": text(document, "freight"),
        "surrenderAcceptedAt": text(document, "surrender", "acceptedAt"),
        "title": text(document, "surrender", "title"),
        "emptyReturn": member(document, "emptyReturn"),
    }
    return own_view(document, TYPE.key, facts)


DOCUMENT = JsonDocument(TYPE, RULES, view)
