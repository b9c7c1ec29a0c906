"""Profiles: JSON Schema 2020-12, one per document type, compiled once and never fetching anything.

Each type's ``profile.json`` refers to the shared definitions of ``schemas/documents/common.json``,
and may refer to another type's profile, by their URN; `bundle` embeds them, so that a published
profile is one self-contained file (JSON Schema core §9.3.1). Violations become findings SCH-001 …
with a plain sentence.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import resources
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn

from schemas.fields import pointer
from schemas.findings import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    import jsonschema_rs

    from schemas.strict_json import JsonValue

_BASE = re.compile(r'"urn:pratique:profile:([a-z-]+):1#?')
MAX_FAULTS = 50

# Keyword of JSON Schema → our rule id and the sentence about it; {} is the keyword's value.
SENTENCES: Mapping[str, tuple[str, str]] = {
    "required": ("SCH-001", "the member {} is missing"),
    "type": ("SCH-002", "must be of type {}"),
    "enum": ("SCH-003", "must be one of {}"),
    "const": ("SCH-003", "must be {}"),
    "pattern": ("SCH-004", "must have the form {}"),
    "minLength": ("SCH-005", "must have at least {} characters"),
    "maxLength": ("SCH-005", "must have at most {} characters"),
    "minimum": ("SCH-006", "must be at least {}"),
    "maximum": ("SCH-006", "must be at most {}"),
    "exclusiveMinimum": ("SCH-006", "must be more than {}"),
    "exclusiveMaximum": ("SCH-006", "must be less than {}"),
    "minItems": ("SCH-007", "must have at least {} entries"),
    "maxItems": ("SCH-007", "must have at most {} entries"),
    "uniqueItems": ("SCH-007", "must not repeat an entry"),
    "format": ("SCH-008", "must be a real {}"),
    "oneOf": ("SCH-009", "must meet exactly one of the allowed alternatives"),
    "anyOf": ("SCH-009", "must meet at least one of the allowed alternatives"),
    "not": ("SCH-009", "must not have this combination of members"),
}
OTHER = ("SCH-010", "does not meet the keyword {} of the profile")
MANY = "SCH-011"


def bundle(key: str) -> dict[str, Any]:
    """The profile of a document type as one self-contained schema. `key` must be a known type."""
    profile = _profile(key)
    for base in sorted(_bases(profile) - {key}):
        profile.setdefault("$defs", {})[base] = _profile(base)
    return profile


def _bases(profile: dict[str, Any]) -> set[str]:
    """What a profile refers to, and what that refers to: the shared definitions, other profiles."""
    named = {found for found in _BASE.findall(json.dumps(profile)) if found != _key(profile)}
    return named.union(*(_bases(_profile(base)) for base in named))


def _key(profile: dict[str, Any]) -> str:
    return str(profile["$id"]).split(":")[3]


def _profile(key: str) -> dict[str, Any]:
    if key == "common":
        return _read("common.json")
    return _read(key.replace("-", "_"), "profile.json")


@cache
def disclosable(key: str) -> tuple[str, ...]:
    """The places a profile marks with `x-disclosable`: JSON pointers, `*` for any array index."""
    return tuple(_read(key.replace("-", "_"), "profile.json").get("x-disclosable", ()))


def faults(
    key: str, document: JsonValue, withheld: AbstractSet[str] = frozenset()
) -> tuple[Finding, ...]:
    """Where `document` breaks the profile of type `key`, at most `MAX_FAULTS` findings.

    withheld: pointers of members that exist and are not shown, so they are not missing
    """
    validator = _validator(key)
    if validator.is_valid(document):
        return ()
    found = validator.iter_errors(document)
    told = (error for error in found if not _is_withheld(error, withheld))
    errors = [*islice(told, MAX_FAULTS + 1)]
    findings = [_finding(error) for error in errors[:MAX_FAULTS]]
    if len(errors) > MAX_FAULTS:
        message = f"more than {MAX_FAULTS} faults; the others are not listed"
        findings.append(Finding(MANY, Severity.ERROR, "", message))
    return tuple(findings)


def _is_withheld(error: jsonschema_rs.ValidationError, withheld: AbstractSet[str]) -> bool:
    if not withheld or error.kind.name != "required":
        return False
    return pointer(*error.instance_path, error.kind.value) in withheld


def _read(*path: str) -> dict[str, Any]:
    file = resources.files("schemas").joinpath("documents", *path)
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


@cache
def _validator(key: str) -> jsonschema_rs.Draft202012Validator:
    import jsonschema_rs  # 15 MB: loaded with the first document, not at the start of a node

    def refuse(uri: str) -> NoReturn:
        raise ValueError(f"a profile refers to {uri}, which is not packaged")

    return jsonschema_rs.Draft202012Validator(bundle(key), validate_formats=True, retriever=refuse)


def _finding(error: jsonschema_rs.ValidationError) -> Finding:
    """One violation in plain words. Foreign content is never echoed, only named by pointer."""
    keyword = error.kind.name
    rule, sentence = SENTENCES.get(keyword, OTHER)
    value = keyword if (rule, sentence) == OTHER else error.kind.value
    return Finding(
        rule, Severity.ERROR, pointer(*error.instance_path), sentence.format(_words(value))
    )


def _words(value: object) -> str:
    """A keyword's value for people: lists joined by commas, text as it is."""
    if isinstance(value, list):
        return ", ".join(_words(item) for item in value)
    return value if isinstance(value, str) else json.dumps(value, default=str)
