"""Delivery: stored messages reach their handlers exactly once and in stream order.

Each stream is a lane of its own and so is each control message (R10), so nothing waits for another
consignment. A handler prepares outside the transaction and applies inside the one that marks the
message delivered. UnavailableError blocks the lane for a while; any other TradeError is a refusal,
stored and told to the sender. At most `MAX_LANES` lanes are at work.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from node.exchange import delivery_rows
from node.exchange.delivery_rows import Lane, Waiting
from node.store import events
from protocols.exchange.control import MEDIA_TYPE, Feedback
from protocols.exchange.manifest import DECIDED, KEY_EVENT, VALIDATED, VOID
from schemas.errors import TradeError, UnavailableError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.exchange.message import Handler, InboundMessage
    from node.runtime import Node
    from protocols.exchange.retry import RetryPolicy

MAX_LANES = 32
MAX_CHUNKS = 8
PREPARE_DEADLINE = 30.0
ALARM_AFTER = 5
MAX_PARKED = 500
PARKED_MS = 3_600_000
# Never answered, so that no two nodes talk to each other for ever.
_UNANSWERED = frozenset({VALIDATED, DECIDED, VOID, KEY_EVENT})


class _NoHandlerError(UnavailableError):
    """Nothing is wrong with the message or with anybody: its service is not there yet."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """One message after `prepare`: the handler with what it made, or why it is refused."""

    waiting: Waiting
    handler: Handler | None
    value: Any
    refusal: TradeError | None


class Delivery:
    """The lanes of one node."""

    def __init__(
        self,
        node: Node,
        *,
        policy: RetryPolicy,
        poll: float,
        enqueue: Callable[[Connection, str, str, bytes, str, str | None], str],
    ) -> None:
        """enqueue: how a refusal goes back (see `ExchangeService.enqueue`); poll in seconds."""
        self._node = node
        self._policy = policy
        self._poll = poll
        self._enqueue = enqueue
        self._handlers: dict[str, Handler] = {}
        self._wake = asyncio.Event()
        self._lanes: dict[Lane, asyncio.Task[None]] = {}
        self._careful: set[Lane] = set()
        self._parked: set[Lane] = set()
        self._loop: asyncio.Task[None] | None = None

    def on(self, type_prefix: str, handler: Handler) -> None:
        """Messages whose type begins with `type_prefix` go to `handler`; the longest wins."""
        self._handlers[type_prefix] = handler
        self._parked.clear()
        self._wake.set()

    def handler_for(self, message_type: str) -> Handler | None:
        """The handler with the longest fitting prefix."""
        fitting = [prefix for prefix in self._handlers if message_type.startswith(prefix)]
        return self._handlers[max(fitting, key=len)] if fitting else None

    def wake(self) -> None:
        """Something may be deliverable."""
        self._wake.set()

    async def start(self) -> None:
        """Begins to deliver."""
        self._loop = asyncio.create_task(self._run(), name="exchange-delivery")

    async def stop(self) -> None:
        """Stops; what is in its transaction is finished there, the rest waits in the store."""
        tasks = [task for task in (self._loop, *self._lanes.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._loop = None

    def ready(self) -> str | None:
        """None while it runs."""
        if self._loop is None or self._loop.done():
            return "delivery does not run"
        return None

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            free = MAX_LANES - len(self._lanes)
            if free > 0 and await self._begin(free):
                continue  # there may be more behind what was just taken
            try:
                async with asyncio.timeout(self._poll):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _begin(self, free: int) -> int:
        """Starts up to `free` lanes; how many."""
        now = self._node.clock.now_ms()
        try:
            found = await self._node.store.read(
                delivery_rows.lanes, now, [*self._lanes, *self._parked], free
            )
        except UnavailableError as error:
            self._node.telemetry.log.warning("exchange.store_unavailable", detail=str(error))
            return 0
        for lane in found[:free]:
            task = asyncio.create_task(self._follow(lane), name=f"exchange-lane-{lane.n}")
            self._lanes[lane] = task
            task.add_done_callback(partial(self._ended, lane))
        return len(found)

    def _ended(self, lane: Lane, _task: asyncio.Task[None]) -> None:
        self._lanes.pop(lane, None)
        self._wake.set()

    async def _follow(self, lane: Lane) -> None:
        """Delivers a lane until it is empty, blocked, or has had its turn."""
        waiting: list[Waiting] = []
        try:
            for _ in range(MAX_CHUNKS):
                limit = 1 if lane in self._careful else delivery_rows.MAX_CHUNK
                waiting = await self._node.store.read(delivery_rows.chunk, lane, limit)
                if not waiting or not await self._deliver(lane, waiting):
                    break
            if not waiting:
                self._careful.discard(lane)
        except UnavailableError as error:
            # The store itself: nothing was changed, and nothing can be written down.
            self._node.telemetry.log.warning("exchange.store_unavailable", detail=str(error))
            await asyncio.sleep(self._poll)
        except Exception:
            self._node.telemetry.log.exception("exchange.handler_failed", stream=lane.stream)
            # One by one from here, so that only the message it fails at has to wait.
            self._careful.add(lane)
            await self._block(lane, waiting[0].attempts if waiting else 0, "internal")

    async def _deliver(self, lane: Lane, waiting: list[Waiting]) -> bool:
        """Whether the lane may go on."""
        prepared, blocked = await self._prepare(waiting)
        if isinstance(blocked, _NoHandlerError):
            await self._park(lane, blocked.code)
        if prepared:
            blocked = await self._node.store.write(self._apply, lane, prepared) or blocked
        if blocked is not None and not isinstance(blocked, _NoHandlerError):
            # Failures in a row count from the last message that went through.
            await self._block(lane, 0 if prepared else waiting[0].attempts, blocked.code)
        return blocked is None

    async def _prepare(
        self, waiting: list[Waiting]
    ) -> tuple[list[_Prepared], UnavailableError | None]:
        prepared: list[_Prepared] = []
        for one in waiting:
            handler = self.handler_for(one.message.type)
            if handler is None:
                return prepared, _NoHandlerError("no_handler", "no service takes this type")
            try:
                async with asyncio.timeout(PREPARE_DEADLINE):
                    value = await handler.prepare(one.message)
            except UnavailableError as error:
                return prepared, error
            except TimeoutError:
                return prepared, UnavailableError("handler_deadline", "the handler took too long")
            except TradeError as error:
                prepared.append(_Prepared(one, None, None, error))
            else:
                prepared.append(_Prepared(one, handler, value, None))
        return prepared, None

    def _apply(
        self, conn: Connection, lane: Lane, prepared: list[_Prepared]
    ) -> UnavailableError | None:
        """Applies in order, each under its own savepoint; stops at the first that cannot yet."""
        delivery_rows.unblock(conn, lane)
        for one in prepared:
            blocked = self._apply_one(conn, one)
            if blocked is not None:
                return blocked
        return None

    def _apply_one(self, conn: Connection, one: _Prepared) -> UnavailableError | None:
        refusal = one.refusal
        if one.handler is not None:
            try:
                with conn.begin_nested():
                    if delivery_rows.settle(conn, one.waiting.n, self._node.clock.now_ms()):
                        one.handler.apply(conn, one.waiting.message, one.value)
            except UnavailableError as error:
                return error
            except TradeError as error:
                refusal = error
        if refusal is not None:
            self._refuse(conn, one.waiting, refusal)
        return None

    def _refuse(self, conn: Connection, waiting: Waiting, error: TradeError) -> None:
        """Stores the refusal and sends it back, in the same transaction."""
        now, message = self._node.clock.now_ms(), waiting.message
        if not delivery_rows.settle(conn, waiting.n, now, error.code):
            return
        events.record(
            conn,
            kind="refused",
            at=now,
            document=message.document,
            consignment=message.stream,
            actor=message.sender,
            leaf=message.leaf,
            detail={"message": message.id, "code": error.code},
        )
        if message.type not in _UNANSWERED:
            body = _refusal_of(message, error).to_bytes()
            self._enqueue(conn, message.sender, DECIDED, body, MEDIA_TYPE, None)

    async def _park(self, lane: Lane, code: str) -> None:
        """Services register one after the other; until `on` is called nothing can change.

        More lanes than a query can leave out are looked at again in an hour.
        """
        until = 0
        if len(self._parked) < MAX_PARKED:
            self._parked.add(lane)
        else:
            until = self._node.clock.now_ms() + PARKED_MS
        await self._node.store.write(delivery_rows.block, lane, 0, until, code)

    async def _block(self, lane: Lane, attempts: int, code: str) -> None:
        """Lets the lane wait; tells an alarm when it has waited often."""
        attempts += 1
        delay = self._policy.delay(attempts, timedelta(0), random.random())  # noqa: S311 jitter
        seconds = delay.total_seconds() if delay is not None else self._poll
        now = self._node.clock.now_ms()
        await self._node.store.write(self._write_block, lane, attempts, now, seconds, code)
        asyncio.get_running_loop().call_later(seconds + 0.001, self._wake.set)

    def _write_block(
        self, conn: Connection, lane: Lane, attempts: int, now: int, seconds: float, code: str
    ) -> None:
        delivery_rows.block(conn, lane, attempts, now + int(seconds * 1000), code)
        if attempts == ALARM_AFTER:
            events.record(
                conn,
                kind="alarm",
                at=now,
                consignment=lane.stream,
                actor=lane.peer,
                detail={"code": "delivery_blocked", "reason": code, "area": "exchange"},
            )


def _refusal_of(message: InboundMessage, error: TradeError) -> Feedback:
    return Feedback(
        message=message.id,
        digest=message.digest,
        outcome="refused",
        code=error.code,
        detail=error.detail or None,
        document=message.document,
    )
