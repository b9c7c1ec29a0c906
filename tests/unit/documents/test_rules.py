"""Every rule: its clause, two languages, an example that passes and one that fails."""

from __future__ import annotations

import pytest

from protocols.rule_examples import examples
from schemas import registry
from schemas.catalogue import catalogue
from schemas.findings import Severity
from schemas.rules import RuleBook
from tests.unit.documents.example_edits import DROP, edited, example, rules_of

ARR = "arrival-notice"
INV = "commercial-invoice"
QUA = "quality-certificate"
#: Everything numbered that a document, an operator or a container can break.
NUMBERED = sorted(
    code
    for code, entry in catalogue().items()
    if entry.kind in ("rule", "condition") and code.isupper()
)


def test_every_rule_has_both_examples_and_every_example_its_rule() -> None:
    assert set(examples()) == set(NUMBERED)
    assert set(registry.rules()) <= set(NUMBERED)


@pytest.mark.parametrize("rule", NUMBERED)
def test_every_rule_is_explained_in_both_languages_with_its_clause(rule: str) -> None:
    entry = catalogue()[rule]
    assert all((entry.en, entry.zh, entry.next, entry.next_zh, entry.source))


@pytest.mark.parametrize("rule", sorted(examples()))
def test_the_passing_example_passes(rule: str) -> None:
    broken = examples()[rule].passing.broken()
    assert rule not in broken
    assert rule.startswith("SCH") or not [one for one in broken if one.startswith("SCH")]


@pytest.mark.parametrize("rule", sorted(examples()))
def test_the_failing_example_fails_naming_its_rule(rule: str) -> None:
    broken = examples()[rule].failing.broken()
    assert rule in broken
    assert rule.startswith("SCH") or not [one for one in broken if one.startswith("SCH")]


def test_a_rule_book_refuses_the_same_id_twice() -> None:
    book = RuleBook()
    book.error("X-001")(lambda document: ())
    with pytest.raises(ValueError, match="X-001"):
        book.warning("X-001")


def test_inherited_rules_keep_their_severity() -> None:
    assert registry.rules()["DOC-006"].severity is Severity.WARNING
    assert registry.rules()["DOC-001"].severity is Severity.ERROR


def test_one_rule_complains_at_most_twenty_times() -> None:
    document = example(QUA)
    document["results"] = [document["results"][0] | {"value": "99"} for _ in range(30)]
    assert len(rules_of(QUA, document)["QUA-001"]) == 20


def test_a_total_is_compared_only_where_every_line_says_its_part() -> None:
    document = edited(example(ARR), {"/goods/0/netWeight": DROP, "/totals/netWeight/value": "1"})
    assert "DOC-011" not in rules_of(ARR, document)


def test_the_amount_of_the_largest_invoice_line_is_computed_exactly() -> None:
    digits = "999999999999999.999999"
    edits = {"/goods/0/quantity/value": digits, "/goods/0/unitPrice": digits}
    assert "INV-001" in rules_of(INV, edited(example(INV), edits))
