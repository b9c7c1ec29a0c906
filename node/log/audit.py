"""Verifying a whole log from its entries, this node's own or a partner's, in resumable steps.

Every entry is hashed into the right edge of the tree; where the log's signed checkpoint says its
size is, the roots must be equal. The edge is stored, so an audit goes on where the last one ended
and a log that changed its past is noticed at the next checkpoint.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, insert, select

from ledger import checkpoints, log
from ledger.tables import audits
from node.log import partners
from node.log.routes import MAX_ENTRIES
from protocols.log import epochs as log_epochs
from protocols.log import leaf as leaves
from protocols.log import note
from protocols.log import proof as log_proof
from protocols.log.checkpoint import parse_body
from protocols.log.entry_bundle import unbundle
from protocols.log.merkle import Frontier, leaf_hash
from schemas.errors import MalformedError, NotFoundError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.log.service import LogService
    from node.runtime import Node
    from protocols.log.checkpoint import Checkpoint
    from protocols.log.note import VerifierKey
    from protocols.log.policy import Policy
    from protocols.seams import Answer

OWN_STEP = 4096


@dataclass(slots=True)
class AuditProgress:
    """How far an audit is. `size` is the goal's; `faults` are sentences."""

    origin: str
    verified: int
    size: int
    done: bool
    witnessed: bool
    faults: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """For the API and the command line."""
        return {
            "origin": self.origin,
            "verified": self.verified,
            "size": self.size,
            "done": self.done,
            "witnessed": self.witnessed,
            "ok": not self.faults,
            "faults": self.faults,
        }


@dataclass(slots=True)
class _Goal:
    """What the audit must arrive at."""

    head: Checkpoint
    witnessed: bool


class Auditor:
    """Audits one log at a time for a node."""

    def __init__(self, node: Node, service: LogService) -> None:
        """`service` is the node's own log."""
        self._node = node
        self._service = service

    async def advance(self, origin: str, *, genesis: bool, budget: float) -> AuditProgress:
        """Verify for about `budget` seconds; `genesis` begins again at the first entry.

        Raises NotFoundError `log_unknown`, UnavailableError when a partner does not answer.
        """
        own = origin == self._service.origin
        key, policy, did = self._listed(origin) if not own else self._own()
        frontier = Frontier() if genesis else await self._node.store.read(_resume, origin)
        goal = await self._goal(origin, key, policy, did if not own else None)
        progress = AuditProgress(origin, frontier.size, goal.head.size, False, goal.witnessed)
        if frontier.size > goal.head.size:
            progress.faults.append(f"the log has shrunk from {frontier.size} to {goal.head.size}")
        end = time.monotonic() + budget
        while frontier.size < goal.head.size and not progress.faults and time.monotonic() < end:
            await self._take(frontier, goal.head.size, progress, None if own else did)
        self._compare(frontier, goal.head, progress)
        await self._node.store.write(_keep, origin, frontier, progress, self._node.clock.now_ms())
        return progress

    def _own(self) -> tuple[VerifierKey, Policy, str]:
        publisher = self._service.publisher
        if publisher is None:
            raise NotFoundError("log_unknown", "this node has no log")
        return publisher.identity.key, self._service.policy, self._node.did

    def _listed(self, origin: str) -> tuple[VerifierKey, Policy, str]:
        members = self._node.members.current
        entry = members.log(origin) if members else None
        if entry is None:
            raise NotFoundError("log_unknown", "no such log is in the member list")
        return partners.log_key_of(entry), partners.policy_of(entry), entry.did

    async def _goal(self, origin: str, key: VerifierKey, policy: Policy, did: str | None) -> _Goal:
        if did is None:
            text = await self._node.store.read(_own_note)
        else:
            answer = await self._node.client.call(did, "GET", "/log/checkpoint")
            text = _body(answer).decode("utf-8", "replace")
        if not text:
            raise NotFoundError("log_checkpoint_not_found", "the log has signed nothing yet")
        checked = log_proof.check_checkpoint(text, key, policy, strict=False, origin=origin)
        checked = log_epochs.recount(checked, policy, partners.counts(self._node))
        return _Goal(parse_body(note.parse(text).text), checked.witnessed)

    async def _take(
        self, frontier: Frontier, size: int, progress: AuditProgress, did: str | None
    ) -> None:
        """One piece of entries."""
        start = frontier.size
        if did is None:
            end = min(start + OWN_STEP, size)
            stored = await self._node.store.read(log.read, start, end)
            progress.faults += [
                f"entry {leaf.index} does not give its stored leaf hash"
                for leaf in stored
                if leaf_hash(leaf.entry) != leaf.hash
            ]
            entries = [leaf.entry for leaf in stored]
        else:
            entries = await self._fetch(did, start, min(MAX_ENTRIES, size - start))
        if not entries:
            progress.faults.append(f"entry {start} is missing")
        self._append(frontier, entries, progress)

    async def _fetch(self, did: str, start: int, limit: int) -> list[bytes]:
        answer = await self._node.client.call(
            did, "GET", f"/log/entries?start={start}&limit={limit}"
        )
        return unbundle(_body(answer))[:limit]

    def _append(
        self, frontier: Frontier, entries: Sequence[bytes], progress: AuditProgress
    ) -> None:
        for entry in entries:
            try:
                leaves.decode(entry)
            except MalformedError:
                progress.faults.append(f"entry {frontier.size} is no leaf of this network")
            frontier.append(leaf_hash(entry))
        progress.verified = frontier.size

    def _compare(self, frontier: Frontier, head: Checkpoint, progress: AuditProgress) -> None:
        if frontier.size != head.size:
            return
        progress.done = True
        if frontier.root() != head.root:
            progress.faults.append("the entries do not give the signed root")


def _body(answer: Answer) -> bytes:
    if answer.status == 404:
        raise NotFoundError("log_checkpoint_not_found", "the log has signed nothing yet")
    if answer.status != 200:
        raise UnavailableError("peer_unreachable", f"the partner answered {answer.status}")
    return answer.body


def _own_note(conn: Connection) -> str | None:
    stored = checkpoints.newest(conn, signed=True)
    return None if stored is None else checkpoints.cosigned_note(conn, stored)


def _resume(conn: Connection, origin: str) -> Frontier:
    """Where the last audit ended, unless it found a fault: then from the beginning."""
    row = conn.execute(
        select(audits.c.size, audits.c.state, audits.c.faults).where(audits.c.origin == origin)
    ).one_or_none()
    return Frontier() if row is None or row.faults else Frontier(row.size, bytes(row.state))


def _keep(
    conn: Connection, origin: str, frontier: Frontier, progress: AuditProgress, now_ms: int
) -> None:
    conn.execute(delete(audits).where(audits.c.origin == origin))
    conn.execute(
        insert(audits).values(
            origin=origin,
            size=frontier.size,
            state=frontier.to_bytes(),
            root=frontier.root(),
            at=now_ms,
            faults=len(progress.faults),
        )
    )
