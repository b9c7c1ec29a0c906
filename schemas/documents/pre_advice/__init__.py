"""Pre-advice: what a destination's signed rules said of a consignment before it sailed.

It carries the verdict list line by line and cites the rule set by its digest, so that on arrival
every difference can be explained. It is no document of the goods and releases nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.definitions import JsonDocument
from schemas.fields import flag, member, objects, text
from schemas.own_rules import COMMON_RULES
from schemas.own_view import own_view
from schemas.rules import Complaint, RuleBook
from schemas.view import DocumentType, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document

TYPE = DocumentType(
    key="pre-advice",
    code="",
    name_en="Pre-advice",
    name_zh="预检预报",
    media_type="application/json",
    issuer_roles=("carrier", "customs", "port", "terminal", "dry-port", "bank"),
    credential_type="PreAdviceCredential",
)
RULES = RuleBook(COMMON_RULES)


@RULES.error("PAD-001")
def verdict_follows_from_its_lines(document: Document) -> Iterator[Complaint]:
    """FAILED if any blocking line failed, else INDETERMINATE if any is, else PASSED."""
    told = {
        text(line, "outcome") for _, line in objects(document, "lines") if flag(line, "blocking")
    }
    ranked = ("FAILED", "INDETERMINATE", "PASSED")
    worst = next((outcome for outcome in ranked if outcome in told), "INDETERMINATE")
    if text(document, "verdict") != worst:
        values = {"stated": text(document, "verdict"), "lines": worst}
        yield Complaint("/verdict", "the verdict does not follow from the lines", values)


@RULES.error("PAD-002")
def judges_the_documents_it_names(document: Document) -> Iterator[Complaint]:
    """Every document that a line judges is among the references, pinned by its digest."""
    named = {text(each, "digest") for _, each in objects(document, "references")}
    for place, line in objects(document, "lines"):
        if text(line, "id") == "PRE-10" and text(line, "subject") not in named:
            yield Complaint(f"{place}/subject", "the document of this line is not named")


def view(document: Document) -> View:
    """The normalised view."""
    return own_view(
        document,
        TYPE.key,
        {
            "verdict": text(document, "verdict"),
            "destination": text(document, "destination"),
            "ruleSet": text(document, "ruleSet"),
            "lines": member(document, "lines"),
        },
    )


DOCUMENT = JsonDocument(TYPE, RULES, view)
