"""The sequencer and the witness's mirror over a database, without a node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Connection, create_engine, delete, update

from ledger import log, registry, registry_store
from ledger.registry import Sequencer
from ledger.registry_tables import metadata, operations
from ledger.registry_witness import Mirror, View, held
from ledger.tables import leaves
from ledger.witness import Cosigner
from protocols import times
from protocols.log import checkpoint, cosignature, merkle, note
from protocols.log.checkpoint import Checkpoint
from protocols.title.machine import Kind
from protocols.title.operation import read_operation, verify_refusal
from protocols.title.registry import Registry
from protocols.title.registry_freeze import Lineage
from protocols.title.registry_wire import AddBatch, origin_hash, parse_add_batch
from schemas.errors import MalformedError, SettingsError, UnavailableError
from tests.support.title_world import (
    ARBITER,
    MEMBERS,
    NOW,
    ecdsa,
    ed,
    issue,
    log_key,
    operation,
    signed,
    witness_key,
)

EMPTY = Registry(network=MEMBERS.network, arbiter=ARBITER)
NOW_MS = times.to_ms(NOW)
SEQUENCER = Sequencer("registry", ecdsa("nhl", "exchange"))
LISTS = {MEMBERS.digest: MEMBERS}


@pytest.fixture
def conn() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        metadata.create_all(connection)
        yield connection
    engine.dispose()


def sequence(conn: Connection, base: Registry, *texts: str) -> registry.Sequenced:
    return SEQUENCER.sequence(conn, base, texts, MEMBERS, NOW_MS)


TITLE = issue().title
RIVALS = [signed(operation(Kind.TRANSFER, TITLE, 1, "exp-a", to)) for to in ("bank", "imp-a")]


def after_issue(conn: Connection) -> Registry:
    done = sequence(conn, EMPTY, signed(issue()))
    assert done.registry is not None
    return done.registry


# -- the sequencer -----------------------------------------------------------------------------


@pytest.mark.parametrize("together", [True, False])
def test_of_two_operations_with_one_seq_one_wins_and_the_other_gets_a_signed_refusal(
    conn: Connection, together: bool
) -> None:
    base = after_issue(conn)
    if together:
        first, second = sequence(conn, base, *RIVALS).outcomes
    else:
        done = sequence(conn, base, RIVALS[0])
        assert done.registry is not None
        first, second = done.outcomes[0], sequence(conn, done.registry, RIVALS[1]).outcomes[0]
    assert first.batch == 2
    assert second.refusal is not None
    said = verify_refusal(second.refusal, ecdsa("nhl", "exchange").public())
    winner = read_operation(RIVALS[0]).operation
    assert (said.winner, said.code, said.seq) == (winner.digest, "title_seq_conflict", 2)


def test_asking_twice_gives_the_same_answer(conn: Connection) -> None:
    base = after_issue(conn)
    done = sequence(conn, base, *RIVALS, *RIVALS)
    assert done.outcomes[:2] == done.outcomes[2:]
    assert done.registry is not None
    again = sequence(conn, done.registry, *RIVALS)
    assert again.outcomes == done.outcomes[:2]
    assert again.registry is None


def test_a_refused_operation_without_a_rival_names_no_winner(conn: Connection) -> None:
    base = after_issue(conn)
    thief = signed(operation(Kind.TRANSFER, TITLE, 1, "imp-a", "bank"))
    outcome = sequence(conn, base, thief).outcomes[0]
    assert outcome.refusal is not None
    said = verify_refusal(outcome.refusal, ecdsa("nhl", "exchange").public())
    assert (said.winner, said.code) == (None, "title_not_possessor")


def test_what_may_turn_out_otherwise_is_not_refused_for_good(conn: Connection) -> None:
    ahead = signed(operation(Kind.TRANSFER, TITLE, 2, "exp-a", "bank"))
    unlisted = signed(operation(Kind.TRANSFER, TITLE, 1, "exp-a", "stranger"))
    assert _error(conn, EMPTY, ahead) == "title_never_issued"
    base = after_issue(conn)
    assert _error(conn, base, ahead) == "title_seq_ahead"
    assert _error(conn, base, unlisted) == "title_recipient_not_listed"
    assert _error(conn, base, "not a jws") == "jws_malformed"
    head, body, _ = RIVALS[0].split(".")
    forged = f"{head}.{body}.{RIVALS[1].split('.')[2]}"
    # A forged copy has the digest of the true operation: it must not spoil it.
    assert _error(conn, base, forged) == "bad_signature"
    assert sequence(conn, base, RIVALS[0]).outcomes[0].batch == 2


def _error(conn: Connection, base: Registry, text: str) -> str:
    outcome = sequence(conn, base, text).outcomes[0]
    assert outcome.error is not None
    return outcome.error.code


def test_the_registry_is_loaded_as_it_was(conn: Connection) -> None:
    base = after_issue(conn)
    done = sequence(conn, base, *RIVALS)
    newest = registry_store.newest_batch(conn, "registry")
    assert registry_store.load(conn, "registry", EMPTY, newest) == done.registry
    first = registry_store.newest_batch(conn, "registry", up_to_size=3)
    assert registry_store.load(conn, "registry", EMPTY, first) == base
    assert registry_store.load(conn, "registry", EMPTY, None) == EMPTY
    assert registry_store.titles_between(conn, "registry", 2, 2) == [TITLE]
    assert registry_store.history(conn, "registry", TITLE, 2) == [signed(issue()), RIVALS[0]]
    assert registry_store.last_operation(conn, "registry", b"x" * 32) is None


def test_a_damaged_store_is_noticed_before_anything_is_signed(conn: Connection) -> None:
    after_issue(conn)
    newest = registry_store.newest_batch(conn, "registry")
    conn.execute(delete(operations))
    with pytest.raises(SettingsError, match="registry_damaged"):
        registry_store.load(conn, "registry", EMPTY, newest)


def test_steps_end_at_checkpoints() -> None:
    assert registry.whole_batches([3, 6, 9], 3, 4) == 6
    assert registry.whole_batches([3, 6, 9], 3, 1) == 6
    assert registry.whole_batches([3, 6, 9], 0, 100) == 9
    assert registry.whole_batches([3, 6, 9], 9, 100) is None


# -- the mirror --------------------------------------------------------------------------------


def mirror() -> Mirror:
    signer = ed("cn-port", "registry-witness")
    return Mirror(
        MEMBERS.network, Lineage((ARBITER,)), Cosigner(witness_key("cn-port"), signer.sign)
    )


def view(now_ms: int = NOW_MS, floor: Checkpoint | None = None) -> View:
    return View(now_ms, MEMBERS, LISTS.get, floor)


def entries_of(conn: Connection) -> list[bytes]:
    return [leaf.entry for leaf in log.read(conn, 0, 1000, log="registry")]


def request(entries: list[bytes], old: int = 0, signer: str = "nhl") -> AddBatch:
    tree = merkle.Tree(map(merkle.leaf_hash, entries))
    head = Checkpoint(ARBITER.origin, tree.size, tree.root())
    text = checkpoint.sign(head, log_key("nhl"), ed(signer, "registry").sign).to_text()
    return AddBatch(old, text, tuple(entries[old:]))


@pytest.fixture
def batches(conn: Connection) -> list[bytes]:
    """Two batches of entries: an issue, then a transfer."""
    sequence(conn, after_issue(conn), RIVALS[0])
    return entries_of(conn)


@pytest.fixture
def witness() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        metadata.create_all(connection)
        yield connection
    engine.dispose()


def test_r22_a_witness_re_executes_then_cosigns(batches: list[bytes], witness: Connection) -> None:
    one = mirror()
    first = one.add(witness, request(batches[:3]), view())
    assert first.cosignature is not None
    second = one.add(witness, request(batches, 3), view())
    assert second.cosignature is not None
    body = note.parse(request(batches).checkpoint).text
    time = cosignature.verify(body, second.cosignature, witness_key("cn-port"))
    assert time == int(NOW.timestamp())
    mine = held(witness, ARBITER.origin)
    assert mine is not None
    assert (mine.size, len(note.parse(mine.note).signatures)) == (6, 2)
    state = registry_store.state_of(witness, one.log, TITLE)
    assert state is not None
    assert state.seq == 2


def test_a_lost_answer_is_given_again(batches: list[bytes], witness: Connection) -> None:
    one = mirror()
    one.add(witness, request(batches), view())
    again = one.add(witness, request(batches, 6), view(NOW_MS + 1000))
    assert again.cosignature is not None
    assert one.add(witness, request(batches), view()).old_size == 6


def test_a_witness_goes_on_after_a_restart(batches: list[bytes], witness: Connection) -> None:
    mirror().add(witness, request(batches[:3]), view())
    second = mirror().add(witness, request(batches, 3), view())
    assert second.cosignature is not None


def test_r22_a_witness_without_the_member_list_says_nothing(
    batches: list[bytes], witness: Connection
) -> None:
    with pytest.raises(UnavailableError, match="registry_members_unknown"):
        mirror().add(witness, request(batches), replace(view(), members_of=lambda _: None))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda e: [*e[:-1], e[2]], "registry_batch_invalid"),
        (lambda e: [*e[:4], b"x", e[5]], "registry_entry_malformed"),
        (lambda e: e[:5], "registry_batch_invalid"),
    ],
)
def test_r22_a_batch_that_does_not_hold_is_refused_and_leaves_nothing(
    batches: list[bytes], witness: Connection, change: object, code: str
) -> None:
    one = mirror()
    one.add(witness, request(batches[:3]), view())
    answer = one.add(witness, request(change(batches), 3), view())
    assert answer.refusal is not None
    assert answer.refusal.code == code
    assert log.size(witness, log=one.log) == 3
    assert one.add(witness, request(batches, 3), view()).cosignature is not None


def test_entries_that_lead_to_another_root_are_refused(
    batches: list[bytes], witness: Connection
) -> None:
    asked = replace(request(batches), entries=tuple(batches[:5]))
    answer = mirror().add(witness, asked, view())
    assert answer.refusal is not None
    assert answer.refusal.code == "registry_batch_invalid"
    other = request([*batches[:5], b"x" * 100])
    asked = replace(other, entries=tuple(batches))
    answer = mirror().add(witness, asked, view())
    assert answer.refusal is not None
    assert "another log root" in answer.refusal.detail


def test_a_batch_from_the_future_is_refused(batches: list[bytes], witness: Connection) -> None:
    early = NOW_MS - int(timedelta(minutes=2).total_seconds() * 1000)
    answer = mirror().add(witness, request(batches), view(early))
    assert answer.refusal is not None
    assert "future" in answer.refusal.detail


def test_a_checkpoint_by_another_key_is_refused(batches: list[bytes], witness: Connection) -> None:
    one = mirror()
    forged = one.add(witness, request(batches, signer="kz-rail"), view())
    assert forged.refusal is not None
    assert forged.refusal.code == "witness_bad_signature"
    broken = one.add(witness, AddBatch(0, "no note", ()), view())
    assert isinstance(broken.refusal, MalformedError)


def test_r21_two_roots_for_one_size_are_a_fork(batches: list[bytes], witness: Connection) -> None:
    one = mirror()
    one.add(witness, request(batches), view())
    same = one.add(witness, request([*batches[:5], b"x"], 6), view())
    assert same.refusal is not None
    assert (same.refusal.code, same.proof) == ("registry_forked", ())
    smaller = one.add(witness, request([*batches[:4], b"x"], 5), view())
    assert smaller.forked_with is not None
    found = checkpoint.equivocation(
        smaller.forked_with,
        request([*batches[:4], b"x"]).checkpoint,
        log_key("nhl"),
        smaller.proof,
    )
    assert found is not None


def test_r21_a_fork_before_anything_was_cosigned_has_no_second_note(
    batches: list[bytes], witness: Connection
) -> None:
    one = mirror()
    floor = Checkpoint(ARBITER.origin, 9, b"f" * 32)
    one.add(witness, request(batches), view(floor=floor))
    assert held(witness, ARBITER.origin) is None
    answer = one.add(witness, request([*batches[:5], b"x"], 6), view())
    assert answer.refusal is not None
    assert answer.forked_with is None


def test_r15_nothing_below_what_partners_confirmed_is_cosigned(
    batches: list[bytes], witness: Connection
) -> None:
    one, tree = mirror(), merkle.Tree(map(merkle.leaf_hash, batches))
    floor = Checkpoint(ARBITER.origin, 6, tree.root())
    below = one.add(witness, request(batches[:3]), view(floor=floor))
    assert (below.cosignature, below.old_size) == (None, 3)
    at = one.add(witness, request(batches, 3), view(floor=floor))
    assert at.cosignature is not None


def test_r15_another_history_than_partners_confirmed_is_refused(
    batches: list[bytes], witness: Connection
) -> None:
    floor = Checkpoint(ARBITER.origin, 3, b"w" * 32)
    answer = mirror().add(witness, request(batches), view(floor=floor))
    assert answer.refusal is not None
    assert answer.refusal.code == "registry_forked"


def test_a_mirror_that_lost_what_it_cosigned_signs_no_more(
    batches: list[bytes], witness: Connection
) -> None:
    one = mirror()
    one.add(witness, request(batches), view())
    witness.execute(update(leaves).where(leaves.c.leaf_index == 1).values(leaf_hash=b"x" * 32))
    with pytest.raises(SettingsError, match="registry_damaged"):
        mirror().add(witness, request(batches, 6), view())


# -- the wire ----------------------------------------------------------------------------------


def test_an_add_batch_request_reads_back(batches: list[bytes]) -> None:
    asked = request(batches, 3)
    assert parse_add_batch(asked.to_bytes()) == asked
    assert len(origin_hash("a")) == 64


@pytest.mark.parametrize(
    "body",
    [
        b'{"old":0,"checkpoint":"x","entries":"y"}',
        b'{"old":0,"checkpoint":"x","entries":[1]}',
        b'{"old":0,"checkpoint":"x","entries":["*"]}',
        b'{"old":-1,"checkpoint":"x","entries":[]}',
        b'{"old":0,"entries":[]}',
    ],
)
def test_an_add_batch_request_of_another_form_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedError, match="registry_entry_malformed"):
        parse_add_batch(body)
