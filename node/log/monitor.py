"""Watching for split views: witnesses of one log compare what each of them holds.

A log that shows one history to some witnesses and another to the rest gets no quorum for either,
but nobody would be told. After cosigning, a witness soon asks the log's other witnesses for their
checkpoints: two roots for one size, or two sizes with a proof that fits only one of them, are
evidence.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from node.log import consistency, partners
from protocols.log.checkpoint import Checkpoint
from schemas.errors import RefusedError, TradeError

if TYPE_CHECKING:
    from node.log.witness_service import Watched, WitnessService
    from protocols.log.policy import Witness

INTERVAL = 2.0
DEADLINE = 3.0


class Monitor:
    """One background task per witness service."""

    def __init__(self, service: WitnessService) -> None:
        """Begins with `start`."""
        self._service = service
        self._fresh: set[str] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to compare."""
        self._task = asyncio.create_task(self._run(), name="witness.monitor")

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def cosigned(self, origin: str) -> None:
        """There is something new to compare of that log."""
        self._fresh.add(origin)
        self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(INTERVAL)
            self._wake.clear()
            origins, self._fresh = self._fresh, set()
            for origin in sorted(origins):
                try:
                    await self.compare(origin)
                except TradeError as error:
                    self._service.node.telemetry.log.debug(
                        "witness.not_compared", origin=origin, code=error.code
                    )

    async def compare(self, origin: str) -> None:
        """Ask the log's other witnesses once. Raises NotFoundError for a log not witnessed here."""
        watched = self._service.watched(origin)
        await asyncio.gather(*(self._compare_with(watched, item) for item in watched.others()))

    async def _compare_with(self, watched: Watched, other: Witness) -> None:
        node = self._service.node
        try:
            theirs, text = await partners.ask_state(
                node, other, watched.key, origin=watched.entry.origin, deadline=DEADLINE
            )
            held = await self._service.held(watched.entry.origin)
            if (
                theirs is None
                or held is None
                or (theirs.size, theirs.root) == (held.size, held.root)
            ):
                return
            mine = Checkpoint(held.origin, held.size, held.root)
            proof = await consistency.proof(self._service, watched.entry, mine, theirs)
            await self._service.accuser.accuse(watched.entry, held.note, text, proof)
        except RefusedError:
            return  # both can be true
        except TradeError as error:
            node.telemetry.log.debug("witness.not_compared", by=other.key.name, code=error.code)
