"""Logs, registries and their witness policies, made from the keys that nodes list.

Names follow from the DID: `<host>/log/1`, `<host>/witness/1`, `<host>/registry/1` and
`<host>/registry-witness/1`. Nobody witnesses for itself (R16); registry witnesses have keys of
their own (R22).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from protocols import log_policy, note
from protocols.members.drafting import MemberListDraft
from protocols.members.entries import LogEntry, NodeEntry, RegistryEntry
from schemas.errors import RefusedError


def log_of(node: NodeEntry, policy: str = "") -> LogEntry | None:
    """The node's log, named by its newest log key; None when it lists no log key."""
    raw = _newest(node, "log")
    if raw is None:
        return None
    key = note.log_key(node.did, raw)
    return LogEntry(key.name, node.did, key.to_text(), 1, policy)


def _newest(node: NodeEntry, purpose: str) -> bytes | None:
    fitting = [key for key in node.keys if key.purpose == purpose and key.valid_until is None]
    return max(fitting, key=lambda key: key.valid_from).public.raw() if fitting else None


def with_witnesses(
    draft: MemberListDraft, witnesses: Sequence[str], quorum: int | None = None
) -> MemberListDraft:
    """The draft with a policy for every log: `quorum` of the witnesses, the operator left out.

    quorum None takes the smallest that tolerates ⌊(n−1)/3⌋ liars. Where a log has witnesses
    already, the policy is a new epoch that waits for the log's hand-over (R16). Raises
    RefusedError `policy_*` and `witness_without_key`.
    """
    for origin in dict.fromkeys(log.origin for log in draft.logs):
        draft = _with_policy(draft, origin, witnesses, quorum)
    return draft


def _with_policy(
    draft: MemberListDraft, origin: str, witnesses: Sequence[str], quorum: int | None
) -> MemberListDraft:
    """One log's policy: in the place of none or of one that was never in force, else as an epoch.

    An epoch that waits is not edited, because its log may be handing over to it just now.
    """
    epochs = [log for log in draft.logs if log.origin == origin]
    youngest = max(epochs, key=lambda log: log.epoch)
    policy = log_witness_policy(draft, youngest.did, youngest.vkey, witnesses, quorum)
    if policy == youngest.policy:
        return draft
    if not youngest.policy:
        return draft.with_log(replace(youngest, policy=policy))
    return draft.with_log(replace(youngest, epoch=youngest.epoch + 1, policy=policy, since=None))


def log_witness_policy(
    draft: MemberListDraft, did: str, vkey: str, witnesses: Sequence[str], quorum: int | None
) -> str:
    """The tlog-policy text of one log."""
    keys = [
        note.witness_key(one, _witness_key(draft, one, "witness"))
        for one in witnesses
        if one != did
    ]
    return _policy(note.parse_vkey(vkey), keys, quorum)


def registry_of(
    draft: MemberListDraft, did: str, witnesses: Sequence[str], quorum: int | None = None
) -> RegistryEntry:
    """The title registry that `did` sequences and the witnesses re-execute (R22)."""
    node = _node(draft, did)
    raw = _newest(node, "registry")
    if raw is None:
        raise RefusedError("witness_without_key", f"{did} lists no registry key")
    host = did.removeprefix("did:web:")
    key = note.verifier_key(f"{host}/registry/1", note.ED25519, raw)
    keys = [_registry_witness(draft, one) for one in witnesses if one != did]
    return RegistryEntry(key.name, did, key.to_text(), _policy(key, keys, quorum))


def _registry_witness(draft: MemberListDraft, did: str) -> note.VerifierKey:
    name = f"{did.removeprefix('did:web:')}/registry-witness/1"
    return note.verifier_key(name, note.COSIGNATURE, _witness_key(draft, did, "registry-witness"))


def _policy(
    log: note.VerifierKey, witnesses: Sequence[note.VerifierKey], quorum: int | None
) -> str:
    count = len(witnesses)
    wanted = log_policy.default_quorum(count) if quorum is None else min(quorum, count)
    text = log_policy.threshold_policy(log, [(key, "") for key in witnesses], wanted)
    log_policy.check(log_policy.parse(text), log.name)
    return text


def _witness_key(draft: MemberListDraft, did: str, purpose: str) -> bytes:
    raw = _newest(_node(draft, did), purpose)
    if raw is None:
        raise RefusedError("witness_without_key", f"{did} lists no {purpose} key")
    return raw


def _node(draft: MemberListDraft, did: str) -> NodeEntry:
    for node in draft.nodes:
        if node.did == did:
            return node
    raise RefusedError("witness_without_key", f"{did} is not a member")
