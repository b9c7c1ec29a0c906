"""One evaluation from question to report, and the same again from the report alone (DESIGN §7).

`evaluate` is a pure function of the question, of what the caller says about the certificates it
names, and of the packaged data. Its report holds all three, the data by hash, so `reproduce`
needs only the report. What fails afterwards (a certificate revoked) is found by evaluating again:
`basis_lost`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import localcontext
from typing import TYPE_CHECKING, Any

from schemas.errors import MalformedError, RefusedError
from schemas.findings import Outcome
from schemas.origin import consignment, data, differentials, proofs, status, steps
from schemas.origin.amounts import EXACT
from schemas.origin.proofs import ProofCase
from schemas.origin.question import read
from schemas.origin.reading import CODE, DIGEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from schemas.findings import Check, Finding
    from schemas.origin.data import Source
    from schemas.origin.differentials import Country
    from schemas.origin.proofs import ProofAnswer
    from schemas.origin.question import Question
    from schemas.origin.status import Origin, Tried

FORMAT = "urn:pratique:origin-evaluation:1"
MAX_CERTIFICATES = 1000


@dataclass(frozen=True, slots=True)
class Support:
    """A certificate the answer rests on, or would: what for, and what was said about it."""

    use: str
    material: str
    digest: str
    issuer: str
    number: str
    outcome: Outcome

    def to_json(self) -> dict[str, str]:
        """For the report."""
        body = {
            "use": self.use,
            "material": self.material,
            "digest": self.digest,
            "issuer": self.issuer,
            "number": self.number,
            "status": self.outcome.value,
        }
        return {name: value for name, value in body.items() if value}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The answer to one question. Sections that were not asked are None."""

    question: Question
    origin: Origin | None
    consignment: tuple[Check, ...] | None
    proof: ProofAnswer | None
    country: Country | None
    findings: tuple[Finding, ...]
    stands_on: tuple[Support, ...]
    statuses: Mapping[str, Outcome]
    sources: tuple[Source, ...]

    @property
    def checks(self) -> tuple[Check, ...]:
        """The conclusions that decide the verdict, section by section."""
        origin = self.origin.checks if self.origin else ()
        proof = self.proof.checks if self.proof else ()
        return (*origin, *(self.consignment or ()), *proof, *self._tariff())

    def _tariff(self) -> tuple[Check, ...]:
        if self.question.tariff is None or self.country is None:
            return ()
        # The appendix's 20 per cent not reached leads on to 2.6(4); it fails nothing by itself.
        return tuple(check for check in self.country.checks if check.id == "RCEP-120")

    @property
    def verdict(self) -> Outcome:
        """FAILED if any check failed, else INDETERMINATE if any is or none was asked."""
        outcomes = [check.outcome for check in self.checks]
        return steps.all_of(outcomes) if outcomes else Outcome.INDETERMINATE

    def to_json(self, lang: str = "en") -> dict[str, Any]:
        """The report; `reproduce` reads it again."""
        question = self.question
        body: dict[str, Any] = {
            "format": FORMAT,
            "agreement": "RCEP",
            "on": question.on.isoformat(),
            "verdict": self.verdict.value,
            "checks": [check.to_json(lang) for check in self.checks],
        }
        if self.origin is not None:
            body["origin"] = _origin_json(self.origin, lang)
        if self.country is not None:
            body["country"] = _country_json(self.country, lang)
        if self.proof is not None:
            body["proof"] = _proof_json(self.proof)
        body["findings"] = [finding.to_json() for finding in self.findings]
        body["standsOn"] = [support.to_json() for support in self.stands_on]
        body["data"] = [source.to_json() for source in self.sources]
        body["statuses"] = {name: self.statuses[name].value for name in sorted(self.statuses)}
        body["question"] = dict(question.body)
        return body


def _origin_json(origin: Origin, lang: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "verdict": origin.outcome.value,
        "criterion": origin.criterion,
        "also": list(origin.also),
        "annotations": list(origin.annotations),
        "rule": origin.rule.to_json() if origin.rule else None,
        "tests": [test.to_json(lang) for test in origin.tried.tests],
        "materials": [line.to_json() for line in origin.counted.lines],
        "treatments": [check.to_json(lang) for check in origin.counted.checks],
    }
    for name, tried in (("atBest", origin.at_best), ("withoutCumulation", origin.alone)):
        if tried is not None:
            body[name] = _tried_json(tried, lang)
    return body


def _tried_json(tried: Tried, lang: str) -> dict[str, Any]:
    tests = [test.to_json(lang) for test in tried.tests]
    return {"verdict": tried.outcome.value, "criteria": list(tried.met), "tests": tests}


def _country_json(country: Country, lang: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "country": country.country,
        "paragraph": country.paragraph,
        "tests": [check.to_json(lang) for check in country.checks],
    }
    return body | ({"options": dict(country.options)} if country.options else {})


def _proof_json(proof: ProofAnswer) -> dict[str, Any]:
    expires = proof.expires.isoformat() if proof.expires else None
    return {
        "verdict": steps.all_of(check.outcome for check in proof.checks).value,
        "expires": expires,
        "notAsked": list(proof.not_asked),
    }


def evaluate(question: Question, statuses: Mapping[str, Outcome] | None = None) -> Evaluation:
    """Answer `question`.

    statuses: by digest (hex) what the caller found out about each certificate the question names;
    one without an entry is INDETERMINATE. Raises RefusedError `origin_rules_unknown`.
    """
    given = _named(question, statuses or {})
    with localcontext(EXACT):
        return _evaluate(question, given)


def _evaluate(question: Question, statuses: Mapping[str, Outcome]) -> Evaluation:
    agreement = data.agreement()
    sources = [agreement.source]
    origin = country = proof = road = None
    findings: list[Finding] = []
    if question.asks_origin:
        origin = status.judge(question, agreement, statuses)
        findings += (*origin.counted.findings, *origin.tried.findings)
        sources += origin.sources
    if question.good is not None:
        country = differentials.judge(question, origin, agreement)
        sources += country.sources if country else ()
    if question.route is not None:
        road, told = consignment.judge(question.route, agreement)
        findings += told
    if question.proof is not None:
        proof = proofs.judge(ProofCase(question, question.proof, agreement, statuses))
        findings += proof.findings
    return Evaluation(
        question=question,
        origin=origin,
        consignment=road,
        proof=proof,
        country=country,
        findings=tuple(findings),
        stands_on=tuple(_supports(question, statuses)),
        statuses=statuses,
        sources=tuple(sources),
    )


def certificates(question: Question) -> tuple[str, ...]:
    """The digests (hex) of every certificate the question names, each once, in order."""
    none: dict[str, Outcome] = {}
    return tuple(dict.fromkeys(each.digest for each in _supports(question, none)))


def _supports(question: Question, statuses: Mapping[str, Outcome]) -> Iterator[Support]:
    unknown = Outcome.INDETERMINATE
    for material in question.materials or ():
        if (named := material.certificate) is not None:
            outcome = statuses.get(named.digest, unknown)
            use = "material"
            yield Support(use, material.id, named.digest, named.issuer, named.number, outcome)
    proof = question.proof
    if proof is not None and proof.digest is not None:
        yield Support("proof", "", proof.digest, "", "", statuses.get(proof.digest, unknown))
    original = proof.back_to_back.original if proof and proof.back_to_back else None
    if original is not None and original.digest is not None:
        outcome = statuses.get(original.digest, unknown)
        yield Support("original", "", original.digest, "", original.number or "", outcome)


def _named(question: Question, statuses: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """The statuses of what the question names, and of nothing else."""
    named = certificates(question)
    if len(named) > MAX_CERTIFICATES:
        raise MalformedError(CODE, f"at most {MAX_CERTIFICATES} certificates", pointer="/materials")
    return {each: statuses.get(each, Outcome.INDETERMINATE) for each in named}


# -- from the report -------------------------------------------------------------------------------


def reread(report: Mapping[str, Any]) -> tuple[Question, dict[str, Outcome]]:
    """The question and the statuses of a report; MalformedError `origin_question_malformed`."""
    body, statuses = report.get("question"), report.get("statuses")
    if report.get("format") != FORMAT or not isinstance(body, dict):
        raise MalformedError(CODE, "this is no report of an origin evaluation", pointer="/format")
    return read(body), read_statuses(statuses, "/statuses")


def read_statuses(value: object, pointer: str) -> dict[str, Outcome]:
    """Outcome by digest (hex); MalformedError `origin_question_malformed`."""
    outcomes = {each.value: each for each in Outcome}
    if not isinstance(value, dict) or len(value) > MAX_CERTIFICATES:
        raise MalformedError(CODE, "statuses are an object of digest and outcome", pointer=pointer)
    for name, outcome in value.items():
        if not DIGEST.match(name) or not isinstance(outcome, str) or outcome not in outcomes:
            raise MalformedError(CODE, "a digest with PASSED, FAILED, …", pointer=pointer)
    return {name: outcomes[outcome] for name, outcome in value.items()}


def reproduce(report: Mapping[str, Any]) -> Check:
    """RCEP-900: the same question under the same statuses gives the same report, byte for byte.

    INDETERMINATE where the report was made under other data than is packaged here.
    """
    question, statuses = reread(report)
    try:
        answer = evaluate(question, statuses)
    except RefusedError:  # product rules of an edition that is not packaged here
        return steps.unknown("RCEP-900", "origin_data_differs")
    verdict = answer.verdict.value
    if any(answer.to_json(lang) == report for lang in ("en", "zh")):
        return steps.passed("RCEP-900", verdict=verdict)
    if other_data(report):
        return steps.unknown("RCEP-900", "origin_data_differs", verdict=verdict)
    return steps.failed("RCEP-900", "origin_not_reproduced", verdict=verdict)


def other_data(report: Mapping[str, Any]) -> bool:
    """Whether a report cites data that is not packaged here, by hash."""
    packaged = [source.to_json() for source in data.sources().values()]
    cited = report.get("data")
    return not isinstance(cited, list) or any(each not in packaged for each in cited)


def basis_lost(report: Mapping[str, Any], statuses: Mapping[str, Outcome]) -> tuple[str, ...]:
    """The certificates a report stood on that no longer stand: digests (hex), in its order.

    A flag only: what follows from it is the issuing body's to say (R25, RCEP 3.17(5)).
    """
    question, before = reread(report)
    lost = (
        each
        for each in certificates(question)
        if before.get(each) is Outcome.PASSED and statuses.get(each) is Outcome.FAILED
    )
    return tuple(lost)
