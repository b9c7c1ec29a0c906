"""`node.pint`: this node as a receiving platform (PINT 3.0.0).

It is one while the member list gives it a platform code; otherwise its endpoints answer 404.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from node.pint import rows
from node.pint.receiving import Receiving
from node.pint.routes import PintRoutes
from node.title.tasks import end
from schemas.errors import TradeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.http.routes import Route
    from node.runtime import Node

RESUME_SECONDS = 5.0
#: After so long without a word of its sender an unfinished transfer is forgotten (as the outbox's
#: retries are); it may always be begun again.
LAPSE_MS = 14 * 24 * 3600 * 1000


class PintService:
    """Receives bills; what was being accepted when the node stopped is brought to an end."""

    name = "pint"

    def __init__(self, node: Node) -> None:
        """Nothing runs before `start`."""
        self.node = node
        self.receiving = Receiving(node)
        self._task: asyncio.Task[None] | None = None

    def routes(self) -> Sequence[Route]:
        """/v3/…, /v1/ebl/received, /v1/ebl/accounts."""
        return PintRoutes(self).routes()

    async def start(self) -> None:
        """Begin to look after transfers that were left half done."""
        self._task = asyncio.create_task(self._run(), name="pint.resume")

    async def stop(self) -> None:
        """End; what is half done waits in the store."""
        if self._task is not None:
            await end([self._task])

    def ready(self) -> str | None:
        """An arbiter that is cut off is said per transfer."""
        return None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(RESUME_SECONDS)
            now = self.node.clock.now_ms()
            try:
                await self.receiving.resume(now - int(RESUME_SECONDS * 1000))
                await self.node.store.write(rows.lapse, now - LAPSE_MS)
            except TradeError as error:
                self.node.telemetry.log.warning("pint.resume_failed", code=error.code)
