"""Changing a log's witnesses: the hand-over from the old quorum to the new one (R16).

The member list names the new epoch; the log goes over to it by itself. It asks whether both quorums
can be reached, appends a leaf that names both policies, signs the checkpoint that ends with that
leaf, and collects cosignatures from the witnesses of both. Only when both quorums are complete
does the new policy count; otherwise the old one holds, and it is tried again later. Every member
gets the proof and verifies it itself.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ledger import checkpoints, hand_overs, log
from node.log import partners
from node.log.gathering import Gatherer
from protocols.log import epochs as log_epochs
from protocols.log import leaf, votes
from protocols.log import policy as log_policy
from protocols.log.epochs import HandOver
from protocols.log.leaf import Leaf, LeafKind
from protocols.log.policy import Group, Policy, Witness
from protocols.log.proof import LogProof
from schemas import strict_json
from schemas.errors import ConflictError, RefusedError, TradeError

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from node.log.service import LogService
    from node.runtime import Node
    from protocols.member_list import LogEntry

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 300.0
PROBE_DEADLINE = 2.0


class HandingOver:
    """Belongs to a `LogService`, which calls `attempt` between two checkpoints."""

    def __init__(self, service: LogService) -> None:
        """Nothing is known to wait yet."""
        self._service = service
        self._again_at, self._pause = 0.0, FIRST_PAUSE
        self.trouble: str | None = None

    def waiting(self) -> LogEntry | None:
        """The listed epoch that is to be handed over to."""
        members = self._service.node.members.current
        if members is None:
            return None
        return log_epochs.pending(members.log_epochs(self._service.origin))

    def standing(self) -> dict[str, Any] | None:
        """For people: the epoch that waits and what it lacks; None when none waits."""
        waiting = self.waiting()
        return None if waiting is None else {"epoch": waiting.epoch, "trouble": self.trouble}

    async def attempt(self) -> bool:
        """Hand over when an epoch waits and it is time; True when it is done."""
        target = self.waiting()
        if target is None or time.monotonic() < self._again_at:
            return False
        try:
            proven = await self._hand_over(target)
        except RefusedError as error:
            return self._later(error.code)
        if proven is None:
            return self._later("log_quorum_unreachable")
        self._again_at, self._pause, self.trouble = 0.0, FIRST_PAUSE, None
        await self._service.node.store.write(keep, self._service.node, proven)
        self._service.node.members.hand_over(proven)
        return True

    def _later(self, code: str) -> bool:
        self.trouble = code
        self._again_at = time.monotonic() + self._pause
        self._pause = min(LONGEST_PAUSE, 2 * self._pause)
        return False

    def seconds_left(self) -> float | None:
        """Until it is to be tried again; None when nothing waits."""
        return None if self.waiting() is None else max(0.05, self._again_at - time.monotonic())

    async def _hand_over(self, target: LogEntry) -> HandOver | None:
        """Raises RefusedError for a policy that R16 forbids; None while a quorum lacks."""
        service = self._service
        old, new = service.policy, log_epochs.policy_of(target)
        log_policy.check(new, service.origin)
        both = _union(old, new, service.origin)
        if not await self._reachable((old, new), both):
            return None
        if await self._told_by(new.voters(service.origin), target):
            return None
        current = service.entry()
        assert current is not None
        stated = await service.node.store.write(self._append, current, target)
        await service.publish_exactly(stated.since)
        assert service.publisher is not None
        gatherer = Gatherer(service.node, service.publisher, both, lambda: None)
        await gatherer.once(stated.since)
        return await self._proven(stated)

    async def _reachable(self, policies: tuple[Policy, Policy], both: Policy) -> bool:
        """Whether a quorum of each policy answers; asked first, as each try costs a leaf."""
        asked = both.voters(self._service.origin)
        answers = await asyncio.gather(*(self._answers(witness) for witness in asked))
        counts, now = partners.counts(self._service.node), self._service.node.clock.now_ms()
        here = {
            item.key
            for item, answer in zip(asked, answers, strict=True)
            if answer and counts(item, now // 1000)
        }
        return all(_has_quorum(policy, here, self._service.origin) for policy in policies)

    async def _told_by(self, witnesses: tuple[Witness, ...], target: LogEntry) -> bool:
        """Whether a witness knows that it was done, which a restored store may have forgotten."""
        node, path = self._service.node, f"/log/hand-overs?origin={quote(target.origin)}"
        for witness in witnesses:
            try:
                answer = await partners.ask(node, witness, "GET", path, deadline=PROBE_DEADLINE)
                for text in read_texts(answer.body):
                    proven = await learn(node, text.encode())
                    if (proven.origin, proven.after) == (target.origin, target.epoch):
                        return True
            except TradeError:
                continue
        return False

    async def _answers(self, witness: Witness) -> bool:
        publisher = self._service.publisher
        assert publisher is not None
        try:
            await partners.ask_state(
                self._service.node,
                witness,
                publisher.identity.key,
                origin=publisher.identity.origin,
                deadline=PROBE_DEADLINE,
            )
        except TradeError:
            return False
        return True

    def _append(self, conn: Connection, current: LogEntry, target: LogEntry) -> HandOver:
        """The leaf, whose statement names its own index; undone should another leaf come first."""
        members, now = self._service.node.members.current, self._service.node.clock.now_ms()
        assert members is not None
        stated = HandOver(
            network=members.network,
            origin=self._service.origin,
            before=current.epoch,
            after=target.epoch,
            old=log_epochs.policy_digest(current),
            new=log_epochs.policy_digest(target),
            size=log.size(conn),
        )
        last = log.of_subject(conn, stated.subject(), newest_only=True)
        prev = last[0].hash if last else None
        entry = leaf.encode(Leaf(LeafKind.POLICY, stated.subject(), stated.commit(), prev, now))
        if log.append(conn, entry, now).index != stated.size:
            raise ConflictError("log_fenced", "another leaf came between")
        return _with_proof(stated, entry, "")

    async def _proven(self, stated: HandOver) -> HandOver | None:
        """The file, when its checkpoint has both quorums."""
        service = self._service
        assert service.publisher is not None
        text = await service.node.store.read(_note_of, stated.since)
        hashes = service.publisher.tree.inclusion_proof(stated.size, stated.since)
        proof = LogProof(stated.size, hashes, text).to_text()
        complete = _with_proof(stated, stated.entry, proof)
        members = service.node.members.current
        assert members is not None
        try:
            complete.prove(members.log_epochs(stated.origin), votes.under(members))
        except RefusedError:
            return None
        return complete


def read_texts(body: bytes) -> list[str]:
    """The files of an answer to ``/log/hand-overs``."""
    value = strict_json.loads(body, max_bytes=64 * log_epochs.MAX_BYTES)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _with_proof(stated: HandOver, entry: bytes, proof: str) -> HandOver:
    return replace(stated, entry=entry, proof=proof)


def _note_of(conn: Connection, size: int) -> str:
    newest = checkpoints.newest(conn, signed=True)
    assert newest is not None
    assert newest.size == size
    return checkpoints.cosigned_note(conn, newest)


def _has_quorum(policy: Policy, keys: Collection[object], origin: str) -> bool:
    names = [item.name for item in policy.witnesses.values() if item.key in keys]
    return policy.satisfied(names, origin=origin)


def _union(old: Policy, new: Policy, origin: str) -> Policy:
    """A policy that asks for everybody of both."""
    voters = {item.key: item for item in (*old.voters(origin), *new.voters(origin))}
    named = {f"w{at}": Witness(f"w{at}", key) for at, key in enumerate(voters)}
    return Policy((), named, {"all": Group("all", len(named), tuple(named))}, "all")


def keep(conn: Connection, node: Node, proven: HandOver) -> None:
    """Keep our own hand-over, tell of it, and send it to every member."""
    from node.store import events

    now = node.clock.now_ms()
    if not hand_overs.keep(conn, proven, now):
        return
    detail = {"origin": proven.origin, "epoch": proven.after, "since": proven.since}
    events.record(conn, kind="hand-over", at=now, actor=node.did, detail=detail)
    exchange, members = getattr(node, "exchange", None), node.members.current
    if exchange is None or members is None:
        return
    for entry in members.nodes:
        if entry.did != node.did:
            exchange.enqueue(
                conn,
                entry.did,
                log_epochs.TYPE,
                proven.to_bytes(),
                log_epochs.MEDIA_TYPE,
                None,
            )


async def learn(node: Node, data: bytes) -> HandOver:
    """Verify another log's hand-over under our own member list, keep it, let it count.

    Raises RefusedError `hand_over_not_proven`, MalformedError, and what its proof raises.
    """
    proven = prove(node, data)
    await node.store.write(hand_overs.keep, proven, node.clock.now_ms())
    node.members.hand_over(proven)
    return proven


def prove(node: Node, data: bytes) -> HandOver:
    """The file, verified under our own member list (R5); raises as `learn`."""
    proven, members = log_epochs.parse(data), node.members.current
    if members is None or proven.network != members.network:
        raise RefusedError("hand_over_not_proven", "it is of another network")
    proven.prove(members.log_epochs(proven.origin), votes.under(members))
    return proven


class HandOverHandler:
    """Takes hand-overs that other members' logs tell of."""

    def __init__(self, node: Node) -> None:
        """Belongs to the witness service."""
        self._node = node

    async def prepare(self, message: Any) -> HandOver:
        """Prove it; it may count before it is stored, because it is proven."""
        proven = prove(self._node, message.body)
        self._node.members.hand_over(proven)
        return proven

    def apply(self, conn: Connection, _message: Any, proven: HandOver) -> None:
        """Keep it for the next start."""
        hand_overs.keep(conn, proven, self._node.clock.now_ms())
