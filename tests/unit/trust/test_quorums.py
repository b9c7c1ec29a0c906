"""Lists that end witnesses: which log and which registry can reach its quorum no more (R16)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from node.trust import wishes
from node.trust.wishes import End, Wish
from protocols.log import epochs as log_epochs
from protocols.log import votes
from protocols.member_list import MemberList, MemberListDraft, RegistryEntry
from protocols.members import consequences, policies, proposal, quorums
from schemas.errors import RefusedError
from tests.support.made_network import NOW, START, founded, listed, node

HOST = "did:web:rail.example"
WITNESSES = tuple(f"did:web:w{number}.example" for number in range(1, 6))
LOG, REGISTRY = "rail.example/log/1", "rail.example/registry/1"
LATER = NOW + timedelta(days=500)


def network() -> MemberList:
    """A railway whose log and registry four of five others witness, three of which must cosign."""
    made = founded()
    nodes = []
    for number, did in enumerate((HOST, *WITNESSES)):
        entry = node(did, "CN", 10 + number, names={})
        more = ("registry", "registry-witness")
        keys = (*entry.keys, *(listed(f"{did}#{one}-1", one) for one in more))
        nodes.append(replace(entry, keys=keys))
    logs = tuple(log for one in nodes[:1] if (log := policies.log_of(one)) is not None)
    draft = replace(made.draft, nodes=tuple(nodes), logs=logs, registries=(), parties=())
    draft = replace(draft, issuers=(), agreements=())
    draft = policies.with_witnesses(draft, WITNESSES[:4])
    draft = draft.with_registry(policies.registry_of(draft, HOST, WITNESSES[:4]))
    return proposal.draft_of(draft.payload()).members


HELD = network()


def after(wish: Wish, held: MemberList = HELD) -> MemberList:
    return proposal.draft_of(wishes.draft(held, wish, (), HOST, NOW).payload()).members


def ends(*names: str, **more: object) -> Wish:
    return Wish(ends=tuple(End("node", one) for one in names), **more)


def lost(new: MemberList, held: MemberList = HELD) -> list[tuple[str, int, int, int]]:
    return [(one.origin, one.left, one.count, one.needed) for one in quorums.newly_lost(held, new)]


def test_r16_one_witness_of_four_may_end_and_two_may_not() -> None:
    assert lost(after(ends(WITNESSES[0]))) == []
    quorums.require_kept(HELD, after(ends(WITNESSES[0])))
    both = after(ends(*WITNESSES[:2]))
    assert lost(both) == [(LOG, 2, 4, 3), (REGISTRY, 2, 4, 3)]
    with pytest.raises(RefusedError) as caught:
        quorums.require_kept(HELD, both)
    assert caught.value.code == "witness_quorum_lost"
    assert f"{LOG} from 2026-11-18T06:00:00.000Z on: 2 of 4" in caught.value.detail
    # One after the other is no way round it.
    first = after(ends(WITNESSES[0]))
    assert [one[0] for one in lost(after(ends(WITNESSES[1]), first), first)] == [LOG, REGISTRY]


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (Wish(ends=tuple(End("key", f"{one}#witness-1") for one in WITNESSES[:2])), [LOG]),
        (
            Wish(compromised=tuple((f"{one}#registry-witness-1", NOW) for one in WITNESSES[:2])),
            [REGISTRY],
        ),
        (ends(WITNESSES[4]), []),
        (Wish(ends=tuple(End("key", f"{one}#title-1") for one in WITNESSES)), []),
        # Nobody needs witnesses of what ends itself.
        (ends(HOST, *WITNESSES[:4]), []),
    ],
)
def test_r16_whatever_takes_a_witness_away_is_counted(wish: Wish, expected: list[str]) -> None:
    assert [one[0] for one in lost(after(wish))] == expected


def test_r16_a_change_that_names_other_witnesses_keeps_the_logs_quorum() -> None:
    gone = Wish(
        ends=tuple(End("node", one, LATER) for one in WITNESSES[:2]), witnesses=WITNESSES[2:]
    )
    # A registry is its policy (R19): it goes on asking the old ones.
    assert [one[0] for one in lost(after(gone))] == [REGISTRY]
    keys = tuple(End("key", f"{one}#witness-1", LATER) for one in WITNESSES[:2])
    assert lost(after(Wish(ends=keys, witnesses=WITNESSES[2:]))) == []


def test_r16_old_witnesses_stay_long_enough_to_hand_over() -> None:
    """Their cosignatures count no longer than their keys, so nobody could hand over (R16)."""
    for until in (None, NOW + quorums.HAND_OVER_TIME - timedelta(seconds=1)):
        keys = tuple(End("key", f"{one}#witness-1", until) for one in WITNESSES[:2])
        assert lost(after(Wish(ends=keys, witnesses=WITNESSES[2:]))) == [(LOG, 2, 4, 3)]
    # One of four may go at once; and whose quorum is lost already loses nothing by a new policy.
    one = End("key", f"{WITNESSES[0]}#witness-1")
    assert lost(after(Wish(ends=(one,), witnesses=WITNESSES[1:]))) == []
    keys = tuple(End("key", f"{one}#witness-1") for one in WITNESSES[:2])
    gone = after(Wish(ends=keys))
    assert lost(after(Wish(witnesses=WITNESSES[2:]), gone), gone) == []
    # Once it was handed over to, the old epoch is nobody's concern.
    waits = after(Wish(witnesses=WITNESSES[1:]))
    epochs = {(LOG, 2, log_epochs.policy_digest(waits.logs[1])): 7}
    over = replace(waits, logs=log_epochs.handed_over(waits.logs, epochs))
    gone = End("key", f"{WITNESSES[0]}#witness-1")
    assert lost(after(Wish(ends=(gone, keys[1])), over), over) == []


def listing_another_key(held: MemberList, did: str) -> MemberList:
    draft = MemberListDraft.after(held, issued_at=NOW, expires=held.expires)
    key = listed(f"{did}#witness-2", "witness")
    nodes = tuple(
        replace(one, keys=(*one.keys, key)) if one.did == did else one for one in draft.nodes
    )
    return proposal.draft_of(replace(draft, nodes=nodes).payload()).members


def test_r16_a_stolen_witness_key_is_replaced_at_the_same_member() -> None:
    stolen = f"{WITNESSES[0]}#witness-1"
    wish = Wish(compromised=((stolen, NOW),))
    # With no other key listed the policy stays; the vote is gone all the same.
    alone = after(wish)
    assert [log.epoch for log in alone.logs] == [1]
    held = listing_another_key(HELD, WITNESSES[0])
    new = after(wish, held)
    assert lost(new, held) == []
    first, second = new.logs
    assert (second.epoch, second.since) == (2, None)
    before, then = (log_epochs.policy_of(one) for one in (first, second))
    names = {one.key.name for one in then.voters()}
    assert names ^ {one.key.name for one in before.voters()} == {
        "w1.example/witness/1",
        "w1.example/witness/2",
    }
    assert then.smallest_quorum() == before.smallest_quorum() == 3
    # It is done once: the next change finds nothing to replace.
    assert len(after(wish, new).logs) == 2
    # Cosignatures since the theft have no vote, those before keep it.
    voter = next(one for one in before.voters() if one.key.name.startswith("w1."))
    counts = votes.under(new)
    assert not counts(voter, int(NOW.timestamp()))
    assert counts(voter, int(NOW.timestamp()) - 1)
    # One more, and nobody could hand over any more.
    two = Wish(compromised=((stolen, NOW), (f"{WITNESSES[1]}#witness-1", NOW)))
    with pytest.raises(RefusedError, match="witness_quorum_lost"):
        quorums.require_kept(held, after(two, held))


def test_r16_an_end_on_a_later_date_counts_and_is_told_once() -> None:
    planned = Wish(ends=tuple(End("node", one, LATER) for one in WITNESSES[:2]))
    second = after(planned)
    assert [one.at for one in quorums.newly_lost(HELD, second)] == [LATER, LATER]
    # Once it was decided all the same, the next list is no new decision, unless it comes sooner.
    assert lost(after(Wish(), second), second) == []
    assert len(lost(after(ends(*WITNESSES[:2]), second), second)) == 2


def test_r16_what_stops_is_told_in_both_languages() -> None:
    found = consequences.consequences(HELD, after(ends(*WITNESSES[:2])))
    told = {one.kind: (one.tell(), one.tell("zh")) for one in found}
    assert told["log-stops"][0].startswith(f"the log {LOG} has no quorum from 2026-11-18T06")
    assert REGISTRY in told["registry-stops"][0]
    assert all(english != chinese for english, chinese in told.values())
    alone = consequences.consequences(HELD, after(ends(WITNESSES[0])))
    assert {"witness"} == {one.kind for one in alone} & {"witness", "log-stops", "registry-stops"}


def test_a_policy_that_nobody_can_read_loses_nothing_and_a_followed_log_is_not_missed() -> None:
    draft = MemberListDraft.after(HELD, issued_at=NOW, expires=HELD.expires)
    broken = replace(draft, registries=(RegistryEntry("x/registry", HOST, "vkey", "policy"),))
    held = proposal.draft_of(broken.payload()).members
    assert [one[0] for one in lost(after(ends(*WITNESSES[:2]), held), held)] == [LOG]

    host = draft.nodes[0]
    second = listed(f"{HOST}#log-2", "log", valid_from=START + timedelta(days=1))
    host = replace(host, keys=(*host.keys, second))
    log = policies.log_of(host)
    assert log is not None
    follows = replace(draft, nodes=(host, *draft.nodes[1:]), logs=(*draft.logs, log), registries=())
    held = proposal.draft_of(follows.payload()).members
    assert lost(after(ends(*WITNESSES[:2]), held), held) == []


def test_the_wish_to_do_it_anyway_is_no_change_of_its_own() -> None:
    assert Wish(anyway=True).changes_nothing
