"""Gate pass (UNTDID 655): one container, one truck, one slot, once.

The driver is named by a salted hash only.
"""

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
    key="gate-pass",
    code="655",
    name_en="Gate pass",
    name_zh="闸口通行证",
    media_type="application/json",
    issuer_roles=(
        "port",
        "terminal",
        "dry-port",
    ),
    credential_type="GatePassCredential",
)
RULES = RuleBook(COMMON_RULES)


@RULES.error("GTP-001")
def slot_runs_forward(document: Document) -> Iterator[Complaint]:
    """A slot ends after it begins."""
    begins = instant(text(document, "slot", "from"))
    ends = instant(text(document, "slot", "until"))
    if begins and ends and ends <= begins:
        yield Complaint("/slot/until", "the slot ends before it begins")


@RULES.error("GTP-002")
def slot_within_the_validity(document: Document) -> Iterator[Complaint]:
    """The slot lies within the validity of the pass."""
    ends, until = instant(text(document, "slot", "until")), end(text(document, "validUntil"))
    if ends and until and ends > until:
        yield Complaint("/slot/until", "the slot ends after the pass")


@RULES.error("GTP-003")
def rests_on_a_release_order(document: Document) -> Iterator[Complaint]:
    """A pass out of the gate rests on a release order."""
    kind = text(document, "releaseOrder", "type")
    if text(document, "direction") == "OUT" and kind != "release-order":
        yield Complaint("/releaseOrder/type", "this is no release order", {"type": kind})


@RULES.warning("GTP-004")
def terminal_issues_it(document: Document) -> Iterator[Complaint]:
    """The terminal whose gate it is issues the pass."""
    if text(document, "issuer", "name") != text(document, "parties", "terminal", "name"):
        yield Complaint("/issuer/name", "the issuer is not the terminal")


def view(document: Document) -> View:
    """The normalised view."""
    facts: dict[str, JsonValue] = {
        "direction": text(document, "direction"),
        "releaseOrder": text(document, "releaseOrder", "number"),
        "releaseOrderDigest": text(document, "releaseOrder", "digest"),
        "slot": member(document, "slot"),
        "plate": text(document, "truck", "plate"),
        "haulier": text(document, "parties", "haulier", "name"),
    }
    return own_view(document, TYPE.key, facts)


DOCUMENT = JsonDocument(TYPE, RULES, view)
