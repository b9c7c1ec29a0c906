"""Which epoch of witnesses counts for a checkpoint, and what proves a hand-over (R16)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from protocols import base64url
from protocols.digest import sha256
from protocols.keys import SoftwareSigner, from_jwk
from protocols.log import checkpoint, cosignature, leaf, votes
from protocols.log import epochs as log_epochs
from protocols.log import policy as log_policy
from protocols.log.checkpoint import Checkpoint
from protocols.log.epochs import HandOver
from protocols.log.leaf import Leaf, LeafKind
from protocols.log.merkle import Tree, leaf_hash
from protocols.log.proof import LogProof
from protocols.member_list import (
    ListedKey,
    MemberList,
    MemberListDraft,
    NodeEntry,
    Roots,
    open_founding,
    sign_list,
)
from protocols.members import policies
from protocols.members.entries import LogEntry
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError, TradeError
from tests.unit.log.keys_for_tests import Pair, log_pair, witness_pairs

LOG = log_pair()
ORIGIN = LOG.key.name
PAIRS = witness_pairs(6)
OLD, NEW = PAIRS[:4], PAIRS[2:]
NETWORK = bytes(32)
BEFORE = [leaf_hash(b"%d" % number) for number in range(5)]


def epoch(number: int, witnesses: list[Pair], since: int | None = None) -> LogEntry:
    keys = [(item.key, "") for item in witnesses]
    policy = log_policy.threshold_policy(LOG.key, keys, 3)
    return LogEntry(ORIGIN, "did:web:cn-rail.example", LOG.key.to_text(), number, policy, since)


EPOCHS = (epoch(1, OLD), epoch(2, NEW))


def made(
    cosigners: list[Pair],
    *,
    listed: tuple[LogEntry, LogEntry] = EPOCHS,
    kind: LeafKind = LeafKind.POLICY,
    later: int = 0,
    stated: dict[str, object] | None = None,
) -> HandOver:
    """A hand-over of a log of five leaves, as these witnesses cosigned it."""
    bare = HandOver(
        NETWORK,
        ORIGIN,
        listed[0].epoch,
        listed[1].epoch,
        log_epochs.policy_digest(listed[0]),
        log_epochs.policy_digest(listed[1]),
        len(BEFORE),
    )
    bare = replace(bare, **(stated or {}))
    entry = leaf.encode(Leaf(kind, bare.subject(), bare.commit(), None, 1))
    tree = Tree([*BEFORE, leaf_hash(entry), *(leaf_hash(b"later") for _ in range(later))])
    head = Checkpoint(ORIGIN, tree.size, tree.root())
    note = checkpoint.sign(head, LOG.key, LOG.sign)
    lines = [cosignature.sign(note.text, 100, item.key, item.sign) for item in cosigners]
    text = note.with_signatures(lines).to_text()
    proof = LogProof(5, tree.inclusion_proof(5, tree.size), text).to_text()
    return replace(bare, entry=entry, proof=proof)


BOTH = [*OLD[:3], *NEW[1:]]
ENOUGH = [*OLD[:3], *NEW[2:]]  # nobody too many on either side


def test_r16_a_hand_over_needs_both_quorums():
    good = made(BOTH)
    assert good.prove(EPOCHS, votes.everybody) == 6
    assert log_epochs.parse(good.to_bytes()) == good
    # w2 and w3 are in both: the old quorum alone, and the new one alone, are not enough.
    for cosigners in (OLD, NEW, OLD[:2] + NEW[2:], []):
        with pytest.raises(RefusedError) as caught:
            made(cosigners).prove(EPOCHS, votes.everybody)
        assert caught.value.code == "hand_over_not_proven"


@pytest.mark.parametrize(
    "bad",
    [
        made(BOTH, kind=LeafKind.KEY_EVENT),
        made(BOTH, later=1),
        made(BOTH, stated={"size": 4}),
        made(BOTH, stated={"after": 3}),
        made(BOTH, stated={"before": 2, "after": 1}),
        made(BOTH, stated={"new": bytes(32)}),
        replace(made(BOTH), network=bytes([1]) * 32),
        replace(made(BOTH), entry=leaf.encode(Leaf(LeafKind.POLICY, NETWORK, NETWORK, None, 1))),
    ],
)
def test_r16_a_hand_over_of_anything_else_proves_nothing(bad: HandOver):
    with pytest.raises(TradeError):
        bad.prove(EPOCHS, votes.everybody)


def test_r16_an_intolerant_or_other_keyed_epoch_is_not_handed_over_to():
    keys = [(item.key, "") for item in NEW]
    weak = replace(EPOCHS[1], policy=log_policy.threshold_policy(LOG.key, keys, 2))
    with pytest.raises(RefusedError) as caught:
        made(BOTH, listed=(EPOCHS[0], weak)).prove((EPOCHS[0], weak), votes.everybody)
    assert caught.value.code == "policy_intolerant"
    other = replace(EPOCHS[1], vkey=log_pair("other.example/log/1").key.to_text())
    with pytest.raises(RefusedError):
        made(BOTH).prove((EPOCHS[0], other), votes.everybody)


@given(st.lists(st.one_of(st.none(), st.integers(1, 50)), max_size=4), st.integers(0, 60))
def test_r16_one_epoch_counts_for_each_size_and_none_that_was_not_handed_over(
    sizes: list[int | None], size: int
):
    listed = [epoch(1, OLD), *(epoch(n, NEW, since) for n, since in enumerate(sizes, start=2))]
    found = log_epochs.in_force(listed, size)
    assert found is not None
    assert found.epoch == 1 or (found.since is not None and found.since <= size)
    for later in listed:
        if later.epoch > found.epoch:
            assert later.since is None or later.since > size
    newest = log_epochs.in_force(listed)
    waiting = log_epochs.pending(listed)
    assert (waiting is None) == (newest == listed[-1])
    assert log_epochs.in_force([]) is None
    assert log_epochs.pending([]) is None


def test_r16_known_hand_overs_fill_the_list_for_their_policy_only():
    name = (ORIGIN, 2, log_epochs.policy_digest(EPOCHS[1]))
    assert log_epochs.handed_over(EPOCHS, {name: 6})[1].since == 6
    assert log_epochs.handed_over(EPOCHS, {(ORIGIN, 2, bytes(32)): 6}) == EPOCHS
    listed = (EPOCHS[0], replace(EPOCHS[1], since=9))
    assert log_epochs.handed_over(listed, {name: 6}) == listed


def signed(cosigners: list[Pair], forged: Pair | None = None) -> str:
    note = checkpoint.sign(Checkpoint(ORIGIN, 5, Tree(BEFORE).root()), LOG.key, LOG.sign)
    lines = [cosignature.sign(note.text, 100, item.key, item.sign) for item in cosigners]
    if forged is not None:
        lines.append(cosignature.sign("another\n", 100, forged.key, forged.sign))
    return note.with_signatures(lines).to_text()


def test_r16_lines_of_another_epoch_must_verify_and_do_not_count():
    old, new = (log_epochs.policy_of(entry) for entry in EPOCHS)
    text = signed([*OLD[:2], *NEW[2:]])
    checked = log_epochs.check_checkpoint(text, LOG.key, old, (new,))
    assert not checked.witnessed
    assert len(checked.witness_times) == 2
    assert log_epochs.check_checkpoint(signed(PAIRS), LOG.key, old, (new,)).witnessed
    with pytest.raises(RefusedError) as caught:
        log_epochs.check_checkpoint(text, LOG.key, old)
    assert caught.value.code == "signature_of_stranger"
    with pytest.raises(RefusedError):
        log_epochs.check_checkpoint(signed(OLD, forged=NEW[-1]), LOG.key, old, (new,))


def test_r16_a_stolen_witness_key_is_one_vote_and_none_once_it_has_ended():
    policy = log_epochs.policy_of(EPOCHS[0])
    checked = log_epochs.check_checkpoint(signed(OLD[:3]), LOG.key, policy)
    assert checked.witnessed
    assert log_epochs.recount(checked, policy, lambda _witness, _time: True) is checked
    stolen = OLD[0].key
    fewer = log_epochs.recount(checked, policy, lambda witness, _time: witness.key != stolen)
    assert not fewer.witnessed
    assert len(fewer.witness_times) == 2
    more = log_epochs.check_checkpoint(signed(OLD), LOG.key, policy)
    assert log_epochs.recount(more, policy, lambda witness, _time: witness.key != stolen).witnessed


def listing(ended: Pair | None = None, at: int = 0, compromised: int | None = None) -> MemberList:
    """A list whose members are the witnesses; one key ends at that POSIX time, or is stolen."""
    start, nodes = datetime.fromtimestamp(10, UTC), []
    for pair in PAIRS:
        did_ = f"did:web:{pair.key.organisation}"
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": base64url.encode(pair.key.public_key)}
        key = ListedKey(from_jwk(f"{did_}#witness-1", jwk), "witness", did_, start)
        if pair == ended:
            moment = datetime.fromtimestamp(at, UTC)
            key = replace(key, valid_until=moment)
            if compromised is not None:
                stolen = datetime.fromtimestamp(compromised, UTC)
                key = replace(key, compromised_from=stolen, compromise_announced=moment)
        nodes.append(NodeEntry(did_, "w", ("witness",), "CN", "https://w.example", (key,)))
    founder = SoftwareSigner(
        "did:web:a.example#root-1", Ed25519PrivateKey.from_private_bytes(bytes(32))
    )
    draft = MemberListDraft(
        "n", test=True, issued_at=datetime.fromtimestamp(1000, UTC),
        expires=datetime.fromtimestamp(10**9, UTC),
        roots=Roots(1, (founder.public(),)), nodes=tuple(nodes),
    )  # fmt: skip
    return open_founding(sign_list(draft.payload(), [founder]))


def test_r16_an_ended_witness_counts_in_a_hand_over_no_longer_than_its_key():
    given = made(ENOUGH)  # cosigned at 100
    for ended, good in ((101, True), (100, False), (50, False)):
        counts = votes.under(listing(OLD[0], ended))
        if good:
            assert given.prove(EPOCHS, counts) == 6
            continue
        with pytest.raises(RefusedError, match="hand_over_not_proven"):
            given.prove(EPOCHS, counts)
    # With a vote to spare nothing is lost, and one of the new quorum counts no longer either.
    assert made(BOTH).prove(EPOCHS, votes.under(listing(OLD[0], 50))) == 6
    with pytest.raises(RefusedError, match="hand_over_not_proven"):
        given.prove(EPOCHS, votes.under(listing(NEW[-1], 50)))


def test_r16_what_the_roots_signed_as_handed_over_stands_when_a_witness_is_found_stolen():
    listed = replace(listing(OLD[0], 200, compromised=50), logs=EPOCHS)
    again = made(ENOUGH, stated={"network": listed.network})
    with pytest.raises(RefusedError, match="hand_over_not_proven"):
        log_epochs.with_hand_overs(listed, [again])
    stated = replace(listed, logs=(EPOCHS[0], replace(EPOCHS[1], since=6)))
    assert log_epochs.with_hand_overs(stated, [again]) == stated


def cosigned_at(times: dict[Pair, int]) -> str:
    note = checkpoint.sign(Checkpoint(ORIGIN, 5, Tree(BEFORE).root()), LOG.key, LOG.sign)
    lines = [cosignature.sign(note.text, at, one.key, one.sign) for one, at in times.items()]
    return note.with_signatures(lines).to_text()


def test_r16_a_stolen_key_cannot_date_its_vote_before_its_end():
    policy = log_epochs.policy_of(EPOCHS[0])
    counts = votes.under(listing(OLD[0], 100))

    def witnessed(times: dict[Pair, int]) -> bool:
        checked = log_epochs.check_checkpoint(cosigned_at(times), LOG.key, policy)
        assert checked.witnessed
        return log_epochs.recount(checked, policy, counts).witnessed

    assert witnessed({OLD[0]: 98, OLD[1]: 99, OLD[2]: 99})
    # By its own word it was in time; the others saw the checkpoint later.
    assert not witnessed({OLD[0]: 98, OLD[1]: 500, OLD[2]: 500})
    assert not witnessed({OLD[0]: 120, OLD[1]: 99, OLD[2]: 99})
    assert witnessed({OLD[0]: 98, OLD[1]: 500, OLD[2]: 500, OLD[3]: 500})


def test_a_hand_over_file_is_read_strictly():
    good = strict_json.loads_object(made(BOTH).to_bytes(), max_bytes=10**6)
    for change in (
        {"type": "other"},
        {"before": True},
        {"after": -1},
        {"size": "5"},
        {"entry": "?"},
        {"more": 1},
    ):
        with pytest.raises(MalformedError):
            log_epochs.parse(strict_json.canonical({**good, **change}))
    assert log_epochs.parse(strict_json.canonical({**good, "origin": 1})).origin == ""


def test_an_epoch_without_a_policy_has_no_witnesses():
    assert log_epochs.policy_of(replace(EPOCHS[0], policy="")).quorum == log_policy.NONE


def test_r16_other_witnesses_are_a_new_epoch_and_the_same_ones_are_none():
    members = drafted("a", "b", "c", "d", "e", "f", "g")
    first = policies.with_witnesses(members, [did(name) for name in "abcd"])
    assert {entry.epoch for entry in first.logs} == {1}  # nobody to hand over from
    assert policies.with_witnesses(first, [did(name) for name in "abcd"]) == first
    second = policies.with_witnesses(first, [did(name) for name in "defg"])
    of_a = [entry for entry in second.logs if entry.did == did("a")]
    assert [(entry.epoch, entry.since) for entry in of_a] == [(1, None), (2, None)]
    assert log_epochs.in_force(of_a) == of_a[0]
    assert log_epochs.pending(of_a) == of_a[1]


def test_r15_the_next_log_has_the_witnesses_of_the_one_before_and_another_name():
    members = policies.with_witnesses(drafted(*"abcde"), [did(name) for name in "abcde"])
    (before,) = [entry for entry in members.logs if entry.did == did("a")]
    entry = policies.log_of(member("a", number=2))
    assert entry is not None
    assert (before.origin, entry.origin) == ("a.example/log/1", "a.example/log/2")
    opened = policies.next_log(entry, [before])
    old, new = log_epochs.policy_of(before), log_epochs.policy_of(opened)
    assert {item.key for item in old.voters()} == {item.key for item in new.voters()}
    assert old.smallest_quorum() == new.smallest_quorum() == 3
    log_policy.check(new, opened.origin)
    assert policies.next_log(replace(entry, policy=before.policy), []).policy == ""


def did(name: str) -> str:
    return f"did:web:{name}.example"


def member(name: str, number: int = 1) -> NodeEntry:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    keys = []
    for purpose, count in (("log", number), ("witness", 1)):
        secret = Ed25519PrivateKey.from_private_bytes(sha256(f"{name}{purpose}".encode()))
        public = SoftwareSigner(f"{did(name)}#{purpose}-{count}", secret).public()
        keys.append(ListedKey(public, purpose, did(name), start))
    return NodeEntry(did(name), name, ("port",), "CN", f"https://{name}.example", tuple(keys))


def drafted(*names: str) -> MemberListDraft:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    nodes = tuple(member(name) for name in names)
    logs = tuple(log for log in map(policies.log_of, nodes) if log is not None)
    roots = Roots(1, (nodes[0].keys[0].public,))
    return MemberListDraft(
        "n", test=True, issued_at=start, expires=start, roots=roots, nodes=nodes, logs=logs
    )
