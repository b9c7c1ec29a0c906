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
from protocols.log import checkpoint, cosignature, merkle, note, votes
from protocols.log import epochs as log_epochs
from protocols.log import proof as log_proof
from protocols.log.checkpoint import Checkpoint, SignedCheckpoint
from protocols.log.note import Signature
from protocols.log.proof import CheckedCheckpoint
from protocols.member_list import MemberList
from protocols.title.registry import Executed, MembersOf, beginning, execute
from protocols.title.registry_dating import Judge
from protocols.title.registry_freeze import Freeze, Lineage
from protocols.title.registry_wire import AddBatch, origin_hash
from schemas.errors import (
    ConflictError,
    ForbiddenError,
    MalformedError,
    RefusedError,
    SettingsError,
    TradeError,
)


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


@dataclass(frozen=True, slots=True)
class View:
    """What the witness knows beside its mirror.

    newest:     the member list in force here
    members_of: a held version by its digest
    floor:      the most that partners confirmed after a start (R15)
    binding:    the size up to which this witness may have cosigned before it forgot
    freeze:     the end of this arbiter, once it is known (R21)
    """

    now_ms: int
    newest: MemberList
    members_of: MembersOf
    floor: Checkpoint | None = None
    binding: int = 0
    freeze: Freeze | None = None


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

    def __init__(self, network: bytes, lineage: Lineage, cosigner: Cosigner) -> None:
        """Knows nothing yet: the first `add` loads. The last arbiter of `lineage` is cosigned."""
        self.lineage = lineage
        self.arbiter = lineage.arbiters[-1]
        self.log = mirror_log(self.arbiter.origin)
        self._cosigner = cosigner
        self._empty = beginning(network, lineage)
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

    def add(self, conn: Connection, request: AddBatch, view: View) -> MirrorAnswer:
        """Re-execute, hold to the time, cosign.

        Raises UnavailableError `registry_members_unknown` when nothing can be said yet.
        """
        try:
            opened = checkpoint.open_checkpoint(request.checkpoint, self.arbiter.key)
        except MalformedError as error:
            return MirrorAnswer(refusal=error)
        except RefusedError as error:
            return MirrorAnswer(refusal=ForbiddenError("witness_bad_signature", error.detail))
        tree, head = self.load(conn), opened.checkpoint
        placed = self._place(conn, request, head, tree, view.freeze)
        if placed is not None:
            return placed
        try:
            executed = self._execute(conn, request.entries, view.members_of)
            self._extend(tree, head, request.entries, view.floor)
            self._judge(conn, request, executed, tree, view)
        except (RefusedError, MalformedError, ConflictError) as error:
            self.forget()
            return MirrorAnswer(refusal=error)
        return self._accept(conn, opened, executed, request.entries, view)

    def _place(
        self,
        conn: Connection,
        request: AddBatch,
        head: Checkpoint,
        tree: merkle.Tree,
        freeze: Freeze | None,
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
        if freeze is not None and head.size > freeze.at:
            ended = RefusedError("arbiter_frozen", f"this arbiter ended at size {freeze.at}")
            return MirrorAnswer(refusal=ended)
        if request.old != tree.size:
            return MirrorAnswer(old_size=tree.size)
        if head.size != tree.size + len(request.entries):
            wrong = "the checkpoint is over another number of entries"
            return MirrorAnswer(refusal=RefusedError("registry_batch_invalid", wrong))
        return None

    def _execute(
        self, conn: Connection, entries: Sequence[bytes], members_of: MembersOf
    ) -> Executed:
        return execute(
            self._registry,
            entries,
            members_of,
            lambda title: stored.state_of(conn, self.log, title),
        )

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
        require_inherited(tree, self.lineage)

    def _judge(
        self,
        conn: Connection,
        request: AddBatch,
        executed: Executed,
        tree: merkle.Tree,
        view: View,
    ) -> None:
        """Hold what no quorum has cosigned yet to the time (`protocols.title.registry_dating`)."""
        asked = self._checked(request.checkpoint, view.newest)
        settled = asked.checkpoint.size if asked.witnessed else self.lineage.carried
        if request.witnessed:
            shown = self._checked(request.witnessed, view.newest)
            head = shown.checkpoint
            if head.size > tree.size or tree.root(head.size) != head.root:
                raise RefusedError("registry_batch_invalid", "it was witnessed as another log")
            settled = max(settled, head.size if shown.witnessed else 0)
        mine = held(conn, self.arbiter.origin)
        policy = self.arbiter.policy
        Judge(
            now_ms=view.now_ms,
            newest=view.newest,
            vouchers=tuple(asked.witness_times.values()),
            liars=(len(policy.voters(self.arbiter.origin)) - 1) // 3,
            settled=settled,
            binding=max(view.binding, mine.size if mine else 0),
        ).judge(
            self._registry, executed.steps, lambda title: stored.state_of(conn, self.log, title)
        )

    def _checked(self, text: str, members: MemberList) -> CheckedCheckpoint:
        arbiter = self.arbiter
        checked = log_proof.check_checkpoint(text, arbiter.key, arbiter.policy, strict=False)
        return log_epochs.recount(checked, arbiter.policy, votes.under(members))

    def _accept(
        self,
        conn: Connection,
        opened: SignedCheckpoint,
        executed: Executed,
        entries: Sequence[bytes],
        view: View,
    ) -> MirrorAnswer:
        head = opened.checkpoint
        leaves.append_all(conn, entries, view.now_ms, log=self.log)
        stored.put_steps(conn, self.log, self._registry, executed.steps)
        self._registry = executed.registry
        below = view.floor is not None and head.size < view.floor.size
        if below or (self.lineage.documents and head.size <= self.lineage.carried):
            # Mirrored, but not cosigned: partners have seen more, so this is not the newest; and
            # a successor says nothing before it has taken over whole.
            return MirrorAnswer(old_size=head.size)
        mine = held(conn, head.origin)
        if mine is not None and mine.size == head.size:
            return MirrorAnswer(cosignature=self._own_line(mine))  # with the time of the first
        key = self._cosigner.key
        line = cosignature.sign(opened.note.text, view.now_ms // 1000, key, self._cosigner.sign)
        own = [item for item in opened.note.signatures if item.names(self.arbiter.key)]
        text = note.Note(opened.note.text, ()).with_signatures([*own, line]).to_text()
        _hold(conn, head, text, view.now_ms)
        return MirrorAnswer(cosignature=line)

    def _own_line(self, mine: HeldMirror) -> Signature:
        lines = note.parse(mine.note).signatures
        return next(line for line in lines if line.names(self._cosigner.key))


def require_inherited(tree: merkle.Tree, lineage: Lineage) -> None:
    """Raise RefusedError `freeze_lineage_invalid` unless the log begins with what was frozen."""
    for document in lineage.documents:
        said = document.freeze
        if said.at <= tree.size and tree.root(said.at) != said.root:
            raise RefusedError("freeze_lineage_invalid", "it does not begin with the frozen log")


def _hold(conn: Connection, head: Checkpoint, text: str, now_ms: int) -> None:
    values = {"size": head.size, "root": head.root, "note": text, "at": now_ms}
    mine = mirrors.c.origin == head.origin
    if conn.execute(update(mirrors).where(mine).values(**values)).rowcount == 0:
        conn.execute(insert(mirrors).values(origin=head.origin, **values))
