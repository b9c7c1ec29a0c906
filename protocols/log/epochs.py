"""Epochs of a log's witness policy: which counts for a checkpoint, and how one hands over (R16).

The member list names every epoch of a log. A later one counts only from the size at which it was
handed over: the log appends a leaf that names both policies and its own index, and the checkpoint
that ends with that leaf is cosigned by the old and by the new quorum. Until then the old policy
holds. That checkpoint with the leaf's path is the hand-over file; receipts and bundles bring it
along, and the next member list names the size (`since`), so that who has only that needs no file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from protocols.digest import from_hex, sha256
from protocols.log import cosignature, leaf, merkle, note, votes
from protocols.log import policy as log_policy
from protocols.log import proof as log_proof
from protocols.log.leaf import LeafKind
from protocols.log.note import Signature, VerifierKey
from protocols.log.policy import Policy, Witness
from protocols.log.proof import CheckedCheckpoint
from protocols.members.entries import LogEntry
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError

if TYPE_CHECKING:
    from protocols.log.votes import Counts
    from protocols.member_list import MemberList

TYPE = "urn:pratique:log-hand-over"
MEDIA_TYPE = "application/json"
MAX_BYTES = 512 * 1024
MAX_CARRIED = 64
_SUBJECT = b"pratique/log-policy/v1\x00"
_CODE = "hand_over_malformed"


def policy_of(entry: LogEntry) -> Policy:
    """The listed policy of one epoch; without a text nobody witnesses."""
    return log_policy.parse(entry.policy) if entry.policy else Policy()


def in_force(epochs: Iterable[LogEntry], size: int | None = None) -> LogEntry | None:
    """The epoch that counts for a checkpoint of `size` leaves; None: for the newest one.

    The first listed epoch needs no hand-over; later ones count from the size they were handed
    over at, and not at all before that is known.
    """
    listed = sorted(epochs, key=lambda entry: entry.epoch)
    done = [
        entry
        for number, entry in enumerate(listed)
        if number == 0 or (entry.since is not None and (size is None or entry.since <= size))
    ]
    return done[-1] if done else None


def pending(epochs: Sequence[LogEntry]) -> LogEntry | None:
    """The youngest listed epoch, when it was not handed over to yet."""
    youngest = max(epochs, key=lambda entry: entry.epoch, default=None)
    return None if youngest is None or youngest == in_force(epochs) else youngest


def handed_over(
    logs: Iterable[LogEntry], known: Mapping[tuple[str, int, bytes], int]
) -> tuple[LogEntry, ...]:
    """The entries with the hand-overs that are known: (origin, epoch, policy) → first size."""
    return tuple(
        entry
        if entry.since is not None
        else replace(entry, since=known.get((entry.origin, entry.epoch, policy_digest(entry))))
        for entry in logs
    )


def as_known_by(members: MemberList, other: MemberList) -> MemberList:
    """The list with the sizes of hand-overs that another list of its network knows."""
    known = {
        (entry.origin, entry.epoch, policy_digest(entry)): entry.since
        for entry in other.logs
        if entry.since is not None
    }
    return replace(members, logs=handed_over(members.logs, known))


def with_hand_overs(members: MemberList, carried: Sequence[HandOver]) -> MemberList:
    """The list with the hand-overs that came along and link to it (R5, R16).

    One of an epoch that the list does not name counts for nothing. Raises RefusedError
    `hand_over_not_proven`, also for one that was not from the epoch in force, or that says
    another size than the list or another file does, and what `HandOver.prove` raises.
    """
    if len(carried) > MAX_CARRIED:
        raise MalformedError(_CODE, f"at most {MAX_CARRIED} hand-overs")
    for one in sorted(carried, key=lambda item: (item.origin, item.after)):
        if one.network != members.network:
            raise _unproven("it is of another network")
        epochs = members.log_epochs(one.origin)
        if one.names_listed(epochs):
            since = _linked(one, epochs, votes.under(members))
            known = {(one.origin, one.after, one.new): since}
            members = replace(members, logs=handed_over(members.logs, known))
    return members


def _linked(one: HandOver, epochs: Sequence[LogEntry], counts: Counts) -> int:
    stated = next(entry.since for entry in epochs if entry.epoch == one.after)
    # What the roots have signed as handed over stands, whatever became of a witness since.
    since = one.prove(epochs, counts if stated is None else votes.everybody)
    if stated not in (None, since):
        raise _unproven("another size is known")
    before = in_force(epochs, one.size)
    if before is None or before.epoch != one.before:
        raise _unproven("another epoch was in force")
    return since


def check_checkpoint(
    text: str,
    key: VerifierKey,
    policy: Policy,
    others: Iterable[Policy] = (),
    *,
    origin: str | None = None,
) -> CheckedCheckpoint:
    """As `log_proof.check_checkpoint`, strictly, for a log whose witnesses have changed.

    A line by a witness of another listed epoch must verify, and does not count. Raises what that
    function raises.
    """
    opened = note.parse(text)
    kept, strangers = [], list(others)
    for line in opened.signatures:
        other = None if _is_known(line, key, policy) else _witness_of(line, strangers)
        if other is None:
            kept.append(line)
        else:
            cosignature.verify(opened.text, line, other.key)
    own = note.Note(opened.text, tuple(kept)).to_text()
    return log_proof.check_checkpoint(own, key, policy, origin=origin)


def _is_known(line: Signature, key: VerifierKey, policy: Policy) -> bool:
    return line.names(key) or policy.witness_of(line) is not None


def _witness_of(line: Signature, policies: Iterable[Policy]) -> Witness | None:
    found = (policy.witness_of(line) for policy in policies)
    return next((item for item in found if item is not None), None)


def recount(checked: CheckedCheckpoint, policy: Policy, counts: Counts) -> CheckedCheckpoint:
    """The same without the votes that do not count (R16)."""
    times = votes.counted(checked.witness_times, policy, counts)
    if len(times) == len(checked.witness_times):
        return checked
    witnessed = policy.satisfied(times, origin=checked.checkpoint.origin)
    return replace(checked, witnessed=witnessed, witness_times=MappingProxyType(times))


@dataclass(frozen=True, slots=True)
class HandOver:
    """A change of witnesses: the leaf's statement, the leaf's entry, and its tlog-proof.

    before, after: epochs of the member list; old, new: SHA-256 of their policy texts
    size:          leaves before the hand-over leaf, which is its index
    """

    network: bytes
    origin: str
    before: int
    after: int
    old: bytes
    new: bytes
    size: int
    entry: bytes = b""
    proof: str = ""

    @property
    def since(self) -> int:
        """The first size that the new policy counts for."""
        return self.size + 1

    def statement(self) -> bytes:
        """What the leaf commits to: RFC 8785 JSON."""
        return strict_json.canonical(self._statement())

    def _statement(self) -> dict[str, strict_json.JsonValue]:
        return {
            "type": TYPE,
            "network": self.network.hex(),
            "origin": self.origin,
            "before": self.before,
            "after": self.after,
            "old": self.old.hex(),
            "new": self.new.hex(),
            "size": self.size,
        }

    def subject(self) -> bytes:
        """The leaf's subject: all hand-overs of one log."""
        return sha256(_SUBJECT + self.network + self.origin.encode())

    def commit(self) -> bytes:
        """The leaf's commitment; nothing in the statement is secret."""
        return sha256(self.statement())

    def to_json(self) -> dict[str, strict_json.JsonValue]:
        """The hand-over file's object."""
        return {**self._statement(), "entry": note.encode64(self.entry), "proof": self.proof}

    def to_bytes(self) -> bytes:
        """The hand-over file."""
        return strict_json.canonical(self.to_json())

    def names_listed(self, epochs: Sequence[LogEntry]) -> bool:
        """Whether both epochs are listed, whatever their policies."""
        listed = {entry.epoch for entry in epochs if entry.origin == self.origin}
        return {self.before, self.after} <= listed

    def prove(self, epochs: Sequence[LogEntry], counts: Counts) -> int:
        """Verify it under the listed epochs of its log; the first size of the new epoch.

        Of both quorums only votes count whose keys stood when they cosigned (`votes.under`).
        Raises RefusedError `hand_over_not_proven`, and what the proof's parts raise.
        """
        by_number = {entry.epoch: entry for entry in epochs if entry.origin == self.origin}
        before, after = by_number.get(self.before), by_number.get(self.after)
        if before is None or after is None or self.before >= self.after:
            raise _unproven("the member list does not name these epochs")
        if before.vkey != after.vkey:
            raise _unproven("the epochs have different log keys")
        if (self.old, self.new) != (policy_digest(before), policy_digest(after)):
            raise _unproven("the member list names other policies")
        self._require_leaf()
        self._require_quorums(before, after, counts)
        return self.since

    def _require_leaf(self) -> None:
        found = leaf.decode(self.entry)
        if found.kind is not LeafKind.POLICY or found.subject != self.subject():
            raise _unproven("the leaf is of another kind or log")
        if found.commit != self.commit():
            raise _unproven("the leaf commits to another statement")

    def _require_quorums(self, before: LogEntry, after: LogEntry, counts: Counts) -> None:
        parsed, key = log_proof.parse(self.proof), note.parse_vkey(after.vkey)
        policies = (policy_of(before), policy_of(after))
        log_policy.check(policies[1], self.origin)
        for policy, other in (policies, policies[::-1]):
            checked = check_checkpoint(parsed.checkpoint, key, policy, (other,), origin=self.origin)
            if not recount(checked, policy, counts).witnessed:
                raise _unproven("the old and the new quorum have not both cosigned")
        head = checked.checkpoint
        if (parsed.index, head.size) != (self.size, self.since):
            raise _unproven("the checkpoint does not end with the leaf")
        hash_ = merkle.leaf_hash(self.entry)
        merkle.verify_inclusion(parsed.index, head.size, hash_, parsed.hashes, head.root)


def policy_digest(entry: LogEntry) -> bytes:
    """How a hand-over names a policy."""
    return sha256(entry.policy.encode())


def parse(data: bytes) -> HandOver:
    """A hand-over file from its bytes. Raises `hand_over_malformed` and `json_*`."""
    return read(strict_json.loads_object(data, max_bytes=MAX_BYTES))


def read(value: Mapping[str, strict_json.JsonValue]) -> HandOver:
    """A hand-over from its file's object. Raises `hand_over_malformed`."""
    names = {"type", "network", "origin", "before", "after", "old", "new", "size", "entry"}
    if set(value) != {*names, "proof"} or value["type"] != TYPE:
        raise _malformed(f"the members are {', '.join(sorted(names))} and proof")
    texts = [value[name] for name in ("origin", "entry", "proof")]
    origin, entry, proof = (item if isinstance(item, str) else "" for item in texts)
    before, after, size = (_number(value[name]) for name in ("before", "after", "size"))
    return HandOver(
        network=from_hex(value["network"], pointer="/network"),
        origin=origin,
        before=before,
        after=after,
        old=from_hex(value["old"], pointer="/old"),
        new=from_hex(value["new"], pointer="/new"),
        size=size,
        entry=note.decode64(entry, code=_CODE),
        proof=proof,
    )


def _number(value: strict_json.JsonValue) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise _malformed("epochs and sizes are whole numbers")
    return value


def _malformed(detail: str) -> MalformedError:
    return MalformedError(_CODE, detail)


def _unproven(detail: str) -> RefusedError:
    return RefusedError("hand_over_not_proven", detail)
