"""The container of a bundle: a plain archive with nothing beside its members, within caps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.evidence import archive
from protocols.evidence.verification import verify_bundle
from schemas.errors import TradeError
from schemas.findings import Outcome
from tests.support import evidence_world as world
from tests.unit.evidence.bundles import GOOD, MEMBERS, wrong


@given(st.binary(max_size=300))
def test_no_bytes_ever_raise(data: bytes) -> None:
    report = verify_bundle(data, world.MEMBERS)
    assert report.verdict is Outcome.FAILED
    assert wrong(report).keys() == {"EVI-01"}


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data + b"\0",
        lambda data: b"MZ" + data,
        lambda data: data[:-22] + data[-22:-2] + b"\x01\x00x",
        lambda data: data[:-1],
        lambda data: data[:20],
        lambda data: data[:60],
        lambda data: data[:8] + b"\x08\x00" + data[10:],
    ],
)
def test_archives_with_anything_beside_their_members_are_refused(change: object) -> None:
    report = verify_bundle(change(GOOD), world.MEMBERS)
    assert wrong(report)["EVI-01"][0] == "FAILED"


@pytest.mark.parametrize(
    "name", ["../x", "/x", "a//b", "a/b/c", "", "a\\b", "ä", "a/..", "x" * 400]
)
def test_names_that_could_leave_the_folder_are_neither_written_nor_read(name: str) -> None:
    with pytest.raises(TradeError):
        archive.write({name: b""})


def test_two_members_of_one_name_or_with_a_hostile_name_are_refused() -> None:
    one = archive.write({"a": b"1", "b": b"2"})
    for find, put in ((b"b", b"a"), (b"b", b"/")):
        with pytest.raises(TradeError):
            archive.read(one.replace(find, put))


def test_caps_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("MAX_MEMBERS", 1), ("MAX_MEMBER", 1), ("MAX_ARCHIVE", 3)):
        with monkeypatch.context() as patched:
            patched.setattr(archive, name, value)
            with pytest.raises(TradeError):
                archive.write({"a": b"12", "b": b"34"})
    good = archive.write({"a": b"12", "b": b"34"})
    for name, value in (("MAX_MEMBERS", 1), ("MAX_MEMBER", 1)):
        with monkeypatch.context() as patched:
            patched.setattr(archive, name, value)
            with pytest.raises(TradeError):
                archive.read(good)
    with monkeypatch.context() as patched:
        patched.setattr(archive, "MAX_ARCHIVE", 1)
        patched.setattr(archive, "MAX_MEMBERS", 0)
        with pytest.raises(TradeError):
            archive.read(good)


def test_the_archive_is_a_plain_zip_for_everybody_else() -> None:
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(GOOD)) as opened:
        assert opened.testzip() is None
        assert {name: opened.read(name) for name in opened.namelist()} == MEMBERS
