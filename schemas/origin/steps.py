"""Short ways to say a numbered check with its outcome, and to combine outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schemas.findings import Check, Finding, Outcome, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

PASSED, FAILED, UNKNOWN = Outcome.PASSED, Outcome.FAILED, Outcome.INDETERMINATE


def passed(rule: str, reason: str = "", /, **evidence: Any) -> Check:
    """The rule holds."""
    return Check(rule, PASSED, reason, evidence=evidence)


def failed(rule: str, code: str, reason: str = "", /, **evidence: Any) -> Check:
    """The rule does not hold."""
    return Check(rule, FAILED, reason, code, evidence)


def unknown(rule: str, code: str, reason: str = "", /, **evidence: Any) -> Check:
    """Not enough is known to say: never valid."""
    return Check(rule, UNKNOWN, reason, code, evidence)


def warning(rule: str, pointer: str, message: str, /, **values: Any) -> Finding:
    """Something to show that decides nothing."""
    return Finding(rule, Severity.WARNING, pointer, message, values)


def any_of(outcomes: Iterable[Outcome]) -> Outcome:
    """Of alternatives: one suffices (headnote 4)."""
    seen = set(outcomes)
    if PASSED in seen:
        return PASSED
    return UNKNOWN if UNKNOWN in seen else FAILED


def all_of(outcomes: Iterable[Outcome]) -> Outcome:
    """Of requirements: every one is needed; nothing required is met."""
    seen = set(outcomes)
    if FAILED in seen:
        return FAILED
    return UNKNOWN if UNKNOWN in seen else PASSED
