"""Customs decision (UNTDID 961): release, refusal or hold of a container, a bill or all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.decisions import DECISION_RULES, decision_facts
from schemas.definitions import JsonDocument
from schemas.fields import text
from schemas.own_view import own_view
from schemas.rules import Complaint, RuleBook
from schemas.view import DocumentType, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document

TYPE = DocumentType(
    key="customs-decision",
    code="961",
    name_en="Customs decision",
    name_zh="海关决定",
    media_type="application/json",
    issuer_roles=("customs",),
    credential_type="CustomsDecisionCredential",
)
RULES = RuleBook(DECISION_RULES)

# UNTDID 9417: 1 clearance, 2 detention, 4 inspection.
ACTIONS = {"RELEASED": ("1",), "REFUSED": ("2",), "HOLD": ("2", "4")}


@RULES.error("DEC-010")
def action_follows_the_verdict(document: Document) -> Iterator[Complaint]:
    """The government action says the same as the verdict."""
    verdict, action = text(document, "verdict") or "", text(document, "action")
    if action not in ACTIONS[verdict]:
        yield Complaint(
            "/action",
            "the government action does not agree with the verdict",
            {"verdict": verdict, "action": action},
        )


def view(document: Document) -> View:
    """The normalised view."""
    facts = decision_facts(document) | {
        "action": text(document, "action"),
        "declarationNumber": text(document, "declarationNumber"),
        "lane": text(document, "lane"),
    }
    return own_view(document, TYPE.key, facts)


DOCUMENT = JsonDocument(TYPE, RULES, view)
