"""Making a registry's batches final: its witnesses get the entries, re-execute them and cosign.

Rounds, patience and back-off are those of the node's log (`node.log.gathering`); what is asked
differs: a witness of a registry is given whole batches, not a consistency proof (R22).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from typing_extensions import override

from ledger import checkpoints, log, registry
from node.log.gathering import ATTEMPTS, Gatherer
from node.title import partners
from protocols.title.registry_wire import AddBatch

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ledger.checkpoints import StoredCheckpoint
    from node.log.gathering import _Link
    from protocols.log.note import Signature
    from protocols.log.policy import Witness

STEP_ENTRIES = 2_000
"""Entries in one request at most, unless a single checkpoint spans more."""
MAX_STEPS = 10_000


@dataclass(slots=True)
class RegistryGatherer(Gatherer):
    """The gatherer of a registry's log. carried: entries taken over from a frozen one."""

    carried: int = 0

    @override
    def _mark(self, conn: Connection, goal: StoredCheckpoint) -> None:
        """No event of its own: each title's final state is told by the title service."""
        now = self.node.clock.now_ms()
        checkpoints.mark_witnessed(conn, goal.size, now, log=self.publisher.identity.log)

    @override
    async def _converse(
        self, witness: Witness, link: _Link, goal: StoredCheckpoint
    ) -> list[tuple[Signature, int]] | None:
        """Lead the witness to `goal` in steps that end at checkpoints; a 409 tells its size."""
        misses = 0
        for _ in range(MAX_STEPS):
            step = await self.node.store.read(self._step, link.size, goal)
            if step is None or misses > ATTEMPTS:
                return None
            stored, request = step
            answer = await partners.ask_cosignature(self.node, witness, request)
            if isinstance(answer, int):
                misses += answer <= link.size
                link.size = answer
            elif stored.size == goal.size:
                return [answer]
            else:
                link.size = stored.size
        return None

    def _step(
        self, conn: Connection, size: int, goal: StoredCheckpoint
    ) -> tuple[StoredCheckpoint, AddBatch] | None:
        """The next checkpoint to lead a witness of that size to, with the entries between, the
        cosignatures it has, and the newest that a quorum has cosigned."""
        name = self.publisher.identity.log
        if size > goal.size:
            return None  # it has cosigned a later checkpoint of ours already
        target = goal
        if goal.size - size > STEP_ENTRIES:
            # One that no quorum cosigned may end a batch that was restated since.
            signed = {
                item.size: item
                for item in checkpoints.all_of(conn, log=name)
                if item.note and (item.witnessed_at is not None or item.size <= self.carried)
            }
            signed[goal.size] = goal
            sizes = [found for found in signed if found <= goal.size]
            target = signed[registry.whole_batches(sizes, size, STEP_ENTRIES) or goal.size]
        found = log.read(conn, size, target.size, log=name)
        text = checkpoints.cosigned_note(conn, target, log=name)
        settled = checkpoints.newest(conn, log=name, witnessed=True)
        witnessed = checkpoints.cosigned_note(conn, settled, log=name) if settled else ""
        if settled is not None and settled.size > target.size:
            witnessed = ""  # the target lies below it, so its own note has the quorum or needs none
        entries = tuple(leaf.entry for leaf in found)
        return target, AddBatch(size, text, entries, witnessed)
