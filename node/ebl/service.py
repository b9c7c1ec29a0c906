"""The eBL service: issuance and surrender between carriers and platforms, chains, notifications.

Every request and every decision is kept before anything is called; one loop makes the calls and
does what decisions call for (titles, requests for bills that were given back) until it is done, so
a node that was killed goes on where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from node.ebl import (
    issuance_carrier,
    outbox,
    overruled,
    rows,
    surrender_carrier,
    surrender_platform,
)
from node.ebl.counterparts import Counterparts
from node.ebl.operator_routes import OperatorRoutes
from node.ebl.routes import StandardRoutes
from node.title.tasks import end
from schemas.errors import SettingsError, TradeError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from node.http.routes import Route
    from node.runtime import Node

AT_ONCE = 8
SWEEP_SECONDS = 2.0
SHORT_SECONDS = 0.02
CHANGED_SECONDS = 0.25
DECIDERS = frozenset({"rules", "operator"})


class EblService:
    """`node.ebl`."""

    name = "ebl"

    def __init__(self, node: Node) -> None:
        """Reads the operator's counterparts; raises SettingsError."""
        self._node = node
        if node.settings.ebl.issuance not in DECIDERS:
            raise SettingsError("setting_bad", "rules or operator", pointer="/ebl/issuance")
        self.counterparts = Counterparts(node)
        self._standard = StandardRoutes(node)
        self._operator = OperatorRoutes(node)
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._later: asyncio.TimerHandle | None = None
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    def routes(self) -> Sequence[Route]:
        """The DCSA APIs, and the operator's side of them."""
        return [*self._standard.routes(), *self._operator.routes()]

    async def start(self) -> None:
        """Go on with what is open."""
        self._node.store.after_commit(self._changed)
        self._tasks = [asyncio.create_task(self._run(), name="ebl.work")]

    async def stop(self) -> None:
        """End; what is open waits in the store."""
        if self._later is not None:
            self._later.cancel()
        await end(self._tasks)

    def ready(self) -> str | None:
        """Counterparts that do not answer are said per call and are no fault here."""
        return None

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    def _changed(self) -> None:
        """Something was committed, perhaps a title that is with its carrier now: look soon."""
        if self._later is None:
            loop = asyncio.get_running_loop()
            self._later = loop.call_later(CHANGED_SECONDS, self._look)

    def _look(self) -> None:
        self._later = None
        self._wake.set()

    def alone(self, number: int) -> asyncio.Lock:
        """Whoever settles that surrender does so alone: two would contend for the title's place."""
        lock = self._locks.get(number)
        if lock is None:
            lock = self._locks[number] = asyncio.Lock()
        return lock

    # -- the loop ------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._work()
                pause = await self._pause()
            except TradeError as error:
                self._node.telemetry.log.warning("ebl.work_failed", code=error.code)
                pause = SWEEP_SECONDS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            await asyncio.sleep(SHORT_SECONDS)

    async def _pause(self) -> float:
        due = await self._node.store.read(rows.next_due)
        if due is None:
            return SWEEP_SECONDS
        wait = (due - self._node.clock.now_ms()) / 1000
        return min(SWEEP_SECONDS, max(SHORT_SECONDS, wait))

    async def _work(self) -> None:
        node, store = self._node, self._node.store
        now = node.clock.now_ms()
        due = await store.read(rows.due, now, AT_ONCE)
        await asyncio.gather(*(outbox.make(node, call) for call in due))
        for bill in await store.read(rows.untitled):
            await self._tried(issuance_carrier.give_title(node, bill))
        if await store.read(issuance_carrier.refused_titles):
            await store.write(issuance_carrier.let_refused_fall, node)
        if await store.read(overruled.overruled):
            await store.write(overruled.let_stand, node)
        decided = (surrender_carrier.ACCEPTING, surrender_carrier.REJECTING)
        for one in await store.read(rows.surrenders_in, rows.CARRIER, *decided):
            await self._tried(surrender_carrier.settle(node, one.number))
        for one in await store.read(rows.surrenders_in, rows.PLATFORM, "asking"):
            await store.write(surrender_platform.proceed, node, one.number)
        if await store.read(surrender_platform.any_given_back, node):
            await store.write(surrender_platform.discover, node)

    async def _tried(self, work: Awaitable[None]) -> None:
        """One thing that cannot be done now keeps nothing else from being done."""
        try:
            await work
        except TradeError as error:
            self._node.telemetry.log.info("ebl.later", code=error.code)
