"""Additional documents and the validation of receivers, as they travel."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from protocols.digest import sha256
from protocols.fields import Fields
from protocols.pint import documents
from protocols.pint import envelope as envelopes
from protocols.pint.parties import IdentifyingCode
from protocols.pint.reading import CODE, from_base64, to_base64
from protocols.pint.words import Response
from schemas.errors import MalformedError, RefusedError
from tests.support import pint_world as w
from tests.unit.pint.published import encoded, valid


def test_a_document_travels_as_base64_in_a_json_string() -> None:
    body = documents.document_body(b"%PDF")
    assert documents.read_document_body(body) == b"%PDF"
    for bad in (b'"####"', b'"QQ"', b'"QQ==\\n"', b"1", b"{}"):
        with pytest.raises(MalformedError, match=CODE):
            documents.read_document_body(bad)
    big = bytes(5 * 1024 * 1024)
    assert len(documents.read_document_body(documents.document_body(big))) == len(big)
    with pytest.raises(MalformedError, match=CODE):
        from_base64(to_base64(bytes(16 * 1024 * 1024 + 1)))


def test_an_announced_document_is_taken_and_any_other_is_inconclusive() -> None:
    paper = w.document_of(b"one")
    manifest = envelopes.EnvelopeManifest(bytes(32), bytes(32), None, (paper, paper))
    assert documents.take_document(manifest.additional, paper.checksum, b"one") == paper
    short = replace(paper, size=2)
    cases = [
        (manifest.additional, sha256(b"two"), b"two", "pint_document_not_announced"),
        (manifest.additional, paper.checksum, b"two", "pint_document_altered"),
        ({paper.checksum: short}, paper.checksum, b"one", "pint_document_size"),
    ]
    for announced, checksum, content, code in cases:
        with pytest.raises(RefusedError, match=code) as raised:
            documents.take_document(announced, checksum, content)
        assert raised.value.response is Response.INCD
    documents.require_all(manifest, {paper.checksum})
    with pytest.raises(RefusedError, match="pint_documents_missing"):
        documents.require_all(manifest, ())


def test_receiver_validation_asks_by_code_and_answers_a_name() -> None:
    asked = documents.ReceiverValidationRequest(IdentifyingCode("W3C", "did:web:a.example", "DID"))
    valid("pint", "IdentifyingCode", asked.to_json())
    assert documents.read_validation_request(encoded(asked.to_json())) == asked
    answer = documents.ReceiverValidationResponse("Polder Roots")
    valid("pint", "ReceiverValidationResponse", answer.to_json())
    assert documents.read_validation_response(encoded(answer.to_json())) == answer
    with pytest.raises(MalformedError):
        documents.read_validation_response(b'{"partyName":" x"}')


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "3", None])
def test_a_size_is_a_whole_number_of_bytes(size: Any) -> None:
    value = w.document_of(b"one").to_json() | {"size": size}
    with pytest.raises(MalformedError, match=CODE):
        envelopes.read_metadata(Fields(value, CODE))
    twelve = envelopes.read_metadata(Fields(value | {"size": 12.0}, CODE))
    assert twelve.size == 12
