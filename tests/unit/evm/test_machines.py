"""A short run of the three machines (the long one is in tests/integration/evm), and its teeth."""

from __future__ import annotations

import pytest

from protocols.title import machine as title
from tests.support.title_fuzz import Fuzz
from tests.support.title_invariants import (
    INVARIANTS,
    invariant_8_a_batch_is_its_operations_one_after_another,
    invariant_11_de_listing_changes_no_live_title,
)


def run(fuzz: Fuzz, operations: int) -> None:
    while fuzz.count < operations:
        fuzz.step(fuzz.random.choice([1, 9, 90]))


def test_r19_r22_model_log_and_contract_agree_on_random_operations() -> None:
    fuzz = Fuzz(3)
    run(fuzz, 500)
    fuzz.compare()
    for invariant in INVARIANTS:
        invariant(fuzz)
    invariant_8_a_batch_is_its_operations_one_after_another(fuzz, 1)
    invariant_11_de_listing_changes_no_live_title(fuzz)
    fuzz.step(60)
    fuzz.compare()


def test_a_model_that_forgets_one_rule_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = dict(title._RULES)
    rule = rules[title.Kind.CANCEL_OFFER]
    rules[title.Kind.CANCEL_OFFER] = title._Rule(rule.states, rule.role, title._decline_offer)
    monkeypatch.setattr(title, "_RULES", rules)
    fuzz = Fuzz(3)
    with pytest.raises(AssertionError, match="title_offer_open"):
        run(fuzz, 3000)
