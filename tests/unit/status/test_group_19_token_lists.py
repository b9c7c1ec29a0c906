"""Negative group 19, the pure part: the two lists differ in order, compression and unit."""

from __future__ import annotations

import gzip
import json
import zlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import base64url
from protocols.credentials import status_list
from protocols.credentials import token_status_list as tokens
from protocols.credentials.token_status_list import TokenStatusList
from schemas.errors import MalformedError
from tests.shared import shared_path

NOW = datetime(2026, 11, 18, 6, tzinfo=UTC)
URI = "https://a.example/tokens/1"


def held(bits: int, data: bytes, **times: object) -> TokenStatusList:
    values = {"issued_at": NOW, "expires": None, "ttl": None, **times}
    return TokenStatusList(URI, "did:web:a.example#credential-1", bits=bits, data=data, **values)


def packed(bits: int, values: list[int]) -> bytes:
    """The statuses least significant bit first, as the draft's §4.1 writes them."""
    number = sum(value << at * bits for at, value in enumerate(values))
    return number.to_bytes((len(values) * bits + 7) // 8, "little")


@given(st.sampled_from([1, 2, 4, 8]), st.data())
def test_group_19_statuses_survive_the_way_through_zlib(bits: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 40)) * (8 // bits)
    values = data.draw(st.lists(st.integers(0, 2**bits - 1), min_size=count, max_size=count))
    raw = packed(bits, values)
    decoded = tokens.decode(bits, base64url.encode(zlib.compress(raw)))
    assert [held(bits, decoded).value(at) for at in range(count)] == values
    with pytest.raises(MalformedError):
        tokens.decode(bits, base64url.encode(gzip.compress(raw, mtime=0)))


@given(st.binary(min_size=1, max_size=8).filter(lambda data: data != data[::-1]))
def test_group_19_an_asymmetric_list_reads_differently_in_the_two_orders(data: bytes) -> None:
    bits = data.ljust(status_list.MIN_ENTRIES // 8, b"\0")
    least = [held(1, bits).value(at) for at in range(len(data) * 8)]
    most = [int(status_list.bit(bits, at)) for at in range(len(data) * 8)]
    for at in range(0, len(least), 8):
        assert least[at : at + 8] == most[at : at + 8][::-1]
    text = status_list.encode_bits(bits)
    assert status_list.decode_bits(text) == bits
    for other in (text, text[1:]):
        with pytest.raises(MalformedError):
            tokens.decode(1, other)
    with pytest.raises(MalformedError):
        status_list.decode_bits("u" + base64url.encode(zlib.compress(bits)))


@pytest.mark.parametrize(
    ("times", "max_age", "seconds"),
    [
        ({"ttl": timedelta(seconds=60)}, timedelta(days=1), 60),
        ({"ttl": timedelta(days=9)}, timedelta(days=1), 86_400),
        ({"ttl": timedelta(days=9)}, timedelta(minutes=5), 300),
        ({"expires": NOW + timedelta(seconds=90)}, timedelta(days=1), 90),
        ({"expires": NOW + timedelta(days=9)}, timedelta(days=1), 86_400),
        (
            {"expires": NOW + timedelta(seconds=30), "ttl": timedelta(seconds=60)},
            timedelta(days=1),
            30,
        ),
        ({}, timedelta(days=1), 3_600),
    ],
)
def test_group_19_a_list_is_fresh_for_the_least_of_ttl_end_and_cap(
    times: dict[str, object], max_age: timedelta, seconds: int
) -> None:
    one = held(1, b"\0", **times)
    last = NOW + timedelta(seconds=seconds)
    assert one.fresh_at(last - timedelta(milliseconds=1), max_age)
    assert not one.fresh_at(last, max_age)
    assert one.age(last) == timedelta(seconds=seconds)


def test_group_19_a_past_moment_is_asked_in_unix_seconds() -> None:
    assert tokens.at_time(URI, NOW) == f"{URI}?time={int(NOW.timestamp())}"
    assert tokens.at_time(URI + "?a=b", NOW) == f"{URI}?a=b&time={int(NOW.timestamp())}"


def test_group_18_and_19_every_shared_vector_is_one_that_is_run() -> None:
    """`test_status_list` runs what the index lists, `test_token_status_list` the draft's two."""
    folder = shared_path("vectors/credentials/status")
    index = json.loads(shared_path("vectors/credentials/INDEX.json").read_text())["vectors"]
    listed = {item["file"] for item in index if item["file"].startswith("status/")}
    assert {f"status/{file.name}" for file in folder.iterdir()} == listed
    drafts = {file.name for file in shared_path("vectors/credentials/token-status-list").iterdir()}
    assert drafts == {"status_list_encoding1_long_json.md", "status_list_encoding8_json.md"}
