"""A passing and a failing example of every rule about documents, run as `pratique` would.

The examples are data beside the rules: ``cases.json`` in the folder of a document type (edits of
its packaged example), in ``schemas/documents`` for the rules that types share and for profiles, in
``schemas/sps`` (replacements in the packaged certificate), in ``schemas/data/cross`` (two papers)
and ``schemas/data/origin/examples.json`` (questions). `docs/rules.md` shows them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from schemas import cross, registry, sps, strict_json
from schemas.documents.ship_certificate.standing import Delegation, standing
from schemas.edits import DROP, edited
from schemas.errors import MalformedError
from schemas.fields import instant
from schemas.origin import examples as origin
from schemas.sps.pairs import pair_findings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from schemas.findings import Finding

PHYTOSANITARY = "phytosanitary-certificate"
#: What the reader refuses before there is a certificate to have rules about.
UNREAD = "PHY-001"
_UNREAD_CODES = ("xml_doctype", "xml_processing_instruction")
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Example:
    """What is tried, in words and as something to do.

    of:      the packaged document, or the situation, that is edited
    changes: the edits in words, "" for none
    broken:  gives the ids of the rules that do not hold
    """

    of: str
    changes: str
    broken: Callable[[], frozenset[str]]


@dataclass(frozen=True, slots=True)
class Both:
    """The two examples of a rule."""

    passing: Example
    failing: Example


@cache
def examples() -> Mapping[str, Both]:
    """Both examples by rule id, of every rule that has them."""
    found: dict[str, Both] = {}
    for rule, both in (*_documents(), *_certificates(), *_papers(), *_questions()):
        if rule in found:
            raise ValueError(f"{rule} has its examples twice")
        found[rule] = both
    return MappingProxyType(found)


def read(*path: str) -> dict[str, Any]:
    """A packaged file of cases, {} where there is none."""
    file = resources.files("schemas").joinpath(*path)
    if not file.is_file():
        return {}
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


def in_words(edits: Mapping[str, Any]) -> str:
    """Edits for people: ``/place = value; /other left out``."""
    told = [
        f"{place} left out" if value == DROP else f"{place} = {_shown(value)}"
        for place, value in edits.items()
    ]
    return "; ".join(told)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def rules_of(findings: Iterable[Finding]) -> frozenset[str]:
    """The ids of the rules that findings name."""
    return frozenset(each.rule for each in findings)


# -- documents -------------------------------------------------------------------------------------


def _documents() -> Iterator[tuple[str, Both]]:
    listed = [("", read("documents", "cases.json"))]
    listed += [
        (key, read("documents", key.replace("-", "_"), "cases.json"))
        for key in registry.document_types()
    ]
    for key, cases in listed:
        for rule, case in cases.items():
            of, asked = case.get("of", key), case.get("asked", {})
            yield rule, Both(*(_document(of, case[side], asked) for side in ("kept", "broken")))


def _document(key: str, edits: Mapping[str, Any], asked: Mapping[str, Any]) -> Example:
    words = [in_words(edits), *(f"{name}: {_shown(value)}" for name, value in asked.items())]
    return Example(
        key, "; ".join(filter(None, words)), lambda: rules_of(_examined(key, edits, asked))
    )


def edited_example(key: str, edits: Mapping[str, Any]) -> bytes:
    """The packaged example of a type with edits; of an SPS certificate, with edits of its facts."""
    payload = registry.example(key)
    if payload[:1] != b"{":
        return sps.write(edited(sps.examine(payload)[0]["facts"], edits)) if edits else payload
    return json.dumps(edited(json.loads(payload), edits)).encode()


def _examined(key: str, edits: Mapping[str, Any], asked: Mapping[str, Any]) -> tuple[Finding, ...]:
    payload = edited_example(key, edits)
    found = registry.examine(key, payload).findings
    at = instant(asked.get("at"))
    if at is None:
        return found
    since = at.replace(year=2000)
    delegations = [
        Delegation(flag, organisation, frozenset(), since)
        for flag, organisation in asked.get("delegated", {}).items()
    ]
    on_the_day = standing(
        strict_json.loads_object(payload),
        at,
        delegations=delegations or None,
        known_numbers=asked.get("register"),
    )
    return (*found, *on_the_day)


# -- SPS certificates ------------------------------------------------------------------------------


def _certificates() -> Iterator[tuple[str, Both]]:
    for rule, case in read("sps", "cases.json").items():
        yield rule, Both(_certificate(case, "kept"), _certificate(case, "broken"))


def _certificate(case: Mapping[str, Any], side: str) -> Example:
    replaced: list[list[str]] = case[side]
    words = _replacements(replaced)
    beside: list[list[list[str]]] = case.get(f"{side}Beside", case.get("beside", []))
    told = [f"beside it: {_replacements(other) or 'the packaged one'}" for other in beside]

    def broken() -> frozenset[str]:
        try:
            fields, findings = sps.examine(_replaced(replaced), at=instant(case.get("at")))
        except MalformedError as error:
            return frozenset({UNREAD}) if error.code in _UNREAD_CODES else frozenset()
        others = [sps.examine(_replaced(other))[0]["facts"] for other in beside]
        pairs = pair_findings(fields["facts"], others) if others else ()
        return rules_of((*findings, *pairs))

    return Example(PHYTOSANITARY, "; ".join(filter(None, [words, *told])), broken)


def _replaced(replacements: Iterable[list[str]]) -> bytes:
    """The packaged certificate, in which each of these expressions is found once at least."""
    text = registry.example(PHYTOSANITARY).decode()
    for old, new in replacements:
        text, count = re.subn(old, new, text, count=1, flags=re.DOTALL)
        if not count:
            raise ValueError(f"the packaged certificate has no {old}")
    return text.encode()


def _replacements(replaced: Iterable[list[str]]) -> str:
    """For people: expressions without their prefixes and groups."""
    return "; ".join(f"{_plain(old)} → {_plain(new) or 'left out'}" for old, new in replaced)


def _plain(expression: str) -> str:
    text = expression.replace("ram:", "").replace("rsm:", "").replace(".*?", "…")
    return re.sub(r"\\g<1>|\\1|[()]", "", text)


# -- papers of one consignment, questions of origin ------------------------------------------------


def _papers() -> Iterator[tuple[str, Both]]:
    for rule, case in read("data", "cross", "cases.json").items():
        yield rule, Both(_pair(case, "kept"), _pair(case, "broken"))


def _pair(case: Mapping[str, Any], side: str) -> Example:
    left, right, edits = case["left"], case["right"], case[side]

    def broken() -> frozenset[str]:
        leading = cross.statement(left, registry.example(left))
        other = cross.statement(right, edited_example(right, edits))
        return rules_of(cross.compare(leading, other))

    return Example(f"{left}, {right}", in_words(edits), broken)


def _questions() -> Iterator[tuple[str, Both]]:
    for rule in origin.rules():
        yield rule, Both(_question(rule, passing=True), _question(rule, passing=False))


def _question(rule: str, *, passing: bool) -> Example:
    base, edits, statuses = origin.told(rule, passing=passing)
    words = [in_words({place: DROP if value is None else value for place, value in edits.items()})]
    words += [f"certificate {digest[:8]}… {outcome}" for digest, outcome in statuses.items()]

    def broken() -> frozenset[str]:
        answer = origin.example(rule, passing=passing).evaluate()
        return frozenset() if origin.holds(answer, rule) else frozenset({rule})

    return Example(f"origin question “{base}”", "; ".join(filter(None, words)), broken)
