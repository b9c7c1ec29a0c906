"""Findings, checks and the three-valued verdict (DESIGN §1.3).

A *finding* is one rule's complaint about one place in a document. A *check* is one numbered step of
a verification. A *report* is all checks in order; its verdict is PASSED only when every check
passed: unknown never becomes valid.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from schemas.catalogue import explain

if TYPE_CHECKING:
    from collections.abc import Mapping


class Severity(StrEnum):
    """An error refuses the document; a warning is shown and lets it pass."""

    ERROR = "error"
    WARNING = "warning"


class Outcome(StrEnum):
    """Three-valued, after ETSI EN 319 102-1 §5.1.3."""

    PASSED = "PASSED"
    FAILED = "FAILED"
    INDETERMINATE = "INDETERMINATE"


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule's complaint: rule id, severity, JSON pointer or XML path, sentence, values."""

    rule: str
    severity: Severity
    pointer: str
    message: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """For reports and problem documents."""
        return {
            "rule": self.rule,
            "severity": self.severity.value,
            "pointer": self.pointer,
            "message": self.message,
            **({"values": dict(self.values)} if self.values else {}),
        }


@dataclass(frozen=True, slots=True)
class Check:
    """One numbered step: its stable id, the outcome, what was seen, and the evidence for it.

    `reason` is what was found here; the general sentence and the next step, in both languages,
    come from the catalogue by `id` and, where given, by the more exact `code`.
    """

    id: str
    outcome: Outcome
    reason: str = ""
    code: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self, lang: str = "en") -> dict[str, Any]:
        """Id, outcome, title, reason, next step (unless passed) and evidence."""
        entry, exact = explain(self.id), explain(self.code)
        told = exact or entry
        body: dict[str, Any] = {"id": self.id, "outcome": self.outcome.value}
        body["title"] = entry.sentence(lang) if entry else self.id
        if self.code:
            body["code"] = self.code
        if self.reason:
            body["reason"] = self.reason
        if self.outcome is not Outcome.PASSED and told:
            body["next"] = told.next_step(lang)
        if self.evidence:
            body["evidence"] = dict(self.evidence)
        return body


@dataclass(frozen=True, slots=True)
class Report:
    """All checks of one verification, in order, at one moment (RFC 3339, UTC)."""

    subject: str
    at: str
    checks: tuple[Check, ...]
    findings: tuple[Finding, ...] = ()
    historical: bool = False

    @property
    def verdict(self) -> Outcome:
        """FAILED if any check failed, else INDETERMINATE if any is, else PASSED."""
        outcomes = {check.outcome for check in self.checks}
        if Outcome.FAILED in outcomes:
            return Outcome.FAILED
        if Outcome.INDETERMINATE in outcomes or not self.checks:
            return Outcome.INDETERMINATE
        return Outcome.PASSED

    def check(self, check_id: str) -> Check | None:
        """The first check with that id."""
        return next((check for check in self.checks if check.id == check_id), None)

    def to_json(self, lang: str = "en") -> dict[str, Any]:
        """The report as people and machines read it."""
        return {
            "subject": self.subject,
            "at": self.at,
            "verdict": self.verdict.value,
            "historical": self.historical,
            "checks": [check.to_json(lang) for check in self.checks],
            "findings": [finding.to_json() for finding in self.findings],
        }
