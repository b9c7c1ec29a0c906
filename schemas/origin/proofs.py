"""Proofs of origin: who may give one, and on which days it counts (RCEP 3.16 to 3.22, 20.6(3)).

A year ends on its anniversary, which still counts unless the importing Party reads it otherwise:
the agreement does not say (3.16(6)), so the data does. 29 February has its anniversary on 28
February.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from schemas.findings import Outcome
from schemas.origin import steps
from schemas.origin.amounts import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from schemas.findings import Check, Finding
    from schemas.origin.data import Agreement
    from schemas.origin.proof_question import Proof
    from schemas.origin.question import Question


def last_day(begin: date, years: int, *, anniversary: bool) -> date:
    """The last day of a period of whole years from `begin`."""
    year = begin.year + years
    leap = begin.month == 2 and begin.day == 29
    end = date(year, 2, 28) if leap else begin.replace(year=year)
    return end if anniversary else end - timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ProofCase:
    """One proof of one question, under one edition of the agreement's data."""

    question: Question
    proof: Proof
    agreement: Agreement
    statuses: Mapping[str, Outcome]

    @property
    def claimed(self) -> date:
        """The day of the claim."""
        return self.question.on

    @property
    def anniversary(self) -> bool:
        """Whether the importing Party counts the anniversary."""
        return self.agreement.anniversary_counts(self.question.importing)

    @property
    def exporting(self) -> str | None:
        """The exporting Party, as stated, else where the good was produced."""
        good = self.question.good
        return self.question.exporting or (good.party if good else None)

    def ends(self, begin: date, period: str) -> date:
        """The last day of a period named in the data, begun on a day."""
        return last_day(begin, self.agreement.content[period], anniversary=self.anniversary)


@dataclass(frozen=True, slots=True)
class ProofAnswer:
    """What is said about a proof. expires: its last day; not_asked: rules nothing was given for."""

    checks: tuple[Check, ...]
    findings: tuple[Finding, ...]
    expires: date | None
    not_asked: tuple[str, ...]


def judge(case: ProofCase) -> ProofAnswer:
    """Every check on the proof of the question."""
    from schemas.origin import back_to_back

    checks = [*_pair(case)]
    not_asked = () if checks else ("RCEP-100",)
    findings: list[Finding] = []
    if case.proof.kind == "waived":
        return ProofAnswer((*checks, _waived(case)), (), None, not_asked)
    assert case.proof.issued is not None
    expires = case.ends(case.proof.issued, "proof_years")
    if case.proof.kind == "back-to-back":
        answer = back_to_back.judge(case)
        checks += answer.checks
        findings += answer.findings
        expires = answer.expires or expires
    checks += _kind(case)
    checks += _certificate(case)
    checks += _retroactive(case, findings)
    checks += _copy(case)
    checks += [_in_time(case, expires), _held(case)]
    return ProofAnswer(tuple(checks), tuple(findings), expires, not_asked)


def _pair(case: ProofCase) -> Iterator[Check]:
    """RCEP-100: in force between exporting and importing Party on the day of the claim."""
    one, other = case.exporting, case.question.importing
    if one is None or other is None:
        return
    told = {"exporting": one, "importing": other, "on": case.claimed.isoformat()}
    strangers = [each for each in (one, other) if each not in case.agreement.parties]
    if strangers:
        yield steps.failed("RCEP-100", "not_a_party", ", ".join(strangers), **told)
        return
    begins = case.agreement.pair_begins(one, other)
    if begins is None:
        yield steps.unknown("RCEP-100", "pair_unknown", **told)
    elif case.claimed < begins:
        code = "agreement_not_in_force_for_pair"
        yield steps.failed("RCEP-100", code, since=begins.isoformat(), **told)
    else:
        yield steps.passed("RCEP-100", since=begins.isoformat(), **told)


def _certificate(case: ProofCase) -> Iterator[Check]:
    """RCEP-108: the proof's own credential, where one is named, stands."""
    digest = case.proof.digest
    if digest is None:
        return
    outcome = case.statuses.get(digest, Outcome.INDETERMINATE)
    codes = {Outcome.FAILED: "proof_not_valid", Outcome.INDETERMINATE: "proof_status_unknown"}
    if outcome is Outcome.PASSED:
        yield steps.passed("RCEP-108", digest=digest)
    elif outcome is Outcome.FAILED:
        yield steps.failed("RCEP-108", codes[outcome], digest=digest)
    else:
        yield steps.unknown("RCEP-108", codes[outcome], digest=digest)


# -- kinds (3.16, 3.18, 3.21) ----------------------------------------------------------------------


def _kind(case: ProofCase) -> Iterator[Check]:
    """RCEP-101 and RCEP-106: who may declare origin."""
    if case.proof.kind != "declaration" and case.proof.declared_by is None:
        yield steps.passed("RCEP-101", kind=case.proof.kind)
    elif case.proof.declared_by == "approved-exporter":
        yield steps.passed("RCEP-101", kind="declaration by an approved exporter")
        yield _approved(case)
    elif case.proof.declared_by == "importer":
        yield _by_importer(case)
    else:
        yield _self_declared(case)


def _by_importer(case: ProofCase) -> Check:
    """3.16 footnote: only a Party named there may accept an importer's declaration."""
    may = case.agreement.content["importer_declarations_may"]
    importing = case.question.importing
    accepts = case.proof.implemented_importing
    told = {"importing": importing or "", "declaredBy": "importer"}
    if accepts is False or (importing is not None and importing not in may):
        return steps.failed("RCEP-101", "declaration_type_not_implemented", **told)
    if accepts is None or importing is None:
        return steps.unknown("RCEP-101", "declaration_type_unknown", **told)
    return steps.passed("RCEP-101", **told)


def _self_declared(case: ProofCase) -> Check:
    """3.16(2): a declaration by an exporter or producer counts where both Parties implement it."""
    stated = (case.proof.implemented_exporting, case.proof.implemented_importing)
    sides = (case.exporting, case.question.importing)
    known = [_implements(case, *side) for side in zip(sides, stated, strict=True)]
    told = {"exporting": sides[0] or "", "importing": sides[1] or ""}
    if False in known:
        return steps.failed("RCEP-101", "declaration_type_not_implemented", **told)
    if None in known:
        return steps.unknown("RCEP-101", "declaration_type_unknown", **told)
    return steps.passed("RCEP-101", **told)


def _implements(case: ProofCase, party: str | None, stated: bool | None) -> bool | None:
    """As stated, else by the dated data; None where neither says it."""
    if stated is not None or party is None:
        return stated
    since = case.agreement.content["producer_declarations_from"].get(party)
    return None if since is None else case.claimed >= date.fromisoformat(since)


def _approved(case: ProofCase) -> Check:
    """RCEP-106: approved and active on the day of completion, for goods of that chapter (3.21)."""
    exporter, issued = case.proof.exporter, case.proof.issued
    assert issued is not None
    told = {"on": issued.isoformat()}
    if exporter is None:
        return steps.unknown("RCEP-106", "approved_exporter_unknown", **told)
    told["exporter"] = exporter.code or ""
    if exporter.code is None:
        return steps.failed("RCEP-106", "approved_exporter_code_missing", **told)
    status = exporter.status(issued)
    ended = exporter.until is not None and issued > exporter.until
    if not exporter.history:
        return steps.unknown("RCEP-106", "approved_exporter_unknown", **told)
    if status != "ACTIVE" or ended:
        state = status or "not approved yet"
        return steps.failed("RCEP-106", "approved_exporter_not_active", state, **told)
    good = case.question.good
    if exporter.chapters and good is not None and not good.hs.startswith(exporter.chapters):
        return steps.failed("RCEP-106", "approved_exporter_other_goods", good.hs, **told)
    return steps.passed("RCEP-106", status=status, **told)


# -- days ------------------------------------------------------------------------------------------


def _in_time(case: ProofCase, expires: date) -> Check:
    """RCEP-102: claimed within its validity (3.16(6)), or late for a cause (3.22(6))."""
    told = {"expires": expires.isoformat(), "claimed": case.claimed.isoformat()}
    if case.claimed <= expires:
        return steps.passed("RCEP-102", **told)
    if case.proof.late_cause is not None:
        return steps.unknown("RCEP-102", "proof_late_with_cause", case.proof.late_cause, **told)
    return steps.failed("RCEP-102", "proof_expired", **told)


def _held(case: ProofCase) -> Check:
    """RCEP-103: in possession when the claim is made (3.22(2)); refunds come later (3.23)."""
    assert case.proof.issued is not None
    told = {"issued": case.proof.issued.isoformat(), "claimed": case.claimed.isoformat()}
    if case.proof.issued > case.claimed:
        return steps.failed("RCEP-103", "proof_younger_than_claim", **told)
    return steps.passed("RCEP-103", refund=case.proof.refund, **told)


def _retroactive(case: ProofCase, findings: list[Finding]) -> Iterator[Check]:
    """RCEP-104: a certificate issued after shipment (3.17(8)); the article gives no grace days.

    3.26 lets the importing Party disregard an omission, so missing words are not refused here; they
    are not enough either.
    """
    proof = case.proof
    if proof.kind != "certificate" or proof.shipped is None or proof.issued is None:
        return
    if proof.issued <= proof.shipped:
        return
    last = case.ends(proof.shipped, "retroactive_years")
    told = {
        "shipped": proof.shipped.isoformat(),
        "issued": proof.issued.isoformat(),
        "last": last.isoformat(),
    }
    if proof.issued > last:
        yield steps.failed("RCEP-104", "retroactive_too_late", **told)
    elif proof.marked_retroactive is not True:
        yield steps.unknown("RCEP-104", "retroactive_mark_missing", **told)
    else:
        yield steps.passed("RCEP-104", **told)
    if proof.cause is None:
        message = "why it was not issued at shipment is not stated"
        findings.append(steps.warning("RCEP-104", "/proof/cause", message))


def _copy(case: ProofCase) -> Iterator[Check]:
    """RCEP-105: a certified true copy within one year of the original's issue (3.17(9))."""
    copied, issued = case.proof.copy_of, case.proof.issued
    if copied is None or issued is None:
        return
    last = case.ends(issued, "copy_years")
    told = {"issued": issued.isoformat(), "copied": copied.isoformat(), "last": last.isoformat()}
    if issued <= copied <= last:
        yield steps.passed("RCEP-105", **told)
    else:
        yield steps.failed("RCEP-105", "copy_out_of_time", **told)


def _waived(case: ProofCase) -> Check:
    """RCEP-107: no proof for a small consignment that is not part of a series (3.22(3))."""
    waiver = case.agreement.content["waiver"]
    text = waiver["higher"].get(case.question.importing or "", waiver["amount"])
    told = {"limit": text, "currency": waiver["currency"]}
    value = case.proof.customs_value
    if value is None or case.question.currency != waiver["currency"]:
        return steps.unknown("RCEP-107", "customs_value_not_stated", **told)
    told["value"] = plain(value)
    if value > Decimal(text):
        return steps.failed("RCEP-107", "value_above_waiver", **told)
    if case.proof.series is None:
        return steps.unknown("RCEP-107", "series_not_stated", **told)
    if case.proof.series:
        return steps.failed("RCEP-107", "series_of_consignments", **told)
    return steps.passed("RCEP-107", **told)
