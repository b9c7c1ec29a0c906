"""R26: a person's signed approval counts for one act, subject, policy, network and time."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from protocols import approval, base64url, jws, keys
from protocols.approval import Asked, Person, Subject, require_approvals
from protocols.credentials import did
from protocols.digest import sha256
from schemas import strict_json
from schemas.catalogue import explain
from schemas.errors import MalformedError, RefusedError, TradeError
from tests.support.approvers import Approver, approver

NOW = datetime(2026, 11, 18, 9, tzinfo=UTC)
NETWORK = sha256(b"network")
POLICY = "review-2026-1 " + "ab" * 32
SUBJECT = approval.subject(
    approval.ISSUE, sha256(b"payload"), {"type": "quality-certificate"}, type_="q", number="N-1"
)
LIN, WU = approver("Lin Demo"), approver("Wu Demo")
PEOPLE = {each.key: Person(each.name) for each in (LIN, WU)}
ASKED = Asked(NETWORK, SUBJECT, POLICY, PEOPLE, NOW)


def signed(who: Approver = LIN, subject: Subject = SUBJECT, **more: Any) -> str:
    given = {"network": NETWORK, "policy": POLICY, "at": NOW - timedelta(hours=1)} | more
    return who.sign(subject, **given)


def code(texts: list[str], needed: int = 1, asked: Asked = ASKED) -> str:
    with pytest.raises(TradeError) as caught:
        require_approvals(texts, asked, needed)
    entry = explain(caught.value.code)
    assert entry is not None
    assert all((entry.en, entry.zh, entry.next, entry.next_zh))
    assert caught.value.code in approval.REFUSALS | {"bad_signature", "jws_typ_unexpected"}
    return caught.value.code


def test_r26_two_persons_approve_and_each_is_named() -> None:
    found = require_approvals([signed(), signed(WU)], ASKED, 2)
    assert [each.person for each in found] == ["Lin Demo", "Wu Demo"]
    assert require_approvals([], ASKED, 0) == ()
    text = signed(reason="seen", term=timedelta(days=31))
    assert approval.read(text).approval.reason == "seen"


def test_r26_what_is_missing_is_counted() -> None:
    with pytest.raises(TradeError) as caught:
        require_approvals([signed()], ASKED, 2)
    assert caught.value.code == "approval_missing"
    assert caught.value.context == {"needed": 2, "missing": 1}
    assert code([]) == "approval_missing"


def test_r26_one_person_counts_once_whatever_the_number_of_keys_and_signatures() -> None:
    other = approver("Lin Demo", 2)
    two_keys = replace(ASKED, people=PEOPLE | {other.key: Person("Lin Demo")})
    assert code([signed(), signed(other)], 2, two_keys) == "second_person_required"
    later = signed(at=NOW - timedelta(minutes=1))
    for texts in ([signed(), signed()], [signed(), later]):
        assert code(texts, 2) == "second_person_required"
        assert code(texts, 1) == "second_person_required"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (signed(network=sha256(b"another")), "approval_other_network"),
        (signed(subject=replace(SUBJECT, act="revoke")), "approval_other_act"),
        (signed(subject=replace(SUBJECT, digest=bytes(32))), "approval_other_subject"),
        (signed(subject=replace(SUBJECT, terms=bytes(32))), "approval_other_subject"),
        (signed(subject=replace(SUBJECT, number="N-2")), "approval_other_subject"),
        (signed(subject=replace(SUBJECT, type="r")), "approval_other_subject"),
        (signed(policy="review-2026-1 " + "cd" * 32), "approval_other_policy"),
        (signed(policy="review-2026-2 " + "ab" * 32), "approval_other_policy"),
        (signed(at=NOW - timedelta(days=7)), "approval_expired"),
        (signed(at=NOW + timedelta(minutes=2)), "approval_expired"),
        (signed(term=timedelta(days=32)), "approval_malformed"),
        (signed(term=timedelta(0)), "approval_malformed"),
        (signed(decision="refuse", reason="no"), "approval_is_refusal"),
        (signed(decision="refuse"), "approval_malformed"),
        (signed(decision="maybe"), "approval_malformed"),
        (signed(approver("Nobody")), "approval_person_unknown"),
        (signed(subject=replace(SUBJECT, act="deliver")), "approval_malformed"),
    ],
)
def test_r26_an_approval_of_anything_else_is_refused(text: str, expected: str) -> None:
    assert code([text]) == expected
    assert code([signed(WU), text], 1) == expected  # beside one that counts, too


def test_r26_who_ended_decides_no_more() -> None:
    ended = replace(ASKED, people=PEOPLE | {LIN.key: Person("Lin Demo", ended=True)})
    assert code([signed()], 1, ended) == "approval_person_ended"


def test_r26_more_approvals_than_anybody_asks_for_are_refused() -> None:
    assert code([signed()] * (approval.MAX_APPROVALS + 1)) == "approval_malformed"


MEMBERS = json.loads(approval.read(signed(reason="seen")).approval.payload())


def forged(members: dict[str, Any], who: Approver = LIN, typ: str = approval.TYP) -> str:
    return jws.sign(strict_json.canonical(members), typ=typ, signer=who.signer)


@given(
    st.sampled_from(sorted(MEMBERS)),
    st.none()
    | st.integers()
    | st.text(max_size=70)
    | st.sampled_from(["00" * 32, "revoke", "refuse"]),
)
def test_r26_changing_any_signed_member_is_refused(name: str, value: Any) -> None:
    changed = MEMBERS | {name: value}
    if changed == MEMBERS or (name == "reason" and isinstance(value, str)):
        return
    header, _, signature = signed().split(".")
    try:
        body = strict_json.canonical(changed)
    except TradeError:
        return
    moved = f"{header}.{base64url.encode(body)}.{signature}"
    assert code([moved]) == "bad_signature"  # the signature moved to other words
    assert code([forged(changed)]) != "approval_missing"  # the same person signs other words


@pytest.mark.parametrize("name", sorted(set(MEMBERS) - {"reason"}))
def test_r26_every_member_is_needed_and_none_is_added(name: str) -> None:
    less = {key: value for key, value in MEMBERS.items() if key != name}
    assert code([forged(less)]) == "approval_malformed"
    assert code([forged(MEMBERS | {"also": name})]) == "approval_malformed"


def test_r1_an_approval_has_its_own_typ_and_is_nothing_else() -> None:
    with pytest.raises(MalformedError):  # no other object is signed by a did:key
        jws.parse(forged(MEMBERS, typ="px-release+jws"), typ="px-release+jws")
    with pytest.raises(RefusedError) as caught:
        jws.parse(signed(), typ="vc+jwt")
    assert caught.value.code == "jws_typ_unexpected"
    member = keys.SoftwareSigner(
        "did:web:cn.example#credential-1", ec.generate_private_key(ec.SECP256R1())
    )
    text = jws.sign(strict_json.canonical(MEMBERS), typ=approval.TYP, signer=member)
    with pytest.raises(MalformedError) as other:
        approval.read(text)
    assert other.value.code == "jws_header_malformed"


def test_r26_the_key_is_a_p256_key_and_its_own_name() -> None:
    private = ed25519.Ed25519PrivateKey.from_private_bytes(b"p" * 32)
    key = did.key_did(keys.SoftwareSigner("", private).public())
    edwards = keys.SoftwareSigner(approval.key_id(key), private)
    text = jws.sign(strict_json.canonical(MEMBERS), typ=approval.TYP, signer=edwards)
    assert code([text]) == "approval_malformed"
    for wrong in (key, LIN.key + "x", "did:key:z6Mk", "did:web:cn.example", "", None, 7):
        with pytest.raises(MalformedError) as caught:
            approval.person_key(wrong)
        assert caught.value.code == "reviewer_key_malformed"
    borrowed = keys.SoftwareSigner(LIN.signer.kid, ec.generate_private_key(ec.SECP256R1()))
    text = jws.sign(strict_json.canonical(MEMBERS), typ=approval.TYP, signer=borrowed)
    assert code([text]) == "bad_signature"


def test_a_text_that_is_no_approval_is_refused_without_a_traceback() -> None:
    for text in ("", "a.b.c", "x" * (approval.MAX_BYTES + 1), signed()[:-4]):
        with pytest.raises(TradeError):
            require_approvals([text], ASKED, 1)


def test_r26_a_batch_is_signed_for_by_name_number_and_every_document() -> None:
    items = SUBJECT.item + replace(SUBJECT, digest=bytes(32)).item
    whole = approval.batch_subject("october", items)
    others = (
        approval.batch_subject("november", items),
        approval.batch_subject("october", items[:32]),
        approval.batch_subject("october", items[32:] + items[:32]),
    )
    asked = replace(ASKED, subject=whole)
    assert require_approvals([signed(subject=whole)], asked, 1)
    for other in others:
        assert code([signed(subject=other)], 1, asked) == "approval_other_subject"


def test_r26_a_person_is_let_in_by_name_and_key() -> None:
    new = approver("Mei Demo")
    subject = approval.person_subject(new.name, new.key)
    asked = replace(ASKED, subject=subject)
    assert require_approvals([signed(subject=subject), signed(WU, subject)], asked, 2)
    for other in (
        approval.person_subject("May Demo", new.key),
        approval.person_subject(new.name, approver("Mei Demo", 2).key),
    ):
        assert code([signed(subject=other)], 1, asked) == "approval_other_subject"


def test_r26_what_two_persons_say_in_one_moment_is_two_approvals() -> None:
    """One person's is one, however often it is signed."""
    one, other = approval.read(signed()), approval.read(signed(WU))
    assert one.approval == other.approval
    assert one.digest != other.digest
    header, payload, _ = signed().split(".")
    signature = base64url.encode(LIN.signer.sign(f"{header}.{payload}".encode()))
    assert approval.read(f"{header}.{payload}.{signature}").digest == one.digest
