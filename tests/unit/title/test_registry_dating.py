"""A registry's batches and the time (R22): who vouches for when they were made."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ledger import registry_store
from ledger.registry_witness import held
from protocols import times
from protocols.title.machine import Kind
from protocols.title.operation import read_operation, verify_refusal
from protocols.title.registry import execute
from protocols.title.registry_dating import TOLERANCE_MS
from protocols.title.registry_entries import BatchEntry, decode
from tests.support.registry_network import LINE, RegistryNetwork, beginning
from tests.support.title_world import (
    ARBITER,
    MEMBERS,
    NOW,
    World,
    draft,
    ecdsa,
    issue,
    member_list,
    operation,
    signed,
)

TITLE = issue().title
LONG = signed(operation(Kind.TRANSFER, TITLE, 1, "exp-a", "bank"))


def brief(to: str = "bank", minutes: float = 2) -> str:
    """A transfer whose deadline is near."""
    made = operation(Kind.TRANSFER, TITLE, 1, "exp-a", to)
    return signed(replace(made, deadline=NOW + timedelta(minutes=minutes)))


@pytest.fixture
def network() -> RegistryNetwork:
    """With one title that is final."""
    made = RegistryNetwork()
    made.hand_in(signed(issue()))
    made.gather()
    assert made.settled == 3
    return made


def possessor(network: RegistryNetwork, log: str = "registry") -> str:
    state = registry_store.state_of(network.conn, log, TITLE)
    assert state is not None
    assert state.possessor is not None
    return state.possessor.did


def test_r22_a_batch_dated_back_past_a_deadline_is_not_cosigned(network: RegistryNetwork) -> None:
    late = brief()
    network.later(minutes=10)
    real, network.now_ms = network.now_ms, times.to_ms(NOW)
    network.hand_in(late)  # the sequencer says that it was ten minutes ago
    network.now_ms = real
    assert set(network.gather().values()) == {"registry_batch_stale"}
    assert network.settled == 3


def test_r22_an_old_date_on_which_nothing_hangs_does_no_harm(network: RegistryNetwork) -> None:
    network.reachable = set()
    network.hand_in(LONG)
    network.later(minutes=10)
    network.reachable = set(network.witnesses)
    assert network.gather() == {}
    assert network.settled == 6


def test_r22_a_date_to_come_is_not_cosigned(network: RegistryNetwork) -> None:
    network.later(minutes=5)
    network.hand_in(LONG)
    network.later(minutes=-5)
    assert set(network.gather().values()) == {"registry_batch_invalid"}


def test_r22_an_old_member_list_is_no_way_around_the_end_of_a_key(network: RegistryNetwork) -> None:
    network.later(minutes=30)
    ended = draft()
    parties = tuple(
        replace(one, keys=tuple(replace(key, valid_until=NOW) for key in one.keys))
        if one.did.endswith("exp-a.example")
        else one
        for one in ended.parties
    )
    newer = member_list(replace(ended, parties=parties, issued_at=NOW))
    newer = replace(newer, network=MEMBERS.network, version=2)
    network.hand_in(LONG)  # timely, but under the list in which the key still stands
    for witness in network.witnesses.values():
        witness.newest = newer
        witness.lists[newer.digest] = newer
    assert set(network.gather().values()) == {"registry_batch_stale"}
    network.later(minutes=2)
    network.members = newer
    network.restate()
    assert network.gather() == {}
    assert possessor(network).endswith("exp-a.example")


def test_r22_enough_timely_cosignatures_vouch_for_a_batch(network: RegistryNetwork) -> None:
    network.reachable, network.lossy = {"cn-port", "sg-port"}, {"cn-port", "sg-port"}
    network.hand_in(brief())
    network.gather()
    network.later(minutes=10)
    network.reachable, network.lossy = {"nl-port", "kz-rail"}, set()
    assert set(network.gather().values()) == {"registry_batch_stale"}
    # The two answer at last, with the time at which they saw it; so the others follow.
    network.reachable = set(network.witnesses)
    network.gather()
    assert network.gather() == {}
    assert network.settled == 6
    assert possessor(network).endswith("bank.example")


def test_r22_a_batch_that_none_saw_in_time_is_restated_and_what_expired_is_void(
    network: RegistryNetwork,
) -> None:
    network.reachable = set()
    text = brief()
    other = issue(reference="NHLX0002")
    network.hand_in(text, signed(other))
    network.later(minutes=10)
    network.reachable = set(network.witnesses)
    assert set(network.gather().values()) == {"registry_batch_stale"}
    network.restate()
    assert network.gather() == {}
    # What depends on nothing stays; what expired is refused, with the sequencer's signature.
    assert registry_store.state_of(network.conn, "registry", other.title) is not None
    assert possessor(network).endswith("exp-a.example")
    digest = read_operation(text).operation.digest
    outcome = network.sequencer.known(network.conn, digest)
    assert outcome is not None
    assert outcome.refusal is not None
    said = verify_refusal(outcome.refusal, ecdsa("nhl", "exchange").public())
    assert said.code == "title_operation_expired"
    for witness in network.witnesses.values():
        assert possessor_at(witness.conn, witness.mirror.log).endswith("exp-a.example")
    # The title moves on from where it stands.
    network.hand_in(LONG)
    network.gather()
    assert possessor(network).endswith("bank.example")


def possessor_at(conn: object, log: str) -> str:
    state = registry_store.state_of(conn, log, TITLE)
    assert state is not None
    assert state.possessor is not None
    return state.possessor.did


def test_r22_restatements_are_re_executed_from_the_log_alone(network: RegistryNetwork) -> None:
    network.reachable = set()
    network.hand_in(brief(), signed(issue(reference="NHLX0003")))
    network.later(minutes=10)
    network.restate()
    network.later(minutes=10)
    network.restate()  # of the restatement: still the same operations
    network.reachable = set(network.witnesses)
    assert network.gather() == {}
    network.hand_in(LONG)
    network.gather()
    done = execute(
        beginning(MEMBERS.network, LINE), network.entries(), network.witnesses["cn-port"].lists.get,
        lambda _: None,
    )  # fmt: skip
    assert done.registry == network.registry
    restates = [one for one in map(decode, network.entries()) if isinstance(one, BatchEntry)]
    assert [one.restates for one in restates] == [False, False, True, True, False]
    before, network.registry = network.registry, replace(network.registry, number=0)
    network.restart()
    assert network.registry == before


def test_r22_the_outstanding_batch_can_be_restated_after_a_restart(
    network: RegistryNetwork,
) -> None:
    network.reachable = set()
    network.hand_in(brief())
    network.later(minutes=10)
    network.restart()
    network.restate()
    network.reachable = set(network.witnesses)
    assert network.gather() == {}
    assert possessor(network).endswith("exp-a.example")


def test_r21_who_cosigned_a_batch_refuses_its_restatement_until_a_quorum_has_taken_it(
    network: RegistryNetwork,
) -> None:
    network.reachable, network.lossy = {"cn-port"}, {"cn-port"}
    network.hand_in(brief())
    network.gather()
    network.later(minutes=10)
    network.restate()
    network.reachable, network.lossy = {"cn-port", "sg-port"}, set()
    assert network.gather() == {"cn-port": "registry_restatement_refused"}
    network.reachable = {"sg-port", "nl-port", "kz-rail"}
    assert network.gather() == {}
    network.reachable = set(network.witnesses)
    assert network.gather() == {}  # now it has seen the quorum
    assert network.witnesses["cn-port"].size == network.registry.size


def test_r15_a_witness_that_forgot_treats_what_a_quorum_may_have_cosigned_as_its_own(
    network: RegistryNetwork,
) -> None:
    network.reachable, network.lossy = {"cn-port", "sg-port", "nl-port"}, set(network.witnesses)
    network.hand_in(brief())
    network.gather()
    network.later(minutes=10)
    network.restate()
    forgetful = network.witnesses["kz-rail"]
    forgetful.binding = 6  # two others hold that much and one is silent
    network.reachable, network.lossy = set(network.witnesses), set()
    assert set(network.gather().values()) == {"registry_restatement_refused"}


def test_r22_asking_again_gives_the_first_cosignature_with_its_time(
    network: RegistryNetwork,
) -> None:
    first = dict(network.lines[3])
    network.later(seconds=TOLERANCE_MS)
    network.gather()
    assert network.lines[3] == first
    mine = held(network.witnesses["cn-port"].conn, ARBITER.origin)
    assert mine is not None
    assert mine.size == 3


def test_a_world_has_the_same_rules() -> None:
    world = World()
    world.run(signed(issue()))
    assert world.registry.size == 3
