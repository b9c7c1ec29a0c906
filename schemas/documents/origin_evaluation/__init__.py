"""Origin evaluation: the signed result of the origin engine, which anybody can work out again.

The report carries its question, what was found out about each certificate, and the hashes of the
data; a copy whose verdict does not follow from those is refused. It is no proof of origin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.definitions import JsonDocument
from schemas.errors import TradeError
from schemas.fields import member, text
from schemas.findings import Outcome
from schemas.origin import other_data, reproduce
from schemas.own_rules import COMMON_RULES
from schemas.own_view import own_view
from schemas.rules import Complaint, RuleBook
from schemas.view import DocumentType, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document

TYPE = DocumentType(
    key="origin-evaluation",
    code="",
    name_en="Origin evaluation",
    name_zh="原产地评估",
    media_type="application/json",
    issuer_roles=("issuer", "customs", "carrier", "port", "terminal", "dry-port", "bank"),
    credential_type="OriginEvaluationCredential",
)
RULES = RuleBook(COMMON_RULES)


@RULES.error("OEV-001")
def follows_from_its_report(document: Document) -> Iterator[Complaint]:
    """The same question under the same statuses gives this report."""
    report = member(document, "evaluation")
    try:
        outcome = reproduce(report).outcome if isinstance(report, dict) else Outcome.FAILED
    except TradeError as error:
        yield Complaint("/evaluation", "the report cannot be read", {"code": error.code})
        return
    if outcome is Outcome.FAILED:
        yield Complaint("/evaluation", "the report does not follow from its question")


@RULES.warning("OEV-002")
def rests_on_data_at_hand(document: Document) -> Iterator[Complaint]:
    """The data the report cites is the data packaged here."""
    report = member(document, "evaluation")
    if isinstance(report, dict) and other_data(report):
        yield Complaint("/evaluation/data", "the report rests on data that is not packaged here")


@RULES.error("OEV-003")
def says_what_its_report_says(document: Document) -> Iterator[Complaint]:
    """Verdict, criterion and country stand outside as they stand in the report."""
    pairs = {
        "verdict": text(document, "evaluation", "verdict"),
        "criterion": text(document, "evaluation", "origin", "criterion"),
        "originCountry": text(document, "evaluation", "country", "country"),
    }
    for name, told in pairs.items():
        if text(document, name) != told:
            values = {"stated": text(document, name), "report": told}
            yield Complaint(f"/{name}", "differs from the report", values)


def view(document: Document) -> View:
    """The normalised view; `inputs` are the upstream certificates the verdict stands on."""
    return own_view(
        document,
        TYPE.key,
        {
            "verdict": text(document, "verdict"),
            "criterion": text(document, "criterion"),
            "originCountry": text(document, "originCountry"),
            "inputs": member(document, "inputs"),
        },
    )


DOCUMENT = JsonDocument(TYPE, RULES, view)
