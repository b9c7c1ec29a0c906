"""Numbered rules: a rule book per document type, each rule a pure function (DESIGN §7).

A rule looks at a document that already satisfies its profile and yields complaints. Its id is
stable and has an entry in the catalogue; its severity says whether a complaint refuses the
document.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from schemas.fields import pointer_of, walk_paths
from schemas.findings import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from schemas.strict_json import JsonValue

    Document = dict[str, JsonValue]
    Check = Callable[[Document], Iterable["Complaint"]]
    MemberCheck = Callable[[JsonValue], Iterable["Complaint"]]

MAX_COMPLAINTS_PER_RULE = 20
_AnyCheck = TypeVar("_AnyCheck", bound="Callable[[Any], Iterable[Complaint]]")


@dataclass(frozen=True, slots=True)
class Complaint:
    """One place where a rule does not hold: pointer, plain sentence, the values seen."""

    pointer: str
    message: str
    values: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule with its stable id. `check` gets the parsed document.

    members: names, for a rule about every member of these names: `check` gets such a value, and
    its pointers begin there.
    """

    id: str
    severity: Severity
    check: Check | MemberCheck
    members: frozenset[str] = frozenset()

    def findings(self, met: JsonValue, place: str = "") -> Iterator[Finding]:
        """The complaints as findings, at most `MAX_COMPLAINTS_PER_RULE` of them."""
        check: Callable[[Any], Iterable[Complaint]] = self.check
        for complaint in islice(check(met), MAX_COMPLAINTS_PER_RULE):
            pointer = place + complaint.pointer
            yield Finding(self.id, self.severity, pointer, complaint.message, complaint.values)


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

    def members(
        self, rule_id: str, names: Iterable[str], severity: Severity = Severity.ERROR
    ) -> Callable[[MemberCheck], MemberCheck]:
        """Registers the decorated function as a rule about every member of these names."""
        return self._register(rule_id, severity, frozenset(names))

    def examine(self, document: Document) -> Iterator[Finding]:
        """All complaints of all rules, in order."""
        met = self._about_members(document)
        for rule in self._rules.values():
            found = iter(met.get(rule.id, ())) if rule.members else rule.findings(document)
            yield from islice(found, MAX_COMPLAINTS_PER_RULE)

    def _about_members(self, document: Document) -> Mapping[str, list[Finding]]:
        """What the rules about members complain of, by rule, from one walk over the document."""
        by_name: dict[str, list[Rule]] = {}
        for rule in self._rules.values():
            for name in rule.members:
                by_name.setdefault(name, []).append(rule)
        told: dict[str, list[Finding]] = {}
        if not by_name:
            return told
        for path, name, value in walk_paths(document, by_name):
            for rule in by_name[name]:
                if any(True for _ in rule.findings(value)):
                    found = told.setdefault(rule.id, [])
                    if len(found) < MAX_COMPLAINTS_PER_RULE:
                        found += rule.findings(value, pointer_of(path))
        return told

    def _register(
        self, rule_id: str, severity: Severity, members: frozenset[str] = frozenset()
    ) -> Callable[[_AnyCheck], _AnyCheck]:
        if rule_id in self._rules:
            raise ValueError(f"rule {rule_id} is defined twice")

        def register(check: _AnyCheck) -> _AnyCheck:
            self._rules[rule_id] = Rule(rule_id, severity, check, members)
            return check

        return register
