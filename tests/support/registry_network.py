"""A registry and its witnesses in memory: messages are lost, answers too, clocks go on.

The sequencer and the mirrors are the real ones over real (in-memory) databases; what is simulated
is the network between them and the moment at which each of them runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta

from sqlalchemy import Connection, create_engine

from ledger import log, registry_store
from ledger.registry import Outcome, Sequencer
from ledger.registry_tables import metadata
from ledger.registry_witness import Mirror, MirrorAnswer, View, held
from ledger.witness import Cosigner
from protocols import times
from protocols.log import checkpoint, merkle, note
from protocols.log import proof as log_proof
from protocols.log.checkpoint import Checkpoint
from protocols.log.note import Note, Signature
from protocols.member_list import MemberList
from protocols.title.registry import Registry, beginning
from protocols.title.registry_freeze import Freeze, Lineage
from protocols.title.registry_wire import AddBatch
from tests.support.title_world import (
    ARBITER,
    MEMBERS,
    NOW,
    WITNESSES,
    ecdsa,
    ed,
    log_key,
    witness_key,
)

LINE = Lineage((ARBITER,))
QUORUM = 3


def database() -> Connection:
    """A fresh database with the registry's tables."""
    connection = create_engine("sqlite://").connect()
    metadata.create_all(connection)
    return connection


@dataclass
class WitnessNode:
    """A witness: its database lives longer than its memory."""

    name: str
    conn: Connection = field(default_factory=database)
    floor: Checkpoint | None = None
    binding: int = 0
    freeze: Freeze | None = None
    newest: MemberList = MEMBERS
    lists: dict[bytes, MemberList] = field(default_factory=lambda: {MEMBERS.digest: MEMBERS})

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Lose the memory."""
        signer = ed(self.name, "registry-witness")
        cosigner = Cosigner(witness_key(self.name), signer.sign)
        self.mirror = Mirror(MEMBERS.network, LINE, cosigner)

    def add(self, asked: AddBatch, now_ms: int) -> MirrorAnswer:
        """As over the wire."""
        view = View(now_ms, self.newest, self.lists.get, self.floor, self.binding, self.freeze)
        return self.mirror.add(self.conn, asked, view)

    @property
    def size(self) -> int:
        """What it has cosigned."""
        mine = held(self.conn, ARBITER.origin)
        return mine.size if mine else 0


@dataclass
class RegistryNetwork:
    """One sequencer, four witnesses, three of whom make a quorum."""

    now_ms: int = times.to_ms(NOW)
    conn: Connection = field(default_factory=database)
    witnesses: dict[str, WitnessNode] = field(
        default_factory=lambda: {name: WitnessNode(name) for name in WITNESSES}
    )
    reachable: set[str] = field(default_factory=lambda: set(WITNESSES))
    lossy: set[str] = field(default_factory=set)  # their answers are lost
    lines: dict[int, dict[str, Signature]] = field(default_factory=dict)
    final: dict[int, Registry] = field(default_factory=dict)  # by size
    members: MemberList = MEMBERS

    def __post_init__(self) -> None:
        self.sequencer = Sequencer("registry", ecdsa("nhl", "exchange"))
        self.registry = beginning(MEMBERS.network, LINE)

    def restart(self) -> None:
        """The sequencer loses its memory."""
        newest = registry_store.newest_batch(self.conn, "registry")
        empty = beginning(MEMBERS.network, LINE)
        self.registry = registry_store.load(self.conn, "registry", empty, newest)

    def later(self, **delta: float) -> None:
        """Time goes by."""
        self.now_ms += int(timedelta(**delta).total_seconds() * 1000)

    @property
    def settled(self) -> int:
        """The size up to which everything is final."""
        return max(self.final, default=0)

    @property
    def outstanding(self) -> bool:
        """Whether a batch waits for its quorum."""
        return self.registry.size > self.settled

    def hand_in(self, *texts: str) -> tuple[Outcome, ...]:
        """One batch, if none is outstanding."""
        assert not self.outstanding
        done = self.sequencer.sequence(self.conn, self.registry, texts, self.members, self.now_ms)
        self.registry = done.registry or self.registry
        return done.outcomes

    def restate(self) -> None:
        """Judge the outstanding batch again, now."""
        done = self.sequencer.restate(self.conn, self.registry, self.members, self.now_ms)
        assert done.registry is not None
        self.registry = done.registry

    def entries(self) -> list[bytes]:
        """The whole log."""
        return [leaf.entry for leaf in log.read(self.conn, 0, 10_000, log="registry")]

    def note(self, size: int) -> str:
        """The checkpoint of that size with the cosignatures there are."""
        tree = merkle.Tree(map(merkle.leaf_hash, self.entries()[:size]))
        head = Checkpoint(ARBITER.origin, size, tree.root())
        made = checkpoint.sign(head, log_key("nhl"), ed("nhl", "registry").sign)
        lines = tuple(self.lines.get(size, {}).values())
        return replace(made, signatures=made.signatures + lines).to_text()

    def gather(self) -> dict[str, str]:
        """Ask every witness that can be reached; the refusals' codes."""
        size, refused = self.registry.size, {}
        if size == 0:
            return {}
        for name in sorted(self.reachable):
            answer = self._ask(self.witnesses[name], size)
            if answer.refusal is not None:
                refused[name] = answer.refusal.code
            if answer.cosignature is not None and name not in self.lossy:
                self.lines.setdefault(size, {})[name] = answer.cosignature
        if self.is_witnessed(size):
            self.final[size] = self.registry
        return refused

    def _ask(self, witness: WitnessNode, size: int) -> MirrorAnswer:
        witnessed = self.note(self.settled) if self.settled else ""
        answer = witness.add(AddBatch(10**9, self.note(size), (), witnessed), self.now_ms)
        for _ in range(3):
            if answer.old_size is None:
                break
            entries = tuple(self.entries()[answer.old_size : size])
            asked = AddBatch(answer.old_size, self.note(size), entries, witnessed)
            answer = witness.add(asked, self.now_ms)
        return answer

    def is_witnessed(self, size: int) -> bool:
        """Whether that checkpoint has its quorum, by the check that every verifier makes."""
        text = self.note(size)
        return log_proof.check_checkpoint(text, ARBITER.key, ARBITER.policy).witnessed

    def free(self) -> set[str]:
        """The witnesses that say that they have not cosigned the outstanding batch."""
        return {name for name in self.reachable if self.witnesses[name].size < self.registry.size}

    def signed_heads(self) -> dict[str, Note]:
        """What each witness holds."""
        found = {name: held(one.conn, ARBITER.origin) for name, one in self.witnesses.items()}
        return {name: note.parse(one.note) for name, one in found.items() if one}
