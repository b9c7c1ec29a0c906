"""A title registry that is a log: its batches, re-executed from the log alone (R22).

The sequencer and every witness run this same code over the same entries and come to the same
state root, or the witness does not cosign. First operation with the next seq in log order wins;
there is no other order. The map holds, per title, the digest of its state, and two kinds of marks
that make a second ISSUE of one manifest, and a second successor of one title, impossible.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import cbor2

from protocols import log_policy, note, times
from protocols.digest import sha256
from protocols.member_list import Freshness
from protocols.note import VerifierKey
from protocols.registry_entries import (
    BatchEntry,
    OperationEntry,
    RootEntry,
    decode,
)
from protocols.sparse_map import SparseMap
from protocols.title import TitleState, apply
from protocols.title_json import map_key, state_digest
from protocols.title_operation import SignedOperation, read_operation, verify_operation
from schemas.errors import ConflictError, RefusedError, TradeError, UnavailableError

if TYPE_CHECKING:
    from datetime import datetime

    from protocols.keys import PublicKey
    from protocols.log_policy import Policy
    from protocols.member_list import MemberList, RegistryEntry
    from protocols.title import Operation, Party

MAX_OPERATIONS = 200
"""Operations in one batch; a batch is re-executed and refused or cosigned as a whole."""

_ARBITER_TAG = "pratique/arbiter/log/1"
_MANIFEST_MARK = b"pratique/registry-map/manifest/1\n"
_SUCCESSOR_MARK = b"pratique/registry-map/successor/1\n"

StateOf: TypeAlias = Callable[[bytes], TitleState | None]
MembersOf: TypeAlias = Callable[[bytes], "MemberList | None"]


@dataclass(frozen=True, slots=True)
class Arbiter:
    """A log arbiter as its network's member list names it: origin, log key, witness policy."""

    origin: str
    vkey: str
    policy_text: str

    @property
    def id(self) -> bytes:
        """Arbiter id: SHA-256 over the registry's vkey and the policy text (R19)."""
        return sha256(cbor2.dumps([_ARBITER_TAG, self.vkey, self.policy_text], canonical=True))

    @property
    def policy_digest(self) -> bytes:
        """SHA-256 of the policy text."""
        return sha256(self.policy_text.encode())

    @property
    def key(self) -> VerifierKey:
        """The key of the registry's log; raises MalformedError `vkey_malformed`."""
        return note.parse_vkey(self.vkey)

    @property
    def policy(self) -> Policy:
        """The parsed policy; raises MalformedError `policy_malformed`."""
        return log_policy.parse(self.policy_text)


def arbiter_of(entry: RegistryEntry) -> Arbiter:
    """The arbiter of a registry in the member list."""
    return Arbiter(entry.origin, entry.vkey, entry.policy)


class MemberTitleKeys:
    """What a member list says about title keys (see `protocols.title_operation.TitleKeys`)."""

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

    members_version: the version of the member list of the last batch; it never goes back
    """

    network: bytes
    arbiter: Arbiter
    number: int = 0
    at_ms: int = 0
    members_version: int = 0
    titles: SparseMap = SparseMap()  # noqa: RUF009  (immutable)


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

    __slots__ = ("_at", "_base", "_changed", "_keys", "_state_of", "_titles", "applied", "batch")

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
        self._titles = base.titles
        self.batch = batch
        self.applied: list[Applied] = []
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
        `title_already_replaced`; `registry_batch_full`.
        """
        if len(self.applied) >= MAX_OPERATIONS:
            raise UnavailableError("registry_batch_full", "the batch is full")
        signed = read_operation(text)
        operation = signed.operation
        if operation.network != self._base.network:
            raise RefusedError("title_other_network", "the operation is for another network")
        if operation.arbiter != self._base.arbiter.id:
            raise RefusedError("title_other_arbiter", "the operation names another arbiter")
        verify_operation(signed, self._keys, self._at)
        state = self._next(operation)
        self._changed[operation.title] = state
        self._titles = self._titles.set(map_key(operation.title), state_digest(state))
        done = Applied(signed, state)
        self.applied.append(done)
        return done

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
        after = replace(self._base, number=batch.number, at_ms=batch.at_ms, titles=self._titles)
        return root, after

    def entries(self) -> tuple[bytes, ...]:
        """The log entries of the closed batch, in order."""
        operations = (OperationEntry(done.signed.text).encode() for done in self.applied)
        return (self.batch.encode(), *operations, self.close()[0].encode())


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


def open_batch(base: Registry, members: MemberList, at_ms: int) -> BatchEntry:
    """The entry that opens the next batch at `at_ms`, never before the last one's time."""
    return BatchEntry(
        base.number + 1, max(at_ms, base.at_ms), members.digest, base.arbiter.policy_digest
    )


@dataclass(frozen=True, slots=True)
class Executed:
    """Whole batches that were re-executed: the registry after all, and each step.

    steps: per batch, the registry after it, its operations, and the entries up to its end
    """

    registry: Registry
    changed: Mapping[bytes, TitleState]
    steps: tuple[tuple[Registry, tuple[Applied, ...], int], ...]


def execute(
    base: Registry, entries: Sequence[bytes], members_of: MembersOf, state_of: StateOf
) -> Executed:
    """Re-execute whole batches of log entries on top of `base`.

    Raises RefusedError `registry_batch_invalid` for a broken order, an operation that does not
    hold or another state root; MalformedError `registry_entry_malformed`; UnavailableError
    `registry_members_unknown` when a batch's member list is not held here yet.
    """
    registry, size = base, 0
    steps: list[tuple[Registry, tuple[Applied, ...], int]] = []
    changed: dict[bytes, TitleState] = {}

    def current(title: bytes) -> TitleState | None:
        return changed.get(title) or state_of(title)

    for batch, operations, root in _batches(entries):
        members = members_of(batch.members_digest)
        if members is None:
            raise UnavailableError("registry_members_unknown", "its member list is not held here")
        run = Execution(registry, batch, members, current)
        for operation in operations:
            _apply_strictly(run, operation.text)
        closing, registry = run.close()
        if closing != root:
            raise RefusedError("registry_batch_invalid", "its state root is another one")
        size += len(operations) + 2
        steps.append((registry, tuple(run.applied), size))
        changed |= {done.state.title: done.state for done in run.applied}
    return Executed(registry, changed, tuple(steps))


def _apply_strictly(run: Execution, text: str) -> None:
    try:
        run.apply(text)
    except TradeError as error:
        raise RefusedError(
            "registry_batch_invalid", f"it holds an operation that is refused: {error.code}"
        ) from error


_Batch: TypeAlias = tuple[BatchEntry, list[OperationEntry], RootEntry]


def _batches(entries: Sequence[bytes]) -> list[_Batch]:
    batches: list[_Batch] = []
    batch: BatchEntry | None = None
    operations: list[OperationEntry] = []
    for entry in map(decode, entries):
        if isinstance(entry, BatchEntry) and batch is None:
            batch, operations = entry, []
        elif isinstance(entry, OperationEntry) and batch is not None:
            operations.append(entry)
        elif isinstance(entry, RootEntry) and batch is not None and operations:
            batches.append((batch, operations, entry))
            batch = None
        else:
            raise RefusedError("registry_batch_invalid", "batch, operations, root: in this order")
    if batch is not None:
        raise RefusedError("registry_batch_invalid", "the last batch has no state root")
    return batches
