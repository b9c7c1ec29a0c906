"""The exchange service: composes intake, delivery, outbox and senders, and gives them a life."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from node.exchange import routes, watch
from node.exchange.delivery import Delivery
from node.exchange.feedback import FeedbackHandler
from node.exchange.inbox_rows import original
from node.exchange.intake import Intake
from node.exchange.outbox import Outbox
from node.exchange.peer_rows import change_peer
from node.exchange.pull import Puller
from node.exchange.sender import PeerSender, Senders
from node.store.store import defer
from protocols.exchange import answer, frames
from protocols.exchange.manifest import DECIDED, VALIDATED
from protocols.exchange.retry import RetryPolicy
from protocols.exchange.stream import Caps
from schemas.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from node.exchange.message import Handler
    from node.http.routes import Route
    from node.runtime import Node
    from protocols.exchange.receipt import ItemReceipt
    from protocols.keys import Signer
    from protocols.seams import Transport


class ExchangeService:
    """PX/1 for one node.

    Others call `enqueue` inside their transactions and register with `on` before `start`.
    """

    name = "exchange"

    def __init__(self, node: Node) -> None:
        """Reads `settings.exchange`; nothing runs before `start`."""
        self._node = node
        settings = node.settings.exchange
        self.policy = RetryPolicy(
            base=timedelta(seconds=settings.retry_base),
            cap=timedelta(seconds=settings.retry_cap),
            give_up=timedelta(days=settings.retry_days),
        )
        self.transport: Transport = node.client
        self._signer: Signer | None = None
        node.members.watch(lambda _: self._forget_signer())
        self.outbox = Outbox(
            node,
            signer=self._exchange_key,
            lifetime=timedelta(days=settings.retry_days),
            queued=self._queued,
        )
        self.delivery = Delivery(
            node, policy=self.policy, poll=settings.poll_interval, enqueue=self.outbox.enqueue
        )
        self.intake = Intake(
            node,
            signer=self._exchange_key,
            handles=lambda type_: self.delivery.handler_for(type_) is not None,
            caps=Caps(),
        )
        self.puller = Puller(node, self.intake)
        self.senders = Senders(node, self._make_sender)
        self._tasks: list[asyncio.Task[None]] = []
        feedback = FeedbackHandler(node.clock)
        for type_ in (VALIDATED, DECIDED):
            self.on(type_, feedback)

    def on(self, type_prefix: str, handler: Handler) -> None:
        """Messages whose type begins with `type_prefix` go to `handler`; the longest prefix wins.

        See `node.exchange.message.Handler` for what a handler promises.
        """
        self.delivery.on(type_prefix, handler)

    def enqueue(
        self,
        conn: Connection,
        to: str,
        type: str,  # noqa: A002 the wire's word
        body: bytes,
        content_type: str,
        stream: str | None,
    ) -> str:
        """Promises a message in the caller's transaction; its id.

        The manifest is signed and stored here and sent after the commit (R2). stream: the UCR of
        the consignment, or None for the control stream, which never waits (R10).
        Raises RefusedError `peer_unlisted`, TooLargeError `body_too_large`, MalformedError for a
        type, stream or media type that no peer could read, UnavailableError outside a network.
        """
        return self.outbox.enqueue(conn, to, type, body, content_type, stream)

    def routes(self) -> Sequence[Route]:
        """See `node.exchange.routes`."""
        return routes.routes_of(self, self._node)

    async def start(self) -> None:
        """Takes up what was queued, stored and not yet delivered, or missed while away."""
        await self.delivery.start()
        await self.senders.start()
        self._tasks = [
            asyncio.create_task(self._watch(), name="exchange-watch"),
            asyncio.create_task(self.puller.catch_up(), name="exchange-catch-up"),
        ]

    async def stop(self) -> None:
        """Stops; everything not finished waits in the store."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self.senders.stop()
        await self.delivery.stop()

    def ready(self) -> str | None:
        """None when messages can come and go."""
        if self._node.members.current is None:
            return "this node is in no network yet"
        if not self._tasks or self._tasks[0].done():
            return "nobody watches for what waits too long"
        return self.delivery.ready()

    async def receive(
        self, peer: str, batch: Sequence[frames.Frame], *, behind: bool = False
    ) -> list[ItemReceipt | answer.Unsigned]:
        """Takes in a batch of `peer`; wakes delivery and, where it helps, our own sending."""
        answers = await self.intake.receive(peer, batch, behind=behind)
        self.delivery.wake()
        self.heard_from(peer)
        return answers

    def heard_from(self, peer: str) -> None:
        """The peer is there: what waits for it may be probed now."""
        sender = self.senders.get(peer)
        if sender is not None:
            sender.hint()

    async def pause(self, peer: str, *, paused: bool) -> None:
        """Stops or resumes sending to a peer and taking in from it; what waits is kept."""
        await self._node.store.write(change_peer, peer, paused=paused)
        self.senders.make(peer).pause(paused=paused)

    async def pull(self, peer: str) -> int:
        """Asks a peer for what waits there; how many messages came."""
        count = await self.puller.pull(peer)
        self.delivery.wake()
        return count

    async def receipt_of(self, peer: str, message_id: str) -> ItemReceipt | None:
        """The receipt we gave for a message of `peer`; None when it is not here."""
        return await self._node.store.read(original, peer, message_id)

    def _exchange_key(self) -> Signer:
        if self._signer is None:
            self._signer = self._node.keys.signer("exchange")
        return self._signer

    def _forget_signer(self) -> None:
        self._signer = None

    def _make_sender(self, peer: str) -> PeerSender:
        return PeerSender(
            self._node,
            peer,
            transport=self.transport,
            outbox=self.outbox,
            policy=self.policy,
        )

    def _queued(self, conn: Connection, peer: str) -> None:
        wake: Callable[[], None] = lambda: self.senders.wake(peer)  # noqa: E731 typed by its name
        defer(conn, wake)

    async def _watch(self) -> None:
        """Looks, now and then, for what nobody woke up for and what waits too long."""
        settings = self._node.settings.exchange
        while True:
            await asyncio.sleep(settings.poll_interval)
            try:
                await self._node.store.write(
                    watch.sweep, self._node.clock.now_ms(), self.outbox.void
                )
                await self.senders.start()
            except UnavailableError as error:
                self._node.telemetry.log.warning("exchange.store_unavailable", detail=str(error))
