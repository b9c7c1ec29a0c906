"""Signed calls: who, to whom, over what, when and in which network (R1, R4, R12)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from protocols import http_signature
from protocols.digest import sha256
from protocols.http_signature import Call, MembersClaim
from schemas.errors import MalformedError, TradeError
from tests.support.made_network import NOW, A, B, following, founded, signer

MADE = founded()
CALL = Call("POST", "Node.example:8470", "/px/1/messages", "a=1", sha256(b"body"))
NONCE = "n" * 22


def headers(call: Call = CALL, *, kid: str = f"{A}#exchange-1", **changes: object) -> dict:
    values = {"to": B, "members": MADE.members, "created": NOW, "nonce": NONCE, **changes}
    return http_signature.sign_request(call, signer=signer(kid), **values)


def verify(given: dict, call: Call = CALL, **changes: object) -> http_signature.SignedCall:
    values = {"to": B, "members": MADE.members, "now": NOW, **changes}
    return http_signature.verify_request(call, given, **values)


def test_a_signed_call_tells_its_caller() -> None:
    call = verify(headers())
    assert (call.did, call.kid, call.nonce) == (A, f"{A}#exchange-1", NONCE)
    assert call.members == MembersClaim(1, MADE.members.digest)
    assert call.expires - call.created == timedelta(seconds=300)


def test_an_empty_query_and_path_have_their_one_form() -> None:
    bare = Call("GET", "node.example", "", "", sha256(b""))
    assert verify(headers(bare), replace(bare, path="/")).did == A


@pytest.mark.parametrize(
    "change",
    [
        {"method": "PUT"},
        {"authority": "other.example"},
        {"path": "/px/1/receipts"},
        {"query": "a=2"},
        {"query": ""},
    ],
)
def test_every_covered_part_counts(change: dict) -> None:
    with pytest.raises(TradeError) as caught:
        verify(headers(), replace(CALL, **change))
    assert caught.value.code == "http_signature_invalid"


@pytest.mark.parametrize(
    ("made", "checked", "code"),
    [
        ({}, {"to": A}, "http_signature_other_addressee"),
        ({}, {"now": NOW + timedelta(seconds=301)}, "http_signature_expired"),
        ({}, {"now": NOW - timedelta(seconds=61)}, "http_signature_expired"),
        ({"lifetime": timedelta(seconds=301)}, {}, "http_signature_expired"),
        ({"lifetime": timedelta(0)}, {}, "http_signature_expired"),
        ({"kid": f"{A}#credential-1"}, {}, "http_signature_unknown_key"),
        ({"kid": f"{A}#exchange-9"}, {}, "http_signature_unknown_key"),
        ({"kid": "did:web:stranger.example#exchange-1"}, {}, "http_signature_unknown_key"),
        (
            {"created": MADE.members.expires + timedelta(days=8)},
            {"now": MADE.members.expires + timedelta(days=8)},
            "member_list_stale",
        ),
        ({"nonce": "short"}, {}, "http_signature_malformed"),
        ({"nonce": 'x" ;evil="' + "y" * 10}, {}, "http_signature_malformed"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_code(made: dict, checked: dict, code: str) -> None:
    with pytest.raises(TradeError) as caught:
        verify(headers(**made), **checked)
    assert caught.value.code == code


def test_r1_a_call_of_another_network_is_refused() -> None:
    other = founded(roots=2)
    with pytest.raises(TradeError) as caught:
        verify(headers(members=other.members))
    assert caught.value.code == "http_signature_other_addressee"


def test_r12_the_body_is_the_signed_one() -> None:
    with pytest.raises(TradeError) as caught:
        verify(headers(), replace(CALL, body_digest=sha256(b"other")))
    assert caught.value.code == "http_signature_other_body"


@pytest.mark.parametrize("name", ["Signature", "Signature-Input", "Content-Digest", "Px-To"])
def test_every_header_is_needed(name: str) -> None:
    given = headers()
    del given[name]
    with pytest.raises(TradeError) as caught:
        verify(given)
    assert caught.value.code == "http_signature_missing"


@pytest.mark.parametrize("signature", ["px=:AAAA:", "px=AAAA", "", "px=:A:", "px=:A=A=:"])
def test_a_broken_signature_is_refused(signature: str) -> None:
    with pytest.raises(TradeError) as caught:
        verify(headers() | {"Signature": signature})
    assert caught.value.code == "http_signature_invalid"


@pytest.mark.parametrize("text", ["", "0;" + "ab" * 32, "1;AB", "1", "1;" + "ab" * 32 + ";x"])
def test_a_malformed_members_claim_is_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        http_signature.read_members_claim(text)
    claim = MembersClaim(3, b"\xab" * 32)
    assert http_signature.read_members_claim(claim.to_text()) == claim


def test_a_part_beyond_ascii_is_refused() -> None:
    with pytest.raises(MalformedError):
        headers(replace(CALL, path="/é"))
    assert following(MADE).previous == MADE.members
