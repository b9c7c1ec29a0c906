"""A title registry that is a log: its batches, re-executed from the log alone (R22).

The sequencer and every witness run this same code over the same entries and come to the same
state root, or the witness does not cosign. First operation with the next seq in log order wins;
there is no other order. The map holds, per title, the digest of its state, and two kinds of marks
that make a second ISSUE of one manifest, and a second successor of one title, impossible.

A batch that no quorum saw in its time is restated: its operations are judged again at the time of
a later batch, which the log shows. A log that continues a frozen one begins with its entries (R21).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from protocols import times
from protocols.digest import sha256
from protocols.member_list import Freshness
from protocols.title import registry_freeze
from protocols.title.json_forms import map_key, state_digest
from protocols.title.machine import TitleState, apply
from protocols.title.operation import SignedOperation, read_operation, verify_operation
from protocols.title.registry_entries import (
    BatchEntry,
    HandOverEntry,
    OperationEntry,
    RootEntry,
    decode,
)
from protocols.title.registry_freeze import Arbiter, Lineage, MembersOf, arbiter_of
from protocols.title.sparse_map import SparseMap
from schemas.errors import ConflictError, RefusedError, TradeError, UnavailableError

if TYPE_CHECKING:
    from datetime import datetime

    from protocols.keys import PublicKey
    from protocols.member_list import MemberList
    from protocols.title.machine import Operation, Party

__all__ = [
    "MAX_OPERATIONS",
    "Applied",
    "Arbiter",
    "Executed",
    "Execution",
    "LastBatch",
    "MembersOf",
    "Registry",
    "Step",
    "arbiter_of",
    "beginning",
    "execute",
    "hand_over",
    "marks",
    "open_batch",
    "restate",
]

MAX_OPERATIONS = 200
"""Operations in one batch; a batch is re-executed and refused or cosigned as a whole."""

_MANIFEST_MARK = b"pratique/registry-map/manifest/1\n"
_SUCCESSOR_MARK = b"pratique/registry-map/successor/1\n"

StateOf: TypeAlias = Callable[[bytes], TitleState | None]


class MemberTitleKeys:
    """What a member list says about title keys (see `protocols.title.operation.TitleKeys`)."""

    __slots__ = ("_members",)

    def __init__(self, members: MemberList) -> None:
        """Over one version of the list."""
        self._members = members

    def title_key(self, kid: str, at: datetime) -> PublicKey | None:
        """The listed title key of that id, if it is valid at `at`."""
        key = self._members.key(kid)
        if key is None or key.purpose != "title" or not key.valid_at(at):
            return None
        return key.public

    def has_title_key(self, party: Party, at: datetime) -> bool:
        """Whether the party's DID has a valid title key with that thumbprint."""
        owner = self._members.party(party.did) or self._members.node(party.did)
        keys = owner.keys if owner else ()
        return any(
            key.purpose == "title" and key.valid_at(at) and key.public.thumbprint() == party.key
            for key in keys
        )

    def may_issue(self, did: str) -> bool:
        """Whether the member is a carrier."""
        node = self._members.node(did)
        return node is not None and "carrier" in node.roles


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry between two batches: the last batch's number and time, and the map.

    arbiter:         whose turn it is
    size:            entries of the log up to here
    members_version: the version of the member list of the last batch; it never goes back
    last:            what it takes to restate the last batch
    lineage:         all the arbiters of this log in turn; None when there is only one
    """

    network: bytes
    arbiter: Arbiter
    number: int = 0
    at_ms: int = 0
    members_version: int = 0
    titles: SparseMap = SparseMap()  # noqa: RUF009  (immutable)
    size: int = 0
    last: LastBatch | None = field(default=None, compare=False, repr=False)
    lineage: Lineage | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class LastBatch:
    """A batch that can be restated: the registry before it, its operations, the states before."""

    before: Registry
    texts: tuple[str, ...]
    previous: Mapping[bytes, TitleState | None]


def beginning(network: bytes, lineage: Lineage) -> Registry:
    """The empty registry at the start of that log."""
    return Registry(network=network, arbiter=lineage.arbiters[0], lineage=lineage)


@dataclass(frozen=True, slots=True)
class Applied:
    """One operation that was accepted, and the state of its title after it."""

    signed: SignedOperation
    state: TitleState


def marks(manifest_digest: bytes, replaces: bytes | None) -> dict[bytes, str]:
    """The once-only marks that an ISSUE sets in the map: key → code when it is set already."""
    keys = {sha256(_MANIFEST_MARK + manifest_digest): "title_manifest_reused"}
    if replaces is not None:
        keys[sha256(_SUCCESSOR_MARK + replaces)] = "title_already_replaced"
    return keys


class Execution:
    """One batch being executed; the registry it started from is never changed.

    `state_of` gives the state of a title before the batch.
    """

    __slots__ = (
        "_at",
        "_base",
        "_changed",
        "_keys",
        "_previous",
        "_state_of",
        "_texts",
        "_titles",
        "applied",
        "batch",
        "size",
        "voided",
    )

    def __init__(
        self, base: Registry, batch: BatchEntry, members: MemberList, state_of: StateOf
    ) -> None:
        """Check the batch against what came before.

        Raises RefusedError `registry_batch_invalid`, `registry_members_stale`.
        """
        _require_batch(base, batch, members)
        self._base = base
        self._at = times.from_ms(batch.at_ms)
        self._keys = MemberTitleKeys(members)
        self._state_of = state_of
        self._changed: dict[bytes, TitleState] = {}
        self._previous: dict[bytes, TitleState | None] = {}
        self._texts: tuple[str, ...] | None = None
        self._titles = base.titles
        self.batch = batch
        self.applied: list[Applied] = []
        self.voided: list[tuple[SignedOperation, TradeError]] = []
        self.size = base.size
        if members.freshness(self._at) is not Freshness.FRESH:
            raise RefusedError("registry_members_stale", "title has no grace after expiry (R6)")
        self._base = replace(base, members_version=members.version)

    def state_of(self, title: bytes) -> TitleState | None:
        """The state of a title as of now in this batch."""
        return self._changed.get(title) or self._state_of(title)

    def apply(self, text: str) -> Applied:
        """Execute one operation. On any TradeError nothing has changed.

        Raises as `read_operation`, `verify_operation` and `title.apply`; RefusedError
        `title_other_network`, `title_other_arbiter`; ConflictError `title_manifest_reused`,
        `title_already_replaced`; `registry_batch_full`, `arbiter_frozen`.
        """
        if len(self.applied) >= MAX_OPERATIONS:
            raise UnavailableError("registry_batch_full", "the batch is full")
        signed = read_operation(text)
        operation = signed.operation
        if operation.network != self._base.network:
            raise RefusedError("title_other_network", "the operation is for another network")
        self._require_arbiter(operation.arbiter)
        verify_operation(signed, self._keys, self._at)
        before = self.state_of(operation.title)
        state = self._next(operation)
        self._previous.setdefault(operation.title, before)
        self._changed[operation.title] = state
        self._titles = self._titles.set(map_key(operation.title), state_digest(state))
        done = Applied(signed, state)
        self.applied.append(done)
        return done

    def judge_again(self, last: LastBatch) -> None:
        """Execute the operations of the batch that this one restates; some no longer hold."""
        self._texts = last.texts
        for text in last.texts:
            try:
                self.apply(text)
            except TradeError as error:
                self.voided.append((read_operation(text), error))

    def _require_arbiter(self, named: bytes) -> None:
        if named == self._base.arbiter.id:
            return
        lineage = self._base.lineage
        if lineage and named in {arbiter.id for arbiter in lineage.arbiters}:
            raise RefusedError("arbiter_frozen", "it is for an arbiter whose turn is over")
        raise RefusedError("title_other_arbiter", "the operation names another arbiter")

    def _next(self, operation: Operation) -> TitleState:
        issuance = operation.issuance
        old = issuance.replaces if issuance else None
        replaced = self.state_of(old) if old else None
        state = apply(self.state_of(operation.title), operation, self._at, replaced=replaced)
        if issuance is not None:
            self._mark(marks(operation.entry, old), operation.title)
        return state

    def _mark(self, keys: Mapping[bytes, str], title: bytes) -> None:
        for key, code in keys.items():
            if self._titles.get(key) is not None:
                raise ConflictError(code, "another title was issued for this before", seq=0)
        for key in keys:
            self._titles = self._titles.set(key, title)

    def close(self) -> tuple[RootEntry, Registry]:
        """The root entry that ends the batch, and the registry after it."""
        batch = self.batch
        root = RootEntry(self._base.network, batch.number, batch.at_ms, self._titles.root)
        texts = self._texts
        if texts is None:
            texts = tuple(done.signed.text for done in self.applied)
        after = replace(
            self._base,
            number=batch.number,
            at_ms=batch.at_ms,
            titles=self._titles,
            size=self.size + (2 if batch.restates else len(self.applied) + 2),
            last=LastBatch(replace(self._base, last=None), texts, self._previous),
        )
        return root, after

    def step(self) -> Step:
        """The closed batch, to be stored."""
        _, after = self.close()
        entries = after.size - self.size
        return Step(after, tuple(self.applied), entries, self.batch, tuple(self.voided))

    def entries(self) -> tuple[bytes, ...]:
        """The log entries of the closed batch, in order."""
        operations = (OperationEntry(done.signed.text).encode() for done in self.applied)
        between = () if self.batch.restates else operations
        return (self.batch.encode(), *between, self.close()[0].encode())


def _require_batch(base: Registry, batch: BatchEntry, members: MemberList) -> None:
    faults = {
        "its number does not follow": batch.number != base.number + 1,
        "its time lies before the last batch": batch.at_ms < base.at_ms,
        "it names another policy": batch.policy_digest != base.arbiter.policy_digest,
        "it names another member list": batch.members_digest != members.digest,
        "the member list is of another network": members.network != base.network,
        "the member list is older than the last batch's": members.version < base.members_version,
    }
    for detail, wrong in faults.items():
        if wrong:
            raise RefusedError("registry_batch_invalid", detail)


def open_batch(
    base: Registry, members: MemberList, at_ms: int, *, restates: bool = False
) -> BatchEntry:
    """The entry that opens the next batch at `at_ms`, never before the last one's time."""
    policy = base.arbiter.policy_digest
    return BatchEntry(base.number + 1, max(at_ms, base.at_ms), members.digest, policy, restates)


def restate(base: Registry, batch: BatchEntry, members: MemberList, state_of: StateOf) -> Execution:
    """The last batch of `base` taken back and its operations judged at the time of `batch`.

    `state_of` gives states after `base`. Raises as `Execution`.
    """
    last = base.last
    if last is None:
        raise RefusedError("registry_batch_invalid", "there is no batch to restate")
    moment = {"number": base.number, "at_ms": base.at_ms, "members_version": base.members_version}

    def before(title: bytes) -> TitleState | None:
        return last.previous[title] if title in last.previous else state_of(title)

    run = Execution(replace(last.before, **moment), batch, members, before)  # type: ignore[arg-type] # all ints
    run.size = base.size
    run.judge_again(last)
    return run


def hand_over(base: Registry, entry: HandOverEntry, members: MemberList) -> Registry:
    """The registry in the hands of the successor that the signed freeze names (R21).

    members: the list that the freeze names. The root of the log at the frozen size is the
    caller's to compare, who has the log. Raises RefusedError `registry_batch_invalid` and as
    `SignedFreeze.verify`, MalformedError `freeze_malformed`.
    """
    said = registry_freeze.read(entry.document).verify(members)
    lineage, batch = base.lineage or Lineage((base.arbiter,)), entry.batch
    turn = lineage.position(base.size)
    following = lineage.arbiters[turn + 1 :]
    faults = {
        "nobody follows this arbiter": not following,
        "the document ends another arbiter": said.arbiter != base.arbiter,
        "it ends at another place": (said.at, said.state_root) != (base.size, base.titles.root),
        "it names another successor": bool(following) and said.successor != following[0].id,
        "its number does not follow": batch.number != base.number + 1,
        "its time lies before the last batch": batch.at_ms < base.at_ms,
        "it names another policy": bool(following)
        and batch.policy_digest != following[0].policy_digest,
    }
    for detail, wrong in faults.items():
        if wrong:
            raise RefusedError("registry_batch_invalid", detail)
    moved = replace(base, arbiter=following[0], number=batch.number, at_ms=batch.at_ms)
    return replace(moved, size=base.size + 2, last=None)


@dataclass(frozen=True, slots=True)
class Step:
    """One batch that was re-executed: the registry after it and its operations.

    size:     entries up to its end, of those that were given
    voided:   of a restatement, the operations that no longer hold, and why
    moment:   what opened it
    """

    registry: Registry
    applied: tuple[Applied, ...]
    size: int
    moment: BatchEntry
    voided: tuple[tuple[SignedOperation, TradeError], ...] = ()

    def changes(self, before: Registry) -> dict[bytes, TitleState | None]:
        """The states that it changed, with those that a restatement took back."""
        changed: dict[bytes, TitleState | None] = {}
        if self.moment.restates and before.last is not None:
            changed |= before.last.previous
        return changed | {done.state.title: done.state for done in self.applied}


@dataclass(frozen=True, slots=True)
class Executed:
    """Whole batches that were re-executed: the registry after all, and each step.

    changed: the states of the titles they touched; None for one that is not issued after all
    """

    registry: Registry
    changed: Mapping[bytes, TitleState | None]
    steps: tuple[Step, ...]


def execute(
    base: Registry, entries: Sequence[bytes], members_of: MembersOf, state_of: StateOf
) -> Executed:
    """Re-execute whole batches of log entries on top of `base`.

    Raises RefusedError `registry_batch_invalid` for a broken order, an operation that does not
    hold or another state root; MalformedError `registry_entry_malformed`; UnavailableError
    `registry_members_unknown` when a batch's member list is not held here yet.
    """
    registry, size = base, 0
    steps: list[Step] = []
    changed: dict[bytes, TitleState | None] = {}

    def current(title: bytes) -> TitleState | None:
        return changed[title] if title in changed else state_of(title)

    for opening, operations, root in _batches(entries):
        size += len(operations) + 2
        step = _step(registry, opening, operations, members_of, current, size)
        if root != _root(step.registry):
            raise RefusedError("registry_batch_invalid", "its state root is another one")
        changed |= step.changes(registry)
        registry = step.registry
        steps.append(step)
    return Executed(registry, changed, tuple(steps))


def _step(
    base: Registry,
    opening: BatchEntry | HandOverEntry,
    operations: Sequence[OperationEntry],
    members_of: MembersOf,
    state_of: StateOf,
    size: int,
) -> Step:
    """One batch, whatever its kind; its root entry is the caller's to compare."""
    if isinstance(opening, HandOverEntry):
        named = _members(members_of, registry_freeze.read(opening.document).freeze.members)
        return Step(hand_over(base, opening, named), (), size, opening.batch)
    members = _members(members_of, opening.members_digest)
    if opening.restates:
        run = restate(base, opening, members, state_of)
    else:
        _require_turn(base)
        run = Execution(base, opening, members, state_of)
        for operation in operations:
            _apply_strictly(run, operation.text)
    _, after = run.close()
    return Step(after, tuple(run.applied), size, opening, tuple(run.voided))


def _require_turn(base: Registry) -> None:
    """Nothing but its hand-over comes after the end of an arbiter (R21)."""
    lineage = base.lineage
    if lineage is not None and any(one.freeze.at == base.size for one in lineage.documents):
        raise RefusedError("registry_batch_invalid", "the arbiter ends here")


def _members(members_of: MembersOf, digest: bytes) -> MemberList:
    members = members_of(digest)
    if members is None:
        raise UnavailableError("registry_members_unknown", "its member list is not held here")
    return members


def _root(after: Registry) -> RootEntry:
    return RootEntry(after.network, after.number, after.at_ms, after.titles.root)


def _apply_strictly(run: Execution, text: str) -> None:
    try:
        run.apply(text)
    except TradeError as error:
        raise RefusedError(
            "registry_batch_invalid", f"it holds an operation that is refused: {error.code}"
        ) from error


_Batch: TypeAlias = tuple[BatchEntry | HandOverEntry, list[OperationEntry], RootEntry]


def _batches(entries: Iterable[bytes]) -> list[_Batch]:
    batches: list[_Batch] = []
    opening: BatchEntry | HandOverEntry | None = None
    operations: list[OperationEntry] = []
    for entry in map(decode, entries):
        if isinstance(entry, BatchEntry | HandOverEntry) and opening is None:
            opening, operations = entry, []
        elif isinstance(entry, OperationEntry) and opening is not None and _takes(opening):
            operations.append(entry)
        elif isinstance(entry, RootEntry) and opening is not None:
            if _takes(opening) and not operations:
                raise RefusedError("registry_batch_invalid", "a batch has operations")
            batches.append((opening, operations, entry))
            opening = None
        else:
            raise RefusedError("registry_batch_invalid", "batch, operations, root: in this order")
    if opening is not None:
        raise RefusedError("registry_batch_invalid", "the last batch has no state root")
    return batches


def _takes(opening: BatchEntry | HandOverEntry) -> bool:
    return isinstance(opening, BatchEntry) and not opening.restates
