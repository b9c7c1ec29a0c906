"""IETF Token Status Lists, and that neither kind of list is ever taken for the other."""

from __future__ import annotations

import json
import re
import zlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import base64url, jws
from protocols.credentials import status_list
from protocols.credentials import token_status_list as tokens
from protocols.credentials.token_status_list import Reference, TokenStatus
from schemas import strict_json
from schemas.catalogue import explain
from schemas.errors import MalformedError, RefusedError, TooLargeError, TradeError
from tests.shared import shared_path
from tests.support.made_network import NOW, A, B, founded, signer

URI = "https://a-port.example/tokens/1"
MADE = founded()


def lst(data: bytes) -> str:
    return base64url.encode(zlib.compress(data))


def token(kid: str = f"{A}#credential-1", typ: str = tokens.TYP, **changes: object) -> str:
    payload = {
        "sub": URI,
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 3600,
        "ttl": 600,
        "status_list": {"bits": 2, "lst": lst(bytes([0b11_10_01_00]))},
        **changes,
    }
    kept = {name: value for name, value in payload.items() if value is not None}
    return jws.sign(strict_json.canonical(kept), typ=typ, signer=signer(kid))


def opened(text: str | None = None, **changes: object) -> tokens.TokenStatusList:
    values = {"members": MADE.members, "now": NOW, "issuer": A, **changes}
    return tokens.open_list(token() if text is None else text, **values)


# --- the draft's own vectors --------------------------------------------------------------------


def vector(name: str) -> dict:
    text = shared_path(f"vectors/credentials/token-status-list/{name}").read_text()
    found = re.search(r'"lst": "([^"]*)"', text)
    assert found is not None
    return {"bits": int(text.split('"bits":')[1][:2]), "lst": re.sub(r"\s", "", found[1])}


def test_the_one_bit_vector_of_the_draft_decodes() -> None:
    given_list = vector("status_list_encoding1_long_json.md")
    data = tokens.decode(given_list["bits"], given_list["lst"])
    held = tokens.TokenStatusList(URI, "", NOW, None, None, given_list["bits"], data)
    ones = [0, 1993, 25460, 159495, 495669, 554353, 645645, 723232, 854545, 934534, 1000345]
    assert len(data) == 2**17
    assert [at for at in range(2**20) if data[at >> 3] and held.value(at)] == ones


def test_the_eight_bit_vector_of_the_draft_decodes() -> None:
    given_list = vector("status_list_encoding8_json.md")
    data = tokens.decode(given_list["bits"], given_list["lst"])
    held = tokens.TokenStatusList(URI, "", NOW, None, None, given_list["bits"], data)
    expected = {233478: 0, 52451: 1, 576778: 2, 513575: 3, 468106: 4, 292632: 5, 214947: 6}
    assert {at: held.value(at) for at in expected} == expected
    assert sorted(set(data)) == list(range(256))


# --- both bit orders ----------------------------------------------------------------------------


@given(st.sampled_from([1, 2, 4, 8]), st.data())
def test_statuses_stand_least_significant_bit_first(bits: int, data: st.DataObject) -> None:
    count = 8 // bits
    values = data.draw(st.lists(st.integers(0, 2**bits - 1), min_size=count, max_size=count))
    byte = sum(value << (at * bits) for at, value in enumerate(values))
    held = tokens.TokenStatusList(URI, "", NOW, None, None, bits, bytes([byte]))
    assert [held.value(at) for at in range(count)] == values


def test_the_two_lists_read_an_asymmetric_byte_from_opposite_ends() -> None:
    data = bytes([0b0000_0001]) + bytes(16383)
    token_list = tokens.TokenStatusList(URI, "", NOW, None, None, 1, data)
    assert token_list.value(0) == 1
    assert not status_list.bit(data, 0)
    assert status_list.bit(data, 7)
    assert token_list.value(7) == 0


def test_neither_decoder_takes_the_others_compression() -> None:
    data = bytes(status_list.MIN_ENTRIES // 8)
    with pytest.raises(MalformedError):
        tokens.decode(1, status_list.encode_bits(data)[1:])
    with pytest.raises(MalformedError):
        tokens.decode(1, status_list.encode_bits(data))
    with pytest.raises(MalformedError):
        status_list.decode_bits("u" + lst(data))


def test_r1_neither_reader_takes_the_others_list() -> None:
    bitstring = status_list.sign_list(
        url=status_list.list_url(A, "1"),
        issuer=A,
        network=MADE.members.network,
        bits=bytes(status_list.MIN_ENTRIES // 8),
        ttl=timedelta(minutes=15),
        valid_from=NOW,
        valid_until=NOW + timedelta(days=1),
        signer=signer(f"{A}#credential-1"),
    )
    with pytest.raises(RefusedError) as caught:
        opened(bitstring)
    assert caught.value.code == "jws_typ_unexpected"
    with pytest.raises(RefusedError) as caught:
        status_list.open_list(token(), members=MADE.members, now=NOW)
    assert caught.value.code == "jws_typ_unexpected"


# --- reading a token ----------------------------------------------------------------------------


def test_a_token_of_a_listed_issuer_answers_for_its_entries() -> None:
    held = opened()
    assert (held.uri, held.issuer, held.bits) == (URI, A, 2)
    said = [tokens.check(Reference(at, URI), held) for at in range(4)]
    assert said == [
        TokenStatus.VALID,
        TokenStatus.INVALID,
        TokenStatus.SUSPENDED,
        TokenStatus.OTHER,
    ]
    for index in (4, -1):
        with pytest.raises(RefusedError) as caught:
            tokens.check(Reference(index, URI), held)
        assert caught.value.code == "token_status_out_of_range"
    with pytest.raises(RefusedError) as caught:
        tokens.check(Reference(0, URI + "0"), held)
    assert caught.value.code == "token_status_other_list"


def test_ttl_and_exp_are_seconds() -> None:
    held = opened()
    assert held.expires == NOW + timedelta(seconds=3600)
    assert held.fresh_at(NOW + timedelta(seconds=599))
    assert not held.fresh_at(NOW + timedelta(seconds=600))
    by_end = opened(token(ttl=None))
    assert by_end.fresh_at(NOW + timedelta(seconds=3599))
    assert not by_end.fresh_at(NOW + timedelta(seconds=3600))
    neither = opened(token(ttl=None, exp=None))
    assert neither.fresh_at(NOW + tokens.DEFAULT_TTL - timedelta(seconds=1))
    assert not neither.fresh_at(NOW + tokens.DEFAULT_TTL)


def code(text: str, **changes: object) -> str:
    with pytest.raises(TradeError) as caught:
        opened(text, **changes)
    told = explain(caught.value.code)
    assert told is not None
    return caught.value.code


NOW_S = int(NOW.timestamp())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"sub": None}, "token_status_malformed"),
        ({"sub": "a-port.example"}, "token_status_malformed"),
        ({"iat": None}, "token_status_malformed"),
        ({"iat": str(NOW_S)}, "token_status_malformed"),
        ({"iat": True}, "token_status_malformed"),
        ({"iat": NOW_S + 61}, "token_status_from_future"),
        ({"exp": NOW_S}, "token_status_expired"),
        ({"exp": "never"}, "token_status_malformed"),
        ({"ttl": 0}, "token_status_malformed"),
        ({"ttl": 1.5}, "token_status_malformed"),
        ({"status_list": None}, "token_status_malformed"),
        ({"status_list": {"bits": 3, "lst": lst(b"\0")}}, "token_status_malformed"),
        ({"status_list": {"bits": 16, "lst": lst(b"\0")}}, "token_status_malformed"),
        ({"status_list": {"bits": "1", "lst": lst(b"\0")}}, "token_status_malformed"),
        ({"status_list": {"bits": 1}}, "token_status_malformed"),
        ({"status_list": {"bits": 1, "lst": "AA=="}}, "base64url_malformed"),
        ({"status_list": {"bits": 1, "lst": lst(b"")}}, "token_status_malformed"),
        ({"status_list": {"bits": 1, "lst": lst(b"\0" * 99)[:-8]}}, "token_status_malformed"),
        (
            {"status_list": {"bits": 1, "lst": base64url.encode(zlib.compress(b"a") + b"x")}},
            "token_status_malformed",
        ),
        (
            {"status_list": {"bits": 1, "lst": lst(bytes(tokens.MAX_LIST_BYTES + 1))}},
            "token_status_too_large",
        ),
    ],
)
def test_a_token_that_is_not_in_order_is_refused(changes: dict, expected: str) -> None:
    assert code(token(**changes)) == expected


def test_a_bomb_costs_no_more_than_the_cap() -> None:
    with pytest.raises(TooLargeError):
        tokens.decode(1, lst(bytes(50_000_000)))


def test_a_token_counts_only_from_the_issuer_with_a_key_that_stands() -> None:
    assert code(token(f"{B}#credential-1")) == "token_status_other_issuer"
    assert code(token(f"{A}#credential-9")) == "status_key_refused"
    assert code(token(f"{A}#exchange-1")) == "status_key_refused"
    assert code(token(), now=NOW + timedelta(days=200)) == "member_list_stale"
    other = token().rpartition(".")[0] + "." + token(ttl=5).rpartition(".")[2]
    assert code(other) == "bad_signature"
    early = datetime(2026, 1, 1, tzinfo=UTC)
    assert code(token(iat=int(early.timestamp())), now=early) == "status_key_refused"


@pytest.mark.parametrize(
    "reference",
    [{}, {"idx": "1", "uri": URI}, {"idx": -1, "uri": URI}, {"idx": 1}, {"idx": 1, "uri": "x"}],
)
def test_a_reference_has_a_number_and_a_name(reference: dict) -> None:
    assert tokens.read_reference(tokens.Fields({"idx": 7, "uri": URI}, "c")) == Reference(7, URI)
    with pytest.raises(MalformedError):
        tokens.read_reference(tokens.Fields(json.loads(json.dumps(reference)), "c"))
