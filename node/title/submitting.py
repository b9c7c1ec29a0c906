"""Handing in operations: kept before they are sent, sent again until they are decided (R2, R13)."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from ledger import evm_title
from node.store import events
from node.title import partners, rows
from node.title.arbiter import Handed, LogArbiter
from node.title.evm_arbiter import EvmArbiter
from node.title.forms import read_signed
from node.title.news import registry_with
from node.title.refusals import may_yet_hold, refusal_code
from node.title.tasks import end
from protocols import times
from protocols.title import registry_freeze
from schemas.errors import RefusedError, TradeError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.runtime import Node
    from node.title.arbiter import NodeArbiter
    from node.title.evm_service import EvmTitles
    from node.title.following import Follower
    from node.title.news import TitleNews
    from node.title.rows import Submission
    from protocols.title.machine import Operation

FINAL_WAIT = 3
"""Seconds for which a caller waits for an operation to become final."""
AGAIN_SECONDS = 0.3
AT_ONCE = 20
POLL_SECONDS = 0.5
CATCH_UP_MS = 24 * 3600 * 1000
#: An ISSUE that was refused for now: handed in again after this, later and later, for each time is
#: paid for, and once more when its deadline is over, for then the answer is the last.
REFUSED_PAUSE_MS = 10 * 60 * 1000
BEYOND_MS = 1_000
#: Not decided: what this one builds on may be on its way, the registry may still be starting.
_EARLY = frozenset({"title_seq_ahead", "title_never_issued", "registry_not_here"})


class Submitter:
    """Hands in what this node's operator, or a party hosted here, has signed."""

    def __init__(self, node: Node, follower: Follower, evm: EvmTitles) -> None:
        """Nothing runs before `start`."""
        self.node = node
        self._follower = follower
        self._evm = evm
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to repeat what is undecided."""
        self._task = asyncio.create_task(self._run(), name="title.submit")

    async def stop(self) -> None:
        """End; what is undecided waits in the store."""
        if self._task is not None:
            await end([self._task])

    def arbiter_with(self, arbiter: bytes) -> NodeArbiter:
        """The listed arbiter with that id; raises `title_arbiter_unknown`."""
        listed = partners.members_of(self.node).arbiter(arbiter)
        if listed is not None:
            return EvmArbiter(self.node, listed, self._evm)
        entry, _ = registry_with(partners.members_of(self.node), arbiter)
        return LogArbiter(self.node, entry)

    async def submit(self, text: str, *, wait: int = FINAL_WAIT) -> Submission:
        """Keep and hand in a signed operation; what became of it so far.

        Raises RefusedError `title_other_network`, `title_arbiter_unknown`, `arbiter_frozen` and
        what `read_operation` raises; never because the registry does not answer.
        """
        operation = self.read(text)
        if operation.network != partners.members_of(self.node).network:
            raise RefusedError("title_other_network", "the operation is for another network")
        self.arbiter_with(operation.arbiter)
        registry_freeze.require_in_force(operation.arbiter, partners.freezes_of(self.node))
        now = self.node.clock.now_ms()
        held = await self.node.store.write(rows.submit, operation, text, now)
        end = time.monotonic() + wait
        while held.status in rows.OPEN and not held.rests(self.node.clock.now_ms()):
            await self._try(held, max(0, round(end - time.monotonic())))
            found = await self.node.store.read(rows.submission, operation.digest)
            assert found is not None
            held = found
            if time.monotonic() + AGAIN_SECONDS > end:
                break
            if held.status in rows.OPEN and not held.rests(self.node.clock.now_ms()):
                await asyncio.sleep(AGAIN_SECONDS)
        return held

    def read(self, text: str) -> Operation:
        """The operation of either arbiter's form."""
        return read_signed(text, partners.members_of(self.node))

    async def _try(self, held: Submission, wait: int) -> None:
        try:
            operation = self.read(held.text)
            registry_freeze.require_in_force(operation.arbiter, partners.freezes_of(self.node))
            handed = await self.arbiter_with(operation.arbiter).hand_in(held.text, wait=wait)
        except TradeError as error:
            handed = Handed("failed", error=error)
        await self._take(held, handed)

    async def _take(self, held: Submission, handed: Handed) -> None:
        error = handed.error
        if handed.news is not None:
            await self.node.store.write(self._final, held, handed.news)
        elif handed.refusal is not None:
            await self.node.store.write(self._refused, held, handed.refusal)
        elif error is None:
            await self._postpone(held, "title_pending")
        elif error.retryable or error.code in _EARLY:
            await self._postpone(held, error.code)
        else:
            await self.node.store.write(rows.decide, held.digest, "failed", code=error.code)

    def _final(self, conn: Connection, held: Submission, news: TitleNews) -> None:
        self._follower.learn(conn, news)
        rows.decide(conn, held.digest, "final")

    def _refused(self, conn: Connection, held: Submission, refusal: str) -> None:
        """For good, or for now: what may yet be applied is undecided, and is handed in again."""
        code = refusal_code(refusal)
        if not may_yet_hold(refusal, held.text):
            rows.decide(conn, held.digest, "refused", code=code, refusal=refusal)
            return
        now, deadline = self.node.clock.now_ms(), times.to_ms(self.read(held.text).deadline)
        rows.refused_for_now(conn, held, code, refusal, again_at(held, deadline, now))
        evm_title.forget_refusal(conn, held.digest)
        if held.refusal is None:
            self._alarm(conn, held, code)

    def _alarm(self, conn: Connection, held: Submission, code: str) -> None:
        """Once: whoever can put it right before the deadline still may."""
        events.record(
            conn,
            kind="alarm",
            at=self.node.clock.now_ms(),
            document=None,
            actor=self.node.did,
            detail={
                "area": "title",
                "code": "title_refused_for_now",
                "title": held.title.hex(),
                "operation": held.digest.hex(),
                "why": code,
            },
        )

    async def _postpone(self, held: Submission, code: str) -> None:
        await self.node.store.write(rows.postpone, held, code, self.node.clock.now_ms())

    async def refresh(self, title: bytes, arbiter: bytes, *, after: int = 0) -> None:
        """Ask the registry, or whoever continues it, for a newer final state; no answer changes
        nothing (R13)."""
        try:
            arbiter = registry_freeze.in_force(arbiter, partners.freezes_of(self.node))
            news = await self.arbiter_with(arbiter).fetch(title, after=after)
        except TradeError as error:
            self.node.telemetry.log.debug("title.not_refreshed", code=error.code)
            return
        if news is not None:
            await self.node.store.write(self._follower.learn, news)

    async def _catch_up(self, now: int) -> None:
        """Who lost a title learns what it became, though nobody has to tell."""
        since = now - CATCH_UP_MS
        behind = await self.node.store.read(rows.overtaken, "title_seq_conflict", since, AT_ONCE)
        asked = (
            self.refresh(held.title, self.read(held.text).arbiter, after=held.seq)
            for held in behind
        )
        await asyncio.gather(*asked)

    async def _run(self) -> None:
        while True:
            try:
                now = self.node.clock.now_ms()
                due = await self.node.store.read(rows.due, now, AT_ONCE)
                await asyncio.gather(*(self._try(held, 1) for held in due))
                await self._catch_up(now)
            except TradeError as error:
                due = []
                self.node.telemetry.log.warning("title.submit_failed", code=error.code)
            if len(due) < AT_ONCE:
                await asyncio.sleep(POLL_SECONDS)


def again_at(held: Submission, deadline: int, now: int) -> int:
    """When it is handed in again, ms UTC: after twice the time that it waits, at the latest right
    after its deadline."""
    over = deadline + BEYOND_MS
    if now >= over:
        return now + REFUSED_PAUSE_MS
    return min(over, now + max(REFUSED_PAUSE_MS, now - held.created_at))
