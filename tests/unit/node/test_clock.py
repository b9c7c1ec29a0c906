"""Clocks: aware, in UTC, and movable where a test wants it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone

from node.clock import ManualClock, ShiftedClock, SystemClock
from protocols.times import to_ms


def test_the_systems_clock_is_aware_and_in_utc() -> None:
    clock = SystemClock()
    before, found, after = to_ms(datetime.now(UTC)), clock.now_ms(), clock.now()
    assert after.tzinfo is UTC
    assert before <= found <= to_ms(after)


def test_a_shifted_clock_is_wrong_by_its_shift() -> None:
    clock, shift = ShiftedClock(-600), timedelta(seconds=600)
    before, found, after = SystemClock().now(), clock.now(), SystemClock().now()
    assert before <= found + shift <= after
    first, told, last = SystemClock().now_ms(), clock.now_ms(), SystemClock().now_ms()
    assert first <= told + 600_000 <= last


async def test_a_manual_clock_wakes_those_whose_moment_has_come() -> None:
    clock = ManualClock(datetime(2026, 1, 1, 8, tzinfo=timezone(timedelta(hours=8))))
    assert clock.now() == datetime(2026, 1, 1, tzinfo=UTC)
    assert clock.now_ms() == 1_767_225_600_000
    short, long = (asyncio.create_task(clock.sleep(seconds)) for seconds in (1, 10))
    await asyncio.sleep(0)
    clock.advance(2)
    await short
    await asyncio.sleep(0)
    assert not long.done()
    clock.advance(9)
    await long
    await asyncio.wait_for(clock.sleep(0), 60)
    await SystemClock().sleep(0)
