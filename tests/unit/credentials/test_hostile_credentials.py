"""One payload, one reading; lists that forget; moments beyond the calendar."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from protocols import jws, times
from protocols.credentials import credential, status_list, vcdm
from protocols.credentials.credential import PayloadInfo
from protocols.exchange import manifest
from protocols.exchange.problems import Problem
from protocols.log import cosignature, note
from protocols.member_list import Freshness
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError
from tests.support.made_network import NOW, A, founded, signer
from tests.unit.credentials.test_credentials import CLAIMS, KEY

LAST = datetime.max.replace(tzinfo=UTC)
FIRST = datetime.min.replace(tzinfo=UTC)
URL = "https://a-port.example/status/1"


def test_a_document_beside_is_not_inside_as_well() -> None:
    """Two documents under one signature; and a copy of it written again would lose one of them."""
    for document, beside in (({"number": "INV-2"}, b"<a/>"), ({}, b"{}")):
        claims = replace(CLAIMS, payload=PayloadInfo.of(beside, "application/xml"))
        file = credential.issue(claims, beside, KEY)
        members = strict_json.loads_object(jws.parse(file.credential, typ="vc+jwt").payload)
        members["credentialSubject"]["document"] = document
        payload = strict_json.canonical(members)
        # The member goes to the end, where a spliced document stands.
        subject = payload.replace(b'"document":' + strict_json.canonical(document) + b",", b"", 1)
        inner = b',"document":' + strict_json.canonical(document) + b"}}"
        for body in (payload, _spliced(subject, inner)):
            text = jws.sign(body, typ="vc+jwt", signer=KEY, cty="vc")
            with pytest.raises(MalformedError) as caught:
                credential.open_file(text.encode() + b"\n" + beside)
            assert caught.value.code == "credential_not_verbatim"


def _spliced(payload: bytes, inner: bytes) -> bytes:
    members = strict_json.loads_object(payload)
    subject = members.pop("credentialSubject")
    assert isinstance(subject, dict)
    subject.pop("document", None)
    head = strict_json.canonical(members)[:-1]
    return head + b',"credentialSubject":' + strict_json.canonical(subject)[:-1] + inner


def test_a_list_in_between_of_another_purpose_cannot_make_forget() -> None:
    made = founded()
    empty = bytes(status_list.MIN_ENTRIES // 8)

    def listed(bits: bytes, minute: int, purpose: str) -> status_list.StatusList:
        at = NOW + timedelta(minutes=minute)
        text = status_list.sign_list(
            url=URL, issuer=A, network=made.members.network, bits=bits,
            ttl=timedelta(minutes=15), valid_from=at, valid_until=at + timedelta(days=1),
            signer=signer(f"{A}#credential-1"), purpose=purpose,
        )  # fmt: skip
        return status_list.parse_list(text)[1]

    revoked = status_list.set_bit(empty, 7)
    held = listed(revoked, 0, "revocation")
    assert status_list.supersedes(listed(revoked, 1, "revocation"), held)
    # It clears nothing itself; against it, the next one would be free to.
    with pytest.raises(RefusedError) as caught:
        status_list.supersedes(listed(revoked, 1, "suspension"), held)
    assert caught.value.code == "status_rollback"


def test_no_moment_of_a_stranger_overflows() -> None:
    """A validity up to the last day there is compares; it raises nothing but what it should."""
    vcdm.require_in_time(NOW, LAST, NOW)
    vcdm.require_in_time(FIRST, None, NOW)
    for start, end, at in ((LAST, None, FIRST), (None, FIRST, LAST)):
        with pytest.raises(RefusedError):
            vcdm.require_in_time(start, end, at)
    with pytest.raises(MalformedError):
        times.from_ms(10**18)
    members = replace(founded().members, expires=LAST - timedelta(seconds=1))
    assert members.freshness(LAST) is Freshness.READING_ONLY


def test_r8_a_manifest_that_never_expires_is_refused_and_does_not_break_its_batch() -> None:
    made, body = founded(), b"{}"
    one = manifest.Manifest(
        network=made.members.network,
        id=manifest.new_id(NOW, bytes(10)),
        sender=A,
        recipient="did:web:b-port.example",
        type="urn:pratique:validated",
        stream=None,
        seq=None,
        prev=None,
        issued_at=NOW,
        expires=LAST,
        body=manifest.body_of(body, "application/json"),
    )
    signed = manifest.sign(one, signer(f"{A}#exchange-1"))
    desk = manifest.Desk(
        network=made.members.network,
        recipient=one.recipient,
        caller=A,
        key=made.members.key,
        may_send=lambda _did, _type: None,
        now=NOW,
    )
    assert manifest.examine(signed, body, desk) is Problem.EXPIRED


def test_r17_a_witness_whose_clock_tells_the_impossible_is_not_believed() -> None:
    witness = signer("did:web:w.example#witness-1")
    raw = witness.public().raw()
    key = note.verifier_key("w.example/witness/1", note.COSIGNATURE, raw)
    body, far = "log\n1\nAAAA\n", 2**62
    value = far.to_bytes(8, "big") + witness.sign(cosignature.message(body, far))
    with pytest.raises(RefusedError) as caught:
        cosignature.verify(body, note.Signature(key.name, key.key_id, value), key)
    assert caught.value.code == "cosignature_invalid"
