"""Two real nodes over HTTP: messages arrive, in order, once, with receipts on both sides."""

from __future__ import annotations

from tests.support.exchange_world import until, world


async def test_messages_arrive_in_order_and_are_receipted(tmp_path):
    async with world(tmp_path, "a", "b") as nodes:
        a, b = nodes["a"], nodes["b"]
        texts = [f"note {number}" for number in range(250)]
        await a.send(b, *texts)

        async def done():
            return len(await b.texts()) == 250 and not await a.outbox(state="queued")

        await until(done)
        assert await b.texts() == texts
        assert {row.state for row in await a.outbox()} == {"receipted"}
