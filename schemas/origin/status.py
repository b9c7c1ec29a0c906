"""Whether a good is originating, and by which criterion (RCEP 3.2): every test tried is shown.

A material whose certificate is undecided makes two cases: it does not count, and it counts. What
passes in the first or fails in the second is decided; in between the answer is INDETERMINATE.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from schemas.findings import Outcome
from schemas.origin import data, operations, product_rules, steps
from schemas.origin.lines import Counting, Line, Standing
from schemas.origin.tariff_shift import change_of_classification
from schemas.origin.value_content import accounts, build_down, build_up, values_of
from schemas.origin.wholly_obtained import exclusively_originating, wholly_obtained

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from schemas.findings import Check, Finding
    from schemas.origin.data import Agreement, Source
    from schemas.origin.lines import Counted
    from schemas.origin.product_rules import Alternative
    from schemas.origin.question import Good, Question

#: When a good meets several product rules and the exporter, whose choice it is (headnote 8), names
#: none: RVC first, because it alone takes other Parties' materials into account (2.6(6)(a)).
PREFERRED = ("WO", "PE", "RVC", "CTC", "CR")


@dataclass(frozen=True, slots=True)
class ProductRule:
    """The rule applied: its alternatives, the good's code in its edition, where it comes from."""

    alternatives: tuple[Alternative, ...]
    hs: str
    edition: str | None
    row: str | None
    source: Source | None

    def to_json(self) -> dict[str, object]:
        """As a report cites it."""
        body: dict[str, object] = {"alternatives": [each.text for each in self.alternatives]}
        if self.source is None:
            return body | {"source": "stated in the question"}
        demonstration = bool(self.source.content["demonstration"])
        return body | {
            "row": self.row,
            "hs": self.hs,
            "hsEdition": self.edition,
            "source": self.source.edition,
            "demonstration": demonstration,
        }


@dataclass(frozen=True, slots=True)
class Tried:
    """One run of all tests: the outcome, the criteria met, what was tried."""

    outcome: Outcome
    met: tuple[str, ...]
    tests: tuple[Check, ...]
    tolerated: bool
    lines: tuple[Line, ...]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Origin:
    """The answer about origin.

    tried:  with materials of undecided certificates as non-originating
    at_best: with those as originating, where there are any
    alone:  without cumulation, where other Parties' materials were cumulated
    """

    outcome: Outcome
    criterion: str | None
    also: tuple[str, ...]
    annotations: tuple[str, ...]
    tried: Tried
    at_best: Tried | None
    alone: Tried | None
    counted: Counted
    rule: ProductRule | None
    checks: tuple[Check, ...]
    sources: tuple[Source, ...]


def judge(question: Question, agreement: Agreement, statuses: Mapping[str, Outcome]) -> Origin:
    """The originating status of the good of `question`."""
    good = question.good
    assert good is not None
    in_force = _in_force(good.party, question, agreement)
    rule, ruled = _product_rule(question, good)
    counted = Counting(question, agreement, statuses).count(cumulation=question.cumulation)
    trial = _Trial(question, good, agreement, rule, ruled)
    tried = trial.run(_as(counted.lines, Standing.NON_ORIGINATING))
    at_best = None
    if any(line.standing is Standing.UNKNOWN for line in counted.lines):
        at_best = trial.run(_as(counted.lines, Standing.ORIGINATING))
    outcome = steps.all_of([in_force.outcome, _between(tried, at_best)])
    criterion, also = _criteria(question, tried)
    conclusion = _conclusion(outcome, in_force, tried, criterion)
    return Origin(
        outcome=outcome,
        criterion=criterion if outcome is Outcome.PASSED else None,
        also=also if outcome is Outcome.PASSED else (),
        annotations=_annotations(good, tried, criterion) if outcome is Outcome.PASSED else (),
        tried=tried,
        at_best=at_best,
        alone=_alone(question, agreement, statuses, trial, counted),
        counted=counted,
        rule=rule,
        checks=(in_force, conclusion),
        sources=trial.sources,
    )


def _in_force(party: str, question: Question, agreement: Agreement) -> Check:
    """RCEP-001: the producing country is a Party for which the agreement is in force."""
    told = {"party": party, "on": question.on.isoformat()}
    if party not in agreement.parties:
        return steps.failed("RCEP-001", "not_a_party", **told)
    begins = agreement.begins(party)
    if begins is None and question.importing in agreement.parties:
        begins = agreement.pair_begins(party, question.importing or "")
    if begins is None:
        return steps.unknown("RCEP-001", "pair_unknown", **told)
    told["since"] = begins.isoformat()
    if question.on < begins:
        return steps.failed("RCEP-001", "agreement_not_in_force", **told)
    return steps.passed("RCEP-001", **told)


def _product_rule(question: Question, good: Good) -> tuple[ProductRule | None, Check]:
    """RCEP-012: the rule stated in the question, else the row of the dated data."""
    if question.rule is not None:
        alternatives = product_rules.parse_all(question.rule)
        rule = ProductRule(alternatives, good.hs, good.edition, None, None)
        return rule, steps.passed("RCEP-012", "stated in the question", rule=list(question.rule))
    source = data.rules_source(question.rules_edition)
    edition = source.content["hsEdition"]
    told = {"hs": good.hs, "edition": source.edition}
    if not data.in_force(source.content, question.on):
        return None, steps.unknown("RCEP-012", "product_rule_unknown", **told)
    hs = data.transposed(good.hs, good.edition, edition) if good.edition else None
    if hs is None:
        return None, steps.unknown("RCEP-012", "hs_edition_differs", **told)
    found = data.product_rule(source, hs)
    if found is None:
        return None, steps.unknown("RCEP-012", "product_rule_unknown", **told)
    row, texts = found
    rule = ProductRule(product_rules.parse_all(texts), hs, edition, row, source)
    return rule, steps.passed("RCEP-012", rule=list(texts), row=row, **told)


def _as(lines: Sequence[Line], standing: Standing) -> tuple[Line, ...]:
    """The same lines with the undecided ones counted so."""
    if not any(line.standing is Standing.UNKNOWN for line in lines):
        return tuple(lines)
    return tuple(
        replace(line, standing=standing) if line.standing is Standing.UNKNOWN else line
        for line in lines
    )


def _between(tried: Tried, at_best: Tried | None) -> Outcome:
    if at_best is None or tried.outcome is Outcome.PASSED:
        return tried.outcome
    return Outcome.FAILED if at_best.outcome is Outcome.FAILED else Outcome.INDETERMINATE


class _Trial:
    """All tests over one counting of the lines."""

    __slots__ = ("_agreement", "_good", "_minimal", "_question", "_rule", "_ruled", "sources")

    def __init__(
        self,
        question: Question,
        good: Good,
        agreement: Agreement,
        rule: ProductRule | None,
        ruled: Check,
    ) -> None:
        self._question = question
        self._good = good
        self._agreement = agreement
        self._rule = rule
        self._ruled = ruled
        self._minimal = operations.more_than_minimal(question.operations, agreement)
        self.sources = _sources(good, rule)

    def run(self, lines: tuple[Line, ...]) -> Tried:
        """WO, PE and, where something non-originating was used, each alternative of the rule."""
        whole, exclusive = (
            wholly_obtained(self._good, lines),
            exclusively_originating(self._good, lines),
        )
        tests = [whole, exclusive]
        met = [name for name, test in (("WO", whole), ("PE", exclusive)) if _holds(test)]
        outcomes = [whole.outcome, exclusive.outcome]
        findings: list[Finding] = []
        tolerated = False
        non_originating = exclusive.outcome is Outcome.FAILED
        if non_originating and not met:
            tests.append(self._ruled)
            outcome, more, kinds, tolerated = self._by_rule(lines, findings)
            tests += more
            met += kinds
            outcomes.append(outcome)
        return Tried(
            steps.any_of(outcomes), tuple(met), tuple(tests), tolerated, lines, tuple(findings)
        )

    def _by_rule(
        self, lines: tuple[Line, ...], findings: list[Finding]
    ) -> tuple[Outcome, list[Check], list[str], bool]:
        """3.2(c): the alternatives, then 3.6, which overrides them all."""
        if self._rule is None:
            return self._ruled.outcome, [], [], False
        tests: list[Check] = []
        outcomes: list[Outcome] = []
        kinds: list[str] = []
        tolerated = False
        for rule in self._rule.alternatives:
            outcome, more, needed = self._alternative(rule, lines, findings)
            tests += more
            outcomes.append(outcome)
            tolerated = tolerated or needed
            if outcome is Outcome.PASSED and rule.kind not in kinds:
                kinds.append(rule.kind)
        outcome = steps.any_of(outcomes)
        tests.append(self._minimal)
        if self._minimal.code == "operations_not_stated":
            message = (
                "no step of production is stated; that more than 3.6 was done is taken as said"
            )
            findings.append(steps.warning("RCEP-060", "/operations", message))
        outcome = steps.all_of([outcome, operations.bars(self._minimal)])
        return outcome, tests, kinds if outcome is Outcome.PASSED else [], tolerated

    def _alternative(
        self, rule: Alternative, lines: tuple[Line, ...], findings: list[Finding]
    ) -> tuple[Outcome, list[Check], bool]:
        if rule.kind == "CTC":
            assert self._rule is not None
            shift = change_of_classification(
                self._good, self._rule.hs, lines, rule, self._agreement, self._codes(lines)
            )
            return shift.outcome, list(shift.tests), shift.tolerated
        if rule.kind == "RVC":
            return self._by_value(rule, lines, findings)
        if rule.kind == "CR":
            check = operations.chemical_reaction(self._question.operations)
            return check.outcome, [check], False
        # WO and PE were tried above: a rule WO is met by them alone (headnote 7(e)).
        check = steps.failed("RCEP-013", "non_originating_used", rule=rule.text)
        return check.outcome, [check], False

    def _by_value(
        self, rule: Alternative, lines: tuple[Line, ...], findings: list[Finding]
    ) -> tuple[Outcome, list[Check], bool]:
        values = values_of(lines)
        down = build_down(self._good, values, rule)
        up = build_up(self._good, values, self._question.costs, rule)
        finding = accounts(self._good, values, self._question.costs)
        if finding is not None and finding not in findings:
            findings.append(finding)
        tests = [down] if up is None else [down, up]
        return steps.any_of(test.outcome for test in tests), tests, False

    def _codes(self, lines: tuple[Line, ...]) -> dict[str, str | None]:
        """Each material's code in the edition of the rule."""
        assert self._rule is not None
        codes = {line.material.hs for line in lines if line.material.hs is not None}
        given, wanted = self._good.edition, self._rule.edition
        if given is None or wanted is None or given == wanted:
            return {code: code for code in codes}
        return {code: data.transposed(code, given, wanted) for code in codes}


def _holds(test: Check) -> bool:
    return test.outcome is Outcome.PASSED


def _sources(good: Good, rule: ProductRule | None) -> tuple[Source, ...]:
    if rule is None or rule.source is None:
        return ()
    transposed = good.edition is not None and good.edition != rule.edition
    return (rule.source, data.source(data.CORRELATION)) if transposed else (rule.source,)


def _criteria(question: Question, tried: Tried) -> tuple[str | None, tuple[str, ...]]:
    """The exporter's choice where it is met, else the first in the order above; and the others."""
    ordered = [name for name in PREFERRED if name in tried.met]
    if not ordered:
        return None, ()
    chosen = question.criterion if question.criterion in ordered else ordered[0]
    own = ("WO", "PE")
    # A good that is wholly obtained is not said to be of originating materials as well.
    return chosen, tuple(n for n in ordered if n != chosen and not (chosen in own and n in own))


def _annotations(good: Good, tried: Tried, criterion: str | None) -> tuple[str, ...]:
    """Codes of the certificate's form: ACU cumulation, DMI tolerance; for a product rule only."""
    if criterion in (None, "WO", "PE"):
        return ()
    cumulated = any(
        line.standing is Standing.ORIGINATING and line.party not in (None, good.party)
        for line in tried.lines
    )
    found = ["ACU"] if cumulated else []
    if criterion == "CTC" and tried.tolerated:
        found.append("DMI")
    return tuple(found)


def _conclusion(outcome: Outcome, in_force: Check, tried: Tried, criterion: str | None) -> Check:
    """RCEP-002: the good is originating under 3.2(a), (b) or (c)."""
    if outcome is Outcome.PASSED:
        return steps.passed("RCEP-002", criterion=criterion)
    tests = [f"{test.id} {test.outcome.value}" for test in (in_force, *tried.tests)]
    if outcome is Outcome.FAILED:
        return steps.failed("RCEP-002", "not_originating", tests=tests)
    return steps.unknown("RCEP-002", "origin_undecided", tests=tests)


def _alone(
    question: Question,
    agreement: Agreement,
    statuses: Mapping[str, Outcome],
    trial: _Trial,
    counted: Counted,
) -> Tried | None:
    """The same good without cumulation, where cumulation changed anything."""
    home = question.good.party if question.good else ""
    lines = counted.lines
    # Only what counts, or may, keeps its Party.
    foreign = {at for at, line in enumerate(lines) if line.party not in (None, home)}
    if not question.cumulation or not foreign:
        return None
    if any(lines[at].material.deductions for at in foreign):  # which only then are looked at
        lines = Counting(question, agreement, statuses).count(cumulation=False).lines
    else:
        lines = tuple(_barred(line) if at in foreign else line for at, line in enumerate(lines))
    return trial.run(_as(lines, Standing.NON_ORIGINATING))


def _barred(line: Line) -> Line:
    """Another Party's material, of which nothing was deducted, as it stands without cumulation."""
    out, counts = Standing.NON_ORIGINATING, (line.shift, line.exclusive, line.value_counts)
    return Line(line.material, out, "RCEP-050", None, line.value, *counts)
