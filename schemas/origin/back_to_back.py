"""Back-to-back proofs of origin (RCEP 3.19): re-export on somebody else's proof.

The quantities compared here are those stated; the certificate's register keeps the balance (R23).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from schemas.findings import Outcome
from schemas.origin import steps
from schemas.origin.amounts import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.findings import Check, Finding
    from schemas.origin.proof_question import BackToBack
    from schemas.origin.proofs import ProofCase

LABELLING = "labelling"


@dataclass(frozen=True, slots=True)
class BackToBackAnswer:
    """The checks, and the last day: the original's (3.19(1)(b))."""

    checks: tuple[Check, ...]
    findings: tuple[Finding, ...]
    expires: date | None


def judge(case: ProofCase) -> BackToBackAnswer:
    """RCEP-110 to RCEP-114."""
    given = case.proof.back_to_back
    assert given is not None
    original = given.original.issued
    expires = case.ends(original, "proof_years") if original is not None else None
    if expires is not None and given.valid_until is not None:
        expires = min(expires, given.valid_until)
    checks = (
        *_original(case, given),
        _within(case, given),
        _quantity(given),
        _operations(case, given),
        *_issuer(case, given),
    )
    return BackToBackAnswer(checks, _findings(given), expires)


def _findings(given: BackToBack) -> tuple[Finding, ...]:
    if not given.original.certified_true_copy:
        return ()
    message = "issued on a certified true copy, as 3.19(1)(a) allows"
    pointer = "/proof/backToBack/original/certifiedTrueCopy"
    return (steps.warning("RCEP-110", pointer, message),)


def _original(case: ProofCase, given: BackToBack) -> Iterator[Check]:
    """RCEP-110: a valid original with number and date (3.19(1)(a), (f))."""
    original = given.original
    if original.number is None or original.issued is None:
        yield steps.failed("RCEP-110", "original_not_named", number=original.number or "")
        return
    told = {"number": original.number, "issued": original.issued.isoformat()}
    if original.back_to_back:
        yield steps.unknown("RCEP-110", "original_is_back_to_back", **told)
    elif original.digest is None:
        yield steps.passed("RCEP-110", "as stated", **told)
    else:
        outcome = case.statuses.get(original.digest, Outcome.INDETERMINATE)
        told["digest"] = original.digest
        if outcome is Outcome.PASSED:
            yield steps.passed("RCEP-110", **told)
        elif outcome is Outcome.FAILED:
            yield steps.failed("RCEP-110", "origin_basis_lost", **told)
        else:
            yield steps.unknown("RCEP-110", "origin_basis_unknown", **told)


def _within(case: ProofCase, given: BackToBack) -> Check:
    """RCEP-111: issued while the original is valid, and not valid beyond it (3.19(1)(b))."""
    original, issued = given.original.issued, case.proof.issued
    if original is None or issued is None:
        return steps.unknown("RCEP-111", "original_not_named")
    last = case.ends(original, "proof_years")
    told = {
        "original": original.isoformat(),
        "issued": issued.isoformat(),
        "last": last.isoformat(),
    }
    if not original <= issued <= last:
        return steps.failed("RCEP-111", "original_not_valid_then", **told)
    if given.valid_until is not None and given.valid_until > last:
        told["validUntil"] = given.valid_until.isoformat()
        return steps.failed("RCEP-111", "outlives_original", **told)
    return steps.passed("RCEP-111", **told)


def _quantity(given: BackToBack) -> Check:
    """RCEP-112: all partial quantities together do not exceed the original (3.19(1)(e))."""
    whole, part = given.original.quantity, given.quantity
    if whole is None or part is None:
        return steps.unknown("RCEP-112", "quantity_not_stated")
    if given.unit not in (None, given.original.unit):
        return steps.unknown("RCEP-112", "units_differ", f"{given.unit}, {given.original.unit}")
    drawn = sum(given.earlier, start=part)
    left = whole - sum(given.earlier)
    told = {"original": plain(whole), "quantity": plain(part), "left": plain(left)}
    if drawn > whole:
        return steps.failed("RCEP-112", "quantity_exceeds_original", **told)
    return steps.passed("RCEP-112", **told)


def _operations(case: ProofCase, given: BackToBack) -> Check:
    """RCEP-113: nothing beyond 3.19(1)(d); labelling only as the importing Party's law requires."""
    allowed = case.agreement.content["back_to_back_operations"]
    other = [each for each in given.operations if each not in (*allowed, LABELLING)]
    told = {"operations": list(given.operations)}
    if other:
        return steps.failed("RCEP-113", "processed_on_the_way", ", ".join(other), **told)
    if LABELLING in given.operations:
        if given.labelling_required is None:
            return steps.unknown("RCEP-113", "labelling_law_not_stated", **told)
        if not given.labelling_required:
            return steps.failed("RCEP-113", "labelling_not_required", **told)
    return steps.passed("RCEP-113", **told)


def _issuer(case: ProofCase, given: BackToBack) -> Iterator[Check]:
    """RCEP-114: issued in an intermediate Party, neither the first nor the importing one."""
    issuer = given.issued_by
    if issuer is None:
        return
    told = {"issuedBy": issuer}
    if issuer not in case.agreement.parties:
        yield steps.failed("RCEP-114", "not_a_party", issuer, **told)
    elif issuer in (given.original.exporting, case.question.importing):
        yield steps.failed("RCEP-114", "not_an_intermediate_party", **told)
    else:
        yield steps.passed("RCEP-114", **told)
