"""Encodings, keys and JWS against vectors, against pyjwt, and against what must be refused."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta, timezone

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from protocols import base64url, digest, jws, keys, times
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError, TooLargeError, TradeError
from tests.support.made_network import signer

KID = "did:web:a.example#credential-1"
ROOT = "did:web:a.example#root-1"
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@given(st.binary(max_size=300))
def test_base64url_has_one_spelling(data: bytes) -> None:
    text = base64url.encode(data)
    assert base64url.decode(text) == data
    assert base64.urlsafe_b64encode(data).decode().rstrip("=") == text


@pytest.mark.parametrize("text", ["A", "AA=", "AB", "A A", "+A", "/w", "Zm9v\n", "é", "Zm9v===="])
def test_base64url_refuses_every_other_spelling(text: str) -> None:
    with pytest.raises(MalformedError) as caught:
        base64url.decode(text, pointer="/x")
    assert (caught.value.code, caught.value.pointer) == ("base64url_malformed", "/x")


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)))
def test_times_survive_text_and_milliseconds(naive: datetime) -> None:
    moment = naive.replace(tzinfo=UTC, microsecond=naive.microsecond // 1000 * 1000)
    text = times.to_text(moment)
    assert len(text) == 24
    assert times.from_text(text) == moment
    assert times.from_ms(times.to_ms(moment)) == moment


def test_times_are_read_in_any_zone_and_written_in_utc() -> None:
    there = datetime(2026, 11, 18, 14, 0, tzinfo=timezone(timedelta(hours=8)))
    assert times.to_text(there) == "2026-11-18T06:00:00.000Z"
    assert times.from_text("2026-11-18T14:00:00.123456789+08:00") == there.replace(
        microsecond=123456
    )


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-18T06:00:00",
        "2026-11-18",
        "2026-11-18 06:00:00Z",
        "2026-13-18T06:00:00Z",
        5,
        None,
        "2026-11-18T06:00:60Z",
        "٢026-11-18T06:00:00Z",
        "2026-11-18T06:00:00.Z",
        "0001-01-01T00:00:00+23:00",
    ],
)
def test_times_without_zone_or_sense_are_refused(text: object) -> None:
    with pytest.raises(MalformedError) as caught:
        times.from_text(text)
    assert caught.value.code == "time_malformed"


@pytest.mark.parametrize("text", ["AB" * 32, "ab" * 31, "zz" * 32, None, "٣" * 64])
def test_digests_are_64_lowercase_digits(text: object) -> None:
    assert digest.from_hex("ab" * 32) == b"\xab" * 32
    with pytest.raises(MalformedError):
        digest.from_hex(text)


@given(st.binary(max_size=200))
def test_r2_our_ecdsa_is_deterministic_and_low_s_and_the_high_s_of_others_verifies(
    data: bytes,
) -> None:
    ours = signer(KID)
    signature = ours.sign(data)
    s = int.from_bytes(signature[32:], "big")
    assert ours.sign(data) == signature
    assert s <= ORDER // 2
    high = signature[:32] + (ORDER - s).to_bytes(32, "big")
    assert ours.public().verify(signature, data)
    assert ours.public().verify(high, data)


@pytest.mark.parametrize("kid", [KID, ROOT])
def test_a_signature_of_another_length_or_key_does_not_verify(kid: str) -> None:
    ours = signer(kid)
    signature = ours.sign(b"x")
    for wrong in (b"", signature[:-1], signature + b"\0", bytes(64)):
        assert not ours.public().verify(wrong, b"x")
    assert not ours.public().verify(signature, b"y")
    assert len(ours.public().raw()) in (32, 65)


@pytest.mark.parametrize(
    "jwk",
    [
        None,
        "x",
        {},
        {"kty": "oct", "k": "AA"},
        {"kty": "EC", "crv": "P-256", "x": "AA"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43},
        {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43},
        {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
        {"kty": "OKP", "crv": "Ed25519", "x": 5},
        {"kty": "RSA", "n": "AQ", "e": "AQAB"},
    ],
)
def test_bad_keys_are_refused(jwk: object) -> None:
    with pytest.raises(MalformedError) as caught:
        keys.from_jwk(KID, jwk)
    assert caught.value.code == "key_malformed"


def test_a_key_may_name_its_own_algorithm_and_no_other() -> None:
    jwk = dict(signer(KID).public_jwk)
    key = keys.from_jwk(KID, jwk | {"alg": "ES256"})
    assert key == signer(KID).public()
    with pytest.raises(MalformedError):
        keys.from_jwk(KID, jwk | {"alg": "ES384"})
    with pytest.raises(MalformedError):
        keys.from_jwk(KID, jwk | {"d": "AA"})


def test_thumbprint_is_that_of_rfc_8037_appendix_a3() -> None:
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    assert keys.from_jwk(KID, jwk).thumbprint() == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_only_keys_of_the_table_sign() -> None:
    with pytest.raises(MalformedError):
        keys.SoftwareSigner(KID, ec.generate_private_key(ec.SECP256K1()))


@given(
    st.dictionaries(st.text(max_size=20), st.text(max_size=40) | st.integers(0, 9999), max_size=8)
)
def test_pyjwt_reads_what_we_sign(claims: dict) -> None:
    claims = {
        name: value
        for name, value in claims.items()
        if name not in {"iss", "sub", "aud", "exp", "nbf", "iat", "jti"}
    }
    payload = strict_json.canonical(claims)
    for kid, algorithm in ((KID, "ES256"), (ROOT, "EdDSA")):
        ours = signer(kid)
        text = jws.sign(payload, typ="vc+jwt", signer=ours, cty="vc")
        public = jwt.PyJWK(dict(ours.public_jwk) | {"alg": algorithm}).key
        if algorithm == "ES256":
            assert jwt.decode(text, public, algorithms=["ES256"]) == claims
        parsed = jws.parse(text, typ="vc+jwt")
        jws.verify(parsed, ours.public())
        assert parsed.payload == payload
        assert parsed.payload_digest == digest.sha256(payload)


def test_what_pyjwt_signs_verifies_here_under_both_names_of_ed25519() -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    key = keys.SoftwareSigner(KID, private).public()
    text = jwt.encode({"a": 1}, private, "EdDSA", headers={"typ": "vc+jwt", "kid": KID})
    jws.verify(jws.parse(text, typ=frozenset({"vc+jwt"})), key)


def test_r3_the_algorithm_comes_from_the_key() -> None:
    text = jws.sign(b"{}", typ="vc+jwt", signer=signer(ROOT))
    with pytest.raises(RefusedError) as caught:
        jws.verify(jws.parse(text, typ="vc+jwt"), signer(KID).public())
    assert caught.value.code == "jws_algorithm_mismatch"
    other = jws.sign(b"{}", typ="vc+jwt", signer=signer("did:web:a.example#credential-2"))
    with pytest.raises(RefusedError) as caught:
        jws.verify(jws.parse(other, typ="vc+jwt"), signer(KID).public())
    assert caught.value.code == "bad_signature"


def test_r1_typ_is_always_checked() -> None:
    text = jws.sign(b"{}", typ="px-receipt+jws", signer=signer(KID))
    for wanted in ("vc+jwt", frozenset({"vc+jwt", "px-manifest+jws"})):
        with pytest.raises(RefusedError) as caught:
            jws.parse(text, typ=wanted)
        assert caught.value.code == "jws_typ_unexpected"
    assert jws.parse(text, typ={"px-receipt+jws", "vc+jwt"}).kid == KID


def with_header(**changes: object) -> str:
    header = {"alg": "ES256", "kid": KID, "typ": "vc+jwt", **changes}
    header = {name: value for name, value in header.items() if value is not ...}
    return f"{base64url.encode(json.dumps(header).encode())}.e30.AAAA"


CERTIFICATE = base64.b64encode(b"certificate!").decode()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"alg": "none"}, "jws_algorithm_unknown"),
        ({"alg": "HS256"}, "jws_algorithm_unknown"),
        ({"alg": ["ES256"]}, "jws_header_malformed"),
        ({"alg": ...}, "jws_header_malformed"),
        ({"typ": ...}, "jws_header_malformed"),
        ({"typ": "VC JWT"}, "jws_header_malformed"),
        ({"kid": ...}, "jws_header_malformed"),
        ({"kid": "#key"}, "jws_header_malformed"),
        ({"kid": "did:web:a.example"}, "jws_header_malformed"),
        ({"kid": "did:web:a.example#" + "k" * 300}, "jws_header_malformed"),
        ({"cty": "vp"}, "jws_header_malformed"),
        ({"crit": ["b64"]}, "jws_header_malformed"),
        ({"jku": "https://x.example"}, "jws_header_malformed"),
        ({"jwk": {}}, "jws_header_malformed"),
        ({"x5c": []}, "jws_header_malformed"),
        ({"x5c": CERTIFICATE}, "jws_header_malformed"),
        ({"x5c": [5]}, "jws_header_malformed"),
        ({"x5c": ["a-_b"]}, "jws_header_malformed"),
        ({"x5c": ["YR=="]}, "jws_header_malformed"),
        ({"x5c": [CERTIFICATE] * 7}, "jws_header_malformed"),
        ({"x5c": ["A" * 24_000]}, "jws_too_large"),
    ],
)
def test_headers_outside_the_allow_list_are_refused(changes: dict, code: str) -> None:
    with pytest.raises(TradeError) as caught:
        jws.parse(with_header(**changes), typ="vc+jwt")
    assert caught.value.code == code


def test_a_header_may_carry_a_chain_and_the_application_prefix() -> None:
    parsed = jws.parse(with_header(x5c=[CERTIFICATE], typ="application/vc+jwt"), typ="vc+jwt")
    assert parsed.header.x5c == (b"certificate!",)


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c.d", "é.e30.AA"])
def test_a_compact_jws_has_three_parts(text: str) -> None:
    with pytest.raises(MalformedError):
        jws.parse(text, typ="vc+jwt")


def test_a_jws_over_the_cap_is_not_looked_at() -> None:
    with pytest.raises(TooLargeError):
        jws.parse("a" * 11, typ="vc+jwt", max_bytes=10)


def test_many_signatures_over_one_payload() -> None:
    both = jws.sign_multi(b"{}", typ="px-members+jws", signers=[signer(ROOT), signer(KID)])
    assert jws.parse_multi(both.to_bytes(), typ="px-members+jws") == both
    assert both.with_signatures(both.signatures) == both
    assert both.payload_digest == digest.sha256(b"{}")
    other = jws.sign_multi(b"[]", typ="px-members+jws", signers=[signer(ROOT)])
    with pytest.raises(RefusedError):
        both.with_signatures(other.signatures)


@pytest.mark.parametrize(
    "value",
    [
        {"payload": "e30"},
        {"payload": 5, "signatures": []},
        {"payload": "e30", "signatures": []},
        {"payload": "e30", "signatures": [{}]},
        {"payload": "e30", "signatures": ["x"]},
        {"payload": "e30", "signatures": [{"protected": 5, "signature": "AA"}]},
        {"payload": "e30", "signatures": [], "header": {}},
        {"payload": "e30", "signatures": [{"protected": "e30", "signature": "AA"}] * 33},
    ],
)
def test_a_malformed_general_serialisation_is_refused(value: object) -> None:
    with pytest.raises(MalformedError):
        jws.parse_multi(strict_json.canonical(value), typ="px-members+jws")
