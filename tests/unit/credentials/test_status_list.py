"""Status lists: the vectors, the two bit orders, roll-back, and who may sign one."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import base64url, jws
from protocols.credentials import status_list
from protocols.credentials.status_list import Status, StatusEntry
from protocols.fields import Fields
from schemas import strict_json
from schemas.errors import ConflictError, MalformedError, RefusedError, TooLargeError, TradeError
from tests.shared import shared_path
from tests.support.made_network import NOW, A, B, founded, signer

URL = "https://a-port.example/status/1"
EMPTY = bytes(status_list.MIN_ENTRIES // 8)
MADE = founded()


def vectors() -> list[dict]:
    try:
        index = json.loads(shared_path("vectors/credentials/INDEX.json").read_text())
    except pytest.skip.Exception:
        return []
    return [item for item in index["vectors"] if item["file"].startswith("status/")]


def verdict(case: dict) -> str:
    try:
        entry = status_list.read_entry(Fields(case["entry"], "status_malformed"))
        subject = Fields(case["statusListCredential"]["credentialSubject"], "status_malformed")
        purposes = status_list.read_purposes(subject)
        bits = status_list.decode_bits(subject.text("encodedList", max_length=10**6))
        if entry.purpose not in purposes:
            return "reject"
        return f"status={int(status_list.bit(bits, entry.index))}"
    except TradeError:
        return "reject"


@pytest.mark.parametrize("vector", vectors(), ids=lambda item: item["file"])
def test_every_status_vector_gets_its_verdict(vector: dict) -> None:
    case = json.loads(shared_path(f"vectors/credentials/{vector['file']}").read_text())
    assert verdict(case) == vector["expected"], vector["note"]


@given(st.sets(st.integers(0, status_list.MIN_ENTRIES - 1), max_size=20))
def test_bits_survive_and_are_counted_from_the_most_significant(chosen: set[int]) -> None:
    bits = EMPTY
    for index in chosen:
        bits = status_list.set_bit(bits, index)
    opened = status_list.decode_bits(status_list.encode_bits(bits))
    assert {index for index in chosen if status_list.bit(opened, index)} == chosen
    assert sum(byte.bit_count() for byte in opened) == len(chosen)


def text_of(data: bytes) -> str:
    return "u" + base64url.encode(data)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (text_of(gzip.compress(bytes(100), mtime=0)), MalformedError),
        (text_of(zlib.compress(EMPTY)), MalformedError),
        (text_of(gzip.compress(EMPTY, mtime=0) + b"x"), MalformedError),
        (text_of(gzip.compress(EMPTY, mtime=0) + gzip.compress(EMPTY, mtime=0)), MalformedError),
        (text_of(gzip.compress(EMPTY, mtime=0)[:-1]), MalformedError),
        (text_of(gzip.compress(bytes(10**8), mtime=0)), TooLargeError),
        ("u" + "A" * (status_list.MAX_TEXT_BYTES + 1), TooLargeError),
        ("H4sI", MalformedError),
        ("u+++", MalformedError),
    ],
)
def test_hostile_encodings_are_refused(text: str, error: type[TradeError]) -> None:
    with pytest.raises(error):
        status_list.decode_bits(text)


def make(bits: bytes = EMPTY, *, kid: str = f"{A}#credential-1", **changes: object) -> str:
    values = {
        "url": URL,
        "issuer": A,
        "network": MADE.members.network,
        "ttl": timedelta(minutes=15),
        "valid_from": NOW,
        "valid_until": NOW + timedelta(days=1),
        **changes,
    }
    return status_list.sign_list(bits=bits, signer=signer(kid), **values)


def test_a_list_opens_and_answers() -> None:
    held = status_list.open_list(
        make(status_list.set_bit(EMPTY, 7)), members=MADE.members, now=NOW, issuer=A
    )
    assert status_list.check(StatusEntry(URL, 7), held, issuer=A) is Status.REVOKED
    assert status_list.check(StatusEntry(URL, 8), held, issuer=A) is Status.VALID
    assert held.fresh_at(NOW + timedelta(minutes=14))
    assert not held.fresh_at(NOW + timedelta(minutes=15))
    assert held.age(NOW + timedelta(minutes=1)) == timedelta(minutes=1)


@pytest.mark.parametrize(
    ("entry", "issuer", "code"),
    [
        (StatusEntry(URL, 7), B, "status_other_issuer"),
        (StatusEntry(URL + "2", 7), A, "status_other_list"),
        (StatusEntry(URL, 7, "suspension"), A, "status_other_purpose"),
        (StatusEntry(URL, 131072), A, "status_out_of_range"),
    ],
)
def test_a_list_says_nothing_about_what_it_does_not_cover(
    entry: StatusEntry, issuer: str, code: str
) -> None:
    held = status_list.open_list(make(), members=MADE.members, now=NOW)
    with pytest.raises(RefusedError) as caught:
        status_list.check(entry, held, issuer=issuer)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"kid": f"{B}#credential-1"}, "credential_kid_not_issuer"),
        ({"kid": f"{A}#exchange-1"}, "status_key_refused"),
        ({"kid": f"{A}#credential-2"}, "status_key_refused"),
        ({"network": bytes(32)}, "status_other_network"),
        ({"url": "https://b-customs.example/status/1"}, "status_foreign_list"),
        ({"url": "https://a-port.example/status/1/2"}, "status_foreign_list"),
        ({"url": "https://a-port.example/status/1?x=1"}, "status_foreign_list"),
        ({"valid_from": NOW + timedelta(hours=1)}, "credential_not_yet_valid"),
        (
            {"valid_from": NOW - timedelta(days=2), "valid_until": NOW - timedelta(days=1)},
            "credential_expired",
        ),
    ],
)
def test_r1_r7_a_list_counts_only_from_its_issuer_in_its_network_in_its_time(
    changes: dict, code: str
) -> None:
    with pytest.raises(TradeError) as caught:
        status_list.open_list(make(**changes), members=MADE.members, now=NOW)
    assert caught.value.code == code


def test_r6_revocation_has_no_grace_after_the_member_list_expired() -> None:
    late = MADE.members.expires
    text = make(valid_from=late, valid_until=late + timedelta(days=1))
    with pytest.raises(RefusedError) as caught:
        status_list.open_list(text, members=MADE.members, now=late)
    assert caught.value.code == "member_list_stale"


def test_a_list_of_somebody_else_or_with_a_bad_signature_is_refused() -> None:
    with pytest.raises(RefusedError) as caught:
        status_list.open_list(
            make(), members=MADE.members, now=NOW, issuer="did:web:c-office.example"
        )
    assert caught.value.code == "status_other_issuer"
    head, body, _ = make().split(".")
    other = make(status_list.set_bit(EMPTY, 1)).split(".")[2]
    with pytest.raises(RefusedError) as caught:
        status_list.open_list(f"{head}.{body}.{other}", members=MADE.members, now=NOW)
    assert caught.value.code == "bad_signature"


def test_r1_a_document_is_not_taken_for_a_list() -> None:
    members = strict_json.loads_object(jws.parse(make(), typ="vc+jwt").payload)
    key = signer(f"{A}#credential-1")
    for change in (
        {"type": ["VerifiableCredential"]},
        {"credentialSubject": members["credentialSubject"] | {"type": "Other"}},
    ):
        text = jws.sign(strict_json.canonical(members | change), typ="vc+jwt", signer=key)
        with pytest.raises(TradeError):
            status_list.parse_list(text)


def test_a_newer_list_supersedes_and_an_older_or_forked_or_clearing_one_never_does() -> None:
    def opened(bits: bytes, minutes: int) -> status_list.StatusList:
        text = make(bits, valid_from=NOW + timedelta(minutes=minutes))
        return status_list.parse_list(text)[1]

    revoked = status_list.set_bit(EMPTY, 7)
    held = opened(revoked, 0)
    assert status_list.supersedes(held, None)
    assert not status_list.supersedes(opened(revoked, 0), held)
    assert status_list.supersedes(opened(status_list.set_bit(revoked, 9), 1), held)
    longer = replace(opened(revoked, 1), bits=revoked + bytes(10))
    assert status_list.supersedes(longer, held)
    for other, error, code in (
        (opened(revoked, -1), RefusedError, "status_rollback"),
        (opened(EMPTY, 1), RefusedError, "status_rollback"),
        (opened(status_list.set_bit(revoked, 9), 0), ConflictError, "status_fork"),
        (replace(held, url=URL + "x"), RefusedError, "status_other_list"),
    ):
        with pytest.raises(error) as caught:
            status_list.supersedes(other, held)
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("did", "url"),
    [
        ("did:web:a.example", "https://a.example/status/x1"),
        ("did:web:a.example%3A8443", "https://a.example:8443/status/x1"),
        ("did:web:a.example:desk:1", "https://a.example/desk/1/status/x1"),
    ],
)
def test_r7_a_list_is_named_under_its_issuers_did(did: str, url: str) -> None:
    assert status_list.list_url(did, "x1") == url
    assert status_list.list_id_of(url, did) == "x1"
    with pytest.raises(RefusedError):
        status_list.list_id_of(url.replace("a.example", "evil.example"), did)
