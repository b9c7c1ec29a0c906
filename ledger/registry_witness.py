"""A registry's witness: it mirrors the whole registry, re-executes every batch, then cosigns.

`Mirror.add` runs inside one writing transaction: it checks the checkpoint's signature, the place
of the new entries, their root, every operation and the state root; it stores them, and only then
cosigns with the registry-witness key, which signs nothing else (R22). What cannot be cosigned is a
value, not an exception, because a fork that it proves must be kept in the same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from ledger import log as leaves
from ledger import registry_store as stored
from ledger.registry_tables import mirrors
from ledger.witness import Cosigner
from protocols import checkpoint, cosignature, merkle, note
from protocols.checkpoint import Checkpoint, SignedCheckpoint
from protocols.note import Signature
from protocols.registry import Arbiter, Executed, MembersOf, Registry, execute
from protocols.registry_wire import AddBatch, origin_hash
from schemas.errors import (
    ConflictError,
    ForbiddenError,
    MalformedError,
    RefusedError,
    SettingsError,
    TradeError,
)

MAX_AHEAD_MS = 60_000
"""How far a batch's time may lie ahead of the witness's clock."""


@dataclass(frozen=True, slots=True)
class HeldMirror:
    """What this witness cosigned last: size, root and the note with both signatures."""

    size: int
    root: bytes
    note: str


@dataclass(frozen=True, slots=True)
class MirrorAnswer:
    """What came of a request.

    cosignature: the line to answer with
    old_size:    the size that is held, when the sender's idea of it was wrong
    refusal:     the problem to answer with
    forked_with: the held note, when it and the submitted one may prove two histories
    proof:       the consistency proof between the two, when their sizes differ
    """

    cosignature: Signature | None = None
    old_size: int | None = None
    refusal: TradeError | None = None
    forked_with: str | None = None
    proof: tuple[bytes, ...] = ()


def mirror_log(origin: str) -> str:
    """The name of the mirror's log inside this node."""
    return f"mirror:{origin_hash(origin)[:32]}"


def held(conn: Connection, origin: str) -> HeldMirror | None:
    """What is held of a registry."""
    row = conn.execute(
        select(mirrors.c.size, mirrors.c.root, mirrors.c.note).where(mirrors.c.origin == origin)
    ).one_or_none()
    return None if row is None else HeldMirror(row[0], bytes(row[1]), row[2])


class Mirror:
    """One registry, re-executed. Memory follows the database; after any failure it is reloaded."""

    def __init__(self, network: bytes, arbiter: Arbiter, cosigner: Cosigner) -> None:
        """Knows nothing yet: the first `add` loads."""
        self.arbiter = arbiter
        self.log = mirror_log(arbiter.origin)
        self._cosigner = cosigner
        self._empty = Registry(network=network, arbiter=arbiter)
        self._registry = self._empty
        self._tree: merkle.Tree | None = None

    def forget(self) -> None:
        """Load again before the next batch."""
        self._tree = None

    def load(self, conn: Connection) -> merkle.Tree:
        """The mirrored log's tree; raises SettingsError when it is not what was cosigned."""
        if self._tree is None:
            size = leaves.size(conn, log=self.log)
            tree = merkle.Tree()
            for start, end in leaves.in_pieces(0, size):
                tree.extend(leaves.hashes(conn, start, end, log=self.log))
            self._require_cosigned(conn, tree)
            batch = stored.newest_batch(conn, self.log)
            self._registry = stored.load(conn, self.log, self._empty, batch)
            self._tree = tree
        return self._tree

    def _require_cosigned(self, conn: Connection, tree: merkle.Tree) -> None:
        mine = held(conn, self.arbiter.origin)
        if mine is not None and (tree.size < mine.size or tree.root(mine.size) != mine.root):
            raise SettingsError("registry_damaged", "the mirror is not what was cosigned here")

    def add(
        self,
        conn: Connection,
        request: AddBatch,
        members_of: MembersOf,
        now_ms: int,
        floor: Checkpoint | None = None,
    ) -> MirrorAnswer:
        """Re-execute and cosign. `floor` is what partners confirmed after a start (R15).

        Raises UnavailableError `registry_members_unknown` when nothing can be said yet.
        """
        try:
            opened = checkpoint.open_checkpoint(request.checkpoint, self.arbiter.key)
        except MalformedError as error:
            return MirrorAnswer(refusal=error)
        except RefusedError as error:
            return MirrorAnswer(refusal=ForbiddenError("witness_bad_signature", error.detail))
        tree, head = self.load(conn), opened.checkpoint
        placed = self._place(conn, request, head, tree)
        if placed is not None:
            return placed
        try:
            executed = self._execute(conn, request.entries, members_of, now_ms)
            self._extend(tree, head, request.entries, floor)
        except (RefusedError, MalformedError, ConflictError) as error:
            self.forget()
            return MirrorAnswer(refusal=error)
        return self._accept(conn, opened, executed, request.entries, now_ms, floor)

    def _place(
        self, conn: Connection, request: AddBatch, head: Checkpoint, tree: merkle.Tree
    ) -> MirrorAnswer | None:
        """An answer when the request does not start where this mirror ends."""
        if head.size <= tree.size and head.root != tree.root(head.size):
            mine = held(conn, self.arbiter.origin)
            refusal = RefusedError("registry_forked", "two roots for one size were signed")
            if mine is None:
                return MirrorAnswer(refusal=refusal)
            sizes = sorted((head.size, mine.size))
            proof = tree.consistency_proof(*sizes)
            return MirrorAnswer(refusal=refusal, forked_with=mine.note, proof=proof)
        if request.old != tree.size:
            return MirrorAnswer(old_size=tree.size)
        if head.size != tree.size + len(request.entries):
            wrong = "the checkpoint is over another number of entries"
            return MirrorAnswer(refusal=RefusedError("registry_batch_invalid", wrong))
        return None

    def _execute(
        self, conn: Connection, entries: Sequence[bytes], members_of: MembersOf, now_ms: int
    ) -> Executed:
        executed = execute(
            self._registry,
            entries,
            members_of,
            lambda title: stored.state_of(conn, self.log, title),
        )
        if executed.registry.at_ms > now_ms + MAX_AHEAD_MS:
            raise RefusedError("registry_batch_invalid", "its time lies in the future")
        return executed

    def _extend(
        self,
        tree: merkle.Tree,
        head: Checkpoint,
        entries: Sequence[bytes],
        floor: Checkpoint | None,
    ) -> None:
        tree.extend(map(merkle.leaf_hash, entries))
        if tree.root() != head.root:
            raise RefusedError("registry_batch_invalid", "the entries lead to another log root")
        if floor and floor.size <= tree.size and tree.root(floor.size) != floor.root:
            raise RefusedError("registry_forked", "partners have confirmed another history")

    def _accept(
        self,
        conn: Connection,
        opened: SignedCheckpoint,
        executed: Executed,
        entries: Sequence[bytes],
        now_ms: int,
        floor: Checkpoint | None,
    ) -> MirrorAnswer:
        head = opened.checkpoint
        leaves.append_all(conn, entries, now_ms, log=self.log)
        for after, applied, size in executed.steps:
            stored.put_batch(conn, self.log, after, applied, size + head.size - len(entries))
        self._registry = executed.registry
        if floor is not None and head.size < floor.size:
            # Mirrored, but not cosigned: partners have seen more, so this is not the newest.
            return MirrorAnswer(old_size=head.size)
        key = self._cosigner.key
        line = cosignature.sign(opened.note.text, now_ms // 1000, key, self._cosigner.sign)
        own = [item for item in opened.note.signatures if item.names(self.arbiter.key)]
        text = note.Note(opened.note.text, ()).with_signatures([*own, line]).to_text()
        _hold(conn, head, text, now_ms)
        return MirrorAnswer(cosignature=line)


def _hold(conn: Connection, head: Checkpoint, text: str, now_ms: int) -> None:
    values = {"size": head.size, "root": head.root, "note": text, "at": now_ms}
    mine = mirrors.c.origin == head.origin
    if conn.execute(update(mirrors).where(mine).values(**values)).rowcount == 0:
        conn.execute(insert(mirrors).values(origin=head.origin, **values))
