"""Ending an arbiter by threshold and handing its titles over (R21), without a node."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from sqlalchemy import Connection

from ledger import registry_freezes
from ledger.registry_freezes import Dispute
from ledger.registry_witness import Mirror, View
from ledger.witness import Cosigner
from protocols import times
from protocols.evm.title import EvmArbiterId
from protocols.log import checkpoint, merkle, note
from protocols.log import policy as log_policy
from protocols.log.checkpoint import Checkpoint
from protocols.member_list import MemberList, Roots, open_founding, sign_list
from protocols.title import registry_freeze as freezing
from protocols.title.machine import Kind
from protocols.title.registry import Arbiter, beginning, execute, hand_over, open_batch
from protocols.title.registry_entries import HandOverEntry, RootEntry
from protocols.title.registry_freeze import Freeze, Lineage, SignedFreeze
from protocols.title.registry_wire import AddBatch
from protocols.title.sparse_map import EMPTY
from schemas.errors import ConflictError, MalformedError, RefusedError, TradeError
from tests.support.registry_network import database
from tests.support.title_world import (
    ARBITER,
    MEMBERS,
    NOW,
    WITNESSES,
    World,
    draft,
    ecdsa,
    ed,
    issue,
    log_key,
    operation,
    signed,
    witness_key,
)

ROOTS = tuple(ecdsa(f"root-{number}", "root") for number in range(3))
KAZAKH = log_key("kz-rail")
SUCCESSOR = Arbiter(
    KAZAKH.name,
    KAZAKH.to_text(),
    log_policy.threshold_policy(KAZAKH, [(witness_key(name), "") for name in WITNESSES[:3]], 2),
)
NOW_MS = times.to_ms(NOW)


@cache
def governed() -> MemberList:
    """The network of the other tests, with three roots of whom two must sign."""
    keys = tuple(one.public() for one in ROOTS)
    payload = replace(draft(), roots=Roots(2, keys)).payload()
    members = open_founding(sign_list(payload, ROOTS))
    # The same network as that of the operations that these tests sign.
    return replace(members, network=MEMBERS.network)


def ended(world: World, **changes: object) -> Freeze:
    tree = merkle.Tree(map(merkle.leaf_hash, world.entries))
    plain = Freeze(
        network=MEMBERS.network,
        arbiter=ARBITER,
        at=tree.size,
        root=tree.root(),
        members=governed().digest,
        issued_at=NOW,
        state_root=world.registry.titles.root,
        successor=SUCCESSOR.id,
    )
    return replace(plain, **changes)


def by_roots(freeze: Freeze, count: int = 2) -> SignedFreeze:
    return freezing.draft(freeze).signed_by(ROOTS[:count])


@pytest.fixture
def world() -> World:
    """A registry with one title that was transferred once."""
    made = World()
    made.run(signed(issue()))
    made.go(Kind.TRANSFER, issue().title, "exp-a", "bank")
    return made


# The document.


def test_r21_a_freeze_counts_with_the_threshold_of_roots(world: World) -> None:
    freeze = ended(world)
    assert by_roots(freeze).verify(governed()) == freeze
    for document in (freezing.draft(freeze), by_roots(freeze, 1)):
        with pytest.raises(RefusedError, match="freeze_threshold"):
            document.verify(governed())
    twice = by_roots(freeze, 1).signed_by(ROOTS[:1])  # R3: one key counts once
    assert twice.counted(governed()) == 1


def test_r1_a_freeze_is_of_one_network_and_one_list(world: World) -> None:
    for change, code in (("network", "freeze_other_network"), ("members", "freeze_other_list")):
        with pytest.raises(RefusedError, match=code):
            by_roots(ended(world, **{change: b"x" * 32})).verify(governed())


@pytest.mark.parametrize("signatures", [0, 1, 3])
def test_a_freeze_reads_back_from_its_file(world: World, signatures: int) -> None:
    document = freezing.draft(ended(world)).signed_by(ROOTS[:signatures])
    assert freezing.read(document.to_bytes()) == document
    assert ARBITER.id == document.freeze.arbiter.id
    with pytest.raises(TradeError):
        freezing.read(document.to_bytes() + b" ")


def test_one_form_ends_a_chain_at_a_block_as_well() -> None:
    chain = EvmArbiterId(1337, b"c" * 20, b"h" * 32)
    freeze = Freeze(MEMBERS.network, chain, 7_000, b"b" * 32, governed().digest, NOW)
    read = freezing.read(by_roots(freeze).to_bytes())
    assert read.verify(governed()) == freeze
    assert b'"block":7000' in read.envelope.payload
    held = {chain.id: read}
    with pytest.raises(RefusedError, match="arbiter_frozen"):
        freezing.in_force(chain.id, held)
    freezing.require_before_end(chain.id, 7_000, held)
    with pytest.raises(RefusedError, match="arbiter_frozen"):
        freezing.require_before_end(chain.id, 7_001, held)


@pytest.mark.parametrize(
    "change",
    [
        (b'"size":6', b'"size":-6'),
        (b'"v":1', b'"v":2'),
        (b'"v":1', b'"v":1,"w":1'),
        (b'"origin":"nhl', b'"origin":"xhl'),
        (b'"issuedAt"', b'"issuedat"'),
    ],
)
def test_a_freeze_of_another_form_is_malformed(world: World, change: tuple[bytes, bytes]) -> None:
    payload = ended(world).to_bytes()
    assert change[0] in payload
    broken = freezing.jws.MultiJws(payload.replace(*change), ()).to_bytes()
    with pytest.raises(MalformedError):
        freezing.read(broken)


@pytest.mark.parametrize("contract", ["0x12", "0x" + "zz" * 20, "0x" + "AB" * 20])
def test_an_address_has_one_spelling(contract: str) -> None:
    chain = EvmArbiterId(1337, b"\xab" * 20, b"h" * 32)
    payload = Freeze(MEMBERS.network, chain, 1, b"b" * 32, b"m" * 32, NOW).to_bytes()
    payload = payload.replace(b"0x" + b"ab" * 20, contract.encode())
    with pytest.raises(MalformedError):
        freezing.read(freezing.jws.MultiJws(payload, ()).to_bytes())


# Who continues.


def test_r21_who_continues_follows_from_the_documents(world: World) -> None:
    document = by_roots(ended(world))
    held = {ARBITER.id: document}
    assert freezing.in_force(ARBITER.id, held) == SUCCESSOR.id
    assert freezing.lineage(SUCCESSOR, held) == Lineage((ARBITER, SUCCESSOR), (document,))
    assert freezing.lineage(ARBITER, held) == Lineage((ARBITER,))
    with pytest.raises(RefusedError, match="arbiter_frozen"):
        freezing.require_in_force(ARBITER.id, held)
    freezing.require_in_force(SUCCESSOR.id, held)


def test_arbiters_in_a_circle_have_no_lineage(world: World) -> None:
    there = by_roots(ended(world))
    back = by_roots(ended(world, arbiter=SUCCESSOR, successor=ARBITER.id))
    held = {ARBITER.id: there, SUCCESSOR.id: back}
    with pytest.raises(RefusedError, match="freeze_lineage_invalid"):
        freezing.lineage(ARBITER, held)
    with pytest.raises(RefusedError, match="arbiter_frozen"):
        freezing.in_force(ARBITER.id, held)


def test_r19_operations_name_the_arbiters_in_turn(world: World) -> None:
    document = by_roots(ended(world))
    held = {ARBITER.id: document}
    both = [ARBITER.id, SUCCESSOR.id]
    assert freezing.require_turns(both, SUCCESSOR.id, 9, held) == (document,)
    assert freezing.require_turns([ARBITER.id], ARBITER.id, 6, held) == ()
    for named, proving, size, code in (
        (both, SUCCESSOR.id, 6, "title_other_arbiter"),
        ([*both, ARBITER.id], SUCCESSOR.id, 9, "title_other_arbiter"),
        ([SUCCESSOR.id], ARBITER.id, 6, "title_other_arbiter"),
        ([ARBITER.id, b"x" * 32], ARBITER.id, 6, "title_other_arbiter"),
        ([ARBITER.id], ARBITER.id, 9, "arbiter_frozen"),
    ):
        with pytest.raises(RefusedError, match=code):
            freezing.require_turns(named, proving, size, held)
    with pytest.raises(RefusedError, match="title_other_arbiter"):
        freezing.require_turns(both, SUCCESSOR.id, 9, {})


def test_r5_documents_beside_a_proof_count_for_the_roots_signatures_only(world: World) -> None:
    text = by_roots(ended(world)).to_bytes().decode()
    assert set(freezing.disclosed([text], governed(), {})) == {ARBITER.id}
    weak = by_roots(ended(world), 1).to_bytes().decode()
    foreign = by_roots(ended(world, network=b"x" * 32)).to_bytes().decode()
    for items in ("x", [1], [weak], [foreign], [text] * 20):
        with pytest.raises(TradeError):
            freezing.disclosed(items, governed(), {})
    # What is held here holds, whatever is shown.
    held = {ARBITER.id: by_roots(ended(world, at=3))}
    assert freezing.disclosed([text], governed(), held) == held


# The hand-over in the log.


def continued(world: World, document: SignedFreeze) -> tuple[list[bytes], Lineage]:
    """The successor's log: the frozen entries, then the hand-over."""
    line = Lineage((ARBITER, SUCCESSOR), (document,))
    start = beginning(MEMBERS.network, line)
    base = execute(start, world.entries, {MEMBERS.digest: MEMBERS}.get, {}.get).registry
    moment = replace(open_batch(base, MEMBERS, NOW_MS), policy_digest=SUCCESSOR.policy_digest)
    entry = HandOverEntry(moment, document.to_bytes())
    after = hand_over(base, entry, governed())
    root = RootEntry(after.network, after.number, after.at_ms, after.titles.root)
    return [*world.entries, entry.encode(), root.encode()], line


LISTS = {MEMBERS.digest: MEMBERS}


def lists() -> dict[bytes, MemberList]:
    return LISTS | {governed().digest: governed()}


def test_r22_a_hand_over_is_re_executed_from_the_log_alone(world: World) -> None:
    entries, line = continued(world, by_roots(ended(world)))
    done = execute(beginning(MEMBERS.network, line), entries, lists().get, {}.get)
    assert done.registry.arbiter == SUCCESSOR
    assert done.registry.titles.root == world.registry.titles.root
    assert done.changed == world.states
    run = replace(operation(Kind.TRANSFER, issue().title, 2, "bank", "imp-a"))
    from protocols.title.registry import Execution

    batch = open_batch(done.registry, MEMBERS, NOW_MS)
    going = Execution(done.registry, batch, MEMBERS, dict(done.changed).get)
    with pytest.raises(RefusedError, match="arbiter_frozen"):
        going.apply(signed(run))
    assert going.apply(signed(replace(run, arbiter=SUCCESSOR.id))).state.seq == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"at": 3},
        {"state_root": b"s" * 32},
        {"successor": b"s" * 32},
        {"arbiter": SUCCESSOR},
    ],
)
def test_r21_a_hand_over_at_another_place_or_to_another_is_refused(
    world: World, changes: dict[str, object]
) -> None:
    with pytest.raises(RefusedError, match="registry_batch_invalid"):
        continued(world, by_roots(ended(world, **changes)))


def test_r21_without_the_roots_there_is_no_hand_over(world: World) -> None:
    with pytest.raises(RefusedError, match="freeze_threshold"):
        continued(world, by_roots(ended(world), 1))


def test_r21_after_its_end_an_arbiter_has_no_batch_but_its_hand_over(world: World) -> None:
    document = by_roots(ended(world))
    world.go(Kind.TRANSFER, issue().title, "bank", "imp-a")
    line = Lineage((ARBITER, SUCCESSOR), (document,))
    with pytest.raises(RefusedError, match="the arbiter ends here"):
        execute(beginning(MEMBERS.network, line), world.entries, lists().get, {}.get)


# The witnesses.


def mirror(line: Lineage) -> Mirror:
    key, signer = witness_key("cn-port"), ed("cn-port", "registry-witness")
    return Mirror(MEMBERS.network, line, Cosigner(key, signer.sign))


def asked(entries: list[bytes], key: note.VerifierKey, name: str, old: int = 0) -> AddBatch:
    tree = merkle.Tree(map(merkle.leaf_hash, entries))
    head = Checkpoint(key.name, tree.size, tree.root())
    text = checkpoint.sign(head, key, ed(name, "registry").sign).to_text()
    return AddBatch(old, text, tuple(entries[old:]))


def view(freeze: Freeze | None = None) -> View:
    return View(NOW_MS, MEMBERS, lists().get, freeze=freeze)


@pytest.fixture
def conn() -> Connection:
    return database()


def test_r21_a_witness_cosigns_nothing_after_the_end(world: World, conn: Connection) -> None:
    one, freeze = mirror(Lineage((ARBITER,))), ended(world)
    key = log_key("nhl")
    assert one.add(conn, asked(world.entries, key, "nhl"), view(freeze)).cosignature is not None
    world.go(Kind.TRANSFER, issue().title, "bank", "imp-a")
    answer = one.add(conn, asked(world.entries, key, "nhl", 6), view(freeze))
    assert answer.refusal is not None
    assert answer.refusal.code == "arbiter_frozen"


def test_r21_a_witness_of_the_successor_mirrors_the_frozen_log_and_cosigns_the_hand_over(
    world: World, conn: Connection
) -> None:
    entries, line = continued(world, by_roots(ended(world)))
    one = mirror(line)
    part = one.add(conn, asked(entries[:6], KAZAKH, "kz-rail"), view())
    assert (part.cosignature, part.old_size) == (None, 6)
    whole = one.add(conn, asked(entries, KAZAKH, "kz-rail", 6), view())
    assert whole.cosignature is not None
    again = mirror(line)  # after a restart
    assert again.add(conn, asked(entries, KAZAKH, "kz-rail", 8), view()).cosignature is not None


def test_r21_a_log_that_does_not_begin_with_the_frozen_one_is_refused(
    world: World, conn: Connection
) -> None:
    document = by_roots(ended(world, root=b"r" * 32))
    entries, line = continued(world, document)
    answer = mirror(line).add(conn, asked(entries, KAZAKH, "kz-rail"), view())
    assert answer.refusal is not None
    assert answer.refusal.code == "freeze_lineage_invalid"


# What a node keeps.


def test_r21_the_first_end_holds_and_only_a_successor_may_be_added(
    world: World, conn: Connection
) -> None:
    plain, whole = by_roots(ended(world, successor=None)), by_roots(ended(world))
    assert registry_freezes.put(conn, plain, 1)
    assert not registry_freezes.put(conn, plain, 2)
    assert registry_freezes.put(conn, whole, 3)
    assert not registry_freezes.put(conn, plain, 4)
    for other in (ended(world, at=3), ended(world, successor=b"x" * 32)):
        with pytest.raises(ConflictError, match="freeze_conflict"):
            registry_freezes.put(conn, by_roots(other), 5)
    assert registry_freezes.held(conn) == {ARBITER.id: whole}


def test_r21_a_dispute_ends_with_the_hand_over(world: World, conn: Connection) -> None:
    title = issue().title
    about = Dispute(ARBITER.id, title, "title_contradicted", "file", 1)
    assert registry_freezes.dispute(conn, about)
    assert not registry_freezes.dispute(conn, about)
    assert registry_freezes.disputed(conn, title, SUCCESSOR.id) == about
    assert registry_freezes.disputed(conn, b"o" * 32, ARBITER.id) is None
    assert registry_freezes.disputes_of(conn) == [about]
    registry_freezes.put(conn, by_roots(ended(world)), 2)
    assert registry_freezes.disputed(conn, title, ARBITER.id) == about
    assert registry_freezes.disputed(conn, title, SUCCESSOR.id) is None


def test_a_stopped_registry_stays_stopped_until_it_is_resumed(conn: Connection) -> None:
    registry_freezes.stop(conn, "registry", 1)
    registry_freezes.stop(conn, "registry", 2)
    assert registry_freezes.is_stopped(conn, "registry")
    registry_freezes.resume(conn, "registry")
    assert not registry_freezes.is_stopped(conn, "registry")


def test_an_empty_registry_can_be_ended() -> None:
    freeze = ended(World())
    assert (freeze.at, freeze.state_root) == (0, EMPTY)
