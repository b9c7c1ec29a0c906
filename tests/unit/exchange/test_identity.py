"""How intake names a message before anything is verified (R18)."""

from __future__ import annotations

import pytest

from node.exchange import identity
from protocols import base64url
from protocols.digest import sha256
from protocols.exchange.manifest import DOCUMENT
from protocols.log import leaf
from schemas import strict_json

SALT = bytes(range(32))
CLAIMS = {
    "credentialSubject": {
        "documentType": "packing-list",
        "number": "PL-1",
        "salt": base64url.encode(SALT),
    }
}
ID, DIGEST = "01890000-0000-7000-8000-000000000000", sha256(b"manifest")


def body(payload: bytes, beside: bytes = b"") -> bytes:
    return f"aa.{base64url.encode(payload)}.bb".encode() + beside


@pytest.mark.parametrize("beside", [b"", b"\n<xml/>"])
def test_r18_a_document_is_named_by_its_own_type_number_and_salt(beside):
    payload = strict_json.canonical(CLAIMS)
    found = identity.name(DOCUMENT + "packing-list", ID, DIGEST, body(payload, beside))
    assert found.document == sha256(payload)
    assert found.subject == leaf.subject("packing-list", "PL-1", SALT)
    assert found.commit == leaf.commit(SALT, sha256(payload))


@pytest.mark.parametrize(
    ("data", "is_jws"),
    [
        (b"", False),
        (b"no jws", False),
        (b"a.b\xff.c", False),
        (b"a.b=.c", False),
        (body(b"no json"), True),
        (body(b"[]"), True),
        (body(b"{}"), True),
        (body(b'{"credentialSubject":{"salt":1}}'), True),
        (body(b'{"credentialSubject":{"documentType":"x","number":"y","salt":"AA"}}'), True),
    ],
)
def test_what_cannot_be_read_is_named_by_its_manifest(data, is_jws):
    type_ = DOCUMENT + "packing-list"
    found = identity.name(type_, ID, DIGEST, data)
    assert found.subject == leaf.subject(type_, ID, DIGEST)
    assert found.commit == leaf.commit(DIGEST, sha256(data))
    assert (found.document is not None) == is_jws


def test_a_message_that_is_no_document_has_none():
    payload = strict_json.canonical(CLAIMS)
    found = identity.name("urn:pratique:title", ID, DIGEST, body(payload))
    assert found.document is None
    assert found.subject == leaf.subject("urn:pratique:title", ID, DIGEST)
