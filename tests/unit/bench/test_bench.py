"""The benchmark measures what passes, and compares it with the limits of the same run."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from node.cli.main import build
from node.verification.canonicaliser import OVER_LIMIT, OfflineCanonicaliser
from node.verification.contexts import ContextStore
from protocols import jws
from protocols.digest import sha256
from schemas import strict_json
from schemas.errors import RefusedError, UnavailableError
from testnet.bench import credentials, documents, ebl, ledger, measuring, poison
from testnet.bench.measuring import LIMITS, Line, Measure

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

RATES = dict.fromkeys(LIMITS, 1000.0)
BENCH = credentials.Bench.made(datetime.now(UTC))


def test_the_measured_payload_has_four_kilobytes() -> None:
    payload = jws.parse(BENCH.file.credential, typ="vc+jwt").payload
    assert credentials.PAYLOAD_BYTES <= len(payload) < 1.25 * credentials.PAYLOAD_BYTES


@pytest.mark.parametrize("measure", credentials.measures_of(BENCH), ids=lambda one: one.id)
def test_every_measure_does_its_work(measure: Measure) -> None:
    measure.run()


@pytest.mark.parametrize("work", ["signed", "opened", "steps", "disclosed", "integrity"])
def test_what_does_not_verify_is_not_measured(work: str) -> None:
    others = credentials.Bench.made(datetime.now(UTC))
    mixed = replace(BENCH, key=others.key, members=others.members)
    with pytest.raises((RefusedError, AssertionError)):
        getattr(mixed, work)()


@pytest.mark.parametrize(("rate", "met"), [(449.0, False), (450.0, True)])
def test_a_target_is_a_ratio_to_the_limit_of_the_same_run(rate: float, met: bool) -> None:
    asked = Measure("a", "a", lambda: None, "loop", 0.45)
    told = Measure("b", "b", lambda: None)
    first, second = measuring.lines_of([asked, told], {"a": rate, "b": 7.0, "loop": 1000.0})
    assert (first.met, first.ratio) == (met, rate / 1000)
    assert (second.met, second.ratio, second.rate) == (None, None, 7.0)
    assert measuring.at_most("c", "c", 100.1, "ms", 100.0).met is False


def test_the_best_turn_of_each_counts_and_limits_take_turns_too() -> None:
    turns = iter([3.0, 9.0, 5.0])
    heard: list[float] = []
    best = measuring.side_by_side(
        [Measure("a", "a", lambda: None)], 0, heard.append, lambda: {"loop": next(turns)}, 0.01
    )
    assert best["loop"] == 9.0
    assert best["a"] > 0
    assert heard == sorted(heard)
    assert heard[-1] <= 1.0


def test_the_raw_limits_are_measured_here() -> None:
    found = measuring.raw_limits(0.01) | measuring.log_limits(0.01) | documents.limits(0.01)
    assert set(found) == set(LIMITS)
    assert all(rate > 0 for rate in found.values())


def test_a_rate_is_the_average_of_its_whole_turn() -> None:
    calls = []

    def uneven() -> None:
        calls.append(1)
        time.sleep(0.02 if len(calls) == 3 else 0.001)

    begin = time.perf_counter()
    rate = measuring.rate_of(uneven, 0.05)
    spent = time.perf_counter() - begin
    assert spent >= 0.05
    # The slow call counts: what is told cannot be more than what was done in the whole turn.
    assert len(calls) / spent <= rate * 1.001 <= len(calls) / 0.05 * 1.001


def test_without_openssl_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UnavailableError) as caught:
        measuring.openssl_p256()
    assert caught.value.code == "bench_openssl_missing"


def test_the_poison_graph_is_poison() -> None:
    pytest.importorskip("pyoxigraph")
    contexts, body = ContextStore(), strict_json.canonical(poison._WORDS)
    contexts.add(body, poison._CONTEXT, sha256(body).hex())
    with OfflineCanonicaliser() as canonicaliser, pytest.raises(UnavailableError) as caught:
        canonicaliser.canonicalise(poison.graph(), digest="sha256", contexts=contexts)
    assert caught.value.code == OVER_LIMIT


@pytest.mark.parametrize("group", [credentials, ebl, ledger])
@pytest.mark.parametrize(("met", "code"), [(True, 0), (None, 0), (False, 1)])
def test_the_command_answers_by_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, met: bool | None, code: int, group: ModuleType
) -> None:
    def measured(
        _: float, told: Callable[[float], None], **_more: int
    ) -> tuple[dict[str, float], list[Line]]:
        told(1.0)
        return RATES, [Line("verify", "words", 450.0, limit="loop", ratio=0.45, met=met)]

    monkeypatch.setattr(group, "measure", measured)
    name = group.__name__.rpartition(".")[2]
    shown = CliRunner().invoke(build(["bench"]), ["bench", name])
    assert shown.exit_code == code
    assert "words" in shown.stdout
    as_json = CliRunner().invoke(build(["bench"]), ["bench", name, "--json"])
    assert as_json.exit_code == code
    report = json.loads(as_json.stdout)
    assert report["met"] is (met is not False)
    assert report["lines"][0]["ratio"] == 0.45
