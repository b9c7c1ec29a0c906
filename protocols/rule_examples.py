"""A passing and a failing example of the conditions of a release and of an AEO benefit.

With those of `schemas.rule_examples` these are the examples of every rule in the catalogue. The
data are ``schemas/data/cases/release.json`` and ``aeo.json``: one situation in which everything
holds, and for each condition the edits under which it still holds and no longer does.
"""

from __future__ import annotations

import json
import types
import typing
from dataclasses import is_dataclass
from datetime import date, datetime
from enum import Enum
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from protocols import aeo
from protocols.member_list import Agreement
from protocols.release import facts as release_facts
from protocols.release import pick_up
from protocols.release import rules as release_rules
from protocols.release.conditions import State, decide
from protocols.verify import altered, appearance
from schemas import origin, registry, rule_examples, strict_json
from schemas.edits import edited
from schemas.findings import Outcome
from schemas.rule_examples import Both, Example, in_words, rules_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_MODULES = (aeo, pick_up, release_facts)
_SUBJECT = "certificate-of-origin"
REPRODUCED = "RCEP-900"


@cache
def examples() -> Mapping[str, Both]:
    """Both examples of every rule and condition, by id."""
    found = dict(rule_examples.examples())
    for name, broken in (("release", _released), ("aeo", _benefited)):
        found |= dict(_situations(name, broken))
    return found | dict(_verified()) | dict(_reproduced())


def decoded(kind: Any, value: Any) -> Any:
    """A value of a dataclass's annotation from JSON: nested dataclasses, tuples, enums, times."""
    origin_of, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin_of in (types.UnionType, typing.Union):
        return None if value is None else decoded(arguments[0], value)
    if origin_of is tuple:
        each = arguments if arguments[-1:] != (...,) else arguments[:1] * len(value)
        return tuple(decoded(one, item) for one, item in zip(each, value, strict=True))
    if origin_of is frozenset:
        return frozenset(decoded(arguments[0], item) for item in value)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        return kind(**{name: decoded(hints[name], one) for name, one in value.items()})
    if kind in (datetime, date):
        return kind.fromisoformat(value)
    return kind(value) if isinstance(kind, type) and issubclass(kind, Enum) else value


@cache
def _hints(kind: type) -> dict[str, Any]:
    """What its module imports for type checkers only is looked up among its neighbours."""
    names = {name: value for module in _MODULES for name, value in vars(module).items()}
    return typing.get_type_hints(kind, localns=names | {"datetime": datetime, "date": date})


def _situations(
    name: str, broken: Callable[[Mapping[str, Any]], frozenset[str]]
) -> Iterator[tuple[str, Both]]:
    file = rule_examples.read("data", "cases", f"{name}.json")
    for rule, case in file["cases"].items():
        sides = [_situation(file["situation"], case[side], broken) for side in ("kept", "broken")]
        yield rule, Both(*sides)


def _situation(
    base: Mapping[str, Any],
    edits: Mapping[str, Any],
    broken: Callable[[Mapping[str, Any]], frozenset[str]],
) -> Example:
    return Example("the situation", in_words(edits), lambda: broken(edited(base, edits)))


def _released(situation: Mapping[str, Any]) -> frozenset[str]:
    """The conditions that are not met when the container of these facts is asked for."""
    at = datetime.fromisoformat(situation["at"])
    facts = decoded(release_facts.ReleaseFacts, situation["facts"])
    made = decide(facts, release_rules.rules_for(situation["country"], at), at)
    kept = (State.MET, State.NOT_REQUIRED)
    return frozenset(each.id for each in made.conditions if each.state not in kept)


def _benefited(situation: Mapping[str, Any]) -> frozenset[str]:
    """The rules that deny the benefit."""
    found = aeo.answer(
        situation["code"],
        [decoded(aeo.AeoEvent, each) for each in situation["events"]],
        decoded(aeo.Query, situation["query"]),
        [decoded(Agreement, each) for each in situation["agreements"]],
    )
    return frozenset(reason.rule for reason in found.reasons)


def _verified() -> Iterator[tuple[str, Both]]:
    """What is told beside the checks of a credential: texts that deceive, copies that differ."""
    hidden, other = {"/goods/0/description": "Fresh\u202eregnig"}, {"/goods/0/hs": "091012"}
    for rule, edits, told in (
        (appearance.RULE, hidden, _warned),
        (altered.RULE, other, _altered),
    ):
        sides = [Example(_SUBJECT, in_words(each), partial(told, each)) for each in ({}, edits)]
        yield rule, Both(*sides)


def _warned(edits: Mapping[str, Any]) -> frozenset[str]:
    payload = rule_examples.edited_example(_SUBJECT, edits)
    return rules_of(appearance.warnings(payload, strict_json.loads_object(payload)))


def _altered(edits: Mapping[str, Any]) -> frozenset[str]:
    held = rule_examples.edited_example(_SUBJECT, {})
    given = rule_examples.edited_example(_SUBJECT, edits)
    return rules_of(altered.differences(_SUBJECT, held, given))


def _reproduced() -> Iterator[tuple[str, Both]]:
    """An origin report says what its own question gives."""
    sides = [
        Example("origin-evaluation", in_words(edits), partial(_not_reproduced, edits))
        for edits in ({}, {"/evaluation/verdict": "INDETERMINATE"})
    ]
    yield REPRODUCED, Both(*sides)


def _not_reproduced(edits: Mapping[str, Any]) -> frozenset[str]:
    document = edited(json.loads(registry.example("origin-evaluation")), edits)
    check = origin.reproduce(document["evaluation"])
    return frozenset() if check.outcome is Outcome.PASSED else frozenset({check.id})
