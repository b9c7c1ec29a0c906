"""The ledger's measures do their work on small logs, and refuse to measure what does not hold."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from protocols.verify import receipt_steps
from protocols.verify.receipt_steps import CheckedCheckpoints
from schemas.errors import TradeError
from testnet.bench import ledger, receipts


def test_leaves_are_appended_each_way() -> None:
    parts: list[float] = []
    found = ledger.appended(0, parts.append, 0.02)
    assert {*ledger.WAYS} < {*found}
    assert all(rate > 0 for rate in found.values())
    assert ledger.WAYS["single"].settings().group_cap == 1


def test_receipts_verify_cold_and_under_a_checkpoint_that_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(receipts, "SIZE", 100)
    made = receipts.made(datetime.now(UTC))
    for _ in range(3):
        made.cold()
        made.cached()
    other = receipts.made(datetime.now(UTC))
    with pytest.raises(TradeError):
        receipts.Receipts(made.members, made.entries, other.apart, [], made.held).cold()
    # Kept checkpoints of one list say nothing under another.
    foreign = CheckedCheckpoints(other.members)
    receipts.Receipts(made.members, made.entries, [], made.together, foreign).cached()
    assert not foreign._found
    monkeypatch.setattr(receipt_steps, "MAX_CHECKED", 2)
    for text in (made.together[0], *made.apart[1:4]):
        made.held.check(text.partition("\n\n")[2])
    assert len(made.held._found) == 2


def test_a_leaf_waits_for_its_partners_and_a_log_opens_again(tmp_path: Path) -> None:
    lines = asyncio.run(ledger.witnessed(tmp_path / "network", 0.3))
    assert [line.id for line in lines] == ["witnessed.p50", "witnessed.p99"]
    assert 0 < lines[0].rate <= lines[1].rate
    (line,) = asyncio.run(ledger.restarted(tmp_path / "long", 1500))
    assert line.rate > 0


def test_percentiles_are_of_the_nearest_rank() -> None:
    ordered = [float(number) for number in range(1, 101)]
    assert [ledger._percentile(ordered, part) for part in (50, 99, 100)] == [50.0, 99.0, 100.0]
    assert ledger._percentile([7.0], 99) == 7.0


def test_the_gas_is_held_against_what_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("eth")
    from testnet.bench import gas

    table = dict.fromkeys(gas.MOST, 1) | {"transfer, single": 45_001, "issue, single": 7}
    monkeypatch.setattr(gas, "measure", lambda: table)
    met = {line.id.removeprefix("gas."): line.met for line in ledger._gas()}
    assert met == {
        **dict.fromkeys(gas.MOST, True),
        "transfer, single": False,
        "issue, single": None,
    }
