"""The verdict list: every document's verdict at the destination, and what its rules ask for.

Lines are numbered PRE-…; findings across documents keep their XDC-… ids. A line that does not
block is only told: a missing preference, a warning, what will be asked for after the arrival.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from protocols.release.reading import TRANSPORT_TYPES, Held, fact_of
from schemas import cross
from schemas.catalogue import explain
from schemas.errors import TradeError
from schemas.fields import flag, text
from schemas.findings import Outcome, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from protocols.preflight.rule_set import RuleSet
    from protocols.release.facts import DocumentFact
    from protocols.release.rules import CountryRules
    from protocols.verify import Document, Verified
    from schemas.findings import Report
    from schemas.strict_json import JsonValue

PHYTOSANITARY = ("phytosanitary-certificate", "phytosanitary-re-export-certificate")
LATER = (
    ("arrival-notice", "arrival_notice"),
    ("delivery-order", "delivery_order"),
    ("handover-note", "handover"),
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A document as it was judged for the destination; `document` None when it cannot be read."""

    digest: str
    type: str
    number: str
    report: Report
    document: Document | None
    verified: Verified[Document] | None


@dataclass(frozen=True, slots=True)
class Line:
    """One verdict: its id, what it is about (a digest, a container, or nothing), the outcome.

    about: for people; code: the failing check's; blocking: False for what is only told
    """

    id: str
    subject: str
    outcome: Outcome
    about: str = ""
    code: str = ""
    blocking: bool = True
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """By which the same line is found in another list."""
        return (self.id, self.subject)

    def to_json(self, lang: str | None = None) -> dict[str, JsonValue]:
        """For a pre-advice; with a language, the sentence and next step for people, too."""
        body: dict[str, JsonValue] = {
            "id": self.id,
            "subject": self.subject,
            "outcome": self.outcome.value,
            "about": self.about,
            "blocking": self.blocking,
        }
        if self.code:
            body["code"] = self.code
        if self.values:
            body["values"] = dict(self.values)
        entry = explain(self.id)
        if lang is not None and entry is not None:
            body["title"] = entry.sentence(lang)
            if self.outcome is not Outcome.PASSED:
                exact = explain(self.code) or entry
                body["next"] = exact.next_step(lang)
        return body


def read_line(told: Mapping[str, JsonValue]) -> Line:
    """A line as `Line.to_json` wrote it; an outcome that nobody knows is INDETERMINATE."""
    each, values = dict(told), told.get("values")
    outcome = text(each, "outcome")
    return Line(
        id=text(each, "id") or "",
        subject=text(each, "subject") or "",
        outcome=Outcome(outcome) if outcome in set(Outcome) else Outcome.INDETERMINATE,
        about=text(each, "about") or "",
        code=text(each, "code") or "",
        blocking=flag(each, "blocking") is True,
        values={k: str(v) for k, v in values.items()} if isinstance(values, dict) else {},
    )


def overall(lines: Sequence[Line]) -> Outcome:
    """FAILED if any blocking line failed, else INDETERMINATE if any is, else PASSED."""
    outcomes = {line.outcome for line in lines if line.blocking}
    for outcome in (Outcome.FAILED, Outcome.INDETERMINATE):
        if outcome in outcomes:
            return outcome
    return Outcome.PASSED if outcomes else Outcome.INDETERMINATE


def verdicts(judged: Sequence[Judgement], rules: RuleSet) -> tuple[Line, ...]:
    """The verdict list of `rules`' node on these documents of one consignment.

    The order of the documents does not matter.
    """
    ordered = sorted(judged, key=lambda one: (one.type, one.number, one.digest))
    lines = [_software(rules), *(_document(one) for one in ordered)]
    good = [one for one in ordered if one.report.verdict is not Outcome.FAILED]
    lines += _asked_for(good, rules.release)
    lines += _across(good)
    return tuple(lines)


def _software(rules: RuleSet) -> Line:
    """PRE-01: both ends apply the same document rules; else what is said here is no promise."""
    same = Outcome.PASSED if rules.same_documents else Outcome.INDETERMINATE
    code = "" if rules.same_documents else "preflight_other_rules"
    return Line("PRE-01", "", same, rules.release.edition, code)


def _document(one: Judgement) -> Line:
    """PRE-10: the document's verdict for the destination, with the check that decided."""
    verdict = one.report.verdict
    wrong = [each for each in one.report.checks if each.outcome is verdict]
    check = wrong[0] if wrong and verdict is not Outcome.PASSED else None
    values = {"check": check.id} if check else {}
    code = (check.code or check.id) if check else ""
    return Line("PRE-10", one.digest, verdict, f"{one.type} {one.number}", code, values=values)


# -- what the release rules ask for ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Fact:
    fact: DocumentFact
    view: Any


def _facts(judged: Sequence[Judgement]) -> list[_Fact]:
    return [
        _Fact(fact_of(Held(one.document, one.report, one.verified)), one.document.view)
        for one in judged
        if one.document is not None
    ]


def _asked_for(judged: Sequence[Judgement], rules: CountryRules) -> Iterator[Line]:
    facts = _facts(judged)
    carried = [each for each in facts if each.fact.type in TRANSPORT_TYPES]
    boxes = list(dict.fromkeys(box for each in carried for box in each.view.containers))
    if not carried:
        yield Line("PRE-20", "", Outcome.FAILED, "", "transport_document_missing")
    yield from (_transport(carried, box) for box in boxes)
    hs = sorted({code for each in facts for code in each.view.hs})
    for box in boxes or [""]:
        yield from _certificates(facts, box, hs, rules)
    proofs = [each.fact for each in facts if each.fact.type in rules.preference]
    outcome, about, code = _best(proofs, "")
    yield Line("PRE-50", "", outcome, about, code and "origin_not_proven", blocking=False)
    yield from _later(carried, facts, rules)


def _transport(carried: Sequence[_Fact], box: str) -> Line:
    """PRE-20: a good transport document covers the container."""
    found = _best([each.fact for each in carried], box)
    return Line("PRE-20", box, *found)


def _certificates(
    facts: Sequence[_Fact], box: str, hs: Sequence[str], rules: CountryRules
) -> Iterator[Line]:
    """PRE-30 plant health, PRE-40 further certificates: where the goods need them."""
    if not hs:
        yield Line("PRE-30", box, Outcome.INDETERMINATE, "", "goods_not_classified")
        return
    if rules.plant_health_applies(hs):
        held = [each.fact for each in facts if each.fact.type in PHYTOSANITARY]
        yield Line("PRE-30", box, *_best(held, box))
    for rule in rules.certificates:
        if any(code.startswith(rule.hs) for code in hs):
            held = [each.fact for each in facts if each.fact.type == rule.type]
            outcome, about, code = _best(held, box)
            yield Line("PRE-40", f"{rule.type} {box}".strip(), outcome, about or rule.type, code)


def _best(held: Sequence[DocumentFact], box: str) -> tuple[Outcome, str, str]:
    """Outcome, document and code: the best that covers the container."""
    covering = [each for each in held if not box or each.covers(box)]
    good = next((each for each in covering if each.good), None)
    if good is not None:
        return Outcome.PASSED, f"{good.type} {good.number}", ""
    if covering:
        last = covering[-1]
        return Outcome.INDETERMINATE, f"{last.type} {last.number}", "document_undecided"
    return Outcome.FAILED, "", "certificate_missing"


def _later(carried: Sequence[_Fact], facts: Sequence[_Fact], rules: CountryRules) -> Iterator[Line]:
    """PRE-70: what the destination will ask for, and which is here already; told only."""
    by_rail = any(each.view.facts.get("kind") == "rail" for each in carried)
    mode = "rail" if by_rail else "sea"
    for kind, name in LATER:
        if mode in getattr(rules, name):
            here = any(each.fact.type == kind and each.fact.good for each in facts)
            outcome = Outcome.PASSED if here else Outcome.INDETERMINATE
            code = "" if here else "preflight_asked_later"
            yield Line("PRE-70", kind, outcome, kind, code, blocking=False)
    for each in carried:
        kind = str(each.view.facts.get("kind") or "")
        if each.view.facts.get("documentKind") == "SWB":
            kind = "waybill"
        if rules.must_surrender(kind):
            about = f"{each.fact.type} {each.fact.number}"
            code = "preflight_asked_later"
            subject, outcome = each.fact.digest, Outcome.INDETERMINATE
            yield Line("PRE-75", subject, outcome, about, code, blocking=False)


# -- across documents --------------------------------------------------------------------------


def _across(judged: Sequence[Judgement]) -> Iterator[Line]:
    """XDC-…: an error blocks, a warning is told."""
    papers = []
    for one in judged:
        if one.document is None:
            continue
        try:
            said = cross.statement(one.type, one.document.file.payload)
        except TradeError:
            continue
        papers.append(cross.Paper(said, one.digest))
    for finding in cross.examine(papers):
        values = {
            name: str(value)
            for name, value in finding.values.items()
            if not name.endswith("Document")
        }
        blocking = finding.severity is Severity.ERROR
        outcome = Outcome.FAILED if blocking else Outcome.INDETERMINATE
        named = f"{finding.values['leftDocument']} / {finding.values['rightDocument']}"
        pair = f"{values['leftDigest'][:16]}/{values['rightDigest'][:16]}"
        subject = f"{pair}{values['rightPointer']}"
        yield Line(finding.rule, subject, outcome, named, "", blocking, values)
