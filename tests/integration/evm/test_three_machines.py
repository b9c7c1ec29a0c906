"""10 000 random operations each for model, log arbiter and contract: one verdict, one state.

The twelve invariants are asserted by name in `tests.support.title_invariants`.
"""

from __future__ import annotations

import pytest

from protocols.evm.title import REFUSALS
from tests.support.title_fuzz import Fuzz
from tests.support.title_invariants import (
    INVARIANTS,
    invariant_8_a_batch_is_its_operations_one_after_another,
    invariant_11_de_listing_changes_no_live_title,
)

# A busy machine takes its time for so many.
pytestmark = pytest.mark.timeout(900)
OPERATIONS = 10_000


def run(seed: int, operations: int) -> Fuzz:
    fuzz = Fuzz(seed)
    while fuzz.count < operations:
        short = fuzz.random.random() < 0.05
        fuzz.step(fuzz.random.randint(1, 20) if short else 100)
        if len(fuzz.batches) % 20 == 0:
            fuzz.compare()
    fuzz.compare()
    return fuzz


def judge(fuzz: Fuzz) -> None:
    for invariant in INVARIANTS:
        invariant(fuzz)
    invariant_8_a_batch_is_its_operations_one_after_another(fuzz, 2)
    invariant_11_de_listing_changes_no_live_title(fuzz)
    fuzz.step(100)
    fuzz.compare()


def test_r19_r22_model_log_arbiter_and_contract_agree_on_ten_thousand_operations() -> None:
    fuzz = run(20_261_122, OPERATIONS)
    assert fuzz.count >= OPERATIONS
    # Every reason for a refusal that the machine has was met, and enough was accepted.
    assert set(fuzz.verdicts) == set(REFUSALS)
    assert fuzz.verdicts[""] >= OPERATIONS // 4
    judge(fuzz)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_the_same_from_other_seeds(seed: int) -> None:
    judge(run(seed, 2 * OPERATIONS))
