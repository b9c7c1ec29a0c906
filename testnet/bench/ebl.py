"""What receiving a bill of lading from another platform costs a node (PINT 3.0.0).

From the body of POST /v3/envelopes to the signed RECE: all checks PINT-01 … PINT-17, bill, chain,
transfer, event and a leaf of the node's log committed to SQLite with `synchronous=FULL`, the answer
signed. Every envelope is another bill with a chain of two hops and no documents. The node has all
its services; its processor time is that of the whole process, with the thread that writes. Whoever
posts is another process.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select

from node.daemon import factories, loop_factory
from node.ebl import chains
from node.pint.tables import transfers
from protocols.pint import documents
from testnet.bench import bills, nodes, posting
from testnet.bench.measuring import MIN_ROUNDS, TURN_SECONDS, Line, openssl_p256, rate_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from node.runtime import Node
    from testnet.bench.bills import Senders

CALLERS: Final = 64
TARGET: Final = 0.25
BATCH: Final = 1500
_DEADLINE: Final = 120.0


def measure(
    seconds: float, told: Callable[[float], None]
) -> tuple[Mapping[str, float], list[Line]]:
    """The raw limit per second, and every line of `pratique bench ebl`."""
    runner = asyncio.Runner(loop_factory=loop_factory())
    with tempfile.TemporaryDirectory() as folder, runner:
        best = runner.run(received(Path(folder), seconds, told))
    limits = {name: best[name] for name in ("openssl.sign", "openssl.verify")}
    return limits, lines_of(best)


def lines_of(best: Mapping[str, float]) -> list[Line]:
    """What was measured, and whether the target is met."""
    most = best["openssl.verify"] / bills.SIGNATURES
    limit = f"openssl.verify / {bills.SIGNATURES}"
    hops = "two hops, per CPU-second"
    ratio = best["path"] / most
    return [
        Line("path", f"envelopes received, body to answer, {hops}", best["path"], limit=limit,
             ratio=ratio, target=TARGET, met=ratio >= TARGET),
        Line("http", f"the same with the node's HTTP, {hops}", best["http"], limit=limit,
             ratio=best["http"] / most),
        Line("wall", f"over HTTP, per second of the clock, {CALLERS} connections", best["wall"]),
        Line("build", "a bill issued, two hops and the envelope built and signed", best["build"]),
        Line("chain", "an endorsement chain shown (END 3.0.4)", best["chain"]),
    ]  # fmt: skip


async def received(
    folder: Path,
    seconds: float,
    told: Callable[[float], None],
    turn: float = TURN_SECONDS,
    batch: int = BATCH,
) -> dict[str, float]:
    """The best whole turn of each measure and of the limit; batch: envelopes of one turn."""
    home = bills.make_home(folder)
    senders = bills.senders(home)
    best: dict[str, float] = {}
    begin, rounds = time.monotonic(), 0
    async with nodes.running(home, senders.members, factories()) as node:
        # A node that has been running for a while: what is made once is made.
        await _directly(node, [senders.envelope() for _ in range(CALLERS)])
        while rounds < MIN_ROUNDS or time.monotonic() - begin < seconds:
            found = await _round(node, senders, folder, turn, batch)
            for name, rate in found.items():
                best[name] = max(best.get(name, 0.0), rate)
            rounds += 1
            told(min(rounds / MIN_ROUNDS, (time.monotonic() - begin) / max(seconds, 1e-3), 1.0))
    return best


async def _round(
    node: Node, senders: Senders, folder: Path, turn: float, batch: int
) -> dict[str, float]:
    sign, verify = await asyncio.to_thread(openssl_p256)
    found = {"openssl.sign": sign, "openssl.verify": verify}
    found["build"] = rate_of(senders.envelope, turn)
    bodies = [senders.envelope() for _ in range(batch)]
    found["path"] = (await _spent(node, batch, _directly(node, bodies))).per_cpu
    file = folder / "bodies"
    file.write_bytes(posting.packed(senders.envelope() for _ in range(batch)))
    over = await _spent(node, batch, _over_http(node, file))
    found["http"], found["wall"] = over.per_cpu, over.per_second
    found["chain"] = await node.store.read(_shown, node, turn)
    return found


@dataclass(frozen=True, slots=True)
class _Spent:
    """Envelopes per second of the node's processor time, and of the clock."""

    per_cpu: float
    per_second: float


async def _spent(node: Node, batch: int, work: Any) -> _Spent:
    """What the work costs this process, all threads; each envelope must have got its RECE."""
    before = await node.store.read(_received)
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    await work
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if await node.store.read(_received) - before != batch:
        raise AssertionError("an envelope was not received")
    return _Spent(batch / cpu, batch / wall)


def _received(conn: Connection) -> int:
    query = select(func.count()).where(transfers.c.answer.is_not(None))
    return int(conn.execute(query).scalar_one())


async def _directly(node: Node, bodies: Sequence[bytes]) -> None:
    """All bodies by so many callers at once, each waiting for its answer."""
    waiting = iter(bodies)

    async def caller(mine: Iterator[bytes]) -> None:
        for body in mine:
            await node.pint.receiving.start(body)

    await asyncio.gather(*(caller(waiting) for _ in range(CALLERS)))


async def _over_http(node: Node, file: Path) -> None:
    """The same by another process."""
    command = ("-m", "testnet.bench.posting", str(node.settings.http.port), documents.ENVELOPES)
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, str(CALLERS), str(file)
    )
    try:
        async with asyncio.timeout(_DEADLINE):
            if await process.wait() != 0:
                raise AssertionError("an envelope was answered otherwise")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _shown(conn: Connection, node: Node, turn: float) -> float:
    return rate_of(lambda: chains.endorsement_chains(conn, node, "BENCH000000000"), turn)
