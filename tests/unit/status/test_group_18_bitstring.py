"""Negative group 18, the pure part: what a Bitstring list may say, and about which credential."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.credentials import credential, status_list
from protocols.credentials.status_list import SUSPENSION, Status, StatusEntry, StatusList
from protocols.fields import Fields
from protocols.verify import verify_document
from schemas.errors import MalformedError, RefusedError
from schemas.findings import Check, Report
from tests.support import evidence_world as world
from tests.support.made_network import NOW as THEN
from tests.support.made_network import A, B, founded, signer
from tests.support.title_world import NOW, did, ecdsa

SUSPENDED_URL = status_list.list_url(did("cn-cert"), "s1")
FILE = world.issued(suspension=StatusEntry(SUSPENDED_URL, 7, SUSPENSION))
EMPTY = bytes(status_list.MIN_ENTRIES // 8)
MINUTES = timedelta(minutes=1)


def suspension(index: int | None = None, **changes: object) -> str:
    """The issuer's suspension list, with that entry set."""
    bits = EMPTY if index is None else status_list.set_bit(EMPTY, index)
    return world.status(url=SUSPENDED_URL, purpose=SUSPENSION, bits=bits, **changes)


def verify(*lists: str | StatusList, **changes: object) -> Report:
    values = {"members": world.MEMBERS, "at": NOW, "verifier_country": "NL", **changes}
    return verify_document(FILE.to_bytes(), status=lists, **values)[0]


def status_check(report: Report) -> Check:
    found = report.check("CRED-10")
    assert found is not None
    return found


def said(*lists: str | StatusList, **changes: object) -> tuple[str, str]:
    found = status_check(verify(*lists, **changes))
    return found.outcome.value, found.code


def read(text: str) -> StatusList:
    return status_list.parse_list(text)[1]


# --- two purposes -------------------------------------------------------------------------------


def test_group_18_both_entries_are_signed_and_read_back() -> None:
    claims = credential.open_file(FILE.to_bytes()).claims
    assert claims.statuses == (claims.status, StatusEntry(SUSPENDED_URL, 7, SUSPENSION))
    assert verify(world.status(), suspension()).verdict.value == "PASSED"


@pytest.mark.parametrize(
    ("revoked", "index", "expected"),
    [
        (False, None, ("PASSED", "")),
        (False, 7, ("INDETERMINATE", "suspended")),
        (True, None, ("FAILED", "revoked")),
        (True, 7, ("FAILED", "revoked")),
        (False, 8, ("PASSED", "")),
    ],
)
def test_group_18_suspension_is_told_apart_from_revocation(
    revoked: bool, index: int | None, expected: tuple[str, str]
) -> None:
    lists = (world.status(revoked=(FILE,) if revoked else ()), suspension(index))
    assert said(*lists) == expected
    assert said(*reversed(lists)) == expected


def test_group_18_a_missing_list_of_either_purpose_leaves_the_status_unknown() -> None:
    assert said() == ("INDETERMINATE", "status_unknown")
    assert said(world.status()) == ("INDETERMINATE", "status_unknown")
    assert said(suspension()) == ("INDETERMINATE", "status_unknown")
    assert said(suspension(7)) == ("INDETERMINATE", "suspended")
    assert said(world.status(revoked=(FILE,))) == ("FAILED", "revoked")


def test_group_18_neither_list_answers_for_the_other_purpose() -> None:
    clear = world.status(url=SUSPENDED_URL)  # calls itself a list for revocation
    assert said(world.status(), clear) == ("INDETERMINATE", "status_other_purpose")


def test_the_age_of_each_list_stands_in_the_report() -> None:
    lists = (world.status(at=NOW - 3 * MINUTES), suspension(at=NOW - 5 * MINUTES))
    evidence = status_check(verify(*lists)).evidence
    assert (evidence["ageSeconds"], evidence["says"]) == (180, "valid")
    other = evidence["suspension"]
    assert (other["ageSeconds"], other["list"], other["index"]) == (300, SUSPENDED_URL, 7)


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [{}],
        [StatusEntry("https://a.example/status/s1", 1, SUSPENSION).to_json()],
        [StatusEntry("https://a.example/status/1", 1).to_json()] * 2,
        [StatusEntry("https://a.example/status/1", 1).to_json()] * 3,
        [
            StatusEntry("https://a.example/status/1", 1).to_json(),
            StatusEntry("https://a.example/status/2", 1, "refresh").to_json(),
        ],
        [StatusEntry("https://a.example/status/1", 1).to_json() | {"statusSize": 2}],
        "revocation",
        None,
    ],
)
def test_group_18_entries_of_other_purposes_sizes_or_numbers_are_refused(entries: object) -> None:
    with pytest.raises(MalformedError):
        status_list.read_entries(Fields({"credentialStatus": entries}, "x"), "credentialStatus")


@pytest.mark.parametrize(
    "index", ["1_0", "٣", "-1", "0x10", "1" * 5000, "01", "", " 1", "1.0", "+1", 3]
)
def test_group_18_an_index_has_one_form(index: object) -> None:
    entry = StatusEntry("https://a.example/status/1", 1).to_json() | {"statusListIndex": index}
    with pytest.raises(MalformedError):
        status_list.read_entry(Fields(entry, "x"))


# --- time ---------------------------------------------------------------------------------------


def test_group_18_a_later_list_answers_for_revocation_only_while_it_is_clear() -> None:
    later = NOW + timedelta(hours=1)
    fresh = suspension()
    assert said(read(world.status(at=later)), fresh) == ("PASSED", "")
    gone = read(world.status(at=later, revoked=(FILE,)))
    assert said(gone, fresh) == ("INDETERMINATE", "status_later")


@pytest.mark.parametrize("index", [None, 7])
def test_group_18_a_later_list_says_nothing_about_a_suspension_then(index: int | None) -> None:
    later = read(suspension(index, at=NOW + timedelta(hours=1)))
    assert said(world.status(), later) == ("INDETERMINATE", "suspension_later")
    assert said(world.status(), later, suspension()) == ("PASSED", "")
    assert said(world.status(), later, suspension(7)) == ("INDETERMINATE", "suspended")


def test_group_18_of_several_versions_the_last_by_then_and_the_next_count() -> None:
    clear, gone = world.status(at=NOW - 9 * MINUTES), world.status(at=NOW, revoked=(FILE,))
    held = suspension()
    assert said(read(clear), read(gone), held) == ("FAILED", "revoked")
    assert said(read(gone), read(clear), held) == ("FAILED", "revoked")
    earlier = read(suspension(at=NOW - 9 * MINUTES))
    assert said(read(gone), read(clear), earlier, at=NOW - 5 * MINUTES) == ("PASSED", "")
    stale = read(world.status(at=NOW - timedelta(hours=2)))
    assert said(stale, held) == ("INDETERMINATE", "status_stale")
    assert said(stale, read(world.status(at=NOW + timedelta(hours=1))), held) == ("PASSED", "")


def test_r25_an_issuers_ttl_is_capped() -> None:
    old = world.status(at=NOW - timedelta(hours=2), ttl=timedelta(days=90))
    held = read(old)
    assert held.fresh_at(NOW)
    assert not held.fresh_at(NOW, timedelta(hours=1))
    assert not replace(held, valid_until=NOW + timedelta(days=9)).fresh_at(
        held.valid_from + status_list.MAX_AGE
    )


# --- who may keep a list ------------------------------------------------------------------------

MADE = founded()


def kept_by(keeper: str) -> str:
    return status_list.sign_list(
        url=status_list.list_url(keeper, "1"),
        issuer=keeper,
        network=MADE.members.network,
        bits=EMPTY,
        ttl=timedelta(minutes=15),
        valid_from=THEN,
        valid_until=THEN + timedelta(days=1),
        signer=signer(f"{keeper}#credential-1"),
    )


def test_group_18_a_listed_delegate_may_keep_the_list_and_nobody_else() -> None:
    """In the made network A acts for B under B's right to certify quality."""
    members = MADE.members
    assert status_list.keeps_for(A, B, members, THEN)
    assert not status_list.keeps_for(B, A, members, THEN)
    assert not status_list.keeps_for(A, B, members, THEN + timedelta(days=11))  # B's right ended
    assert status_list.open_list(kept_by(A), members=members, now=THEN, issuer=B).issuer == A
    with pytest.raises(RefusedError) as caught:
        status_list.open_list(kept_by(B), members=members, now=THEN, issuer=A)
    assert caught.value.code == "status_other_issuer"
    assert status_list.keeper_of(status_list.list_url(A, "1"), members, B, THEN) == A
    assert status_list.keeper_of(status_list.list_url(B, "1"), members, B, THEN) == B
    for url in (status_list.list_url(B, "1"), "https://evil.example/status/1"):
        with pytest.raises(RefusedError) as caught:
            status_list.keeper_of(url, members, A, THEN)
        assert caught.value.code == "status_foreign_list"


def test_group_18_a_list_of_somebody_else_under_the_same_name_says_nothing() -> None:
    other = world.status(issuer="nhl", url=status_list.list_url(did("cn-cert"), "1"))
    assert said(other, suspension()) == ("INDETERMINATE", "status_other_issuer")
    forged = world.status(signer=ecdsa("nhl", "credential"))
    assert said(forged, suspension()) == ("INDETERMINATE", "credential_kid_not_issuer")


# --- bits ---------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, status_list.MIN_ENTRIES - 1), st.booleans()), max_size=30))
def test_bits_are_set_and_cleared_one_by_one(changes: list[tuple[int, bool]]) -> None:
    bits, model = EMPTY, set[int]()
    for index, to in changes:
        bits = status_list.set_bit(bits, index, to=to)
        (model.add if to else model.discard)(index)
    opened = status_list.decode_bits(status_list.encode_bits(bits))
    assert {index for index, _ in changes if status_list.bit(opened, index)} == model
    assert sum(byte.bit_count() for byte in opened) == len(model)


def test_a_suspension_may_be_cleared_and_a_revocation_never() -> None:
    older, newer = read(suspension(7, at=NOW - MINUTES)), read(suspension())
    assert status_list.supersedes(newer, older)
    with pytest.raises(RefusedError) as caught:
        status_list.supersedes(
            read(world.status()), read(world.status(at=NOW - MINUTES, revoked=(FILE,)))
        )
    assert caught.value.code == "status_rollback"
    entry = StatusEntry(SUSPENDED_URL, 7, SUSPENSION)
    assert status_list.check(entry, older, issuer=did("cn-cert")) is Status.SUSPENDED
    assert status_list.check(entry, newer, issuer=did("cn-cert")) is Status.VALID
