"""Mirrors: the words of an upload, and what is stored of a log (C2SP tlog-mirror)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from ledger import mirror
from ledger.mirror import MirrorFolder, MirrorState
from ledger.tiles import Tile, TileFolder
from protocols.log import merkle_subtree, mirror_protocol
from protocols.log.checkpoint import Checkpoint
from protocols.log.merkle import Tree, leaf_hash
from protocols.log.mirror_protocol import MirrorInfo, Package, Upload
from schemas.errors import MalformedError, NotFoundError, RefusedError, SettingsError
from tests.unit.log.test_ledger_log import memory

ORIGIN = "rail.example/log/1"
ENTRIES = [f"entry {number}".encode() for number in range(70_000 // 100)]
TREE = Tree(leaf_hash(entry) for entry in ENTRIES)


@pytest.fixture
def conn():
    engine = memory()
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def head(size: int) -> Checkpoint:
    return Checkpoint(ORIGIN, size, TREE.root(size))


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 0, []),
        (0, 3, [(0, 0, 3)]),
        (3, 700, [(0, 3, 256), (256, 256, 512), (512, 512, 700)]),
        (256, 512, [(256, 256, 512)]),
        (511, 513, [(256, 511, 512), (512, 512, 513)]),
    ],
)
def test_an_interval_has_one_sequence_of_packages(start: int, end: int, expected: list):
    packages = Upload(ORIGIN, start, end).packages()
    assert [(one.low, one.start, one.end) for one in packages] == expected


@given(st.text(max_size=40), st.integers(0, 2**62), st.integers(0, 2**61), st.binary(max_size=99))
def test_the_head_of_an_upload_survives_writing_and_reading(
    origin: str, start: int, more: int, ticket: bytes
):
    upload = Upload(origin, start, start + more, ticket)
    data = upload.to_bytes()
    assert mirror_protocol.parse_upload(data + b"rest") == (upload, len(data))


@given(st.binary(max_size=60))
def test_any_bytes_are_an_upload_or_malformed(data: bytes):
    try:
        upload, at = mirror_protocol.parse_upload(data)
    except MalformedError:
        return
    assert data.startswith(upload.to_bytes())
    assert at <= len(data)


def test_a_package_survives_writing_and_reading_and_every_cut_is_seen():
    package = Package(256, 300, 303)
    entries, proof = [b"a", b"", b"ccc"], (b"1" * 32, b"2" * 32)
    data = package.to_bytes(entries, proof)
    assert package.read(b"?" + data + b"next", 1) == (entries, proof, 1 + len(data))
    for cut in range(len(data)):
        with pytest.raises(MalformedError):
            package.read(data[:cut], 0)
    with pytest.raises(MalformedError):
        Package(0, 0, 0).read(bytes((64,)) + bytes(64 * 32), 0)


def test_where_a_mirror_stands_survives_writing_and_reading():
    told = MirrorInfo(700, 512, b"ticket")
    assert told.to_text() == "700\n512\ndGlja2V0\n"
    assert mirror_protocol.parse_info(told.to_text().encode()) == told
    for text in ("700\n512\n", "700\n512\n\n\n", "07\n1\n\n", "1\n1\nx\n"):
        with pytest.raises(MalformedError):
            mirror_protocol.parse_info(text.encode())


@pytest.mark.parametrize("sizes", [(1,), (255, 256, 257), (3, 300, 700), (512, 700), (700,)])
def test_a_mirror_has_the_tiles_of_the_log(tmp_path: Path, sizes: tuple[int, ...]):
    folder, old, direct = MirrorFolder(tmp_path / "mirror", 0), 0, TileFolder(tmp_path / "log")
    for size in sizes:
        for package in Upload(ORIGIN, old, size).packages():
            folder.put(package.low, ENTRIES[package.low : package.end])
        folder.complete(old, head(size))
        direct.write(TREE, old, size)
        old = size
    files = sorted(
        file.relative_to(direct.path) for file in direct.path.rglob("*/[0-9]*/*") if file.is_file()
    )
    assert files
    for file in files:
        assert (folder.path / file).read_bytes() == (direct.path / file).read_bytes()
    again = MirrorFolder(folder.path, folder.stored)
    assert again.entries(0, min(256, old)) == ENTRIES[: min(256, old)]
    assert again.read(Tile(0, (old - 1) // 256, (old - 1) % 256 + 1))


def test_what_is_damaged_is_not_signed(tmp_path: Path):
    folder = MirrorFolder(tmp_path, 0)
    folder.put(0, [*ENTRIES[:4], b"other"])
    with pytest.raises(SettingsError) as caught:
        folder.complete(0, head(5))
    assert caught.value.code == "mirror_damaged"
    with pytest.raises(NotFoundError):
        folder.entries(0, 6)
    next(folder.path.glob("tile/entries/*/*")).write_bytes(b"cut")
    with pytest.raises(NotFoundError):
        folder.entries(0, 5)


def test_a_mirror_never_goes_back(conn: Connection):
    assert mirror.state(conn, ORIGIN) == MirrorState()
    mirror.advance(conn, ORIGIN, 5, 1)
    mirror.advance(conn, ORIGIN, 3, 2)
    assert mirror.state(conn, ORIGIN) == MirrorState(5, 0, "", 1)
    assert mirror.commit(conn, ORIGIN, 5, "note", 3)
    assert not mirror.commit(conn, ORIGIN, 4, "older", 4)
    assert mirror.states(conn) == [(ORIGIN, MirrorState(5, 5, "note", 3))]


def test_a_package_of_another_log_is_not_proven():
    package = next(iter(Upload(ORIGIN, 0, 700).packages()))
    proof = merkle_subtree.consistency_proof(0, 256, 700, TREE.hash_at)
    right = Tree(leaf_hash(entry) for entry in ENTRIES[:256]).root()
    wrong = Tree(leaf_hash(entry) for entry in reversed(ENTRIES[:256])).root()
    merkle_subtree.verify_consistency(package.low, package.end, 700, right, TREE.root(), proof)
    with pytest.raises(RefusedError):
        merkle_subtree.verify_consistency(package.low, package.end, 700, wrong, TREE.root(), proof)
