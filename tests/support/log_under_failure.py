"""A node's log in processes that kill themselves: `python -m tests.support.log_under_failure HOME`.

Every line on standard input, ``<failpoint> <times> <seed>``, is one life: a fork of this process,
which has everything imported, runs the node of that home, lets callers append and writes down what
was answered and what was signed, until it dies. The answer is a line: killed, or what came instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
from pathlib import Path

from ledger import log
from ledger.publisher import LogPublisher
from node.log.service import LogService
from node.runtime import Node
from protocols.log.checkpoint import Checkpoint
from tests.support import failpoints
from tests.support.running import running_node

CALLERS = 8
LIFE_SECONDS = 60.0
ANSWERED, SIGNED = "answered", "signed"


def write_down(path: Path, text: str) -> None:
    """One line, handed to the kernel before anything else happens."""
    with path.open("ab", buffering=0) as file:
        file.write(text.encode() + b"\n")


def _note_signatures(folder: Path) -> None:
    """Write down what is signed, before a failpoint around it is asked."""
    sign = LogPublisher.sign

    def signed(publisher: LogPublisher, head: Checkpoint) -> str:
        text = sign(publisher, head)
        write_down(folder / SIGNED, f"{head.size} {head.root.hex()}")
        return text

    LogPublisher.sign = signed


async def _append(node: Node, folder: Path, chance: random.Random) -> None:
    while True:
        entries = [chance.randbytes(40) for _ in range(chance.choice((1, 1, 3, 40)))]
        added = await node.store.write(log.append_all, entries, node.clock.now_ms())
        for leaf in added:
            write_down(folder / ANSWERED, f"{leaf.index} {leaf.hash.hex()}")
        await asyncio.sleep(0.001)


async def _live(home: Path, seed: int) -> None:
    chance = random.Random(seed)
    async with running_node(home, services=(("log", LogService),)) as node:
        if node.log.fault is not None:
            write_down(home / "faults", str(node.log.fault))
            os._exit(4)
        async with asyncio.timeout(LIFE_SECONDS), asyncio.TaskGroup() as callers:
            for _ in range(CALLERS):
                callers.create_task(_append(node, home, chance))


def life(home: Path, point: str, times: int, seed: int) -> str:
    """One life, and how it ended."""
    child = os.fork()
    if child == 0:
        _note_signatures(home)
        failpoints.die_at(point, times)
        with contextlib.suppress(TimeoutError):
            asyncio.run(_live(home, seed))
        os._exit(3)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return "killed"
    return f"ended with {os.waitstatus_to_exitcode(status)}"


def main() -> None:
    """Answer every line of standard input."""
    home = Path(sys.argv[1])
    for line in sys.stdin:
        point, times, seed = line.split()
        print(life(home, point, int(times), int(seed)), flush=True)


if __name__ == "__main__":
    main()
