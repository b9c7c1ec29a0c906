"""Every RCEP rule has an article, two languages, and a passing and a failing example."""

from __future__ import annotations

import re

import pytest

from schemas.catalogue import catalogue, explain
from schemas.origin import examples
from tests.shared import ROOT

#: Rules that only warn or name a treatment: no check of theirs stands where nothing is wrong.
WARNINGS = {"RCEP-013", "RCEP-032", "RCEP-034", "RCEP-050", "RCEP-052", "RCEP-082"}
#: About a report as a whole: its examples are in test_properties and test_evaluation.
WHOLE = {"RCEP-900"}
SOURCES = [file.read_text(encoding="utf-8") for file in (ROOT / "schemas/origin").glob("*.py")]


def test_the_rules_of_the_code_the_catalogue_and_the_examples_are_the_same() -> None:
    coded = {rule for text in SOURCES for rule in re.findall(r'"(RCEP-\d+)"', text)}
    listed = {code for code in catalogue() if code.startswith("RCEP-")}
    assert coded == listed == set(examples.rules()) | WHOLE


def test_every_rule_names_its_article_and_speaks_both_languages() -> None:
    for rule in examples.rules():
        entry = explain(rule)
        assert entry is not None
        assert entry.kind == "rule"
        assert all((entry.en, entry.zh, entry.next, entry.next_zh))
        assert re.search(r"RCEP (Annex|\d)", entry.source), rule


def test_every_reason_code_is_explained() -> None:
    pattern = r'(?:failed|unknown)\(\s*"RCEP-\d+",\s*"([a-z_]+)"'
    codes = {code for text in SOURCES for code in re.findall(pattern, text)}
    assert len(codes) > 40
    assert {code for code in codes if explain(code) is None} == set()


@pytest.mark.parametrize("rule", examples.rules())
def test_the_passing_example_passes(rule: str) -> None:
    answer = examples.example(rule, passing=True).evaluate()
    assert examples.holds(answer, rule), answer.to_json()
    assert examples.says(answer, rule) or rule in WARNINGS


@pytest.mark.parametrize("rule", examples.rules())
def test_the_failing_example_fails(rule: str) -> None:
    answer = examples.example(rule, passing=False).evaluate()
    assert not examples.holds(answer, rule), answer.to_json()
