"""`pratique log audit --partner` and `log recover`, as operators run them on running nodes."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from node.home import Home
from node.log import audit
from tests.integration.log.entries import some_entries
from tests.integration.log.log_network import UNTIL, WITNESSES, append, made, start
from tests.support.process import pratique

ENTRIES = some_entries(400)


async def until(condition: Callable[[], bool], seconds: float = UNTIL) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "not in time"
        await asyncio.sleep(0.02)


async def run(home: Home, *words: str) -> tuple[int, str, str]:
    done = await asyncio.to_thread(pratique, "log", *words, "--home", home.path)
    return done.returncode, done.stdout, done.stderr


async def test_a_partners_log_is_audited_by_name_and_goes_on_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    network = made(tmp_path, witnesses=("w1",), others=("bank",))
    home = network.homes["bank"]
    async with AsyncExitStack() as stack:
        nodes = await start(stack, network, "rail", "w1", "bank")
        rail, bank = nodes["rail"], nodes["bank"]
        await rail.log.wait_for(await append(rail, *ENTRIES), UNTIL)
        # Interrupted after the first piece, as by somebody who stops the command.
        first = await audit.Auditor(bank, bank.log).advance(
            "rail.example/log/1", genesis=True, budget=0.0
        )
        assert (first.verified, first.done) == (0, False)
        status, shown, problem = await run(home, "audit", "--partner", "rail", "--json")
        assert status == 0, problem
        assert json.loads(shown)["verified"] == 400
        told = await run(home, "audit", "--partner", "rail", "--from", "genesis")
        assert told[0] == 0, told
        unknown = await run(home, "audit", "--partner", "nobody")
        assert unknown[0] != 0
        assert "log_unknown" in unknown[2]
        works = await run(home, "recover")
        assert works[0] != 0
        assert "log_not_sealed" in works[2]


async def test_r15_an_operator_ends_a_log_that_nobody_can_bring_back(tmp_path: Path):
    network = made(tmp_path)
    home, copy = network.homes["rail"], tmp_path / "copy"
    async with AsyncExitStack() as stack:
        await start(stack, network, *WITNESSES)
        async with AsyncExitStack() as first:
            rail = (await start(first, network, "rail"))["rail"]
            await rail.log.wait_for(await append(rail, *ENTRIES[:3]), UNTIL)
        shutil.copytree(home.path, copy)
        async with AsyncExitStack() as second:
            rail = (await start(second, network, "rail"))["rail"]
            await rail.log.wait_for(await append(rail, *ENTRIES[3:9]), UNTIL)
        shutil.rmtree(home.path)
        shutil.copytree(copy, home.path)
        rail = (await start(stack, network, "rail"))["rail"]
        await until(lambda: rail.log.fault is not None)
        lacking = await run(home, "recover")
        assert lacking[0] != 0
        assert "log_entries_unavailable" in lacking[2]
        sealed = await run(home, "show")
        assert sealed[0] == 1
        assert "sealed:" in sealed[1]
        assert "recovery:" in sealed[1]
        done = await run(home, "recover", "--new-log")
        assert done[0] == 0, done
        assert "opened: rail.example/log/2" in done[1]
        assert "ended: rail.example/log/1" in (await run(home, "show"))[1]
