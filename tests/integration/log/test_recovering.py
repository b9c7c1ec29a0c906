"""A store restored from an old copy, with partners and without: nobody ever forks (R15)."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from ledger import log
from node.fsck import Context, areas
from node.log import recovering
from node.runtime import Node
from protocols.log.merkle import leaf_hash
from schemas.errors import TradeError
from tests.integration.log.entries import some_entries
from tests.integration.log.log_network import (
    SERVICES,
    UNTIL,
    WITNESSES,
    append,
    cosigned_by_all,
    made,
    verified,
)
from tests.integration.log.log_network import start as start_nodes
from tests.support.network import Made

ENTRIES = some_entries(700)
ORIGIN = "rail.example/log/1"
_ = SERVICES


async def until(condition: Callable[[], Any], seconds: float = UNTIL) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "not in time"
        await asyncio.sleep(0.02)


async def start(stack: AsyncExitStack, network: Made, *names: str) -> dict[str, Node]:
    return await start_nodes(stack, network, *names)


async def grown(network: Made, copy: Path, *, mirrored: bool = True) -> bytes:
    """Rail logs 300 entries, is copied, logs 400 more, and gets the copy back; the last root."""
    home = network.homes["rail"].path
    async with AsyncExitStack() as stack:
        rail = (await start(stack, network, "rail"))["rail"]
        await rail.log.wait_for(await append(rail, *ENTRIES[:300]), UNTIL)
    shutil.copytree(home, copy)
    async with AsyncExitStack() as stack:
        rail = (await start(stack, network, "rail"))["rail"]
        receipt = await rail.log.wait_for(await append(rail, *ENTRIES[300:]), UNTIL)
        assert receipt.witnessed
        await cosigned_by_all(rail, 700)
        if mirrored:
            await rail.log.mirrors.turn()
        root = rail.log.publisher.tree.root()
    shutil.rmtree(home)
    shutil.copytree(copy, home)
    return root


async def test_r15_entries_come_back_from_a_partners_mirror_and_the_log_goes_on(tmp_path: Path):
    network = made(tmp_path)
    async with AsyncExitStack() as stack:
        witnesses = await start(stack, network, *WITNESSES)
        root = await grown(network, tmp_path / "copy")
        rail = (await start(stack, network, "rail"))["rail"]
        # Issued after the restore, before anything is recovered: it goes behind what was signed.
        fresh = await append(rail, some_entries(701)[700])
        receipt = await rail.log.wait_for(fresh, 0.0)
        await until(lambda: rail.log.fault is None and rail.log.confirmed)
        receipt = await rail.log.wait_for(fresh, UNTIL)
        assert receipt.witnessed
        assert receipt.index == 700
        assert rail.log.publisher.tree.root(700) == root
        assert verified(rail, await rail.log.receipt(leaf_hash(ENTRIES[650]))).witnessed
        for node in witnesses.values():
            held = await node.witness.held(ORIGIN)
            assert held.size >= 700
        shown = await rail.store.read(_events)
        assert ("log-recovered", 400) in shown
        damages = [text for area in ("FSCK-01", "FSCK-02") for text in await _damages(rail, area)]
        assert damages == []


def _events(conn: Any) -> list[tuple[str, int]]:
    from node.store import events

    found = events.after(conn, 0, 1000)
    return [(event.kind, event.detail.get("entries", 0)) for event in found]


async def _damages(node: Node, area: str) -> list[str]:
    context = Context(node.home, node.keys, node.members.current)
    return await node.store.read(lambda conn: list(areas()[area](conn, context)))


async def test_r15_without_partners_a_restored_log_stays_closed_and_says_so(tmp_path: Path):
    network = made(tmp_path)
    async with AsyncExitStack() as first:
        await start(first, network, *WITNESSES)
        await grown(network, tmp_path / "copy")
    async with AsyncExitStack() as stack:
        rail = (await start(stack, network, "rail"))["rail"]
        leaf = await append(rail, b"after the restore")
        assert await rail.log.wait_for(leaf, 1.0) is None
        assert not rail.log.confirmed
        shown = await rail.log.show()
        assert shown["trouble"] == "log_not_confirmed"
        assert "log_not_confirmed" in rail.log.notice()
        # Too few for an answer: one of four does not intersect every quorum of three.
        await start(stack, network, "w1")
        assert await rail.log.wait_for(leaf, 1.0) is None
        await start(stack, network, "w2", "w3")
        await until(lambda: rail.log.confirmed and rail.log.fault is None)
        assert (await rail.log.wait_for(leaf, UNTIL)).index == 700


async def test_r15_a_rolled_back_store_beside_its_own_tiles_is_recovered_too(tmp_path: Path):
    network = made(tmp_path)
    home = network.homes["rail"].path
    async with AsyncExitStack() as stack:
        await start(stack, network, *WITNESSES)
        await grown(network, tmp_path / "copy")
        async with AsyncExitStack() as once:
            rail = (await start(once, network, "rail"))["rail"]
            await until(lambda: rail.log.fault is None and rail.log.confirmed)
        for file in home.glob("store.sqlite3*"):
            file.unlink()
        for file in (tmp_path / "copy").glob("store.sqlite3*"):
            shutil.copy(file, home / file.name)
        rail = (await start(stack, network, "rail"))["rail"]
        await until(lambda: rail.log.fault is None and rail.log.confirmed)
        assert await rail.store.read(log.size) == 700


async def test_r15_entries_that_nobody_has_end_the_log_and_the_next_gets_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recovering, "FIRST_PAUSE", 0.1)
    network = made(tmp_path)
    async with AsyncExitStack() as stack:
        witnesses = await start(stack, network, *WITNESSES)
        await grown(network, tmp_path / "copy", mirrored=False)
        rail = (await start(stack, network, "rail"))["rail"]
        await append(rail, b"after the restore")
        await until(lambda: rail.log.recovering.trouble is not None)
        assert rail.log.recovering.trouble.code == "log_entries_unavailable"
        assert "log_behind_partners" in rail.log.ready()
        with pytest.raises(TradeError) as caught:
            await rail.log.recovering.attempt()
        assert caught.value.code == "log_entries_unavailable"
        before = leaf_hash(ENTRIES[7])

        told = await rail.log.recovering.open_next()
        assert told == {"frozen": ORIGIN, "opened": "rail.example/log/2"}
        assert rail.log.ready() is None
        receipt = await rail.log.wait_for(await append(rail, b"in the new log"), UNTIL)
        assert receipt.origin == "rail.example/log/2"
        assert not receipt.witnessed  # until the roots have listed it
        # What was witnessed under the old name still has its receipt.
        old = await rail.log.receipt(before)
        assert (old.origin, old.witnessed) == (ORIGIN, True)
        assert verified(rail, old).witnessed
        (frozen,) = (await rail.log.show())["frozen"]
        assert (frozen["origin"], frozen["size"]) == (ORIGIN, 700)
        with pytest.raises(TradeError) as caught:
            await rail.log.recovering.open_next()
        assert caught.value.code == "log_not_sealed"
        for node in witnesses.values():
            assert (await node.witness.held(ORIGIN)).size == 700
            assert await node.store.read(_marks) == []


def _marks(conn: Any) -> list[Any]:
    from ledger import forks

    return forks.marks(conn)


async def test_r15_a_mirror_that_lies_is_passed_over(tmp_path: Path):
    network = made(tmp_path)
    async with AsyncExitStack() as stack:
        nodes = await start(stack, network, *WITNESSES)
        root = await grown(network, tmp_path / "copy")
        liar = nodes["w1"].home.path / "mirrors"
        for file in liar.rglob("entries/001*"):
            if file.is_file():
                file.write_bytes(file.read_bytes().replace(b"tx1", b"tx2"))
        rail = (await start(stack, network, "rail"))["rail"]
        await until(lambda: rail.log.fault is None and rail.log.confirmed)
        await until(lambda: rail.log.publisher.tree.size == 700)
        assert rail.log.publisher.tree.root() == root
