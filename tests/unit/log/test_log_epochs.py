"""Which epoch of witnesses counts for a checkpoint, and what proves a hand-over (R16)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import checkpoint, cosignature, leaf, log_epochs, log_policy
from protocols.checkpoint import Checkpoint
from protocols.leaf import Leaf, LeafKind
from protocols.log_epochs import HandOver
from protocols.log_proof import LogProof
from protocols.members.entries import LogEntry
from protocols.merkle import Tree, leaf_hash
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


def test_r16_a_hand_over_needs_both_quorums():
    good = made(BOTH)
    assert good.prove(EPOCHS) == 6
    assert log_epochs.parse(good.to_bytes()) == good
    # w2 and w3 are in both: the old quorum alone, and the new one alone, are not enough.
    for cosigners in (OLD, NEW, OLD[:2] + NEW[2:], []):
        with pytest.raises(RefusedError) as caught:
            made(cosigners).prove(EPOCHS)
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
        bad.prove(EPOCHS)


def test_r16_an_intolerant_or_other_keyed_epoch_is_not_handed_over_to():
    keys = [(item.key, "") for item in NEW]
    weak = replace(EPOCHS[1], policy=log_policy.threshold_policy(LOG.key, keys, 2))
    with pytest.raises(RefusedError) as caught:
        made(BOTH, listed=(EPOCHS[0], weak)).prove((EPOCHS[0], weak))
    assert caught.value.code == "policy_intolerant"
    other = replace(EPOCHS[1], vkey=log_pair("other.example/log/1").key.to_text())
    with pytest.raises(RefusedError):
        made(BOTH).prove((EPOCHS[0], other))


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
