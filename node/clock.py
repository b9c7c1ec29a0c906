"""The two clocks of the seam `protocols.seams.Clock`: the system's, and one that tests move."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from typing_extensions import override

from protocols.seams import Clock
from protocols.times import to_ms


class SystemClock(Clock):
    """The machine's clock."""

    @override
    def now(self) -> datetime:
        return datetime.now(UTC)

    @override
    def now_ms(self) -> int:
        return to_ms(self.now())

    @override
    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ManualClock(Clock):
    """Stands still until it is moved; waiting on it moves nothing and only yields."""

    def __init__(self, start: datetime) -> None:
        """`start` is an aware moment."""
        self._now = start.astimezone(UTC)
        self._moved = asyncio.Event()

    @override
    def now(self) -> datetime:
        return self._now

    @override
    def now_ms(self) -> int:
        return to_ms(self._now)

    def advance(self, seconds: float) -> None:
        """Moves the clock and wakes whoever waits for the new moment or an earlier one."""
        self._now += timedelta(seconds=seconds)
        self._moved.set()
        self._moved = asyncio.Event()

    @override
    async def sleep(self, seconds: float) -> None:
        until = self._now + timedelta(seconds=seconds)
        while self._now < until:
            await self._moved.wait()


class ShiftedClock(SystemClock):
    """The system's clock, wrong by a fixed time: what a node with a bad clock sees."""

    def __init__(self, seconds: float) -> None:
        """`seconds` is added to the true time; negative is slow."""
        self._shift = timedelta(seconds=seconds)

    @override
    def now(self) -> datetime:
        return super().now() + self._shift
