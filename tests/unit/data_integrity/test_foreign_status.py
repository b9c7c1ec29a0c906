"""CRED-10: the status of a credential of others, by either kind of list."""

from __future__ import annotations

import zlib
from dataclasses import replace
from datetime import timedelta

import pytest

from protocols import base64url, jws, keys
from protocols.credentials import token_status_list as tokens
from protocols.credentials.status_list import StatusEntry
from protocols.verify import foreign_steps
from schemas import strict_json
from tests.support import evidence_world as world
from tests.support.title_world import NOW, ecdsa
from tests.support.token_lists import EXP, IAT, STATUS_LIST, SUB, TTL, cwt
from tests.unit.data_integrity.foreign_world import FILE, OWN, URI, members, proven, verify, wrong


def test_cred_10_a_revoked_credential_fails() -> None:
    revoked = world.status(revoked=(FILE,))
    assert wrong(verify(status=revoked)) == {"CRED-10": ("FAILED", "revoked")}
    found = wrong(verify(status=revoked, at=NOW - timedelta(hours=1)))
    assert found["CRED-10"][0] == "INDETERMINATE"


def test_cred_10_a_suspended_one_too_and_a_list_of_later_decides_nothing() -> None:
    entry = StatusEntry(members()["credentialStatus"]["statusListCredential"], 5, "suspension")
    file = proven(members(credentialStatus=entry.to_json()))
    bits = bytearray(16384)
    bits[0] = 0x04
    text = world.status(bits=bytes(bits), purpose="suspension")
    assert wrong(verify(file, status=text)) == {"CRED-10": ("INDETERMINATE", "suspended")}
    held = foreign_steps.status_list.open_list(text, members=world.MEMBERS, now=NOW)
    found = wrong(verify(file, status=held, at=NOW - timedelta(hours=1), members=world.MEMBERS))
    assert found["CRED-10"] == ("INDETERMINATE", "suspension_later")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"credentialStatus": None}, "status_not_stated"),
        ({"credentialStatus": [{"type": "Other"}]}, "status_malformed"),
        ({"credentialStatus": [{"type": "A"}, {"type": "B"}]}, "status_malformed"),
    ],
)
def test_cred_10_what_cannot_be_looked_up_is_unknown(change: dict, code: str) -> None:
    found = wrong(verify(proven(members(**change))))
    assert found == {"CRED-10": ("INDETERMINATE", code)}


def test_cred_10_no_list_an_old_list_and_a_rolled_back_list_are_unknown() -> None:
    assert wrong(verify(status=None)) == {"CRED-10": ("INDETERMINATE", "status_unknown")}
    old = world.status(at=NOW - timedelta(hours=1))
    assert wrong(verify(status=old)) == {"CRED-10": ("INDETERMINATE", "status_stale")}
    held = foreign_steps.status_list.open_list(world.status(), members=world.MEMBERS, now=NOW)
    found = wrong(verify(status=old, held_status=held))
    assert found == {"CRED-10": ("INDETERMINATE", "status_rollback")}
    assert wrong(verify(status=held, held_status=held)) == {}
    other = replace(held, url=held.url + "9")
    assert wrong(verify(status=held, held_status=other)) == {}


def token(signer: keys.SoftwareSigner = OWN, **changes: object) -> str:
    payload = {
        "sub": URI,
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 3600,
        "ttl": 600,
        "status_list": {
            "bits": 2,
            "lst": base64url.encode(zlib.compress(bytes([0b11_10_01_00]))),
        },
        **changes,
    }
    return jws.sign(strict_json.canonical(payload), typ=tokens.TYP, signer=signer)


@pytest.mark.parametrize(
    ("index", "found"),
    [
        (0, {}),
        (1, {"CRED-10": ("FAILED", "revoked")}),
        (2, {"CRED-10": ("INDETERMINATE", "suspended")}),
        (3, {"CRED-10": ("INDETERMINATE", "status_unknown")}),
        (4, {"CRED-10": ("INDETERMINATE", "token_status_out_of_range")}),
    ],
)
def test_cred_10_a_token_status_list_is_asked_where_it_is_named(index: int, found: dict) -> None:
    stated = {"status_list": {"idx": index, "uri": URI}}
    file = proven(members(credentialStatus=None, status=stated))
    assert wrong(verify(file, status=token())) == found


def binary_token(uri: str = URI, data: bytes = bytes([0b11_10_01_00]), age: int = 0) -> bytes:
    at = int(NOW.timestamp()) - age
    listed = {"bits": 2, "lst": zlib.compress(data)}
    return cwt(OWN, {SUB: uri, IAT: at, EXP: at + 3600, TTL: 600, STATUS_LIST: listed})


def test_cred_10_a_token_status_list_in_cwt_form_says_the_same() -> None:
    for index, expected in (
        (0, {}),
        (1, {"CRED-10": ("FAILED", "revoked")}),
        (2, {"CRED-10": ("INDETERMINATE", "suspended")}),
    ):
        stated = {"status_list": {"idx": index, "uri": URI}}
        file = proven(members(credentialStatus=None, status=stated))
        assert wrong(verify(file, status=binary_token())) == expected
        assert verify(file, status=binary_token()) == verify(file, status=token())
    # One of W3C's kind is not to be had from it.
    found = wrong(verify(status=binary_token()))
    assert found == {"CRED-10": ("INDETERMINATE", "jws_typ_unexpected")}


def test_cred_10_of_several_token_lists_the_newest_of_that_name_answers() -> None:
    stated = {"status_list": {"idx": 1, "uri": URI}}
    file = proven(members(credentialStatus=None, status=stated))
    revoked = {"CRED-10": ("FAILED", "revoked")}
    older, other = binary_token(data=b"\0", age=60), binary_token(URI + "2", b"\0")
    assert wrong(verify(file, status=(b"no list", other, older, token()))) == revoked
    assert wrong(verify(file, status=(other, older, "no.list"))) == {}
    assert wrong(verify(file, status=())) == {"CRED-10": ("INDETERMINATE", "status_unknown")}
    found = wrong(verify(file, status=(other, "no.list")))
    assert found == {"CRED-10": ("INDETERMINATE", "token_status_other_list")}


def test_cred_10_neither_kind_of_list_answers_for_the_other() -> None:
    stated = {"status_list": {"idx": 0, "uri": URI}}
    file = proven(members(credentialStatus=None, status=stated))
    found = wrong(verify(file))
    assert found == {"CRED-10": ("INDETERMINATE", "jws_typ_unexpected")}
    assert wrong(verify(status=token())) == {"CRED-10": ("INDETERMINATE", "jws_typ_unexpected")}
    held = foreign_steps.status_list.open_list(world.status(), members=world.MEMBERS, now=NOW)
    assert wrong(verify(file, status=held)) == {"CRED-10": ("INDETERMINATE", "status_unknown")}
    late = NOW + timedelta(minutes=11)
    found = wrong(verify(file, status=token(), at=late))
    assert found == {"CRED-10": ("INDETERMINATE", "status_stale")}
    stranger = token(ecdsa("nhl", "credential"))
    found = wrong(verify(file, status=stranger))
    assert found == {"CRED-10": ("INDETERMINATE", "token_status_other_issuer")}
