"""Listening on an address, and ending it so that no connection is left half taken in.

`Server.close` of CPython 3.11 fails a connection that is accepted in the same turn of the loop: its
caller waits for an answer that never comes, and the socket stays open. So nobody is taken in any
more first, then who was just being taken in gets to where the runner can close it, then it ends.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from aiohttp import web

#: From the socket's being accepted to its protocol's knowing of it, and one more.
_TURNS = 4


async def end(server: asyncio.Server) -> None:
    """Close the server; whoever it has taken in keeps the connection."""
    loop = asyncio.get_running_loop()
    for sock in server.sockets:
        loop.remove_reader(sock.fileno())
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    server.close()


class Listening:
    """A runner that is served on one address, without TLS."""

    def __init__(self, runner: web.AppRunner, server: asyncio.Server) -> None:
        """Made by `start`."""
        self._runner, self._server = runner, server
        self.port: int = server.sockets[0].getsockname()[1]

    @classmethod
    async def start(cls, runner: web.AppRunner, port: int, *, host: str = "127.0.0.1") -> Self:
        """Sets the runner up and listens; port 0 is any that is free."""
        await runner.setup()
        assert runner.server is not None
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(runner.server, host, port)
        except OSError:
            await runner.cleanup()
            raise
        return cls(runner, server)

    async def close(self) -> None:
        """Stops listening, after answering what is under way for the runner's time."""
        await end(self._server)
        await self._runner.cleanup()
