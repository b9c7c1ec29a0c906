"""Profiles: small, self-contained, offline; faults in plain words without echoing content."""

from __future__ import annotations

import json

import jsonschema
import pytest

from schemas import profiles, registry
from schemas.findings import Severity
from tests.unit.documents.example_edits import JSON_TYPES, example


@pytest.mark.parametrize("key", JSON_TYPES)
def test_a_profile_is_a_small_self_contained_schema(key: str) -> None:
    profile = profiles.bundle(key)
    assert profile["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert profile["$id"] == f"urn:pratique:profile:{key}:1"
    assert len(json.dumps(profile, separators=(",", ":"))) < 40_000
    jsonschema.Draft202012Validator.check_schema(profile)


@pytest.mark.parametrize("key", JSON_TYPES)
def test_an_independent_validator_agrees(key: str) -> None:
    validator = jsonschema.Draft202012Validator(
        profiles.bundle(key), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    document = example(key)
    assert list(validator.iter_errors(document)) == []
    for name in document:
        changed = document | {name: 17}
        expected = bool(list(validator.iter_errors(changed)))
        assert bool(profiles.faults(key, changed)) == expected, name


def test_every_rule_of_the_schema_family_can_be_met() -> None:
    document = example("packing-list")
    line = document["goods"][0]
    del document["issuer"]
    document["number"] = 5
    document["documentType"] = "other"
    document["exportCountry"] = "china"
    line["hsEdition"] = "HS1988"
    line["description"] = ""
    line["marks"] = "x" * 3000
    line["sequence"] = 0
    document["totals"]["packages"] = 10**9
    document["containers"] = []
    document["issueDate"] = "2026-02-30"
    document["transport"] = {"mode": "1", "vessel": {}}
    found = {finding.rule for finding in profiles.faults("packing-list", document)}
    assert found == {f"SCH-00{number}" for number in range(1, 9)}


def test_messages_are_plain_and_name_the_place_but_not_the_content() -> None:
    secret = "do-not-echo-me"
    found = profiles.faults("delivery-order", example("delivery-order") | {"freight": secret})
    assert [(one.rule, one.severity, one.pointer) for one in found] == [
        ("SCH-003", Severity.ERROR, "/freight")
    ]
    assert found[0].message == "must be one of PREPAID, PAID, CREDIT"
    assert secret not in repr(found)


def test_a_missing_member_is_named() -> None:
    document = {
        name: value for name, value in example("delivery-order").items() if name != "freight"
    }
    assert [one.message for one in profiles.faults("delivery-order", document)] == [
        "the member freight is missing"
    ]


def test_many_faults_are_cut_with_a_note() -> None:
    document = example("packing-list")
    document["goods"] = [{} for _ in range(100)]
    found = profiles.faults("packing-list", document)
    assert len(found) == profiles.MAX_FAULTS + 1
    assert found[-1].rule == "SCH-011"


def test_a_keyword_without_a_sentence_of_its_own_is_still_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        profiles, "bundle", lambda key: {"additionalProperties": False, "maxProperties": 1}
    )
    profiles._validator.cache_clear()
    found = profiles.faults("packing-list", {"a": 1, "b": 2})
    profiles._validator.cache_clear()
    assert {one.rule for one in found} == {"SCH-010"}


def test_a_profile_that_refers_outside_is_refused_and_fetches_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(profiles, "bundle", lambda key: {"$ref": "https://outside.example/a.json"})
    profiles._validator.cache_clear()
    with pytest.raises(Exception, match="not packaged"):
        profiles.faults("packing-list", {})
    profiles._validator.cache_clear()


def test_all_types_but_the_certificates_in_xml_have_a_profile() -> None:
    assert set(registry.document_types()) - set(JSON_TYPES) == {
        "health-certificate",
        "phytosanitary-certificate",
        "phytosanitary-re-export-certificate",
        "sanitary-certificate",
        "veterinary-certificate",
    }


def test_no_profile_is_larger_than_forty_kilobytes() -> None:
    for key in JSON_TYPES:
        assert len(json.dumps(profiles.bundle(key), separators=(",", ":"))) < 40_000, key
