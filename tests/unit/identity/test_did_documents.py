"""DID documents: ours from the list, others' read strictly and held against the pins (group 16)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from protocols.credentials import did, did_document, multikey
from protocols.member_list import ListedKey
from schemas.errors import MalformedError, RefusedError, TradeError
from tests.support.made_network import NOW, A, B, founded, listed, signer

MEMBERS = founded().members
NODE = MEMBERS.node(A)
assert NODE is not None
PINS = {key.kid: key for key in NODE.keys}
CREDENTIAL = f"{A}#credential-1"


def document(**changes: Any) -> dict[str, Any]:
    """Our own document of A, with some members replaced."""
    written: Any = did_document.write(A, PINS.values(), NOW)
    return json.loads(json.dumps(written)) | changes


def read(members: dict[str, Any], subject: str = A) -> did_document.DidDocument:
    return did_document.read(json.dumps(members).encode(), subject)


def code_of(members: dict[str, Any]) -> str:
    with pytest.raises(TradeError) as caught:
        read(members)
    return caught.value.code


def test_what_a_node_writes_is_read_again_and_agrees_with_the_list() -> None:
    found = read(document())
    compared = did_document.compare(found, PINS, NOW)
    assert set(compared.agreeing) == set(PINS)
    assert compared.agrees
    assert compared.to_json()["missing"] == []
    did_document.require_agreement(compared, PINS)
    by_kid = {method.kid: method.relationships for method in found.methods}
    assert by_kid[CREDENTIAL] == {"assertionMethod"}
    assert by_kid[f"{A}#exchange-1"] == {"authentication"}
    assert by_kid[f"{A}#log-1"] == frozenset()


def test_keys_that_ended_are_not_written_and_are_told_when_others_still_have_them() -> None:
    ended = {**PINS, CREDENTIAL: listed(CREDENTIAL, "credential", valid_until=NOW)}
    assert CREDENTIAL not in json.dumps(did_document.write(A, ended.values(), NOW))
    compared = did_document.compare(read(document()), ended, NOW)
    assert compared.untimely == (CREDENTIAL,)
    assert compared.agrees


def test_a_pinned_key_that_is_missing_is_told_and_no_alarm() -> None:
    bare = document(verificationMethod=[], assertionMethod=[], authentication=[])
    compared = did_document.compare(read(bare), PINS, NOW)
    assert set(compared.missing) == set(PINS)
    assert compared.agrees


def test_group_16_the_document_of_another_did_is_refused() -> None:
    assert code_of(document(id=B)) == "did_document_other_subject"
    assert code_of(document(id=5)) == "did_document_malformed"


@pytest.mark.parametrize("foreign", [B, "did:key:z6Mk", 7])
def test_group_16_a_key_that_somebody_else_controls_is_refused(foreign: object) -> None:
    methods = document()["verificationMethod"]
    methods[0]["controller"] = foreign
    wanted = {"did_document_foreign_controller", "did_document_malformed"}
    assert code_of(document(verificationMethod=methods)) in wanted


def test_group_16_a_key_named_after_another_did_is_refused() -> None:
    methods = document()["verificationMethod"]
    methods[0]["id"] = f"{B}#credential-1"
    found = code_of(document(verificationMethod=methods))
    assert found == "did_document_foreign_controller"
    assert code_of(document(assertionMethod=[f"{B}#k"])) == "did_document_foreign_controller"


def test_group_16_two_keys_of_one_id_are_refused_wherever_they_stand() -> None:
    methods = document()["verificationMethod"]
    twice = [*methods, {**methods[0], "id": "#credential-1"}]
    assert code_of(document(verificationMethod=twice)) == "did_document_key_twice"
    assert code_of(document(assertionMethod=[methods[0]])) == "did_document_key_twice"


def test_group_16_more_than_a_hundred_keys_are_refused() -> None:
    first = document()["verificationMethod"][0]
    many = [{**first, "id": f"#k{number}"} for number in range(101)]
    assert code_of(document(verificationMethod=many)) == "did_document_too_many_keys"
    spread = [{**first, "id": f"#e{number}"} for number in range(100)]
    assert code_of(document(keyAgreement=spread)) == "did_document_too_many_keys"
    assert len(read(document(verificationMethod=many[:100], assertionMethod=["#k1"],
                             authentication=[])).methods) == 100  # fmt: skip


def test_group_07_a_document_with_a_member_twice_is_refused() -> None:
    text = json.dumps(document()).replace('{"@context"', '{"id":"did:web:x.example","@context"', 1)
    with pytest.raises(MalformedError):
        did_document.read(text.encode(), A)


def test_group_16_another_key_under_a_pinned_id_disagrees_and_is_named() -> None:
    methods = document()["verificationMethod"]
    methods[0]["publicKeyJwk"] = dict(signer("did:web:thief.example#credential-1").public().jwk)
    compared = did_document.compare(read(document(verificationMethod=methods)), PINS, NOW)
    assert compared.foreign == (CREDENTIAL,)
    with pytest.raises(RefusedError, match=CREDENTIAL) as caught:
        did_document.require_agreement(compared, PINS)
    assert caught.value.code == "did_document_disagrees"


def test_group_16_an_additional_key_disagrees() -> None:
    methods = document()["verificationMethod"]
    extra = {**methods[0], "id": "#credential-2"}
    compared = did_document.compare(read(document(verificationMethod=[*methods, extra])), PINS, NOW)
    assert compared.foreign == (f"{A}#credential-2",)
    with pytest.raises(RefusedError, match="a key of its own"):
        did_document.require_agreement(compared, PINS)


def test_r1_a_document_may_not_give_a_log_key_the_right_to_issue() -> None:
    given = document(assertionMethod=[CREDENTIAL, f"{A}#log-1"])
    assert did_document.compare(read(given), PINS, NOW).foreign == (f"{A}#log-1",)


def test_keys_of_other_kinds_are_read_and_agree_with_no_pin() -> None:
    first = document()["verificationMethod"][0]
    other = {"kty": "OKP", "crv": "X25519", "x": "AAAA"}
    found = read(document(keyAgreement=[{**first, "id": "#ka", "publicKeyJwk": other}]))
    method = next(each for each in found.methods if each.kid == f"{A}#ka")
    assert method.key is None
    assert did_document.compare(found, PINS, NOW).foreign == (f"{A}#ka",)


def test_a_multikey_is_the_same_key_as_its_jwk() -> None:
    methods = document()["verificationMethod"]
    text = multikey.encode(PINS[CREDENTIAL].public)
    del methods[0]["publicKeyJwk"]
    methods[0] |= {"type": "Multikey", "publicKeyMultibase": text}
    found = read(document(verificationMethod=methods))
    assert did_document.compare(found, PINS, NOW).agrees
    methods[0]["publicKeyMultibase"] = "z0"
    assert read(document(verificationMethod=methods)).methods[0].key is None


@pytest.mark.parametrize(
    "changes",
    [
        {"verificationMethod": {}},
        {"verificationMethod": ["#k"]},
        {"assertionMethod": [5]},
        {"assertionMethod": ["#nothing"]},
        {"assertionMethod": [A]},
    ],
)
def test_what_is_no_list_of_keys_is_malformed(changes: dict[str, Any]) -> None:
    assert code_of(document(**changes)) == "did_document_malformed"


@pytest.mark.parametrize(
    "change", [{"publicKeyJwk": {"kty": "EC", "d": "AA"}}, {"publicKeyMultibase": "z6Mk"}]
)
def test_a_private_key_or_two_keys_in_one_are_malformed(change: dict[str, Any]) -> None:
    methods = document()["verificationMethod"]
    methods[0] |= change
    assert code_of(document(verificationMethod=methods)) == "did_document_malformed"


@pytest.mark.parametrize(
    ("subject", "url"),
    [
        ("did:web:a.example", "https://a.example/.well-known/did.json"),
        ("did:web:a.example%3A8443", "https://a.example:8443/.well-known/did.json"),
        ("did:web:a.example:parties:x", "https://a.example/parties/x/did.json"),
    ],
)
def test_a_did_web_says_where_its_document_is(subject: str, url: str) -> None:
    assert did_document.web_url(subject) == url


@pytest.mark.parametrize(
    "subject",
    [
        "did:web:a.example:..:x",
        "did:web:a.example:.",
        "did:web:a.example%2fx",
        "did:web:a.example%00",
        "did:web:user%40a.example",
        "did:web:a.example:%2e%2e",
        "did:web:a.example::x",
        "did:web:a.example#k",
        "did:web:a.example/x",
        "did:key:z6Mk",
        "did:web:пример.example",
    ],
)
def test_group_14_a_did_web_that_hides_a_path_is_malformed(subject: str) -> None:
    with pytest.raises(MalformedError) as caught:
        did_document.web_url(subject)
    assert caught.value.code == did.CODE
    assert subject not in str(caught.value)


def test_a_compromised_key_is_untimely() -> None:
    moments = {"compromised_from": NOW, "compromise_announced": NOW}
    known: dict[str, ListedKey] = PINS | {CREDENTIAL: listed(CREDENTIAL, "credential", **moments)}
    later = NOW + timedelta(seconds=1)
    assert did_document.compare(read(document()), known, later).untimely == (CREDENTIAL,)


@pytest.mark.parametrize("said", [{"use": "enc"}, {"key_ops": ["encrypt"]}, {"key_ops": "verify"}])
def test_r1_a_key_that_is_meant_for_encryption_signs_nothing(said: dict[str, Any]) -> None:
    methods = document()["verificationMethod"]
    at = next(i for i, method in enumerate(methods) if method["id"] == CREDENTIAL)
    methods[at]["publicKeyJwk"] |= {"use": "sig", "key_ops": ["verify"]}
    keys = {method.kid: method.key for method in read(document(verificationMethod=methods)).methods}
    assert keys[CREDENTIAL] is not None
    methods[at]["publicKeyJwk"] |= said
    keys = {method.kid: method.key for method in read(document(verificationMethod=methods)).methods}
    assert keys[CREDENTIAL] is None
    assert keys[f"{A}#log-1"] is not None
