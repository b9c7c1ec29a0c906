"""Clocks of nodes in tests: one that leaps, and one that does not count a busy machine's stalls."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from node.clock import ShiftedClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_TICK = 0.01


class Leaping(ShiftedClock):
    """Runs as the machine's clock does, and leaps ahead when told."""

    def __init__(self) -> None:
        """On time, until the first leap."""
        super().__init__(0)

    def leap(self, *, days: float = 0, seconds: float = 0) -> None:
        """Everything that lasts shorter is over now."""
        self._shift += timedelta(days=days, seconds=seconds)


@asynccontextmanager
async def stopwatch() -> AsyncIterator[Callable[[], float]]:
    """The seconds since the beginning of the block in which this loop was on time.

    What waits for a timer, a turn or somebody else counts in full. A turn of the loop that took
    longer than two ticks counts for two: then the machine was busy, and how fast it is decides no
    test.
    """
    counted = 0.0

    async def run() -> None:
        nonlocal counted
        while True:
            begun = time.monotonic()
            await asyncio.sleep(_TICK)
            counted += min(time.monotonic() - begun, 2 * _TICK)

    ticking = asyncio.create_task(run())
    try:
        yield lambda: counted
    finally:
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
