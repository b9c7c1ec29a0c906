"""Following every partner's log: is it still the log that it was, and do its entries give its root?

Each listed log is asked for its newest checkpoint; signatures are verified under the epoch in
force, consistency with what was held before, and with what this node cosigned. Entries are hashed
again, as far as this node may read them. A witnessed checkpoint is recorded as a leaf of our own
log, at a bounded rate: then whoever would rewrite one log must rewrite all of them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ledger import followed, forks, witness
from node.log import consistency, handing_over
from node.log.audit import Auditor
from protocols.log import checkpoint, note
from protocols.verify import receipt_steps
from schemas.errors import NotFoundError, RefusedError, TradeError, UnavailableError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ledger.followed import Followed
    from node.log.witness_service import WitnessService
    from protocols.log.checkpoint import Checkpoint
    from protocols.member_list import LogEntry, MemberList

DEADLINE = 3.0
AUDIT_BUDGET = 1.0
"""Seconds of re-hashing per log and turn."""


class Follower:
    """One background task per witness service."""

    def __init__(self, service: WitnessService) -> None:
        """Begins with `start`."""
        self._service = service
        self._node = service.node
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to follow."""
        self._task = asyncio.create_task(self._run(), name="witness.follow")

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._node.settings.log.follow_interval)
            await self.turn()

    async def turn(self) -> None:
        """Follow every listed log once, but our own."""
        members = self._node.members.current
        for origin in dict.fromkeys(entry.origin for entry in members.logs) if members else ():
            assert members is not None
            entry = members.log(origin)
            if entry is not None and entry.did != self._node.did:
                try:
                    await self.follow(members, entry)
                except TradeError as error:
                    await self._fault(entry, error)

    async def follow(self, members: MemberList, entry: LogEntry) -> None:
        """Follow one log; raises what was wrong with it, or UnavailableError."""
        if await self._node.store.read(forks.is_marked, entry.did):
            return
        await self._learn_hand_overs(members, entry)
        answer = await self._node.client.call(
            entry.did, "GET", "/log/checkpoint", deadline=DEADLINE
        )
        if answer.status == 404:
            return
        if answer.status != 200:
            raise UnavailableError("peer_unreachable", f"the log answered {answer.status}")
        text = answer.body.decode("utf-8", "replace")
        epochs = members.log_epochs(entry.origin)
        checked = receipt_steps.check_listed_checkpoint(members, text, epochs)
        await self._take(entry, checked.checkpoint, text, witnessed=checked.witnessed)
        await self._rehash(entry)

    async def _learn_hand_overs(self, members: MemberList, entry: LogEntry) -> None:
        """Ask for what changed its witnesses, when the list names an epoch that is not known."""
        if all(one.epoch <= entry.epoch for one in members.log_epochs(entry.origin)):
            return
        answer = await self._node.client.call(
            entry.did, "GET", "/log/hand-overs", deadline=DEADLINE
        )
        for text in handing_over.read_texts(answer.body) if answer.status == 200 else ():
            await handing_over.learn(self._node, text.encode())

    async def _take(self, entry: LogEntry, head: Checkpoint, text: str, *, witnessed: bool) -> None:
        held = await self._node.store.read(followed.state, entry.origin)
        cosigned = await self._node.store.read(witness.state, entry.origin)
        for known in [one.note for one in (held, cosigned) if one is not None]:
            await self._require_one_history(entry, known, text)
        if held is None or (head.size, witnessed) > (held.size, held.witnessed):
            now = self._node.clock.now_ms()
            await self._node.store.write(followed.put, head, text, witnessed=witnessed, now_ms=now)
        await self._node.store.write(self._entangle, entry.origin)

    async def _require_one_history(self, entry: LogEntry, one: str, other: str) -> None:
        """Raises RefusedError `log_equivocation` when both cannot be true, which is kept and
        announced, or `log_inconsistent` when the log does not show that they can."""
        first, second = _body(one), _body(other)
        if (first.size, first.root) == (second.size, second.root):
            return
        if await consistency.is_shown(self._service, entry, first, second):
            return
        proof = await consistency.proof(self._service, entry, first, second)
        try:
            await self._service.accuser.accuse(entry, one, other, proof)
        except RefusedError:
            raise RefusedError("log_inconsistent", f"{first.size} and {second.size}") from None
        raise RefusedError("log_equivocation", f"sizes {first.size} and {second.size}")

    def _entangle(self, conn: Connection, origin: str) -> None:
        """Record the newest witnessed checkpoint, if none was for a while."""
        held = followed.state(conn, origin)
        now = self._node.clock.now_ms()
        if held is None or not held.witnessed or not self._is_due(conn, held, now):
            return
        followed.record(conn, held, now)

    def _is_due(self, conn: Connection, held: Followed, now: int) -> bool:
        rest = self._node.settings.log.entangle_interval * 1000
        if held.recorded_at and now - held.recorded_at < rest:
            return False
        last = followed.recorded(conn, held.origin, 1)
        return not last or last[0][0] < held.size

    async def _rehash(self, entry: LogEntry) -> None:
        auditor = Auditor(self._node, self._node.log)
        progress = await auditor.advance(entry.origin, genesis=False, budget=AUDIT_BUDGET)
        if progress.faults:
            raise RefusedError("log_audit_failed", progress.faults[0])

    async def _fault(self, entry: LogEntry, error: TradeError) -> None:
        if isinstance(error, UnavailableError | NotFoundError):
            self._node.telemetry.log.debug("log.not_followed", origin=entry.origin, code=error.code)
            return
        await self._node.store.write(self._alarm, entry, error)

    def _alarm(self, conn: Connection, entry: LogEntry, error: TradeError) -> None:
        """One alarm per fault, not one per turn."""
        from node.store import events

        held = followed.state(conn, entry.origin)
        if error.code == forks.CODE or (held is not None and held.fault == error.code):
            return
        followed.put_fault(conn, entry.origin, error.code)
        detail = {"code": error.code, "origin": entry.origin, "detail": error.detail}
        now = self._node.clock.now_ms()
        events.record(conn, kind="alarm", at=now, actor=entry.did, detail=detail)
        self._node.telemetry.log.error("log.followed_with_fault", **detail)


def _body(text: str) -> Checkpoint:
    return checkpoint.parse_body(note.parse(text).text)
