"""Relaying: signed operations gathered for a moment and sent to the chain in one transaction.

Any node with the chain may relay; the operations are their holders'. A batch, its place in the
nonce journal and the mark of every operation in it are one transaction of the store, so a crash
sends neither twice nor never. What another relayer was quicker with is refused there and harmless.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from ledger import evm_title
from ledger.chain_journal import FAILED, Job
from node.title.tasks import end
from protocols.digest import sha256
from protocols.evm.calls import apply_batch, apply_one
from protocols.evm.title import Joint
from protocols.evm.title_text import read_text
from protocols.title.machine import Kind
from schemas.errors import TradeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from ledger.chain_relayer import News
    from node.runtime import Node
    from protocols.evm.title import SignedEvmOperation
    from protocols.members.arbiters import ArbiterEntry

MAX_BATCH: Final = 100
MAX_WAIT: Final = 1.0
MAX_WAITING: Final = 10_000
#: Gas limits, well above what `tests.support.evm_gas` measures; what is not used is not paid.
_GAS_BATCH, _GAS_ISSUE, _GAS_MOVE = 100_000, 160_000, 130_000


class EvmRelay:
    """The queue of one node."""

    def __init__(self, node: Node) -> None:
        """Nothing runs before `start`."""
        self._node = node
        self._waiting: dict[bytes, tuple[ArbiterEntry, SignedEvmOperation]] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to relay; what a crash interrupted is handed in again by who submitted it."""
        relayer = self._node.chain.relayer
        if relayer is not None:
            relayer.on(evm_title.PURPOSE, self._told)
            self._task = asyncio.create_task(self._run(), name="title.relay")

    async def stop(self) -> None:
        """End the loop."""
        if self._task is not None:
            await end([self._task])

    def put(self, entry: ArbiterEntry, digest: bytes, text: str) -> None:
        """Take an operation whose signature was checked; it is sent with the next batch."""
        if len(self._waiting) < MAX_WAITING:
            self._waiting.setdefault(digest, (entry, read_text(text)))
            self._wake.set()

    async def _run(self) -> None:
        pause = min(MAX_WAIT, self._node.settings.title.batch_interval)
        while True:
            await self._wake.wait()
            await asyncio.sleep(pause)
            self._wake.clear()
            try:
                while self._waiting:
                    await self._send()
            except TradeError as error:
                self._node.telemetry.log.warning("title.relay_failed", code=error.code)

    async def _send(self) -> None:
        """The next batch: one arbiter, at most `MAX_BATCH`; joint holders' operations go alone."""
        digest, (entry, signed) = next(iter(self._waiting.items()))
        batch = {digest: signed}
        if not isinstance(signed.consent, Joint):
            batch = {
                found: other
                for found, (its, other) in self._waiting.items()
                if its == entry and not isinstance(other.consent, Joint)
            }
            batch = dict(list(batch.items())[:MAX_BATCH])
        await self._node.store.write(self._queue, entry, batch)
        for found in batch:
            self._waiting.pop(found, None)

    def _queue(
        self, conn: Connection, entry: ArbiterEntry, batch: dict[bytes, SignedEvmOperation]
    ) -> None:
        new = {
            digest: signed
            for digest, signed in batch.items()
            if not evm_title.is_relayed(conn, digest) and not evm_title.move_of(conn, digest)
        }
        if not new:
            return
        # One title's operations in their own order, whatever order they were handed in.
        ordered = sorted(new.items(), key=lambda item: item[1].operation.seq)
        signed = [each for _, each in ordered]
        data = apply_one(signed[0]) if len(signed) == 1 else apply_batch(signed)
        now = self._node.clock.now_ms()
        # The moment is part of the name: the same operations may have to go a second time.
        reference = sha256(data + now.to_bytes(8, "big"))
        job = Job(evm_title.PURPOSE, reference, entry.contract, data, gas_limit(signed))
        self._node.chain.put(conn, job)
        evm_title.put_relay(conn, entry.id, reference, [digest for digest, _ in ordered], now)

    def _told(self, conn: Connection, news: News) -> None:
        """A batch failed as a whole (a frozen registry, or too little gas): none of it happened."""
        if news.entry.state == FAILED:
            evm_title.forget_batch(conn, news.entry.job.reference)
            self._node.telemetry.log.warning("title.batch_failed", nonce=news.entry.nonce)


def gas_limit(signed: Sequence[SignedEvmOperation]) -> int:
    """The gas that a batch is given."""
    issues = sum(each.operation.kind is Kind.ISSUE for each in signed)
    return _GAS_BATCH + issues * _GAS_ISSUE + (len(signed) - issues) * _GAS_MOVE
