"""The rules across documents: every id explained, with a passing and a failing example."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources
from typing import Any

import pytest

from schemas import cross, registry
from schemas.catalogue import explain
from schemas.cross import Said, Statement
from schemas.cross.comparing import SILENT, errors
from schemas.findings import Severity
from tests.unit.documents.example_edits import edited, example

CASES: dict[str, Any] = json.loads(
    resources.files("schemas").joinpath("data/cross/cases.json").read_text(encoding="utf-8")
)
ABOUT_GINGER = (
    "bill-of-lading",
    "arrival-notice",
    "packing-list",
    "commercial-invoice",
    "certificate-of-origin",
    "phytosanitary-certificate",
    "export-declaration",
    "import-declaration",
    "delivery-order",
)


def said(key: str, edits: dict[str, Any] | None = None) -> Statement:
    if not edits:
        return cross.statement(key, registry.example(key))
    return cross.statement(key, json.dumps(edited(example(key), edits)).encode())


def test_every_rule_has_its_sentence_its_clause_and_both_examples() -> None:
    assert set(CASES) == set(cross.RULES)
    for rule in cross.RULES:
        entry = explain(rule)
        assert entry is not None
        assert entry.kind == "rule"
        assert entry.source
        assert all((entry.en, entry.zh, entry.next, entry.next_zh))


@pytest.mark.parametrize("rule", sorted(CASES))
def test_the_failing_example_breaks_its_rule_and_shows_both_values_and_places(rule: str) -> None:
    case = CASES[rule]
    left, right = said(case["left"]), said(case["right"], case["broken"])
    found = [each for each in cross.compare(left, right, "aa", "bb") if each.rule == rule]
    assert found
    for each in found:
        values = each.values
        assert values["left"] != values["right"]
        assert values["leftPointer"].startswith("/")
        assert values["rightPointer"].startswith("/")
        assert (values["leftDigest"], values["rightDigest"]) == ("aa", "bb")
        assert values["rightDocument"] == right.name
        assert each.severity is cross.RULES[rule].severity


@pytest.mark.parametrize("rule", sorted(CASES))
def test_the_passing_example_keeps_its_rule(rule: str) -> None:
    case = CASES[rule]
    found = cross.compare(said(case["left"]), said(case["right"], case["kept"]))
    assert [each for each in found if each.rule == rule] == []


def test_the_papers_of_one_consignment_agree_in_the_examples() -> None:
    assert cross.examine([cross.Paper(said(key)) for key in ABOUT_GINGER]) == ()


@pytest.mark.parametrize("key", sorted(registry.document_types()))
def test_every_type_can_be_read_and_agrees_with_itself(key: str) -> None:
    one = said(key)
    found = [each for each in cross.compare(one, one) if each.rule not in ("XDC-013", "XDC-014")]
    assert found == []


def test_a_certificate_for_some_of_the_containers_may_say_less_and_never_more() -> None:
    note, quality = said("rail-consignment-note"), said("rail-consignment-note")
    one_box = quality.lists["containers"][:1]
    part = replace(
        quality,
        type="quality-certificate",
        lists={**quality.lists, "containers": one_box},
        single={**quality.single, "gross": Said("27280", "/totals/grossWeight/value")},
    )
    assert cross.compare(note, part) == ()
    more = replace(
        part, single={**part.single, "gross": Said("54561", "/totals/grossWeight/value")}
    )
    assert [each.rule for each in cross.compare(note, more)] == ["XDC-015"]


def test_certificates_answer_to_the_bill_and_not_to_each_other() -> None:
    papers = [cross.Paper(said(key)) for key in ABOUT_GINGER]
    met = {(one.statement.type, other.statement.type) for one, other in cross.pairs(papers)}
    assert ("bill-of-lading", "certificate-of-origin") in met
    assert ("export-declaration", "certificate-of-origin") in met
    assert ("certificate-of-origin", "phytosanitary-certificate") not in met
    assert not {kind for pair in met for kind in pair} & SILENT


def test_findings_are_capped_and_errors_are_told_apart() -> None:
    bill = cross.Paper(said("bill-of-lading"))
    other = {"/containers/0/number": "NHLU4188222", "/containers/0/seals/0": "X1"}
    wrong = cross.Paper(said("arrival-notice", other))
    found = cross.examine([bill, *[wrong] * 600])
    assert len(found) == cross.MAX_FINDINGS
    assert {each.severity for each in errors(found)} == {Severity.ERROR}


def test_what_is_no_number_is_compared_as_it_stands() -> None:
    bill = said("bill-of-lading")
    odd = replace(bill, single={**bill.single, "gross": Said("much", "/x")}, type="delivery-order")
    assert [each.rule for each in cross.compare(bill, odd)] == []


@pytest.mark.parametrize("country", ["exportCountry", "importCountry"])
def test_a_proof_of_origin_of_another_journey_is_about_other_goods(country: str) -> None:
    bill = cross.Paper(said("bill-of-lading"), "aa")
    leaves, arrives = (
        bill.statement.single[name].value for name in ("exportCountry", "importCountry")
    )
    ways = {
        # Of an input, for import where it was worked up; or on from where the goods arrived.
        "exportCountry": {"/exportCountry": "KR", "/importCountry": leaves},
        "importCountry": {"/exportCountry": arrives, "/importCountry": "TH"},
    }
    key = "preferential-certificate-of-origin"
    assert list(cross.pairs([bill, cross.Paper(said(key, ways[country]), "bb")])) == []
    own = {"/exportCountry": leaves, "/importCountry": arrives}
    assert len(list(cross.pairs([bill, cross.Paper(said(key, own), "bb")]))) == 1


def test_a_judgement_made_in_a_third_country_is_no_paper_about_the_goods() -> None:
    """A carrier's pre-advice names its own country, which need not be where the goods leave."""
    judged = said("pre-advice", {"/exportCountry": "SG", "/issuer/country": "SG"})
    assert cross.examine([cross.Paper(said("bill-of-lading")), cross.Paper(judged)]) == ()
