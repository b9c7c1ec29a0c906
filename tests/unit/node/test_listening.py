"""A server that ends leaves no caller waiting, however far its connection had come."""

from __future__ import annotations

import asyncio
import socket

import pytest
from aiohttp import web

from node.http.listening import Listening


@pytest.mark.parametrize("turns", range(6))
async def test_who_connects_as_the_server_ends_is_told_so(turns: int) -> None:
    listening = await Listening.start(web.AppRunner(web.Application()), 0)
    caller = socket.create_connection(("127.0.0.1", listening.port))
    with caller:
        for _ in range(turns):
            await asyncio.sleep(0)
        await listening.close()
        caller.settimeout(60)
        try:
            said = await asyncio.to_thread(caller.recv, 1)
        except ConnectionResetError:
            said = b""  # it was never taken in
    assert said == b""


async def test_a_port_that_is_taken_is_told_and_leaves_nothing_open() -> None:
    first = await Listening.start(web.AppRunner(web.Application()), 0)
    runner = web.AppRunner(web.Application())
    with pytest.raises(OSError, match="in use"):
        await Listening.start(runner, first.port)
    assert runner.server is None
    await first.close()
