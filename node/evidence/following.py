"""Time-stamps for what the node issues, soon after it was issued (RFC 3161; R17).

Issuing waits for nobody: a server that is away delays the stamp and nothing else. The events of the
store say what was issued; the look begins with the newest of them at each start, and what is older
is stamped when evidence is put together.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from node.documents import documents
from node.store import events
from schemas.errors import TradeError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.evidence.stamping import Stamping
    from node.runtime import Node

#: How many events before the newest one the first look goes back.
LOOK_BACK = 1_000
#: After a failure the next look waits twice as long, at most this many seconds.
MAX_DELAY = 300.0
_PAGE = 100


class IssuedDocuments:
    """Has every document that the node issues stamped. Part of `node.evidence`."""

    def __init__(self, node: Node, stamping: Stamping) -> None:
        """Calls nothing before `start`."""
        self._node = node
        self._stamping = stamping
        self._cursor = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look, where a server is configured."""
        if self._node.settings.timestamp.url:
            newest = await self._node.store.read(_newest)
            self._cursor = max(0, newest - LOOK_BACK)
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """End; a stamp under way is asked for again after the next start."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        usual = delay = self._node.settings.timestamp.interval
        while True:
            await asyncio.sleep(delay)
            try:
                await self.look()
                delay = usual
            except TradeError as error:
                delay = min(max(usual, delay * 2), MAX_DELAY)
                self._node.telemetry.log.warning("timestamp.later", code=error.code)

    async def look(self) -> None:
        """Stamp what was issued since the last look; raises as `Stamping.stamp` and stays there."""
        found = await self._node.store.read(events.after, self._cursor, _PAGE)
        for event in found:
            if event.kind == "issued" and event.document is not None:
                held = await self._node.store.read(documents.get, event.document)
                if held is not None:
                    await self._stamping.ensure(event.document, held.file)
            self._cursor = event.number


def _newest(conn: Connection) -> int:
    return conn.execute(select(func.max(events.events.c.number))).scalar_one() or 0
