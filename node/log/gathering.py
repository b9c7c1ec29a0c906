"""Collecting cosignatures: one signed checkpoint at a time, from all witnesses at once.

A checkpoint stays the goal until its quorum is complete or patience ends; then the newest one is.
Were every witness simply given the newest, slow ones could keep any single checkpoint from ever
having enough. A witness that does not answer is asked less and less often.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from ledger import checkpoints
from node.log import partners
from protocols.log import checkpoint, note, votes
from protocols.log.witness_protocol import AddCheckpoint
from schemas.errors import TradeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sqlalchemy import Connection

    from ledger.checkpoints import StoredCheckpoint
    from ledger.publisher import LogPublisher
    from node.runtime import Node
    from protocols.log.note import Signature
    from protocols.log.policy import Policy, Witness

PATIENCE = 3.0
GRACE = 0.15
"""Seconds for the remaining witnesses once the quorum is complete."""
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 15.0
ATTEMPTS = 3


Given: TypeAlias = "tuple[Witness, list[tuple[Signature, int]]]"
"""A witness and its lines with their times."""


@dataclass(slots=True)
class _Link:
    """What is known of one witness: the size it cosigned, failures in a row, when to ask again."""

    size: int = 0
    failures: int = 0
    again_at: float = 0.0
    last_error: str = ""

    def failed(self, error: TradeError) -> None:
        self.failures += 1
        self.last_error = error.code
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self.failures - 1, 10))
        self.again_at = time.monotonic() + pause

    def succeeded(self, size: int) -> None:
        self.size, self.failures, self.again_at, self.last_error = size, 0, 0.0, ""


@dataclass(slots=True)
class Gatherer:
    """Runs for one log under one policy. `progress` is called when something became witnessed.

    lacks_quorum: too few witnesses have answered for the newest checkpoint
    """

    node: Node
    publisher: LogPublisher
    policy: Policy
    progress: Callable[[], None]
    lacks_quorum: bool = False
    _links: dict[bytes, _Link] = field(default_factory=dict)

    async def _meet(self) -> None:
        identity = self.publisher.identity
        sizes = await self.node.store.read(checkpoints.cosigned_sizes, log=identity.log)
        for witness in self.voters():
            self._links[witness.key.key_id] = _Link(sizes.get(witness.key.key_id, 0))

    async def once(self, size: int) -> None:
        """Ask every witness once for the checkpoint of `size` leaves, if it is the newest."""
        await self._meet()
        goal = await self.node.store.read(self.publisher.newest_signed)
        if goal is not None and goal.size == size:
            await self._gather(goal)

    async def run(self, signed: asyncio.Event) -> None:
        """Collect for ever; `signed` is set when there is a new checkpoint."""
        await self._meet()
        while True:
            signed.clear()
            goal = await self.node.store.read(self._unwitnessed)
            self.lacks_quorum = goal is not None and not await self._gather(goal)
            if goal is None or self.lacks_quorum:
                await self._pause(signed, waiting=goal is not None)

    def voters(self) -> tuple[Witness, ...]:
        """The witnesses that count."""
        return self.policy.voters(self.publisher.identity.origin)

    def standing(self) -> list[dict[str, object]]:
        """For people: each witness, the size it cosigned, and what is wrong with it."""
        rows = ((item, self._links.get(item.key.key_id, _Link())) for item in self.voters())
        return [
            {"name": item.key.name, "size": link.size, "error": link.last_error or None}
            for item, link in rows
        ]

    async def _pause(self, signed: asyncio.Event, *, waiting: bool) -> None:
        """Until there is a new checkpoint, or a witness may be asked again."""
        seconds = None
        if waiting:
            now = time.monotonic()
            due = [link.again_at - now for link in self._links.values() if link.again_at > now]
            seconds = max(0.05, min(due, default=FIRST_PAUSE))
        try:
            async with asyncio.timeout(seconds):
                await signed.wait()
        except TimeoutError:
            return

    def _unwitnessed(self, conn: Connection) -> StoredCheckpoint | None:
        newest = self.publisher.newest_signed(conn)
        return None if newest is None or newest.witnessed_at is not None else newest

    async def _gather(self, goal: StoredCheckpoint) -> bool:
        """Ask all witnesses that are due; True when a quorum has cosigned `goal`."""
        now = time.monotonic()
        due = [item for item in self.voters() if self._links[item.key.key_id].again_at <= now]
        held = await self._held(goal)
        tasks = [
            asyncio.create_task(self._ask(item, goal)) for item in due if item.name not in held
        ]
        try:
            return await self._collect(goal, held, tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _held(self, goal: StoredCheckpoint) -> dict[str, int]:
        """Witness name in the policy → POSIX seconds of its cosignature."""
        log = self.publisher.identity.log
        lines = await self.node.store.read(checkpoints.cosignatures_of, goal.size, log=log)
        found = ((self.policy.witness_of(line), line) for line in lines)
        return {
            witness.name: int.from_bytes(line.value[:8], "big")
            for witness, line in found
            if witness is not None
        }

    def _is_quorum(self, held: Mapping[str, int]) -> bool:
        """Judged as whoever verifies it does: a witness whose key has ended has no vote (R16)."""
        voters = {item.name for item in self.voters()}
        given = {name: seconds for name, seconds in held.items() if name in voters}
        counted = votes.counted(given, self.policy, partners.counts(self.node))
        return self.policy.satisfied(counted, origin=self.publisher.identity.origin)

    async def _collect(
        self,
        goal: StoredCheckpoint,
        held: dict[str, int],
        tasks: Iterable[asyncio.Task[Given | None]],
    ) -> bool:
        pending = set(tasks)
        end, complete = time.monotonic() + PATIENCE, False
        while True:
            if not complete and self._is_quorum(held):
                await self._witnessed(goal)
                complete, end = True, time.monotonic() + GRACE
            left = end - time.monotonic()
            if not pending or left <= 0:
                return complete
            done, pending = await asyncio.wait(
                pending, timeout=left, return_when=asyncio.FIRST_COMPLETED
            )
            held |= await self._keep(goal, [task.result() for task in done])

    async def _keep(self, goal: StoredCheckpoint, answers: list[Given | None]) -> dict[str, int]:
        given = [answer for answer in answers if answer is not None]
        lines = [line for _, found in given for line in found]
        log = self.publisher.identity.log
        if lines:
            await self.node.store.write(checkpoints.add_cosignatures, goal.size, lines, log=log)
        # The first line is by the key that votes.
        return {witness.name: found[0][1] for witness, found in given}

    async def _witnessed(self, goal: StoredCheckpoint) -> None:
        await self.node.store.write(self._mark, goal)
        self.progress()

    def _mark(self, conn: Connection, goal: StoredCheckpoint) -> None:
        from node.store import events

        now, identity = self.node.clock.now_ms(), self.publisher.identity
        if checkpoints.mark_witnessed(conn, goal.size, now, log=identity.log):
            detail = {"origin": identity.origin, "size": goal.size, "root": goal.root.hex()}
            events.record(conn, kind="witnessed", at=now, actor=self.node.did, detail=detail)

    async def _ask(self, witness: Witness, goal: StoredCheckpoint) -> Given | None:
        link = self._links[witness.key.key_id]
        try:
            answer = await self._converse(witness, link, goal)
        except TradeError as error:
            link.failed(error)
            self.node.telemetry.log.warning(
                "log.witness_failed", witness=witness.key.name, code=error.code, detail=error.detail
            )
            return None
        if answer is None:
            return None
        link.succeeded(goal.size)
        return witness, answer

    async def _converse(
        self, witness: Witness, link: _Link, goal: StoredCheckpoint
    ) -> list[tuple[Signature, int]] | None:
        """Ask with the size we think the witness stands at; a 409 tells the right one."""
        assert goal.note is not None
        body = note.parse(goal.note).text
        for _ in range(ATTEMPTS):
            if link.size > goal.size:
                return None  # it has cosigned a later checkpoint of ours already
            proof = self.publisher.tree.consistency_proof(link.size, goal.size)
            request = AddCheckpoint(link.size, proof, goal.note)
            answer = await partners.ask_cosignature(
                self.node, witness, request, body, policy=self.policy, deadline=PATIENCE
            )
            if not isinstance(answer, int):
                return answer
            link.size = answer
        return None


def body_of(stored: StoredCheckpoint) -> checkpoint.Checkpoint:
    """The checkpoint of a signed row."""
    assert stored.note is not None
    return checkpoint.parse_body(note.parse(stored.note).text)
