"""The random operations have teeth: a contract that forgets one rule is found out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ledger import contracts
from tests.support.title_fuzz import Fuzz
from tests.support.title_invariants import invariant_11_de_listing_changes_no_live_title

ROOT = Path(__file__).parents[3]
OPERATIONS = 4000
#: What stands in the source, and what a careless hand might make of it.
MUTANTS = [
    ("if s > HALF_N or v < 27", "if v < 27"),
    ("if not expired:\n            return OFFER_OPEN", "if False:\n            return OFFER_OPEN"),
    ("if op.entry != self.offers[op.title].entry:", "if False:"),
    ("block.timestamp > (op.word >> 64)", "block.timestamp >= (op.word >> 64)"),
    ("expired: bool = block.timestamp > offered", "expired: bool = block.timestamp >= offered"),
    ("bill == STRAIGHT or bill == NAMED", "bill == NAMED"),
    ("if claim & ADDRESS != 0 and claim", "if False and claim"),
    ("    if kind == SURRENDER_FOR_AMENDMENT and shipper:\n        entitled = True\n", ""),
    ("(ending == DELIVERED) != (purpose == SURRENDER_FOR_DELIVERY)", "False"),
    ("if (word >> REPLACED) & 1 == 1:", "if False:"),
    ("or not self.may_issue[carrier]:", ":"),
    ("live = (live & ~ADDRESS) | sender", "live = live"),
    ("if kind == OFFER and (word >> 40) & 65535 == 0", "if kind == OFFER"),
]


def run(fuzz: Fuzz) -> None:
    while fuzz.count < OPERATIONS:
        fuzz.step(100)
    fuzz.compare()
    invariant_11_de_listing_changes_no_live_title(fuzz)
    fuzz.step(100)


@pytest.mark.slow
@pytest.mark.parametrize(("text", "mutant"), MUTANTS)
def test_a_contract_that_forgets_one_rule_is_found_out(
    text: str, mutant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = contracts.source(contracts.TITLES).decode()
    assert text in source
    (tmp_path / "AnchorRegistry.vy").write_bytes(contracts.source(contracts.ANCHORS))
    (tmp_path / "TitleRegistry.vy").write_text(source.replace(text, mutant, 1))
    script = ROOT / "scripts" / "compile_contracts.py"
    subprocess.run([sys.executable, script, "--folder", str(tmp_path)], check=True, timeout=280)
    made = contracts.read((tmp_path / "TitleRegistry.json").read_bytes())
    load = contracts.load
    monkeypatch.setattr(
        contracts, "load", lambda name: made if name == contracts.TITLES else load(name)
    )
    with pytest.raises(AssertionError):
        run(Fuzz(20_261_122))
