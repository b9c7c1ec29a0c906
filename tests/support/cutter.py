"""A wire to a server on loopback that can be cut, can hang, and can be joined again."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self

from node.http.listening import end


class Cutter:
    """Listens on a free port and passes bytes on to `port` until it is cut or hangs."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._cut = False
        self._asks, self._answers = asyncio.Event(), asyncio.Event()
        self.join()
        self._open: set[asyncio.StreamWriter] = set()
        self._passing: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        await end(self._server)
        self.join()
        self.cut()
        await asyncio.gather(*self._passing, return_exceptions=True)
        await asyncio.sleep(0)  # what was closed last ends in the loop's next turn

    def cut(self) -> None:
        """Every connection ends and no new one gets anywhere."""
        self._cut = True
        for writer in self._open:
            writer.close()
        self._open.clear()

    def hang(self, *, answers_only: bool = False) -> None:
        """Connections stay open and new ones are taken, but nothing passes any more.

        answers_only: the server still gets what it is asked; nobody hears from it
        """
        self._answers.clear()
        if not answers_only:
            self._asks.clear()

    def join(self) -> None:
        """Passes bytes on again, also those that were held back."""
        self._cut = False
        self._asks.set()
        self._answers.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)
        if self._cut:
            writer.close()
            return
        try:
            there_reader, there = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:  # nobody listens there any more
            writer.close()
            return
        self._open |= {writer, there}
        if self._cut:  # meanwhile
            writer.close()
            there.close()
        await asyncio.gather(
            self._pass(reader, there, self._asks), self._pass(there_reader, writer, self._answers)
        )
        self._open -= {writer, there}

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flowing: asyncio.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await flowing.wait()
                writer.write(data)
                await writer.drain()
        writer.close()
