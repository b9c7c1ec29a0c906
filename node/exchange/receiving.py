"""Intake's one transaction: what a batch becomes in the store (R8, R9, R10).

Everything a batch changes (inbox rows, log leaves, stream positions, the signed receipt with its
place in the peer's chain, events) is written by `take_in`, in the caller's transaction. The batch
is written as a whole for speed; if the database refuses it, each item is tried again alone under a
savepoint of its own, so that one bad item never costs its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import insert
from sqlalchemy.exc import DataError, IntegrityError

from ledger.log import Fact, remember_all
from node.exchange import inbox_rows
from node.exchange.inbox_rows import HELD, READY, VOIDED
from node.exchange.peer_rows import issue_receipt, keep_evidence, lock_peer
from node.exchange.tables import inbox
from protocols import times
from protocols.exchange import answer, receipt, stream
from protocols.exchange.manifest import VOID
from protocols.exchange.problems import Problem
from protocols.exchange.receipt import BatchReceipt, ItemReceipt, ItemState, ReceiptItem
from protocols.exchange.stream import Arrival, Caps, PeerLoad, Place, StreamState
from protocols.log.leaf import LeafKind
from schemas.errors import TooLargeError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from node.exchange.identity import Naming
    from protocols.exchange.answer import Unsigned
    from protocols.exchange.frames import Frame
    from protocols.exchange.manifest import SignedManifest
    from protocols.exchange.stream import Placement
    from protocols.keys import Signer
    from protocols.log.merkle import Tree


@dataclass(frozen=True, slots=True)
class Examined:
    """One message after the checks that need no store.

    problem: why it may not be stored; None when signature, body and access are right
    naming:  set when there is no problem
    link:    what the next message's `prev` must name
    """

    frame: Frame
    signed: SignedManifest
    problem: Problem | None
    naming: Naming | None
    link: bytes


@dataclass(frozen=True, slots=True)
class Register:
    """Who receives: network, own DID, exchange key, member list in force, caps, one moment."""

    network: bytes
    did: str
    signer: Signer
    members_version: int
    members_digest: bytes
    now: datetime
    caps: Caps = field(default_factory=Caps)

    @property
    def now_ms(self) -> int:
        """The moment in milliseconds."""
        return times.to_ms(self.now)


Item: TypeAlias = Examined | Problem  # a Problem alone: the manifest could not be read
Answered: TypeAlias = ItemReceipt | answer.Unsigned


def take_in(
    conn: Connection, register: Register, peer: str, items: Sequence[Item]
) -> list[Answered]:
    """Stores what may be stored and answers every item, in order."""
    try:
        with conn.begin_nested():
            return _take_in_together(conn, register, peer, items)
    except (IntegrityError, DataError, TooLargeError):
        return [_take_in_alone(conn, register, peer, item) for item in items]


def _take_in_alone(conn: Connection, register: Register, peer: str, item: Item) -> Answered:
    try:
        with conn.begin_nested():
            return _take_in_together(conn, register, peer, [item])[0]
    except (IntegrityError, DataError, TooLargeError):
        # The store refused it for a reason of ours: nothing final is said about it (R8).
        return answer.of_problem(Problem.INTERNAL)


@dataclass(frozen=True, slots=True)
class _Accepted:
    """A new message that will be stored, and where."""

    item: Examined
    state: str


@dataclass(frozen=True, slots=True)
class _Refused:
    """A new message that is finally refused, in a signed item."""

    item: Examined
    problem: Problem


@dataclass(frozen=True, slots=True)
class _Again:
    """A message of this very batch that came before, at that position."""

    position: int


_Ruling: TypeAlias = _Accepted | _Refused | _Again | ItemReceipt | answer.Unsigned


def _take_in_together(
    conn: Connection, register: Register, peer: str, items: Sequence[Item]
) -> list[Answered]:
    chain = lock_peer(conn, peer)
    if chain.paused:
        return [answer.of_problem(Problem.PEER_PAUSED) for _ in items]
    desk = _Desk(conn, register, peer, items)
    rulings = [desk.rule(item) for item in items]
    signed = [one for one in rulings if isinstance(one, _Accepted | _Refused)]
    proofs = _write(conn, register, peer, chain, signed)
    desk.write_streams()
    answers: list[Answered] = []
    following = iter(proofs)
    for ruling in rulings:
        if isinstance(ruling, _Accepted | _Refused):
            answers.append(next(following))
        elif isinstance(ruling, _Again):
            answers.append(answers[ruling.position])
        else:
            answers.append(ruling)
    return answers


class _Desk:
    """Rules on the items of one batch, one after the other, over what the store knows."""

    def __init__(
        self, conn: Connection, register: Register, peer: str, items: Sequence[Item]
    ) -> None:
        self._conn = conn
        self._register = register
        self._peer = peer
        examined = [item for item in items if isinstance(item, Examined)]
        manifests = [item.signed.manifest for item in examined]
        self._known = inbox_rows.known(conn, peer, [one.id for one in manifests])
        self._streams = inbox_rows.streams(conn, peer, manifests)
        self._released: dict[str, list[int]] = {}
        self._load: PeerLoad | None = None
        self._seen: dict[str, tuple[int, bytes]] = {}
        self._position = -1
        self._trees: dict[int, tuple[str, Tree]] = {}

    def rule(self, item: Item) -> _Ruling:
        """What becomes of the next item of the batch."""
        self._position += 1
        if isinstance(item, Problem):
            return answer.of_problem(item)
        manifest = item.signed.manifest
        if manifest.sender != self._peer:
            return answer.of_problem(Problem.WRONG_SENDER, manifest.id)
        known = self._known.get(manifest.id)
        if known is not None and bytes(known.digest) == item.signed.digest:
            # Asked before anything else: the same question gets the same answer for ever (R9).
            return self._original(known)
        seen = self._seen.get(manifest.id)
        if seen is not None and seen[1] == item.signed.digest:
            return _Again(seen[0])
        if item.problem is not None:
            return self._refusal(item, item.problem)
        if known is not None or seen is not None:
            return self._contradiction(item, Problem.CONFLICT)
        ruling = self._place(item)
        if isinstance(ruling, _Accepted):
            self._seen[manifest.id] = (self._position, item.signed.digest)
        return ruling

    def _refusal(self, item: Examined, problem: Problem) -> _Refused | Unsigned:
        if problem.signable:
            return _Refused(item, problem)
        return answer.of_problem(problem, item.signed.manifest.id)

    def _contradiction(self, item: Examined, problem: Problem) -> _Refused:
        keep_evidence(
            self._conn,
            self._peer,
            problem.value,
            item.signed.digest,
            item.signed.text,
            self._register.now_ms,
        )
        return _Refused(item, problem)

    def _original(self, row: Row[Any]) -> ItemReceipt:
        """The answer this message got when it came first, byte for byte (R9)."""
        if row.receipt_seq not in self._trees:
            self._trees[row.receipt_seq] = inbox_rows.issued(
                self._conn, self._peer, row.receipt_seq
            )
        text, tree = self._trees[row.receipt_seq]
        return inbox_rows.proof_of(row, text, tree)

    def _place(self, item: Examined) -> _Ruling:
        manifest = item.signed.manifest
        if manifest.stream is None or manifest.seq is None:
            return _Accepted(item, READY)
        arrival = Arrival(
            manifest.seq, manifest.prev, item.signed.digest, item.link, len(item.frame.body)
        )
        state = self._streams.get(manifest.stream, StreamState())
        placed = stream.place(
            state,
            arrival,
            load=self._peer_load() if arrival.seq > state.last + 1 else PeerLoad(),
            caps=self._register.caps,
            now=self._register.now,
        )
        problem = placed.problem
        if placed.place is Place.BEHIND:
            problem = self._used(manifest.stream, arrival)
        if problem in (Problem.FORK, Problem.CONFLICT):
            return self._contradiction(item, problem)
        if problem is not None:
            return self._refusal(item, problem)
        return self._accept(item, manifest.stream, placed, opens=not state.held)

    def _accept(self, item: Examined, name: str, placed: Placement, *, opens: bool) -> _Accepted:
        self._streams[name] = placed.state
        self._released.setdefault(name, []).extend(placed.released)
        if placed.place is Place.HELD:
            load = self._peer_load()
            self._load = PeerLoad(load.size + len(item.frame.body), load.streams + opens)
            return _Accepted(item, HELD)
        return _Accepted(item, VOIDED if item.signed.manifest.type == VOID else READY)

    def _used(self, name: str, arrival: Arrival) -> Problem:
        row = inbox_rows.at_seq(self._conn, self._peer, name, arrival.seq)
        if row is None:
            return Problem.FORK  # used by a message of this very batch
        stored, link = row
        return stream.used_number(stored, link if link != stored else None, arrival)

    def _peer_load(self) -> PeerLoad:
        if self._load is None:
            self._load = inbox_rows.load(self._conn, self._peer)
        return self._load

    def write_streams(self) -> None:
        """Writes the new positions and lets go what was held and is in order now."""
        for name, released in self._released.items():
            inbox_rows.write_stream(self._conn, self._peer, name, self._streams[name])
            if released:
                inbox_rows.release(self._conn, self._peer, name, released)


# --- writing ------------------------------------------------------------------------------------


def _write(
    conn: Connection,
    register: Register,
    peer: str,
    chain: Row[Any],
    rulings: Sequence[_Accepted | _Refused],
) -> list[ItemReceipt]:
    """Leaves, receipt, inbox rows and events of the new items; their proofs in order."""
    if not rulings:
        return []
    leaves = _append_leaves(conn, register, rulings)
    items = [_receipt_item(one, leaves.get(at)) for at, one in enumerate(rulings)]
    item_bytes = [item.to_bytes() for item in items]
    tree = receipt.tree_of(item_bytes)
    seq = chain.receipt_seq + 1
    signed = receipt.sign(
        BatchReceipt(
            network=register.network,
            receiver=register.did,
            sender=peer,
            seq=seq,
            prev=None if chain.receipt_head is None else bytes(chain.receipt_head),
            root=tree.root(),
            count=len(items),
            at=register.now,
            members_version=register.members_version,
            members_digest=register.members_digest,
        ),
        register.signer,
    )
    joined = tree.hashes(0, 0, tree.size)
    issue_receipt(conn, peer, seq, signed.digest, register.now_ms, joined, signed.text)
    rows = [
        _inbox_row(one, register.now_ms, seq, at, item_bytes[at], leaves[at])
        for at, one in enumerate(rulings)
        if isinstance(one, _Accepted)
    ]
    if rows:
        conn.execute(insert(inbox), rows)
    inbox_rows.tell_received(conn, rows, register.now_ms)
    return [
        ItemReceipt(signed.text, item, at, tree.inclusion_proof(at, tree.size))
        for at, item in enumerate(items)
    ]


def _append_leaves(
    conn: Connection, register: Register, rulings: Sequence[_Accepted | _Refused]
) -> dict[int, bytes]:
    """Position → leaf hash for every message that is stored; a refusal leaves no trace there."""
    facts: dict[int, Fact] = {}
    for at, one in enumerate(rulings):
        if isinstance(one, _Accepted) and one.item.naming is not None:
            naming = one.item.naming
            facts[at] = Fact(LeafKind.RECEIVE, naming.subject, naming.commit)
    appended = remember_all(conn, list(facts.values()), register.now_ms)
    return {at: one.hash for at, one in zip(facts, appended, strict=True)}


def _receipt_item(ruling: _Accepted | _Refused, leaf_hash: bytes | None) -> ReceiptItem:
    signed = ruling.item.signed
    if isinstance(ruling, _Refused):
        code = ruling.problem.value
        return ReceiptItem(signed.manifest.id, signed.digest, ItemState.REJECTED, code)
    state = ItemState.HELD if ruling.state == HELD else ItemState.STORED
    return ReceiptItem(signed.manifest.id, signed.digest, state, None, leaf_hash)


def _inbox_row(
    ruling: _Accepted, now: int, seq: int, index: int, item: bytes, leaf_hash: bytes
) -> dict[str, Any]:
    signed, body = ruling.item.signed, ruling.item.frame.body
    manifest, naming = signed.manifest, ruling.item.naming
    return {
        "peer": manifest.sender,
        "id": manifest.id,
        "digest": signed.digest,
        "link": ruling.item.link,
        "type": manifest.type,
        "stream": manifest.stream,
        "seq": manifest.seq,
        "prev": manifest.prev,
        "state": ruling.state,
        "received_at": now,
        "settled_at": now if ruling.state == VOIDED else None,
        "attempts": 0,
        "next_at": 0,
        "code": None,
        "receipt_seq": seq,
        "item_index": index,
        "item": item.decode(),
        "leaf": leaf_hash,
        "document": None if naming is None else naming.document,
        "media_type": manifest.body.media_type,
        "size": len(body),
        "manifest": signed.text,
        "body": body,
    }
