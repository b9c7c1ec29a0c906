"""The same exchange with PostgreSQL on both sides."""

from __future__ import annotations

from itertools import count

from node import migrations
from tests.support.exchange_world import SETTINGS, applied, until, world
from tests.support.postgres import create_database


async def test_r13_lost_calls_and_answers_on_postgresql(tmp_path, postgres_server, monkeypatch):
    import asyncio

    import tests.support.exchange_world as support
    from tests.support.running import make_home

    number = count()

    def on_postgresql(path, did, settings):
        url = create_database(postgres_server, f"exchange{next(number)}")
        return make_home(path, did, settings | {"store": {"url": url}})

    made = {}

    def in_thread(path, did, settings):
        import threading

        thread = threading.Thread(
            target=lambda: made.__setitem__(did, on_postgresql(path, did, settings))
        )
        thread.start()
        thread.join()
        return made[did]

    monkeypatch.setattr(support, "make_home", in_thread)
    assert migrations.HEAD
    async with world(tmp_path, "a", "b", settings=SETTINGS) as nodes:
        a, b = nodes["a"], nodes["b"]
        calls = count()
        a.transport.plan = lambda _: ("lost", "applied", "")[next(calls) % 3]
        for at in range(30):
            await a.send(b, f"{at}", stream=f"UCR-{at % 2}")
            await asyncio.sleep(0)

        async def done():
            return await b.count(applied) == 30 and not await a.outbox(state="queued")

        await until(done)
        assert await b.texts("UCR-0") == [str(at) for at in range(0, 30, 2)]
        assert await b.texts("UCR-1") == [str(at) for at in range(1, 30, 2)]
        assert await b.count(applied) == 30
        assert {row.state for row in await a.outbox()} == {"receipted"}
