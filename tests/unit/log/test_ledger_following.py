"""What the store keeps of partners' logs, of hand-overs, and of logs that came back or ended."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import StaticPool

from ledger import checkpoints, followed, hand_overs, log, recovery, tables
from protocols.log import checkpoint, leaf
from protocols.log.checkpoint import Checkpoint
from protocols.log.epochs import HandOver
from protocols.log.leaf import Leaf, LeafKind
from protocols.log.merkle import Tree, leaf_hash
from tests.unit.log.keys_for_tests import log_pair

NOW = 1_700_000_000_000
LOG = log_pair()
ORIGIN = LOG.key.name


@pytest.fixture
def conn() -> Iterator[Connection]:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    tables.metadata.create_all(engine)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def head_of(*entries: bytes) -> tuple[Checkpoint, str]:
    tree = Tree([leaf_hash(entry) for entry in entries])
    head = Checkpoint(ORIGIN, tree.size, tree.root())
    return head, checkpoint.sign(head, LOG.key, LOG.sign).to_text()


def test_a_followed_log_keeps_its_newest_state_and_what_was_recorded(conn: Connection):
    head, text = head_of(b"a")
    assert followed.state(conn, ORIGIN) is None
    followed.put_fault(conn, ORIGIN, "log_inconsistent")
    followed.put(conn, head, text, witnessed=False, now_ms=NOW)
    held = followed.state(conn, ORIGIN)
    assert held is not None
    assert (held.size, held.witnessed, held.recorded_at, held.fault) == (1, False, 0, None)
    followed.put_fault(conn, ORIGIN, "log_inconsistent")
    assert followed.states(conn)[0].fault == "log_inconsistent"
    hash_ = followed.record(conn, held, NOW + 5)
    assert followed.recorded(conn, ORIGIN) == [(1, hash_, text)]
    more, later = head_of(b"a", b"b")
    followed.put(conn, more, later, witnessed=True, now_ms=NOW + 9)
    after = followed.state(conn, ORIGIN)
    assert after is not None
    assert (after.size, after.witnessed, after.recorded_at, after.fault) == (2, True, NOW + 5, None)


def test_r16_the_first_hand_over_to_an_epoch_is_the_one_that_is_kept(conn: Connection):
    digest = bytes(32)
    first = HandOver(digest, ORIGIN, 1, 2, digest, digest, 5)
    assert hand_overs.keep(conn, first, NOW)
    assert not hand_overs.keep(conn, HandOver(digest, ORIGIN, 1, 2, digest, digest, 9), NOW)
    assert hand_overs.all_of(conn) == hand_overs.all_of(conn, ORIGIN) == [first]
    assert hand_overs.all_of(conn, "other.example/log/1") == []


def entry(number: int) -> bytes:
    digest = bytes([number]) * 32
    return leaf.encode(Leaf(LeafKind.ISSUE, digest, digest, None, NOW + number))


def test_r15_lost_entries_come_back_in_their_places_and_unsigned_ones_go_behind(conn: Connection):
    signed = [entry(1), entry(2)]
    log.append_all(conn, signed, NOW)
    first, text = head_of(*signed)
    epoch = checkpoints.take_over(conn)
    checkpoints.intend(conn, 2, first.root, epoch, NOW)
    checkpoints.record_signed(conn, 2, text, epoch)
    # Two that nobody signed: one was lost and is given back, one is new.
    log.append_all(conn, [entry(3), entry(9)], NOW)
    lost = [entry(3), b"no leaf", entry(4)]
    head, newest = head_of(*signed, *lost)
    found = recovery.put_back(conn, 2, lost, head, newest, NOW + 99)
    assert (found.entries, found.moved) == (3, 1)
    stored = log.read(conn, 0, 99)
    assert [one.entry for one in stored] == [*signed, *lost, entry(9)]
    assert [one.index for one in stored] == list(range(6))
    assert [one.at for one in stored][2:5] == [NOW + 3, NOW + 99, NOW + 4]
    last = checkpoints.newest(conn, signed=True)
    assert last is not None
    assert (last.size, last.root, last.note) == (5, head.root, newest)
    # Doing it again changes nothing.
    again = recovery.put_back(conn, 2, lost, head, newest, NOW + 99)
    assert (again.entries, again.moved) == (3, 1)
    assert [one.entry for one in log.read(conn, 0, 99)] == [one.entry for one in stored]


def test_r15_an_ended_log_keeps_its_rows_and_the_next_begins_with_naming_it(conn: Connection):
    log.append_all(conn, [entry(1), entry(2)], NOW)
    _, text = head_of(entry(1), entry(2))
    ended = recovery.freeze(conn, ORIGIN, 7, "log_behind_partners", text, NOW)
    assert recovery.all_frozen(conn) == [ended]
    assert log.size(conn, log=ended.log) == 2
    (only,) = log.read(conn, 0, 9)
    assert leaf.decode(only.entry).kind is LeafKind.KEY_EVENT
    assert only.index == 0
