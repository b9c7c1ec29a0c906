"""What time does: alarms, expiry, voids, clocks that differ, keys that end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from node.clock import ManualClock
from node.exchange.peer_rows import peer_row
from node.exchange.tables import evidence as evidence_table
from node.exchange.tables import peers
from node.store import events
from tests.support.exchange_world import applied, party, until, with_key, world

START = datetime(2026, 11, 18, 6, tzinfo=UTC)
HOUR = 3600.0


async def alarms(one):
    found = await one.node.store.read(lambda conn: events.after(conn, 0, 1000))
    return [event.detail["code"] for event in found if event.kind == "alarm"]


async def test_what_waits_is_told_at_15_minutes_4_hours_24_hours_and_14_days(tmp_path):
    clock = ManualClock(START)
    async with world(tmp_path, "a", "b", clock=clock, now=START) as nodes:
        a, b = nodes["a"], nodes["b"]
        a.transport.plan = lambda _: "lost"
        await a.send(b, "one", "two")
        told = []
        for seconds, code in (
            (HOUR / 4, "undelivered_15_minutes"),
            (4 * HOUR, "undelivered_4_hours"),
            (24 * HOUR, "undelivered_24_hours"),
        ):
            clock.advance(seconds)
            told.append(code)

            async def raised(wanted=tuple(told)):
                return tuple(await alarms(a)) == wanted

            await until(raised)
        clock.advance(14 * 24 * HOUR)

        async def expired():
            return len(await a.outbox(state="expired")) == 2

        await until(expired)
        assert (await alarms(a)).count("undelivered_expired") == 2
        # Each place in the stream is closed by a void, and the stream goes on (R10).
        voids = await a.outbox(type="urn:pratique:void")
        assert [row.seq for row in voids] == [1, 2]
        await a.send(b, "three")
        a.transport.plan = lambda _: ""
        clock.advance(2 * HOUR)

        async def delivered():
            return await b.texts() == ["three"]

        await until(delivered)

        async def calm():
            rows = await a.node.store.read(lambda conn: conn.execute(select(peers)).all())
            return all(row.alarm_level == 0 and row.failures == 0 for row in rows)

        await until(calm)


async def test_a_void_for_what_did_arrive_brings_the_lost_receipt_instead(tmp_path):
    clock = ManualClock(START)
    async with world(tmp_path, "a", "b", clock=clock, now=START) as nodes:
        a, b = nodes["a"], nodes["b"]
        a.transport.plan = lambda _: "applied"
        await a.send(b, "one")

        async def arrived():
            return await b.count(applied) == 1

        await until(arrived)
        a.transport.plan = lambda _: "lost"
        clock.advance(14 * 24 * HOUR + 1)

        async def expired():
            return len(await a.outbox(state="expired")) == 1

        await until(expired)
        a.transport.plan = lambda _: ""
        clock.advance(2 * HOUR)

        async def known():
            return (await a.outbox())[0].state == "receipted"

        await until(known)
        assert [row.code for row in await a.outbox(type="urn:pratique:void")] == ["not_a_gap"]
        await a.send(b, "two")

        async def delivered():
            return await b.texts() == ["one", "two"]

        await until(delivered)
        assert await b.count(evidence_table) == 0


async def test_a_refused_message_is_voided_and_the_stream_goes_on(tmp_path):
    async with world(tmp_path, "a", "b") as nodes:
        a, b = nodes["a"], nodes["b"]

        def job(conn):
            for type_ in (
                "urn:pratique:test:note",
                "urn:pratique:nobody",
                "urn:pratique:test:note",
            ):
                a.exchange.enqueue(conn, b.node.did, type_, type_.encode(), "text/plain", "UCR-1")

        await a.node.store.write(job)

        async def delivered():
            return await b.count(applied) == 2 and not await a.outbox(state="queued")

        await until(delivered)
        rows = await a.outbox()
        assert [(row.seq, row.state, row.code) for row in rows] == [
            (1, "receipted", None),
            (2, "rejected", "unknown_type"),
            (3, "receipted", None),
            (2, "receipted", None),
        ]
        kinds = await a.node.store.read(lambda conn: [one.kind for one in events.after(conn)])
        assert "refused" in kinds


async def test_a_clock_behind_ours_delays_and_loses_nothing(tmp_path):
    """The receiver's clock is ten minutes slow: clock_skew, which passes when it is set."""
    now = datetime.now(UTC)
    fast, slow = ManualClock(now), ManualClock(now - timedelta(seconds=50))
    async with (
        world(tmp_path, "a", listed_only=("b",), clock=fast, now=now) as nodes,
        party(nodes.homes["b"], nodes.members, clock=slow) as b,
    ):
        a = nodes["a"]
        from protocols.exchange import manifest as manifest_module

        original = manifest_module.CLOCK_SKEW
        manifest_module.CLOCK_SKEW = timedelta(seconds=30)
        try:
            await a.send(b, "one")

            async def postponed():
                return (await a.outbox())[0].code == "clock_skew"

            await until(postponed)
            slow.advance(50)
            fast.advance(1)

            async def delivered():
                return await b.count(applied) == 1

            await until(delivered)
        finally:
            manifest_module.CLOCK_SKEW = original


async def test_r17_a_compromised_key_sends_nothing_more(tmp_path):
    async with world(tmp_path, "a", "b") as nodes:
        a, b = nodes["a"], nodes["b"]
        now = b.node.clock.now()
        b.node.members.replace(
            with_key(
                nodes.members,
                "a",
                compromised_from=now + timedelta(hours=1),
                compromise_announced=now + timedelta(hours=1),
            )
        )
        await a.send(b, "one")

        async def refused():
            return (await a.outbox())[0].state == "rejected"

        await until(refused)
        assert (await a.outbox())[0].code == "key_compromised"
        assert await b.count(applied) == 0


async def test_who_calls_again_soon_after_a_lost_probe_is_probed_again(tmp_path):
    clock, slow = ManualClock(START), {"retry_base": 3600.0, "retry_cap": 36_000.0}
    settings = {"exchange": {**slow, "poll_interval": 0.05}}
    async with world(tmp_path, "a", "b", settings=settings, clock=clock, now=START) as nodes:
        a, b = nodes["a"], nodes["b"]

        async def failed(times):
            row = await a.node.store.read(peer_row, b.node.did)
            return row is not None and row.failures == times

        a.transport.plan = lambda _: "lost"
        await a.send(b, "one")
        await until(lambda: failed(1))

        def while_it_is_on_its_way(_path):
            a.exchange.heard_from(b.node.did)
            return "lost"

        a.transport.plan = while_it_is_on_its_way
        a.exchange.heard_from(b.node.did)
        await until(lambda: failed(2))
        a.exchange.heard_from(b.node.did)  # and once more: it answers from now on
        a.transport.plan = lambda _: ""
        assert len(a.transport.calls) == 2
        clock.advance(2)

        async def delivered():
            return await b.texts() == ["one"] and await failed(0)

        await until(delivered)
