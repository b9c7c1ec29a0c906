"""What the ledger costs: durable leaves, witnessed checkpoints, receipts, a restart, and gas.

Everything is done by the functions and services that a node is made of, on SQLite in a folder for
temporary files; the raw limits of the disk and the processor are measured in the same rounds.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ledger import log
from ledger.tables import metadata
from node.settings import StoreSettings
from node.store.store import open_store
from protocols.digest import sha256
from protocols.log.leaf import LeafKind
from testnet.bench import nodes, receipts
from testnet.bench.measuring import (
    MIN_ROUNDS,
    TURN_SECONDS,
    Line,
    Measure,
    at_least,
    at_most,
    lines_of,
    log_limits,
    side_by_side,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sqlalchemy import Connection

    from node.runtime import Node
    from node.store.store import Store

CALLERS: Final = 100
PARTNERS: Final = ("w1", "w2", "w3", "w4")
WITNESSED_SECONDS: Final = 12.0
PAUSE: Final = 0.05
BATCH: Final = 20_000
TARGETS: Final = {"leaves": 20_000.0, "grouping": 8.0, "cold": 800.0, "cached": 30_000.0}
MAX_WITNESSED: Final = 2.0
MAX_RESTART: Final = 3.0


def measure(
    seconds: float, told: Callable[[float], None], *, leaves: int = 1_000_000
) -> tuple[Mapping[str, float], list[Line]]:
    """The raw limits per second, and every line of `pratique bench ledger`.

    leaves: how long the log is that is started again
    """
    best = appended(seconds, lambda part: told(part * 0.4))
    lines = [
        at_least("leaves", f"durable leaves, {CALLERS} callers", best["leaves"], TARGETS["leaves"]),
        Line("single", f"one commit for each leaf, {CALLERS} callers", best["single"]),
        at_least(
            "grouping",
            "leaves in groups, against one commit for each",
            best["leaves"] / best["single"],
            TARGETS["grouping"],
            unit="times",
        ),
        Line("chained", "durable leaves, each chained to its subject's last", best["chained"]),
    ]
    lines += _received(seconds, told)
    with tempfile.TemporaryDirectory() as folder:
        lines += asyncio.run(witnessed(Path(folder)))
    told(0.8)
    with tempfile.TemporaryDirectory() as folder:
        lines += asyncio.run(restarted(Path(folder), leaves))
    told(0.95)
    return {name: best[name] for name in ("fdatasync", "sha256")}, [*lines, *_gas()]


# -- leaves ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Way:
    """One way to append: how many writes share a commit, and what is written."""

    group_cap: int
    job: Callable[[Connection, int], object]

    def settings(self) -> StoreSettings:
        """As by default, but for the size of a group."""
        default = StoreSettings()
        if self.group_cap == 1:
            return replace(default, group_cap=1, linger=0.0)
        return replace(default, group_cap=self.group_cap)


def _leaf(conn: Connection, number: int) -> object:
    return log.append(conn, b"an entry of a hundred bytes %072d" % number, 1)


def _chained(conn: Connection, number: int) -> object:
    return log.remember(conn, LeafKind.ISSUE, sha256(b"%d" % number), bytes(32), 1)


WAYS: Final[Mapping[str, Way]] = {
    "leaves": Way(StoreSettings().group_cap, _leaf),
    "single": Way(1, _leaf),
    "chained": Way(StoreSettings().group_cap, _chained),
}


def appended(
    seconds: float, told: Callable[[float], None], turn: float = TURN_SECONDS
) -> dict[str, float]:
    """The best whole turn of each way and of each limit, per second."""
    best: dict[str, float] = {}
    begin, rounds = time.monotonic(), 0
    while rounds < MIN_ROUNDS or time.monotonic() - begin < seconds:
        found = log_limits(turn)
        for name, way in WAYS.items():
            with tempfile.TemporaryDirectory() as folder:
                found[name] = asyncio.run(_append_rate(Path(folder), way, turn))
        for name, rate in found.items():
            best[name] = max(best.get(name, 0.0), rate)
        rounds += 1
        told(min(rounds / MIN_ROUNDS, (time.monotonic() - begin) / max(seconds, 1e-3), 1.0))
    return best


async def _append_rate(folder: Path, way: Way, turn: float) -> float:
    """Leaves acknowledged per second, on average over `turn`, after the callers have begun.

    A turn in which a slow disk acknowledged nothing goes on: no rate is zero.
    """
    store = open_store(f"sqlite:///{folder / 'store.sqlite3'}", way.settings())
    await store.start()
    try:
        await store.write(_created)
        numbers, done, open_, acknowledged = count(), 0, True, asyncio.Event()

        async def caller() -> None:
            nonlocal done
            while open_:
                await store.write(way.job, next(numbers))
                done += 1
                acknowledged.set()

        callers = [asyncio.create_task(caller()) for _ in range(CALLERS)]
        await asyncio.sleep(turn / 5)
        acknowledged.clear()
        before, begin = done, time.perf_counter()
        await asyncio.sleep(turn)
        await acknowledged.wait()
        rate = (done - before) / (time.perf_counter() - begin)
        open_ = False
        await asyncio.gather(*callers)
        return rate
    finally:
        await store.close()


def _created(conn: Connection) -> None:
    metadata.create_all(conn)


# -- receipts --------------------------------------------------------------------------------------


def _received(seconds: float, told: Callable[[float], None]) -> list[Line]:
    made = receipts.made(datetime.now(UTC))
    measures = (
        Measure("cold", "receipt verified, four cosignatures, 10⁶ leaves", made.cold),
        Measure("cached", "receipt verified, its checkpoint checked before", made.cached),
    )
    best = side_by_side(measures, seconds / 4, lambda part: told(0.4 + part * 0.2), dict)
    return [
        at_least(line.id, line.what, line.rate, TARGETS[line.id])
        for line in lines_of(measures, best)
    ]


# -- witnessed checkpoints -------------------------------------------------------------------------


async def witnessed(folder: Path, seconds: float = WITNESSED_SECONDS) -> list[Line]:
    """How long a leaf waits for the receipt that a quorum of four partners has cosigned."""
    names = ("log", *PARTNERS)
    homes = {name: nodes.make_home(folder / name, name) for name in names}
    members = nodes.found(homes, PARTNERS)
    async with AsyncExitStack() as stack:
        running = [
            await stack.enter_async_context(nodes.running(homes[name], members)) for name in names
        ]
        node = running[0]
        await _wait(node, b"first")
        waits: list[asyncio.Task[float]] = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            waits.append(asyncio.create_task(_wait(node, b"leaf %d" % len(waits))))
            await asyncio.sleep(PAUSE)
        found = sorted(await asyncio.gather(*waits))
    what = f"leaf to receipt witnessed by 3 of {len(PARTNERS)} partners"
    return [
        Line("witnessed.p50", f"{what}, p50", _percentile(found, 50), "s"),
        at_most("witnessed.p99", f"{what}, p99", _percentile(found, 99), "s", MAX_WITNESSED),
    ]


async def _wait(node: Node, entry: bytes) -> float:
    begin = time.perf_counter()
    added = await node.store.write(log.append, entry, node.clock.now_ms())
    receipt = await node.log.wait_for(added.hash, 30.0)
    if receipt is None or not receipt.witnessed:
        raise AssertionError("no quorum of the partners answered")
    return time.perf_counter() - begin


def _percentile(ordered: list[float], part: int) -> float:
    """Nearest rank."""
    return ordered[-(-len(ordered) * part // 100) - 1]


# -- restart ---------------------------------------------------------------------------------------


async def restarted(folder: Path, leaves: int) -> list[Line]:
    """A node with a long log is stopped and started again: until it would sign the next leaf."""
    home = nodes.make_home(folder / "node", "node")
    store = open_store(home.store_url(), StoreSettings())
    await store.start()
    try:
        await _fill(store, leaves)
    finally:
        await store.close()
    async with nodes.running(home, None) as node:
        await _wait_signed(node, leaves)
    times = []
    for _ in range(MIN_ROUNDS):
        gc.collect()
        begin = time.perf_counter()
        async with nodes.running(home, None) as node:
            await _wait_signed(node, leaves)
            times.append(time.perf_counter() - begin)
    what = f"a node started again with {leaves:,} leaves"
    return [at_most("restart", what, min(times), "s", MAX_RESTART)]


async def _fill(store: Store, leaves: int) -> None:
    for start, end in log.in_pieces(0, leaves, BATCH):
        entries = [b"entry %0100d" % number for number in range(start, end)]
        await store.write(log.append_all, entries, 1)


async def _wait_signed(node: Node, leaves: int) -> None:
    """Until the log stands open at that size, with its checkpoint signed."""
    while True:
        shown = await node.log.show()
        if shown["fault"] is not None:
            raise AssertionError(f"the log is sealed: {shown['fault']}")
        if shown["confirmed"] and shown["signed"] and shown["signed"]["size"] == leaves:
            return
        await asyncio.sleep(0.005)


# -- gas -------------------------------------------------------------------------------------------


def _gas() -> Iterable[Line]:
    """Nothing where the extra for the development chain is not installed."""
    if find_spec("eth") is None:
        return []
    from testnet.bench import gas

    return [
        at_most(f"gas.{name}", f"gas: {name}", used, "gas", gas.MOST[name])
        if name in gas.MOST
        else Line(f"gas.{name}", f"gas: {name}", used, "gas")
        for name, used in gas.measure().items()
    ]
