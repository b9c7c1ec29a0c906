from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, create_engine, delete, update
from sqlalchemy.pool import StaticPool

from ledger import checkpoints, log, tables
from ledger.publisher import LogIdentity, LogPublisher
from ledger.tiles import (
    Tile,
    TileFolder,
    index_path,
    parse_path,
    tiles_between,
    write_durably,
)
from protocols.log import checkpoint, cosignature, leaf, note
from protocols.log.leaf import LeafKind
from protocols.log.merkle import EMPTY_ROOT, Frontier, Tree, leaf_hash
from schemas.errors import (
    ConflictError,
    MalformedError,
    NotFoundError,
    SettingsError,
    TooLargeError,
)
from tests.shared import shared_path
from tests.unit.log.keys_for_tests import log_pair, witness_pairs

LOG = log_pair()
NOW = 1_700_000_000_000


def memory() -> Engine:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    tables.metadata.create_all(engine)
    return engine


@pytest.fixture
def conn():
    engine = memory()
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def test_leaves_get_dense_indexes_and_are_found_by_hash(conn: Connection):
    first = log.append(conn, b"a", NOW)
    more = log.append_all(conn, [b"b", b"c"], NOW + 1)
    assert [first.index, *(leaf.index for leaf in more)] == [0, 1, 2]
    assert first.hash == leaf_hash(b"a")
    assert log.size(conn) == log.counted(conn) == 3
    assert log.append_all(conn, [], NOW) == []
    assert [leaf.entry for leaf in log.read(conn, 1, 9)] == [b"b", b"c"]
    assert log.hashes(conn, 0, 2) == [leaf_hash(b"a"), leaf_hash(b"b")]
    found = log.find(conn, more[1].hash)
    assert found is not None
    assert (found.index, found.entry, found.at) == (2, b"c", NOW + 1)
    assert log.find(conn, bytes(32)) is None


def test_two_logs_of_one_node_do_not_mix(conn: Connection):
    log.append(conn, b"a", NOW)
    assert log.append(conn, b"a", NOW, log="registry").index == 0
    assert log.size(conn, log="registry") == 1
    assert log.size(conn, log="other") == 0


def test_r18_leaves_of_a_subject_form_a_chain(conn: Connection):
    one, two = b"1" * 32, b"2" * 32
    added = [
        log.remember(conn, kind, subject, b"c" * 32, NOW + at)
        for at, (kind, subject) in enumerate(
            [(LeafKind.ISSUE, one), (LeafKind.ISSUE, two), (LeafKind.STATUS, one)]
        )
    ]
    log.append(conn, b"no leaf", NOW)
    found = log.of_subject(conn, one)
    assert [item.index for item in found] == [0, 2]
    assert [leaf.decode(item.entry).prev for item in found] == [None, added[0].hash]
    assert log.of_subject(conn, two, newest_only=True)[0].index == 1
    assert log.of_subject(conn, bytes(32)) == []


def test_r18_a_batch_continues_chains_and_chains_within_itself(conn: Connection):
    one, two, three = (bytes([number]) * 32 for number in (1, 2, 3))
    before = log.remember(conn, LeafKind.ISSUE, one, b"c" * 32, NOW)
    subjects = (two, one, two, three, one)
    facts = [log.Fact(LeafKind.RECEIVE, subject, b"d" * 32) for subject in subjects]
    added = log.remember_all(conn, facts, NOW + 1)
    assert [leaf.index for leaf in added] == [1, 2, 3, 4, 5]
    prevs = [leaf.decode(item.entry).prev for item in log.read(conn, 1, 6)]
    assert prevs == [None, before.hash, added[0].hash, None, added[1].hash]
    assert log.remember_all(conn, [], NOW) == []


def test_the_newest_leaf_of_a_subject_is_found_without_scanning_the_log(conn: Connection):
    seen: list[str] = []
    conn.connection.dbapi_connection.set_trace_callback(seen.append)
    log.of_subject(conn, b"1" * 32, newest_only=True)
    log.remember(conn, LeafKind.ISSUE, b"1" * 32, b"c" * 32, NOW)
    looked_up = [text_ for text_ in seen if text_.startswith("SELECT") and "subject" in text_]
    assert len(looked_up) == 2
    conn.connection.dbapi_connection.set_trace_callback(None)
    for statement in looked_up:
        plan = conn.exec_driver_sql(f"explain query plan {statement}").all()
        assert any("ix_log_leaves_subject (log=? AND subject=?" in row[3] for row in plan), plan


def test_entries_have_a_cap(conn: Connection):
    with pytest.raises(TooLargeError):
        log.append(conn, b"x" * 65_536, NOW)
    assert log.append(conn, b"x" * 65_535, NOW).index == 0


def test_r8_a_leaf_is_undone_with_the_change_it_tells_of(conn: Connection):
    log.append(conn, b"a", NOW)
    savepoint = conn.begin_nested()
    log.append(conn, b"b", NOW)
    savepoint.rollback()
    assert log.append(conn, b"c", NOW).index == 1
    assert [leaf.entry for leaf in log.read(conn, 0, 9)] == [b"a", b"c"]


@given(st.integers(0, 3000))
def test_a_frontier_knows_the_root_of_every_size(size: int):
    hashes = [leaf_hash(str(number).encode()) for number in range(size)]
    frontier = Frontier()
    for number, item in enumerate(hashes):
        if number == size // 2:
            frontier = Frontier(frontier.size, frontier.to_bytes())
        frontier.append(item)
    assert frontier.root() == Tree(hashes).root()


def test_a_frontier_of_the_wrong_length_is_refused():
    assert Frontier().root() == EMPTY_ROOT
    with pytest.raises(ValueError, match="one hash per set bit"):
        Frontier(3, bytes(32))


# -- tiles ---------------------------------------------------------------------------------------


def test_tile_paths_are_those_of_tlog_tiles():
    assert index_path(1234067) == "x001/x234/067"
    for tile in (Tile(0, 0), Tile(0, 1234067), Tile(2, 5, 17), Tile(0, 1000, 255)):
        assert parse_path(tile.path()) == tile
    for bad in ("0/1", "0/0000", "64/000", "0/000.p/0", "0/000.p/256", "0/000.p/01", "0/x000/001",
                "00/000", "0/../checkpoint", "entries/000", "0/001/002", ""):  # fmt: skip
        with pytest.raises(NotFoundError):
            parse_path(bad)


def test_the_tiles_of_a_large_tree_are_those_of_the_specification():
    tiles = list(tiles_between(0, 70_000))
    by_level = [[tile for tile in tiles if tile.level == level] for level in range(3)]
    assert [sum(not tile.partial for tile in level) for level in by_level] == [273, 1, 0]
    assert [level[-1].width for level in by_level] == [112, 17, 1]
    assert len(tiles) == 273 + 1 + 1 + 1 + 1
    assert [tile.path() for tile in tiles_between(255, 256)] == ["0/000", "1/000.p/1"]
    assert list(tiles_between(7, 7)) == []


def test_tessera_tiles_are_byte_for_byte_ours(tmp_path: Path):
    folder = shared_path("vectors/ledger/tessera-log")
    words = b"one two three four five six seven eit nain ten ileven twelf threeten fourten fivten"
    tree = Tree([leaf_hash(word) for word in words.split()])
    ours = TileFolder(tmp_path)
    for size in range(1, 16):
        ours.write(tree, size - 1, size)
    compared = 0
    for path in (folder / "tile" / "0").rglob("*"):
        if path.is_file():
            relative = path.relative_to(folder)
            assert (tmp_path / relative).read_bytes() == path.read_bytes(), relative
            compared += 1
    assert compared == 8


def test_sunlight_tiles_hash_upwards():
    base = shared_path("vectors/ledger/sunlight-witness/witness/mirror")
    (folder,) = [path for path in base.iterdir() if len(path.name) == 64]
    full = (folder / "tile/0/000").read_bytes()
    partial = (folder / "tile/0/001.p/44").read_bytes()
    data = full + partial
    tree = Tree([data[at : at + 32] for at in range(0, len(data), 32)])
    assert Tile(1, 0, 1).data(tree) == (folder / "tile/1/000.p/1").read_bytes()
    text = (folder / "checkpoint").read_text().split("\n\n")[0] + "\n"
    head = checkpoint.parse_body(text)
    assert (head.size, head.root) == (300, tree.root())


def test_tessera_entry_bundles_are_byte_for_byte_ours():
    from protocols.log.entry_bundle import bundle, unbundle

    folder = shared_path("vectors/ledger/tessera-log/tile")
    for width in range(1, 16, 2):
        data = (folder / f"entries/000.p/{width}").read_bytes()
        entries = unbundle(data)
        assert bundle(entries) == data
        tile = (folder / f"0/000.p/{width}").read_bytes()
        assert b"".join(leaf_hash(entry) for entry in entries) == tile
    for cut in (b"\x00", b"\x00\x02a"):
        with pytest.raises(MalformedError):
            unbundle(cut)


def test_a_partial_tile_is_served_out_of_the_full_one(tmp_path: Path):
    tree = Tree([leaf_hash(bytes([number % 256])) for number in range(300)])
    folder = TileFolder(tmp_path)
    folder.write(tree, 0, 200)
    part = folder.read(Tile(0, 0, 200))
    folder.write(tree, 200, 300)
    assert not (tmp_path / "tile/0/000.p").exists()
    assert folder.read(Tile(0, 0, 200)) == part
    assert folder.read(Tile(0, 0))[: 200 * 32] == part
    with pytest.raises(NotFoundError):
        folder.read(Tile(0, 7))
    (tmp_path / "tile/0/000").write_bytes(b"cut")
    with pytest.raises(NotFoundError):
        folder.read(Tile(0, 0))


def test_files_are_replaced_whole(tmp_path: Path):
    file = tmp_path / "a" / "b" / "c"
    write_durably([(file, b"one")])
    write_durably([(file, b"two")])
    assert file.read_bytes() == b"two"
    assert [item.name for item in file.parent.iterdir()] == ["c"]
    folder = TileFolder(tmp_path)
    assert folder.published() is None
    folder.publish("text\n")
    assert folder.published() == "text\n"


# -- R14: the order of publishing, and what a crash between any two steps leaves -----------------

STEPS = ("tiles", "intend", "sign", "record", "publish")


def opened(conn: Connection, folder: Path) -> LogPublisher:
    publisher = LogPublisher(LogIdentity(LOG.key, LOG.sign), TileFolder(folder))
    publisher.load(conn)
    publisher.verify(conn)
    publisher.take_over(conn)
    return publisher


def publish(publisher: LogPublisher, conn: Connection, *, until: str = "publish") -> str | None:
    publisher.load(conn)
    head, text = publisher.head(), None
    for step in STEPS[: STEPS.index(until) + 1]:
        if step == "tiles":
            publisher.write_tiles(head.size)
        elif step == "intend":
            publisher.intend(conn, head, NOW)
        elif step == "sign":
            text = publisher.sign(head)
        elif step == "record":
            assert text is not None
            publisher.record(conn, head, text)
        else:
            assert text is not None
            publisher.publish(text)
    return text


@pytest.mark.parametrize("crash_after", STEPS)
def test_r14_a_crash_between_any_two_steps_signs_the_same_root_again(
    conn: Connection, tmp_path: Path, crash_after: str
):
    log.append_all(conn, [b"a", b"b", b"c"], NOW)
    crashed = opened(conn, tmp_path)
    before = publish(crashed, conn, until=crash_after)
    again = publish(opened(conn, tmp_path), conn)
    assert again is not None
    assert before in (None, again)
    stored = checkpoints.newest(conn, signed=True)
    assert stored is not None
    assert (stored.note, stored.size) == (again, 3)


def test_r14_nothing_is_signed_before_its_tiles_are_durable(conn: Connection, tmp_path: Path):
    log.append(conn, b"a", NOW)
    publisher = opened(conn, tmp_path)
    with pytest.raises(ValueError, match="durable"):
        publisher.sign(publisher.head())


def test_r14_another_root_for_an_intended_size_is_never_signed(conn: Connection, tmp_path: Path):
    log.append_all(conn, [b"a", b"b"], NOW)
    publish(opened(conn, tmp_path), conn, until="intend")
    changed = update(tables.leaves).where(tables.leaves.c.leaf_index == 1)
    conn.execute(changed.values(leaf_hash=leaf_hash(b"x"), entry=b"x"))
    with pytest.raises(SettingsError) as caught:
        opened(conn, tmp_path)
    assert caught.value.code == "log_root_mismatch"
    epoch = checkpoints.take_over(conn)
    with pytest.raises(SettingsError) as caught:
        checkpoints.intend(conn, 2, bytes(32), epoch, NOW)
    assert caught.value.code == "log_root_mismatch"


def test_r14_an_older_process_is_fenced_off(conn: Connection, tmp_path: Path):
    log.append(conn, b"a", NOW)
    older = opened(conn, tmp_path)
    newer = opened(conn, tmp_path)
    with pytest.raises(ConflictError) as caught:
        publish(older, conn)
    assert caught.value.code == "log_fenced"
    assert publish(newer, conn) is not None
    with pytest.raises(ConflictError):
        older.record(conn, older.head(), "note")


def test_r15_a_store_older_than_its_own_tile_folder_is_refused(conn: Connection, tmp_path: Path):
    log.append_all(conn, [b"a", b"b"], NOW)
    publish(opened(conn, tmp_path), conn)
    conn.execute(delete(tables.leaves).where(tables.leaves.c.leaf_index == 1))
    conn.execute(update(tables.heads).values(size=1))
    with pytest.raises(SettingsError) as caught:
        opened(conn, tmp_path)
    assert caught.value.code == "log_rolled_back"
    conn.execute(delete(tables.checkpoints))
    with pytest.raises(SettingsError) as caught:
        opened(conn, tmp_path)
    assert caught.value.code == "log_rolled_back"


def test_r15_a_smaller_size_than_intended_is_never_signed(conn: Connection):
    epoch = checkpoints.take_over(conn)
    checkpoints.intend(conn, 5, bytes(32), epoch, NOW)
    with pytest.raises(SettingsError) as caught:
        checkpoints.intend(conn, 4, bytes(32), epoch, NOW)
    assert caught.value.code == "log_rolled_back"


def test_a_foreign_checkpoint_file_does_not_decide(conn: Connection, tmp_path: Path):
    log.append(conn, b"a", NOW)
    (tmp_path / "checkpoint").write_text("half a fi")
    assert publish(opened(conn, tmp_path), conn) is not None
    (tmp_path / "checkpoint").write_bytes(b"\xff\xfe")
    assert opened(conn, tmp_path).folder.published() is None


def test_receipts_stand_under_the_earliest_witnessed_checkpoint(conn: Connection, tmp_path: Path):
    publisher = opened(conn, tmp_path)
    assert checkpoints.covering(conn, 0) is None
    for entry in (b"a", b"b", b"c"):
        log.append(conn, entry, NOW)
        publish(publisher, conn)
    newest = checkpoints.covering(conn, 0)
    assert newest is not None
    assert (newest.size, newest.witnessed_at) == (3, None)
    assert checkpoints.mark_witnessed(conn, 3, NOW)
    assert checkpoints.mark_witnessed(conn, 2, NOW)
    assert not checkpoints.mark_witnessed(conn, 2, NOW)
    found = checkpoints.covering(conn, 0)
    assert found is not None
    assert found.size == 2
    later = checkpoints.covering(conn, 2)
    assert later is not None
    assert later.size == 3
    assert checkpoints.covering(conn, 3) is None
    assert [item.size for item in checkpoints.all_of(conn)] == [1, 2, 3]


def test_cosignatures_are_kept_once_per_key(conn: Connection, tmp_path: Path):
    log.append(conn, b"a", NOW)
    text = publish(opened(conn, tmp_path), conn)
    assert text is not None
    body = note.parse(text).text
    lines = [(cosignature.sign(body, time, item.key, item.sign), time)
             for time, item in enumerate(witness_pairs(2), start=1)]  # fmt: skip
    again = cosignature.sign(body, 9, witness_pairs(1)[0].key, witness_pairs(1)[0].sign)
    checkpoints.add_cosignatures(conn, 1, lines)
    checkpoints.add_cosignatures(conn, 1, [(again, 9)])
    assert checkpoints.cosignatures_of(conn, 1) == [line for line, _ in lines]
    assert checkpoints.cosigned_sizes(conn) == {line.key_id: 1 for line, _ in lines}
    stored = checkpoints.newest(conn)
    assert stored is not None
    cosigned = note.parse(checkpoints.cosigned_note(conn, stored))
    assert len(cosigned.signatures) == 3


def test_ranges_are_cut_into_pieces():
    assert list(log.in_pieces(0, 5, 2)) == [(0, 2), (2, 4), (4, 5)]
