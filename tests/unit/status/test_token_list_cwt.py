"""Status list tokens in CWT form (draft-ietf-oauth-status-list §5.2), negative group 19.

Vectors: the CBOR examples of the draft's §4.3, §5.2 and appendix, in hexadecimal.
"""

from __future__ import annotations

import gzip
import zlib
from datetime import UTC, datetime, timedelta

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import base64url, cose, jws, keys, strict_cbor
from protocols.credentials import status_list
from protocols.credentials import token_status_list as tokens
from protocols.credentials.token_status_list import Reference, TokenStatus
from schemas import strict_json
from schemas.catalogue import explain
from schemas.errors import MalformedError, RefusedError, TradeError
from tests.support.made_network import NOW, A, B, founded, signer
from tests.support.token_lists import EXP, IAT, NUMBERS, STATUS_LIST, SUB, TTL, cwt

URI = "https://a-port.example/tokens/1"
KID = f"{A}#credential-1"
MADE = founded()
SECONDS = int(NOW.timestamp())
ASYMMETRIC = bytes([0b11_10_01_00, 0b00_00_00_01])


def listed(bits: int = 2, data: bytes = ASYMMETRIC) -> dict[str, object]:
    return {"bits": bits, "lst": zlib.compress(data)}


def claims(changes: dict[int, object] | None = None) -> dict[int, object]:
    stated = {SUB: URI, IAT: SECONDS, EXP: SECONDS + 3600, TTL: 600, STATUS_LIST: listed()}
    changed = {**stated, **(changes or {})}
    return {at: value for at, value in changed.items() if value is not None}


def token(changes: dict[int, object] | None = None, kid: str = KID, **how: object) -> bytes:
    return cwt(signer(kid), claims(changes), **how)


def opened(given: str | bytes, **changes: object) -> tokens.TokenStatusList:
    values = {"members": MADE.members, "now": NOW, "issuer": A, **changes}
    return tokens.open_list(given, **values)


def code(given: str | bytes, **changes: object) -> str:
    with pytest.raises(TradeError) as caught:
        opened(given, **changes)
    assert explain(caught.value.code) is not None
    return caught.value.code


def values(held: tokens.TokenStatusList) -> list[int]:
    return [held.value(at) for at in range(len(held.data) * 8 // held.bits)]


# --- the draft's own vectors --------------------------------------------------------------------


def of_vector(text: str) -> tokens.TokenStatusList:
    found = strict_cbor.loads_map(bytes.fromhex(text), tokens.CODE)
    data = tokens.inflate(found["bits"], found["lst"])
    return tokens.TokenStatusList(URI, "", NOW, None, None, found["bits"], data)


def test_the_short_vectors_of_the_draft_decode() -> None:
    one = of_vector("a2646269747301636c73744a78dadbb918000217015d")
    assert values(one) == [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]
    two = of_vector("a2646269747302636c73744b78da3be9f2130003df0207")
    assert values(two) == [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]


def test_the_one_bit_vector_of_the_draft_decodes() -> None:
    # A list of 2^20 entries; runs of zero bytes are written as their number.
    packed = (
        "a2646269747301636c737458bd78daeddc010dc0200c0041a88249400ad2903e0f4bba00bd93f002beb7a2a201"
        "0000a91e09" + "00" * 15 + "80729604" + "00" * 40 + "5c6f48"
        + "00" * 7 + "fc2c24" + "00" * 11 + "be1b12"
        + "00" * 9 + "ecaa4b" + "00" * 16 + "9b0b09"
        + "00" * 9 + "38de94" + "00" * 8 + "2a30cc01"
        + "00" * 4 + "80642f0bd8011b"
    )  # fmt: skip
    held = of_vector(packed)
    ones = [0, 1993, 25460, 159495, 495669, 554353, 645645, 723232, 854545, 934534, 1000345]
    assert len(held.data) == 2**17
    assert [at for at, value in enumerate(values(held)) if value] == ones


DRAFTS = bytes.fromhex(
    "d2845820a2012610781a6170706c69636174696f6e2f7374617475736c6973742b637774a1044231325850a50278"
    "2168747470733a2f2f6578616d706c652e636f6d2f7374617475736c697374732f31061a648c5bea041a8898dfea"
    "19fffe19a8c019fffda2646269747301636c73744a78dadbb918000217015d584093fa4d01032b18c35e2fe1101b"
    "77fd6cc9440022caa4694450c4e4e9feab4e99d1fa6d9772ce2bf3a12e0323ded7c982c5e101a5e67f0cbc1e2b6f"
    "57ce99c279"
)
DRAFTS_KEY = {
    "kty": "EC",
    "crv": "P-256",
    "x": "I3HWm_0Ds1dPMI-IWmf4mBmH-YaeAVbPVu7vB27CxXo",
    "y": "6N_d5Elj9bs1htgV3okJKIdbHEpkgTmAluYKJemzn1M",
}


def test_the_signed_vector_of_the_draft_verifies_and_says_what_it_says() -> None:
    signed = cose.parse(DRAFTS, tokens.CODE)
    key = keys.from_jwk("12", DRAFTS_KEY)
    jws.check(key, cose.algorithm(signed.protected), signed.signature, signed.signing_input)
    # Its claims, under a key id that a member's key may have.
    again = cwt(signer(KID), signed.payload, header={4: None}, unprotected={4: KID.encode()})
    signature, held = tokens.parse_list(again)
    assert (signature.kid, held.kid, held.uri) == (KID, KID, "https://example.com/statuslists/1")
    assert held.issued_at == datetime.fromtimestamp(1686920170, UTC)
    assert held.expires == held.issued_at + timedelta(days=7000)
    assert held.ttl == timedelta(hours=12)
    assert values(held) == [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]
    # "12" names no key of a member.
    assert code(DRAFTS) == "token_status_malformed"


# --- two forms, one meaning ---------------------------------------------------------------------


@given(st.sampled_from([1, 2, 4, 8]), st.binary(min_size=1, max_size=40))
def test_group_19_a_list_says_the_same_in_either_form(bits: int, data: bytes) -> None:
    packed = zlib.compress(data)
    stated = {
        "sub": URI,
        "iat": SECONDS,
        "exp": SECONDS + 3600,
        "ttl": 600,
        "status_list": {"bits": bits, "lst": base64url.encode(packed)},
    }
    text = jws.sign(strict_json.canonical(stated), typ=tokens.TYP, signer=signer(KID))
    binary = token({STATUS_LIST: {"bits": bits, "lst": packed}})
    first, second = opened(text), opened(binary)
    assert first == second
    assert first.digest == second.digest
    assert opened(token({STATUS_LIST: {"bits": bits, "lst": packed}, TTL: 5})).digest != (
        first.digest
    )


def test_a_token_of_a_listed_issuer_answers_least_significant_first() -> None:
    held = opened(token())
    assert (held.uri, held.issuer, held.bits) == (URI, A, 2)
    assert [tokens.check(Reference(at, URI), held) for at in range(5)] == [
        TokenStatus.VALID,
        TokenStatus.INVALID,
        TokenStatus.SUSPENDED,
        TokenStatus.OTHER,
        TokenStatus.INVALID,
    ]
    assert held.expires == NOW + timedelta(seconds=3600)
    assert held.fresh_at(NOW + timedelta(seconds=599))
    assert not held.fresh_at(NOW + timedelta(seconds=600))
    more = {1: "https://a-port.example", "x": {"y": [True, None, -1]}, 7: b"id"}
    aggregated = {**listed(), "aggregation_uri": "https://a-port.example/all"}
    assert opened(token({**more, STATUS_LIST: aggregated})) == held


def test_r1_neither_reader_takes_the_others_list() -> None:
    bitstring = status_list.sign_list(
        url=status_list.list_url(A, "1"),
        issuer=A,
        network=MADE.members.network,
        bits=bytes(status_list.MIN_ENTRIES // 8),
        ttl=timedelta(minutes=15),
        valid_from=NOW,
        valid_until=NOW + timedelta(days=1),
        signer=signer(KID),
    )
    with pytest.raises(RefusedError) as caught:
        status_list.open_list(token(), members=MADE.members, now=NOW)
    assert caught.value.code == "jws_typ_unexpected"
    assert code(bitstring.encode()) == "token_status_malformed"
    gzipped = {"bits": 1, "lst": gzip.compress(ASYMMETRIC, mtime=0)}
    assert code(token({STATUS_LIST: gzipped})) == "token_status_malformed"
    encoded = {"bits": 1, "lst": status_list.encode_bits(bytes(status_list.MIN_ENTRIES // 8))}
    assert code(token({STATUS_LIST: encoded})) == "token_status_malformed"


def test_the_media_type_says_which_form_it_is() -> None:
    binary = token()
    assert tokens.received(tokens.CWT, binary) is binary
    assert tokens.received(tokens.JWT, b" a.b.c\n") == "a.b.c"
    with pytest.raises(MalformedError):
        tokens.received(tokens.JWT, binary)
    text = jws.sign(b"{}", typ=tokens.TYP, signer=signer(KID)).encode()
    assert code(tokens.received(tokens.CWT, text)) == "token_status_malformed"


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({SUB: None}, "token_status_malformed"),
        ({SUB: URI.encode()}, "token_status_malformed"),
        ({SUB: "a-port.example"}, "token_status_malformed"),
        ({IAT: None}, "token_status_malformed"),
        ({IAT: str(SECONDS)}, "token_status_malformed"),
        ({IAT: float(SECONDS)}, "token_status_malformed"),
        ({IAT: True}, "token_status_malformed"),
        ({IAT: cbor2.CBORTag(1, SECONDS)}, "token_status_malformed"),
        ({IAT: SECONDS + 61}, "token_status_from_future"),
        ({EXP: SECONDS}, "token_status_expired"),
        ({EXP: b"never"}, "token_status_malformed"),
        ({EXP: -1}, "token_status_malformed"),
        ({TTL: 0}, "token_status_malformed"),
        ({TTL: -600}, "token_status_malformed"),
        ({TTL: [600]}, "token_status_malformed"),
        ({STATUS_LIST: None}, "token_status_malformed"),
        ({STATUS_LIST: [1, b"x"]}, "token_status_malformed"),
        ({STATUS_LIST: listed(bits=3)}, "token_status_malformed"),
        ({STATUS_LIST: listed(bits=16)}, "token_status_malformed"),
        ({STATUS_LIST: {**listed(), "bits": "1"}}, "token_status_malformed"),
        ({STATUS_LIST: {**listed(), "bits": True}}, "token_status_malformed"),
        ({STATUS_LIST: {"lst": b""}}, "token_status_malformed"),
        ({STATUS_LIST: {"bits": 1}}, "token_status_malformed"),
        ({STATUS_LIST: {"bits": 1, "lst": "eA"}}, "token_status_malformed"),
        ({STATUS_LIST: listed(data=b"")}, "token_status_malformed"),
        ({STATUS_LIST: {"bits": 1, "lst": zlib.compress(b"ab")[:-4]}}, "token_status_malformed"),
        ({STATUS_LIST: {"bits": 1, "lst": zlib.compress(b"a") + b"x"}}, "token_status_malformed"),
        ({STATUS_LIST: listed(data=bytes(tokens.MAX_LIST_BYTES + 1))}, "token_status_too_large"),
        ({STATUS_LIST: listed(data=bytes(50_000_000))}, "token_status_too_large"),
        ({99: bytes(tokens.MAX_TEXT_BYTES)}, "token_status_too_large"),
    ],
)
def test_a_token_that_is_not_in_order_is_refused(changes: dict[int, object], expected: str) -> None:
    assert code(token(changes)) == expected


NUMBER = NUMBERS[signer(KID).algorithm]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"header": {16: None}}, "jws_typ_unexpected"),
        ({"header": {16: "statuslist+cwt"}}, "jws_typ_unexpected"),
        ({"header": {16: "application/statuslist+jwt"}}, "jws_typ_unexpected"),
        ({"header": {16: "application/vc+cose"}}, "jws_typ_unexpected"),
        ({"header": {16: 271}}, "jws_typ_unexpected"),
        ({"header": {16: None}, "unprotected": {16: tokens.CWT}}, "jws_typ_unexpected"),
        ({"header": {2: [16]}}, "token_status_malformed"),
        ({"header": {2: [99], 99: 1}}, "token_status_malformed"),
        ({"header": {3: "application/cwt"}}, "token_status_malformed"),
        ({"header": {33: b"certificate"}}, "token_status_malformed"),
        ({"header": {"kid": b"x"}}, "token_status_malformed"),
        ({"unprotected": {99: 1}}, "token_status_malformed"),
        ({"unprotected": {4: KID.encode()}}, "token_status_malformed"),
        ({"header": {1: None}, "unprotected": {1: -7}}, "token_status_malformed"),
        ({"header": {1: None}}, "token_status_malformed"),
        ({"header": {4: None}}, "token_status_malformed"),
        ({"header": {4: KID}}, "token_status_malformed"),
        ({"header": {4: b"12"}}, "token_status_malformed"),
        ({"header": {4: b"\xff"}}, "token_status_malformed"),
        ({"header": {1: 5}}, "jws_algorithm_unknown"),
        ({"header": {1: -257}}, "jws_algorithm_unknown"),
        ({"header": {1: -36}}, "jws_algorithm_unknown"),
        ({"header": {1: "ES256"}}, "jws_algorithm_unknown"),
        ({"header": {1: -35}}, "jws_algorithm_mismatch"),
        ({"header": {1: -49}}, "jws_algorithm_mismatch"),
        ({"header": b""}, "token_status_malformed"),
        ({"header": b"\xf6"}, "token_status_malformed"),
        ({"tag": None}, "token_status_malformed"),
        ({"tag": 17}, "token_status_malformed"),
        ({"tag": 98}, "token_status_malformed"),
    ],
)
def test_a_header_says_type_algorithm_and_key_and_no_more(
    how: dict[str, object], expected: str
) -> None:
    assert code(token(**how)) == expected


def test_the_tag_of_a_cwt_does_not_stand_around_it() -> None:
    assert code(b"\xd8\x3d" + token()) == "token_status_malformed"


def test_a_header_or_claim_that_stands_twice_is_refused() -> None:
    twice = cbor2.dumps(claims())
    assert twice[:1] == b"\xa5"
    twice = b"\xa6" + twice[1:] + cbor2.dumps(SUB) + cbor2.dumps(URI)
    assert code(cwt(signer(KID), twice)) == "token_status_malformed"
    header = cbor2.dumps({1: NUMBER, 4: KID.encode(), 16: tokens.CWT})
    header = b"\xa4" + header[1:] + b"\x01\x26"
    assert code(token(header=header)) == "token_status_malformed"


@pytest.mark.parametrize(
    "claims_bytes",
    [
        b"\xbf\xff",
        cbor2.dumps([claims()]),
        b"\xa1\x18\x02" + cbor2.dumps(URI),
        cbor2.dumps(claims()) + b"\0",
        cbor2.dumps(claims())[:-1],
        b"{}",
    ],
    ids=["unstated-length", "no-map", "longer-number", "more", "less", "json"],
)
def test_claims_are_one_map_in_the_shortest_encoding(claims_bytes: bytes) -> None:
    assert code(cwt(signer(KID), claims_bytes)) == "token_status_malformed"


def test_a_token_counts_only_from_the_issuer_with_a_key_that_stands() -> None:
    assert code(token(kid=f"{B}#credential-1")) == "token_status_other_issuer"
    assert code(token(kid=f"{A}#credential-9")) == "status_key_refused"
    assert code(token(kid=f"{A}#exchange-1")) == "status_key_refused"
    assert code(token(), now=NOW + timedelta(days=200)) == "member_list_stale"
    signature = token({TTL: 5})[-64:]
    assert code(token()[:-64] + signature) == "bad_signature"
    # What is signed is a COSE structure: the payload's own signature is another one.
    payload = cbor2.dumps(claims())
    assert code(token()[:-64] + signer(KID).sign(payload)) == "bad_signature"
    early = datetime(2026, 1, 1, tzinfo=UTC)
    assert code(token({IAT: int(early.timestamp())}), now=early) == "status_key_refused"


@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=4))
def test_damaged_bytes_are_refused_and_never_a_fault_of_ours(at: int, other: bytes) -> None:
    whole = token()
    at %= len(whole)
    damaged = whole[:at] + other + whole[at + len(other) :]
    if damaged != whole:
        with pytest.raises(TradeError):
            opened(damaged)
