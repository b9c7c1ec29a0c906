"""Numbered rules: a rule book per document type, each rule a pure function (DESIGN §7).

A rule looks at a document that already satisfies its profile and yields complaints. Its id is
stable and has an entry in the catalogue; its severity says whether a complaint refuses the
document.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from schemas.findings import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from schemas.strict_json import JsonValue

    Document = dict[str, JsonValue]
    Check = Callable[[Document], Iterable["Complaint"]]

MAX_COMPLAINTS_PER_RULE = 20


@dataclass(frozen=True, slots=True)
class Complaint:
    """One place where a rule does not hold: pointer, plain sentence, the values seen."""

    pointer: str
    message: str
    values: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule with its stable id. `check` gets the parsed document."""

    id: str
    severity: Severity
    check: Check

    def findings(self, document: Document) -> Iterator[Finding]:
        """The complaints as findings, at most `MAX_COMPLAINTS_PER_RULE` of them."""
        for complaint in islice(self.check(document), MAX_COMPLAINTS_PER_RULE):
            yield Finding(
                self.id, self.severity, complaint.pointer, complaint.message, complaint.values
            )


class RuleBook:
    """The rules of one document type, in the order they were written."""

    __slots__ = ("_rules",)

    def __init__(self, *inherited: RuleBook) -> None:
        """A new book that starts with the rules of the `inherited` ones."""
        self._rules: dict[str, Rule] = {}
        for book in inherited:
            self._rules.update(book.rules)

    @property
    def rules(self) -> Mapping[str, Rule]:
        """All rules by id."""
        return self._rules

    def error(self, rule_id: str) -> Callable[[Check], Check]:
        """Registers the decorated function as a rule that refuses the document."""
        return self._register(rule_id, Severity.ERROR)

    def warning(self, rule_id: str) -> Callable[[Check], Check]:
        """Registers the decorated function as a rule whose complaint is only shown."""
        return self._register(rule_id, Severity.WARNING)

    def examine(self, document: Document) -> Iterator[Finding]:
        """All complaints of all rules, in order."""
        for rule in self._rules.values():
            yield from rule.findings(document)

    def _register(self, rule_id: str, severity: Severity) -> Callable[[Check], Check]:
        if rule_id in self._rules:
            raise ValueError(f"rule {rule_id} is defined twice")

        def register(check: Check) -> Check:
            self._rules[rule_id] = Rule(rule_id, severity, check)
            return check

        return register
