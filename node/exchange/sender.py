"""Sending: one task per peer, one batch in flight, a breaker, and never silence (R13).

A peer that does not answer costs only its own task. What a failed call means is unknown, so the
same bytes go again after a pause (full jitter). After three failures in a row single messages probe
the peer until one call succeeds. What waits too long raises alarms; what passes its fourteenth day
is marked expired with an alarm, and a void closes its place in the stream.
"""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import TYPE_CHECKING

from node.exchange import outbox_rows, settling
from node.exchange.peer_rows import change_peer, peer_row
from node.exchange.settling import Settling
from protocols.exchange import answer, frames
from protocols.exchange.answer import Ends, Open, Sent, Settled
from protocols.exchange.retry import breaker_open
from protocols.http_signature import MembersClaim
from schemas.errors import TradeError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from node.exchange.outbox import Outbox
    from node.exchange.outbox_rows import Outgoing
    from node.runtime import Node
    from protocols.exchange.receipt import ItemReceipt
    from protocols.exchange.retry import RetryPolicy
    from protocols.seams import Answer, Transport

PATH = "/px/1/messages"
HINT_MS = 2_000
# Answers that blame the request itself: a smaller one may pass.
_BLAMING = frozenset({400, 413})


class PeerSender:
    """Sends to one peer."""

    def __init__(
        self, node: Node, peer: str, *, transport: Transport, outbox: Outbox, policy: RetryPolicy
    ) -> None:
        """Nothing is read before `run`."""
        self._node = node
        self._peer = peer
        self._transport = transport
        self._outbox = outbox
        self._policy = policy
        self._settings = node.settings.exchange
        self._wake = asyncio.Event()
        self._limit = self._settings.batch_items
        self._failures = 0
        self._next_at = 0
        self._paused = False
        self._probe_at: int | None = None
        self._hinted_at = 0
        self._in_flight = asyncio.Lock()

    def wake(self) -> None:
        """Something was queued."""
        self._wake.set()

    def hint(self) -> None:
        """The peer called us: a probe may be worth while now. Does not close the breaker.

        Soon after another hint it waits, and none is forgotten: who has just come back may call
        only now, and hear us a moment later.
        """
        if self._failures:
            self._probe_at = max(self._node.clock.now_ms(), self._hinted_at + HINT_MS)
            self._wake.set()

    def pause(self, *, paused: bool) -> None:
        """Nothing is sent while paused; what is queued waits."""
        self._paused = paused
        self._wake.set()

    async def run(self) -> None:
        """Sends until cancelled."""
        row = await self._node.store.read(peer_row, self._peer)
        if row is not None:
            # The breaker outlives a restart, its waiting time does not: what kept the peer away
            # may have been here, so the first probe goes out at once.
            self._failures, self._paused = row.failures, row.paused
        while True:
            self._wake.clear()
            seconds = await self._step()
            if seconds <= 0:
                continue
            try:
                async with asyncio.timeout(seconds):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _step(self) -> float:
        """Sends one batch if one is due; how long to wait before the next step, in seconds."""
        idle = self._settings.poll_interval
        if self._paused:
            return idle
        now = self._node.clock.now_ms()
        next_at = self._next_at if self._probe_at is None else min(self._next_at, self._probe_at)
        if next_at > now:
            return min(idle, (next_at - now) / 1000)
        try:
            sent = await self._send_due(now)
            if sent:
                return 0
            due = await self._node.store.read(outbox_rows.next_due, self._peer)
        except UnavailableError as error:
            self._node.telemetry.log.warning("exchange.store_unavailable", detail=str(error))
            return idle
        return idle if due is None else min(idle, max(0.001, (due - now) / 1000))

    async def _send_due(self, now: int) -> bool:
        limit = 1 if breaker_open(self._failures) else self._limit
        batch = await self._node.store.read(
            outbox_rows.due, self._peer, limit, self._settings.batch_bytes, now=now
        )
        if not batch:
            return False
        if self._probe_at is not None and self._probe_at <= now:
            # A hint that comes while this one is on its way is for the next.
            self._hinted_at, self._probe_at = now, None
        async with self._in_flight:
            await self._send(batch)
        return True

    async def _send(self, batch: Sequence[Outgoing]) -> None:
        body = frames.encode(frames.Frame(one.manifest, one.body) for one in batch)
        try:
            got = await self._transport.call(
                self._peer,
                "POST",
                PATH,
                body,
                headers={"Content-Type": frames.MEDIA_TYPE},
                deadline=self._node.settings.limits.call_deadline,
            )
            items = self._items(got)
        except TradeError as error:
            # Whatever it was, it is no signed receipt: the outcome is unknown (R13).
            await self._failed(batch, error)
            return
        await self.settle(items, batch)
        await self._succeeded()

    def _items(self, got: Answer) -> tuple[ItemReceipt | answer.Unsigned, ...]:
        if got.status != 200:
            if got.status in _BLAMING:
                self._limit = max(1, self._limit // 2)
            raise UnavailableError("peer_answered", f"status {got.status}", status_seen=got.status)
        return answer.read(got.body)

    async def settle(
        self,
        items: Sequence[ItemReceipt | answer.Unsigned],
        batch: Sequence[Outgoing],
    ) -> None:
        """Verifies an answer and writes what it proves."""
        members = self._node.members.current
        assert members is not None
        ends = Ends(members.network, self._peer, self._node.did, members.key)
        outcomes = answer.settle(items, [Sent(one.id, one.digest) for one in batch], ends)
        self._notice_lists(outcomes)
        now = self._node.clock.now_ms()
        ages = {one.attempts: now - one.created_at for one in batch}
        work = Settling(
            peer=self._peer,
            now=now,
            later=lambda attempts: now + self._delay_ms(attempts, max(ages.values())),
            void=self._outbox.void,
        )
        await self._node.store.write(settling.settle, work, outcomes)

    def _notice_lists(self, outcomes: Sequence[Settled | Open]) -> None:
        """Each receipt says which member list its signer held (R4)."""
        seen = {
            one.signed.digest: one.signed.receipt for one in outcomes if isinstance(one, Settled)
        }
        for receipt in seen.values():
            claim = MembersClaim(receipt.members_version, receipt.members_digest)
            self._node.seen_members(self._peer, claim)

    async def _failed(self, batch: Sequence[Outgoing], error: TradeError) -> None:
        now = self._node.clock.now_ms()
        age = now - min(one.created_at for one in batch)
        if len(batch) == 1 and error.context.get("status_seen") in _BLAMING:
            # The peer lives and blames this one message: it alone waits, not its neighbours.
            when = now + self._delay_ms(batch[0].attempts + 1, age)
            later = [(batch[0].id, when, error.code)]
            await self._node.store.write(outbox_rows.postpone, later)
            return
        self._failures += 1
        self._next_at = now + self._delay_ms(self._failures, age)
        self._node.telemetry.log.info(
            "exchange.call_failed", peer=self._peer, code=error.code, failures=self._failures
        )
        await self._node.store.write(
            change_peer, self._peer, failures=self._failures, next_at=self._next_at
        )

    async def _succeeded(self) -> None:
        self._limit = min(self._settings.batch_items, self._limit * 2)
        if self._failures:
            self._failures, self._next_at, self._probe_at = 0, 0, None
            await self._node.store.write(change_peer, self._peer, failures=0, next_at=0)

    def _delay_ms(self, attempts: int, age_ms: int) -> int:
        age = timedelta(milliseconds=max(0, age_ms))
        delay = self._policy.delay(attempts, age, random.random())  # noqa: S311 jitter, no secret
        return int((delay or self._policy.steady) / timedelta(milliseconds=1))


class Senders:
    """One `PeerSender` task for each peer something was ever queued for."""

    def __init__(self, node: Node, make: Callable[[str], PeerSender]) -> None:
        """`make` builds the sender of a peer."""
        self._node = node
        self._make = make
        self._senders: dict[str, PeerSender] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._running = False

    async def start(self) -> None:
        """Takes up what was queued before the restart."""
        self._running = True
        for peer in await self._node.store.read(outbox_rows.queued_peers):
            self.wake(peer)

    async def stop(self) -> None:
        """Stops sending; an answer on its way is lost and will be asked for again."""
        self._running = False
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()
        self._senders.clear()

    def wake(self, peer: str) -> None:
        """Something waits for the peer."""
        if not self._running:
            return
        task = self._tasks.get(peer)
        if task is None or task.done():
            self._tell_end(peer, task)
            self._senders[peer] = self._make(peer)
            self._tasks[peer] = asyncio.create_task(
                self._senders[peer].run(), name=f"exchange-sender-{peer}"
            )
        self._senders[peer].wake()

    def _tell_end(self, peer: str, task: asyncio.Task[None] | None) -> None:
        """A sender never ends by itself; if one did, the reason is told and a new one made."""
        if task is not None and not task.cancelled() and (error := task.exception()) is not None:
            self._node.telemetry.log.error("exchange.sender_failed", peer=peer, exc_info=error)

    def get(self, peer: str) -> PeerSender | None:
        """The sender of a peer that has one."""
        return self._senders.get(peer)

    def make(self, peer: str) -> PeerSender:
        """The sender of a peer, made if need be."""
        self.wake(peer)
        return self._senders[peer]
