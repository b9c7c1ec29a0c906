"""Whether the witnesses that a list's policies name can still make a quorum (R16, R22).

A witness whose key ended has no vote from then on. The policy stays as it is written, so a list can
end so many witnesses that what a policy asks for is never reached again. Judged is the youngest
epoch of the newest log of each member, and every registry; nobody misses a log that ended itself.
Where that epoch was not handed over to yet, the one in force must keep its quorum long enough to
hand over: its cosignatures count no longer than its keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from protocols import times
from protocols.log import epochs as log_epochs
from protocols.log import note
from protocols.log import policy as log_policy
from protocols.log.policy import Policy, Witness
from protocols.members.entries import ListedKey, LogEntry, RegistryEntry
from protocols.members.trust import MemberList
from schemas.errors import RefusedError, TradeError

HAND_OVER_TIME = timedelta(days=1)
"""What logs are given to hand over, from the issue of the list on."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A log or registry (`purpose`) that has no quorum from `at` on: `left` of `count` witnesses.

    needed: how many must cosign, at the least; epoch: of a log
    """

    purpose: str
    origin: str
    at: datetime
    left: int
    count: int
    needed: int
    epoch: int = 0

    def tell(self) -> str:
        """For an error's detail."""
        return (
            f"{self.origin} from {times.to_text(self.at)} on: "
            f"{self.left} of {self.count} left, needed to cosign: {self.needed}"
        )


def lost(members: MemberList) -> list[Lost]:
    """Every quorum that the list's ends of keys take away, whenever that is."""
    found = []
    for purpose, entry in _judged(members):
        one = _lost(members, purpose, entry, _policy(entry.policy))
        if one is not None:
            found.append(one)
    return [*found, *_stranded(members)]


def _stranded(members: MemberList) -> Iterator[Lost]:
    """Logs whose next epoch waits while the one in force has no time to hand over to it."""
    for entry in (one for purpose, one in _judged(members) if purpose == "log"):
        epochs = members.log_epochs(entry.origin)
        held = log_epochs.in_force(epochs)
        if held is None or log_epochs.pending(epochs) is None:
            continue
        one = _lost(members, "log", held, _policy(held.policy))
        if one is not None and one.at < members.issued_at + HAND_OVER_TIME:
            yield one


def newly_lost(old: MemberList, new: MemberList) -> list[Lost]:
    """The quorums that putting `new` in the place of `old` takes away, or takes away earlier."""
    known = [*lost(old), *_lost_before(old)]
    before = {(one.purpose, one.origin, one.epoch): one.at for one in known}
    places = ((one, before.get((one.purpose, one.origin, one.epoch))) for one in lost(new))
    return [one for one, held in places if held is None or one.at < held]


def _lost_before(members: MemberList) -> Iterator[Lost]:
    """The epochs that have no quorum any more: naming others for them takes nothing away."""
    for entry in members.logs:
        one = _lost(members, "log", entry, _policy(entry.policy))
        if one is not None:
            yield one


def require_kept(old: MemberList, new: MemberList) -> None:
    """Raise RefusedError `witness_quorum_lost` for what `newly_lost` finds."""
    found = newly_lost(old, new)
    if found:
        raise RefusedError("witness_quorum_lost", "; ".join(one.tell() for one in found))


def _policy(text: str) -> Policy:
    """The policy; of one that nobody can read nothing is lost."""
    try:
        return log_policy.parse(text) if text else Policy()
    except TradeError:
        return Policy()


def _raw(vkey: str) -> bytes:
    try:
        return note.parse_vkey(vkey).public_key
    except TradeError:
        return b""


def _judged(members: MemberList) -> Iterator[tuple[str, LogEntry | RegistryEntry]]:
    newest: dict[str, LogEntry] = {}
    for entry in members.logs:
        held = newest.get(entry.did)
        if held is None or _place(members, held) < _place(members, entry):
            newest[entry.did] = entry
    for entry in newest.values():
        yield "log", entry
    for registered in members.registries:
        yield "registry", registered


def _place(members: MemberList, entry: LogEntry) -> tuple[str, int]:
    """By the moment of its key, then by epoch: a log is followed by one under another key."""
    keys = _keys(members, entry.did, "log", _raw(entry.vkey))
    since = max((times.to_text(key.valid_from) for key in keys), default="")
    return since, entry.epoch


def _lost(
    members: MemberList, purpose: str, entry: LogEntry | RegistryEntry, policy: Policy
) -> Lost | None:
    voters = policy.voters(entry.origin)
    witnessing = "witness" if purpose == "log" else "registry-witness"
    ends = {one: _witness_end(members, one, witnessing) for one in voters}
    signed = _keys(members, entry.did, purpose, _raw(entry.vkey))
    own_end = _end(signed)
    for at in sorted({end for end in ends.values() if end is not None}):
        if own_end is not None and own_end <= at:
            return None
        left = [one.name for one, end in ends.items() if end is None or at < end]
        if not policy.satisfied(left, origin=entry.origin):
            needed = policy.smallest_quorum()
            epoch = entry.epoch if isinstance(entry, LogEntry) else 0
            return Lost(purpose, entry.origin, at, len(left), len(voters), needed, epoch)
    return None


def _witness_end(members: MemberList, witness: Witness, purpose: str) -> datetime | None:
    did = f"did:web:{witness.key.organisation}"
    return _end(_keys(members, did, purpose, witness.key.public_key))


def _keys(members: MemberList, did: str, purpose: str, raw: bytes) -> list[ListedKey]:
    node = members.node(did)
    listed = node.keys if node is not None else ()
    return [key for key in listed if key.purpose == purpose and key.public.raw() == raw]


def _end(keys: Sequence[ListedKey]) -> datetime | None:
    """When the first of them ends; one that nobody lists has no end that the list tells."""
    ends = (end for key in keys for end in (key.valid_until, key.compromise_announced))
    return min((end for end in ends if end is not None), default=None)
