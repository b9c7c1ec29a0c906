"""A passing and a failing example of every numbered rule, as edits of a few packaged questions."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from schemas.findings import Outcome
from schemas.origin.evaluation import evaluate
from schemas.origin.question import read

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from schemas.findings import Check
    from schemas.origin.evaluation import Evaluation


@dataclass(frozen=True, slots=True)
class Example:
    """A question, and what is said about its certificates."""

    question: Mapping[str, Any]
    statuses: Mapping[str, Outcome]

    def evaluate(self) -> Evaluation:
        """What the engine answers."""
        return evaluate(read(self.question), self.statuses)


@cache
def _data() -> Mapping[str, Any]:
    file = resources.files("schemas") / "data" / "origin" / "examples.json"
    content: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


def rules() -> tuple[str, ...]:
    """The rules that have examples, by id."""
    return tuple(sorted(_data()["rules"]))


def example(rule: str, *, passing: bool) -> Example:
    """The example under which `rule` holds, or the one under which it does not."""
    base, edits, given = told(rule, passing=passing)
    statuses = {name: Outcome(each) for name, each in given.items()}
    return Example(edited(base, edits), statuses)


def told(rule: str, *, passing: bool) -> tuple[str, Mapping[str, Any], Mapping[str, str]]:
    """What `example` is made of: the packaged question, the edits, the outcomes by digest."""
    chosen = _data()["rules"][rule]["passing" if passing else "failing"]
    return chosen["base"], chosen.get("edits", {}), chosen.get("statuses", {})


def edited(base: str, edits: Mapping[str, Any]) -> dict[str, Any]:
    """A packaged question with members set by JSON pointer, or taken out where the value is None.

    base: battery, trousers, ginger, steel, proof, declaration, transit, pepper or polymer
    """
    question: dict[str, Any] = copy.deepcopy(_data()["bases"][base])
    for pointer, value in edits.items():
        _edit(question, pointer.split("/")[1:], value)
    return question


def _edit(node: Any, path: list[str], value: Any) -> None:
    for part in path[:-1]:
        node = node[int(part)] if isinstance(node, list) else node[part]
    if value is None:
        del node[path[-1]]
    else:
        node[path[-1]] = value


def holds(evaluation: Evaluation, rule: str) -> bool:
    """Whether nothing in the evaluation says that `rule` does not hold."""
    outcomes = {check.outcome for check in _checks(evaluation) if check.id == rule}
    warned = any(finding.rule == rule for finding in evaluation.findings)
    lines = evaluation.origin.counted.lines if evaluation.origin else ()
    against = any(line.code == rule and line.standing != "originating" for line in lines)
    return outcomes <= {Outcome.PASSED} and not warned and not against


def says(evaluation: Evaluation, rule: str) -> bool:
    """Whether a check of the evaluation is about `rule`."""
    return any(check.id == rule for check in _checks(evaluation))


def _checks(evaluation: Evaluation) -> Iterator[Check]:
    yield from evaluation.checks
    if evaluation.origin is not None:
        yield from evaluation.origin.tried.tests
        yield from evaluation.origin.counted.checks
    if evaluation.country is not None:
        yield from evaluation.country.checks
