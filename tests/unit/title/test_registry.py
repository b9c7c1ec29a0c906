"""The registry as a log: entries, map, re-execution, proofs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import times
from protocols.member_list import ListedKey, MemberList
from protocols.title.json_forms import map_key
from protocols.title.machine import Bill, Ending, Kind, State
from protocols.title.proof import (
    TitleProof,
    read_proof,
    read_proof_json,
    verify_history,
    verify_proof,
)
from protocols.title.registry import (
    MAX_OPERATIONS,
    Arbiter,
    Execution,
    Registry,
    arbiter_of,
    execute,
    open_batch,
)
from protocols.title.registry_entries import (
    BatchEntry,
    HandOverEntry,
    OperationEntry,
    RootEntry,
    decode,
)
from protocols.title.sparse_map import EMPTY, SparseMap, root_of
from schemas.errors import MalformedError, RefusedError, TradeError, UnavailableError
from tests.support.title_world import (
    ARBITER,
    MEMBERS,
    NOW,
    WITNESSES,
    World,
    draft,
    issue,
    member_list,
    operation,
    registry_entry,
    signed,
)

DIGESTS = st.binary(min_size=32, max_size=32)
NUMBERS = st.integers(0, 2**53 - 1)
EMPTY_REGISTRY = Registry(network=MEMBERS.network, arbiter=ARBITER)

# Entries.

ENTRIES = (
    st.builds(BatchEntry, NUMBERS, NUMBERS, DIGESTS, DIGESTS, st.booleans())
    | st.builds(
        HandOverEntry,
        st.builds(BatchEntry, NUMBERS, NUMBERS, DIGESTS, DIGESTS),
        st.binary(min_size=24, max_size=5000),
    )
    | st.builds(RootEntry, DIGESTS, NUMBERS, NUMBERS, DIGESTS)
    | st.text(st.characters(max_codepoint=127), min_size=24, max_size=5000).map(OperationEntry)
)


@given(ENTRIES)
def test_an_entry_reads_back_as_it_was_written(
    entry: BatchEntry | HandOverEntry | RootEntry | OperationEntry,
) -> None:
    assert decode(entry.encode()) == entry


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        b"\x83\x62r1\x62op\x58\x18" + b"\xff" * 24,
        b"\x83\x62r1\x62op\x59\x00\x18" + b"a" * 24,
        b"\x83\x62r1\x62op\x58\x19" + b"a" * 24,
        b"\x86\x62r1\x65batch\x18\x01\x01" + (b"\x58\x20" + bytes(32)) * 2,
        BatchEntry(1, 2, bytes(32), bytes(32)).encode() + b"\x00",
        OperationEntry("a" * 70_000).encode(),
    ],
)
def test_an_entry_in_another_encoding_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError, match="registry_entry_malformed"):
        decode(data)


# The map.


@given(st.dictionaries(DIGESTS, DIGESTS, max_size=40), st.randoms(use_true_random=False))
def test_the_map_does_not_depend_on_order_and_proves_every_entry(
    items: dict[bytes, bytes], random: st.random.Random
) -> None:
    order = list(items)
    random.shuffle(order)
    one, two = SparseMap(), SparseMap()
    for key in items:
        one = one.set(key, b"o" * 32).set(key, items[key])
    for key in order:
        two = two.set(key, items[key])
    assert one.root == two.root
    for key, value in items.items():
        assert one.get(key) == value
        assert root_of(key, value, one.path(key)) == one.root


def test_the_map_splits_keys_that_differ_in_their_last_bit() -> None:
    left, right = bytes(32), bytes(31) + b"\x01"
    both = SparseMap().set(left, b"l" * 32).set(right, b"r" * 32)
    assert len(both.path(left)) == 256
    assert root_of(left, b"l" * 32, both.path(left)) == both.root
    assert both.get(b"\x80" + bytes(31)) is None


def test_an_empty_map_has_the_empty_root_and_no_paths() -> None:
    assert SparseMap().root == EMPTY
    with pytest.raises(KeyError):
        SparseMap().path(bytes(32))
    with pytest.raises(ValueError, match="32 bytes"):
        SparseMap().set(b"short", bytes(32))


def test_a_path_that_no_map_has_is_refused() -> None:
    for path in ([bytes(32)] * 257, [b"short"]):
        with pytest.raises(RefusedError, match="title_path_invalid"):
            root_of(bytes(32), bytes(32), path)


# Execution.


def test_r22_re_execution_from_the_log_gives_the_same_registry() -> None:
    world = World()
    made = issue()
    world.run(signed(made), signed(issue(reference="NHLX0002")))
    world.go(Kind.TRANSFER, made.title, "exp-a", "bank")
    again = execute(EMPTY_REGISTRY, world.entries, {MEMBERS.digest: MEMBERS}.get, {}.get)
    assert again.registry == world.registry
    assert again.changed == world.states
    assert [(len(step.applied), step.size) for step in again.steps] == [(2, 4), (1, 7)]


def test_r22_re_execution_continues_from_a_state() -> None:
    world = World()
    made = issue()
    world.run(signed(made))
    before, states, done = world.registry, dict(world.states), len(world.entries)
    world.go(Kind.TRANSFER, made.title, "exp-a", "bank")
    world.go(Kind.TRANSFER, made.title, "bank", "imp-a")
    again = execute(before, world.entries[done:], {MEMBERS.digest: MEMBERS}.get, states.get)
    assert again.registry == world.registry


def entries_of(world: World) -> tuple[bytes, bytes, bytes]:
    batch, made, root = world.entries
    return batch, made, root


def reexecute(*entries: bytes) -> None:
    execute(EMPTY_REGISTRY, entries, {MEMBERS.digest: MEMBERS}.get, {}.get)


def test_r22_a_wrong_state_root_is_refused() -> None:
    world = World()
    world.run(signed(issue()))
    batch, made, root = entries_of(world)
    reexecute(batch, made, root)
    wrong = replace(decode(root), state_root=b"x" * 32)
    with pytest.raises(RefusedError, match="state root is another"):
        reexecute(batch, made, wrong.encode())


def test_r22_an_operation_that_does_not_hold_makes_the_batch_invalid() -> None:
    world = World()
    world.run(signed(issue()))
    batch, made, root = entries_of(world)
    with pytest.raises(RefusedError, match="title_exists"):
        reexecute(batch, made, made, root)


@pytest.mark.parametrize("order", [(0,), (0, 1), (1,), (2,), (0, 2), (0, 0, 1, 2), (0, 1, 2, 2)])
def test_r22_batch_operations_root_come_in_this_order(order: tuple[int, ...]) -> None:
    world = World()
    world.run(signed(issue()))
    with pytest.raises(RefusedError, match="registry_batch_invalid"):
        reexecute(*(world.entries[at] for at in order))


def test_r22_a_member_list_that_is_not_held_is_waited_for() -> None:
    world = World()
    world.run(signed(issue()))
    with pytest.raises(UnavailableError, match="registry_members_unknown"):
        execute(EMPTY_REGISTRY, world.entries, lambda _: None, {}.get)


@pytest.mark.parametrize(
    "changes",
    [
        {"number": 2},
        {"number": 0},
        {"members_digest": b"x" * 32},
        {"policy_digest": b"x" * 32},
    ],
)
def test_r22_a_batch_that_does_not_follow_is_refused(changes: dict[str, object]) -> None:
    batch = replace(open_batch(EMPTY_REGISTRY, MEMBERS, 5), **changes)
    with pytest.raises(RefusedError, match="registry_batch_invalid"):
        Execution(EMPTY_REGISTRY, batch, MEMBERS, {}.get)


@pytest.mark.parametrize(
    "changes", [{"at_ms": 10**15}, {"members_version": 2}, {"network": bytes(32)}]
)
def test_r22_time_and_member_list_never_go_back(changes: dict[str, object]) -> None:
    base = replace(EMPTY_REGISTRY, **changes)
    batch = open_batch(EMPTY_REGISTRY, MEMBERS, times.to_ms(NOW))
    with pytest.raises(RefusedError, match="registry_batch_invalid"):
        Execution(base, batch, MEMBERS, {}.get)


def test_a_batch_is_never_dated_before_the_last_one() -> None:
    assert open_batch(replace(EMPTY_REGISTRY, at_ms=9), MEMBERS, 5).at_ms == 9


def test_r6_an_expired_member_list_moves_no_title() -> None:
    late = NOW + timedelta(days=31)
    batch = open_batch(EMPTY_REGISTRY, MEMBERS, times.to_ms(late))
    with pytest.raises(RefusedError, match="registry_members_stale"):
        Execution(EMPTY_REGISTRY, batch, MEMBERS, {}.get)


def test_r1_an_operation_for_another_network_or_arbiter_is_refused() -> None:
    run = World().open()
    for name, code in (("network", "title_other_network"), ("arbiter", "title_other_arbiter")):
        made = replace(issue(), **{name: b"x" * 32})
        with pytest.raises(RefusedError, match=code):
            run.apply(signed(made))


def test_one_refused_operation_reverts_no_neighbour() -> None:
    world = World()
    run = world.open()
    first, second = issue(), issue(reference="NHLX0002")
    run.apply(signed(first))
    with pytest.raises(TradeError, match="title_not_possessor"):
        run.apply(signed(operation(Kind.TRANSFER, first.title, 1, "bank", "imp-a")))
    run.apply(signed(second))
    world.commit(run)
    assert set(world.states) == {first.title, second.title}
    only = World()
    only.run(signed(first), signed(second))
    assert only.registry == world.registry


def test_a_full_batch_takes_no_more() -> None:
    run = World().open()
    run.applied = [None] * MAX_OPERATIONS
    with pytest.raises(UnavailableError, match="registry_batch_full"):
        run.apply(signed(issue()))


def test_r19_two_issues_of_one_manifest_are_refused() -> None:
    world = World()
    world.run(signed(issue()))
    again = replace(issue(), title=b"x" * 32)
    with pytest.raises(TradeError, match="title_manifest_reused"):
        world.run(signed(again))


def ended_for_amendment(world: World) -> bytes:
    made = issue()
    world.run(signed(made))
    world.go(Kind.SURRENDER_FOR_AMENDMENT, made.title, "exp-a")
    world.go(Kind.ACCEPT_SURRENDER, made.title, "nhl")
    end = replace(operation(Kind.END, made.title, 3, "nhl"), ending=Ending.AMENDED)
    world.run(signed(end))
    return made.title


def test_a_title_has_one_successor() -> None:
    world = World()
    old = ended_for_amendment(world)
    world.run(signed(issue(reference="NHLX0002", replaces=old)))
    with pytest.raises(TradeError, match="title_already_replaced"):
        world.run(signed(issue(reference="NHLX0003", replaces=old)))


def test_r19_the_arbiter_is_its_key_and_its_policy() -> None:
    other = arbiter_of(registry_entry(quorum=4))
    assert other.id != ARBITER.id
    assert Arbiter(ARBITER.origin, ARBITER.vkey, ARBITER.policy_text).id == ARBITER.id


def test_delisting_a_carrier_leaves_its_live_titles_where_they_are() -> None:
    world = World()
    made = issue()
    world.run(signed(made))
    prepared = draft()
    nodes = tuple(replace(node, roles=("port",)) for node in prepared.nodes)
    world.members = member_list(replace(prepared, nodes=nodes))
    world.registry = replace(world.registry, network=world.members.network)
    world.members = replace_network(world)
    moved = world.go(Kind.TRANSFER, made.title, "exp-a", "bank")
    assert moved.state is State.LIVE
    with pytest.raises(RefusedError, match="title_issuer_not_listed"):
        world.run(signed(issue(reference="NHLX0009")))


def replace_network(world: World) -> object:
    world.registry = replace(world.registry, network=MEMBERS.network)
    return replace(world.members, network=MEMBERS.network)


# Proofs.


@pytest.fixture(scope="module")
def proven() -> tuple[World, bytes, TitleProof]:
    world = World()
    made = issue()
    world.run(signed(made), *(signed(issue(reference=f"NHLX1{n:03d}")) for n in range(12)))
    world.go(Kind.TRANSFER, made.title, "exp-a", "bank")
    return world, made.title, world.proof(made.title)


def check(data: bytes) -> None:
    verify_proof(read_proof(data), arbiter=ARBITER, members=MEMBERS)


def test_r22_proof_of_control_is_a_path_to_the_state_root(
    proven: tuple[World, bytes, TitleProof],
) -> None:
    world, title, proof = proven
    result = verify_proof(proof, arbiter=ARBITER, members=MEMBERS)
    assert result.state == world.states[title]
    assert result.number == world.registry.number
    assert result.at == NOW
    assert result.log.witness_time == int(NOW.timestamp())
    assert read_proof(proof.to_bytes()) == proof == read_proof_json(proof.to_json())


def test_r22_every_changed_byte_makes_the_proof_fail(
    proven: tuple[World, bytes, TitleProof],
) -> None:
    data = proven[2].to_bytes()
    check(data)
    for at in range(len(data)):
        for change in (data[at] ^ 1, data[at] ^ 0x20, 0x41):
            if change != data[at]:
                with pytest.raises(TradeError):
                    check(data[:at] + bytes([change]) + data[at + 1 :])


def test_r21_a_proof_without_a_quorum_is_not_final(
    proven: tuple[World, bytes, TitleProof],
) -> None:
    world, title, _ = proven
    weak = world.proof(title, ("cn-port", "sg-port"))
    with pytest.raises(RefusedError, match="title_proof_unwitnessed"):
        verify_proof(weak, arbiter=ARBITER, members=MEMBERS)


def test_r16_a_witness_whose_key_ended_has_no_vote_in_a_later_proof(
    proven: tuple[World, bytes, TitleProof],
) -> None:
    world, title, _ = proven
    three = world.proof(title)

    def check_with(proof: TitleProof, *ended: tuple[str, timedelta]) -> None:
        members = ended_at({name: NOW + after for name, after in ended})
        verify_proof(proof, arbiter=ARBITER, members=members)

    first, second = WITNESSES[:2]
    check_with(three)
    # What it cosigned before its end is good for ever.
    check_with(three, (first, timedelta(days=1)), (second, timedelta(days=1)))
    check_with(world.proof(title, WITNESSES), (first, timedelta(0)))
    two = ((first, timedelta(0)), (second, timedelta(0)))
    for proof, ended in ((three, two[:1]), (world.proof(title, WITNESSES), two)):
        with pytest.raises(RefusedError, match="title_proof_unwitnessed"):
            check_with(proof, *ended)


def ended_at(moments: dict[str, datetime]) -> MemberList:
    """The list that ends these members' keys for witnessing registries."""
    made = draft()
    nodes = tuple(
        replace(node, keys=tuple(_ended(key, moments.get(node.name)) for key in node.keys))
        for node in made.nodes
    )
    members = member_list(replace(made, nodes=nodes))
    return replace(members, network=MEMBERS.network)


def _ended(key: ListedKey, at: datetime | None) -> ListedKey:
    return replace(key, valid_until=at) if key.purpose == "registry-witness" else key


def test_r5_a_proof_under_another_arbiter_or_network_fails(
    proven: tuple[World, bytes, TitleProof],
) -> None:
    proof = proven[2]
    other = arbiter_of(registry_entry(witnesses=("cn-port",), quorum=1))
    with pytest.raises(TradeError):
        verify_proof(proof, arbiter=other, members=MEMBERS)
    with pytest.raises(TradeError):
        verify_proof(proof, arbiter=ARBITER, members=replace(MEMBERS, network=b"x" * 32))


def test_a_proof_of_another_state_of_the_title_fails(
    proven: tuple[World, bytes, TitleProof],
) -> None:
    proof = proven[2]
    forged = replace(proof, state=replace(proof.state, possessor=proof.state.shipper))
    with pytest.raises(TradeError):
        verify_proof(forged, arbiter=ARBITER, members=MEMBERS)


@pytest.mark.parametrize("members", [{"v": 2}, {"more": 1}, {"path": "x"}, {"path": [1]}])
def test_a_proof_with_other_members_is_malformed(
    proven: tuple[World, bytes, TitleProof], members: dict[str, object]
) -> None:
    with pytest.raises(MalformedError):
        read_proof_json(proven[2].to_json() | members)


def test_a_proof_has_one_spelling(proven: tuple[World, bytes, TitleProof]) -> None:
    with pytest.raises(MalformedError, match="title_proof_malformed"):
        read_proof(proven[2].to_bytes() + b" ")


def test_the_head_commits_to_the_whole_history(
    proven: tuple[World, bytes, TitleProof],
) -> None:
    world, title, _ = proven
    state, history = world.states[title], world.operations[title]
    verify_history(state, history)
    foreign = signed(issue(reference="NHLX1000"))
    for wrong in (history[:1], history[1:], [*history, history[1]], [foreign, history[1]]):
        with pytest.raises(RefusedError, match="title_history_mismatch"):
            verify_history(state, wrong)


def test_a_map_key_is_no_title(proven: tuple[World, bytes, TitleProof]) -> None:
    world, title, _ = proven
    assert world.registry.titles.get(title) is None
    assert world.registry.titles.get(map_key(title)) is not None


def test_r22_a_straight_title_is_registered_too() -> None:
    world = World()
    made = issue(bill=Bill.STRAIGHT, holder="imp-a")
    assert world.run(signed(made))[0].state.bill is Bill.STRAIGHT


def test_extra_data_beside_a_proof_is_refused(
    proven: tuple[World, bytes, TitleProof],
) -> None:
    proof = proven[2]
    text = proof.proof.replace("\nindex", "\nextra AAAA\nindex", 1)
    with pytest.raises(MalformedError, match="title_proof_malformed"):
        verify_proof(replace(proof, proof=text), arbiter=ARBITER, members=MEMBERS)
