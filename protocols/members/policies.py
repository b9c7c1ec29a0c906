"""Logs, registries and their witness policies, made from the keys that nodes list.

Names follow from the DID: `<host>/log/1`, `<host>/witness/1`, `<host>/registry/1` and
`<host>/registry-witness/1`, numbered like their keys. Nobody witnesses for itself (R16); registry
witnesses have keys of their own (R22).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from protocols.log import note
from protocols.log import policy as log_policy
from protocols.members.drafting import MemberListDraft
from protocols.members.entries import ListedKey, LogEntry, NodeEntry, RegistryEntry
from schemas.errors import RefusedError


def log_of(node: NodeEntry, policy: str = "") -> LogEntry | None:
    """The node's log, named by its newest log key; None when it lists no log key.

    The number in the key's id is the log's: a log's name is never used for another key (R15).
    """
    listed = _newest_key(node, "log")
    if listed is None:
        return None
    key = note.log_key(node.did, listed.public.raw(), _number(listed.kid))
    return LogEntry(key.name, node.did, key.to_text(), 1, policy)


def next_log(entry: LogEntry, earlier: Sequence[LogEntry]) -> LogEntry:
    """A node's new log, with the witnesses and the quorum of the log before it (R15).

    The policy is the roots' to give, not the node's to bring.
    """
    before = max(earlier, key=lambda one: one.epoch, default=None)
    if before is None or not before.policy:
        return replace(entry, policy="")
    policy = log_policy.parse(before.policy)
    voters = [(item.key, item.url) for item in policy.voters(before.origin)]
    text = log_policy.threshold_policy(
        note.parse_vkey(entry.vkey), voters, policy.smallest_quorum()
    )
    return replace(entry, policy=text)


def _newest_key(node: NodeEntry, purpose: str) -> ListedKey | None:
    fitting = [key for key in node.keys if key.purpose == purpose and key.valid_until is None]
    return max(fitting, key=lambda key: (key.valid_from, _number(key.kid)), default=None)


def _number(kid: str) -> int:
    number = kid.rpartition("-")[2]
    return int(number) if number.isdecimal() else 1


def with_witnesses(
    draft: MemberListDraft,
    witnesses: Sequence[str],
    quorum: int | None = None,
    *,
    known: Sequence[str] = (),
) -> MemberListDraft:
    """The draft with a policy for every log: `quorum` of the witnesses, the operator left out.

    known: vkeys without a vote whose lines must verify, as `log_policy.threshold_policy` takes them

    quorum None takes the smallest that tolerates ⌊(n−1)/3⌋ liars. Where a log has witnesses
    already, the policy is a new epoch that waits for the log's hand-over (R16). Raises
    RefusedError `policy_*` and `witness_without_key`.
    """
    keys = [note.parse_vkey(text) for text in known]
    for origin in dict.fromkeys(log.origin for log in draft.logs):
        draft = _with_policy(draft, origin, witnesses, quorum, keys)
    return draft


def _with_policy(
    draft: MemberListDraft,
    origin: str,
    witnesses: Sequence[str],
    quorum: int | None,
    known: Sequence[note.VerifierKey],
) -> MemberListDraft:
    """One log's policy: in the place of none or of one that was never in force, else as an epoch.

    An epoch that waits is not edited, because its log may be handing over to it just now.
    """
    epochs = [log for log in draft.logs if log.origin == origin]
    youngest = max(epochs, key=lambda log: log.epoch)
    policy = log_witness_policy(draft, youngest.did, youngest.vkey, witnesses, quorum, known=known)
    if policy == youngest.policy:
        return draft
    if not youngest.policy:
        return draft.with_log(replace(youngest, policy=policy))
    return draft.with_log(replace(youngest, epoch=youngest.epoch + 1, policy=policy, since=None))


def log_witness_policy(
    draft: MemberListDraft,
    did: str,
    vkey: str,
    witnesses: Sequence[str],
    quorum: int | None,
    *,
    known: Sequence[note.VerifierKey] = (),
) -> str:
    """The tlog-policy text of one log."""
    keys = [_log_witness(draft, one) for one in witnesses if one != did]
    return _policy(note.parse_vkey(vkey), keys, quorum, known)


def registry_of(
    draft: MemberListDraft, did: str, witnesses: Sequence[str], quorum: int | None = None
) -> RegistryEntry:
    """The title registry that `did` sequences and the witnesses re-execute (R22).

    Where one of another key or policy is listed already, it is `<host>/registry/2` and so on: it
    takes over the titles of the other by a hand-over only (R21).
    """
    node = _node(draft, did)
    listed_key = _newest_key(node, "registry")
    if listed_key is None:
        raise RefusedError("witness_without_key", f"{did} lists no registry key")
    host = did.removeprefix("did:web:")
    listed = {entry.origin: entry for entry in draft.registries}
    for number in range(1, len(listed) + 2):
        key = note.verifier_key(f"{host}/registry/{number}", note.ED25519, listed_key.public.raw())
        keys = [_registry_witness(draft, one) for one in witnesses if one != did]
        made = RegistryEntry(key.name, did, key.to_text(), _policy(key, keys, quorum))
        # Another key or policy is another arbiter (R19): titles stay with the one that is listed.
        if listed.get(key.name) in (None, made):
            break
    return made


def _log_witness(draft: MemberListDraft, did: str) -> note.VerifierKey:
    key = _witness_key(draft, did, "witness")
    return note.witness_key(did, key.public.raw(), _number(key.kid))


def _registry_witness(draft: MemberListDraft, did: str) -> note.VerifierKey:
    key = _witness_key(draft, did, "registry-witness")
    name = f"{did.removeprefix('did:web:')}/registry-witness/{_number(key.kid)}"
    return note.verifier_key(name, note.COSIGNATURE, key.public.raw())


def with_stolen_replaced(draft: MemberListDraft) -> MemberListDraft:
    """The draft whose logs name a member's newest witness key in place of a compromised one.

    The others stay, and so does the quorum; each such log gets an epoch that waits for its
    hand-over (R16), in which the stolen key has no vote. A member without another key stays named.
    """
    for origin in dict.fromkeys(log.origin for log in draft.logs):
        epochs = [log for log in draft.logs if log.origin == origin]
        youngest = max(epochs, key=lambda log: log.epoch)
        text = _without_stolen(draft, youngest) if youngest.policy else youngest.policy
        if text != youngest.policy:
            following = replace(youngest, epoch=youngest.epoch + 1, policy=text, since=None)
            draft = draft.with_log(following)
    return draft


def _without_stolen(draft: MemberListDraft, entry: LogEntry) -> str:
    stolen = {
        key.public.raw(): node
        for node in draft.nodes
        for key in node.keys
        if key.purpose == "witness" and key.compromised_from is not None
    }
    policy = log_policy.parse(entry.policy)
    voters = []
    for item in policy.voters(entry.origin):
        node = stolen.get(item.key.public_key)
        if node is not None and _newest_key(node, "witness") is not None:
            item = replace(item, key=_log_witness(draft, node.did))
        voters.append((item.key, item.url))
    held = {item.key for item in policy.voters(entry.origin)}
    if {key for key, _ in voters} == held:
        return entry.policy
    known = [item.key for item in policy.witnesses.values() if item.key not in held]
    log = note.parse_vkey(entry.vkey)
    return log_policy.threshold_policy(log, voters, policy.smallest_quorum(), known=known)


def _policy(
    log: note.VerifierKey,
    witnesses: Sequence[note.VerifierKey],
    quorum: int | None,
    known: Sequence[note.VerifierKey] = (),
) -> str:
    count = len(witnesses)
    wanted = log_policy.default_quorum(count) if quorum is None else min(quorum, count)
    voters = [(key, "") for key in witnesses]
    text = log_policy.threshold_policy(log, voters, wanted, known=known)
    log_policy.check(log_policy.parse(text), log.name)
    return text


def _witness_key(draft: MemberListDraft, did: str, purpose: str) -> ListedKey:
    listed = _newest_key(_node(draft, did), purpose)
    if listed is None:
        raise RefusedError("witness_without_key", f"{did} lists no {purpose} key")
    return listed


def _node(draft: MemberListDraft, did: str) -> NodeEntry:
    for node in draft.nodes:
        if node.did == did:
            return node
    raise RefusedError("witness_without_key", f"{did} is not a member")
