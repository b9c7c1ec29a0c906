"""The published examples and words of the standards are read as they stand."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from protocols.pint import documents, issuance, signed, surrender
from protocols.pint import envelope as envelopes
from protocols.pint.reading import checksum_of
from protocols.pint.words import (
    Action,
    IssuanceCode,
    LinkAction,
    Response,
    SurrenderAction,
    SurrenderCode,
)
from schemas import registry
from tests.unit.pint.published import encoded, standard


def examples(name: str) -> list[tuple[str, str, Any]]:
    """(path, name, value) of every example request body of a file."""
    found = []
    for path, item in standard(name)["paths"].items():
        for operation in item.values():
            content = operation.get("requestBody", {}).get("content", {})
            for one, held in content.get("application/json", {}).get("examples", {}).items():
                found.append((path, one, held["value"]))
    return found


def _in_iso(value: Any) -> str:
    """What the YAML reader made a date of, as it was written."""
    return value.isoformat()


def test_the_published_envelope_is_read_and_its_document_obeys_the_profile() -> None:
    found = [value for path, _, value in examples("pint") if path == documents.ENVELOPES]
    assert found
    for value in found:
        read = envelopes.read_envelope(json.dumps(value, default=_in_iso).encode())
        assert read.document_checksum == checksum_of(read.document)
        errors = registry.examine_parsed("bill-of-lading", dict(read.document)).errors
        assert not [one for one in errors if one.rule.startswith("SCH")]


def test_the_published_issuance_is_of_a_document_that_obeys_the_profile() -> None:
    found = [value for path, _, value in examples("iss") if path == issuance.REQUESTS]
    assert found
    for value in found:
        request = issuance.read_request(json.dumps(value, default=_in_iso).encode())
        errors = registry.examine_parsed("bill-of-lading", dict(request.document)).errors
        assert not [one for one in errors if one.rule.startswith("SCH")]


READERS: dict[str, Callable[[bytes], Any]] = {
    issuance.REQUESTS: issuance.read_request,
    issuance.RESPONSES: issuance.read_response,
    surrender.REQUESTS: surrender.read_request,
    surrender.RESPONSES: surrender.read_answer,
    documents.RECEIVER_VALIDATION: documents.read_validation_request,
    documents.ENVELOPES: envelopes.read_envelope,
}


@pytest.mark.parametrize("name", ["pint", "iss", "sur"])
def test_every_published_example_request_is_read(name: str) -> None:
    read = 0
    for path, _, value in examples(name):
        if path in READERS:
            made = READERS[path](json.dumps(value, default=_in_iso).encode())
            body = made.to_bytes() if isinstance(made, envelopes.EblEnvelope) else None
            assert json.loads(body or encoded(made.to_json()))
            read += 1
    assert read == len(examples(name)) > 0


def test_the_published_signed_texts_are_read() -> None:
    schemas = standard("pint")["components"]["schemas"]
    manifest = schemas["EnvelopeManifestSignedContent"]["example"]
    parsed, opened = envelopes.open_envelope_manifest(manifest)
    assert (parsed.alg, opened.additional) == ("RS256", {})
    entry = schemas["EnvelopeTransferChainEntrySignedContent"].get("example")
    assert entry is None or signed.parse(entry).payload


def test_the_words_are_those_of_the_standard() -> None:
    schemas = standard("pint")["components"]["schemas"]
    codes = schemas["EnvelopeTransferFinishedResponse"]["properties"]["responseCode"]["enum"]
    assert list(Response) == codes
    text = schemas["Transaction"]["properties"]["actionCode"]["description"]
    listed = [line.split("`")[1] for line in text.splitlines() if line.startswith("- `")]
    assert set(Action) == set(listed)
    link = standard("end")["components"]["schemas"]["EndorsementChainLink"]
    text = link["properties"]["actionCode"]["description"]
    listed = [line.split("`")[1] for line in text.splitlines() if line.startswith("- `")]
    assert set(LinkAction) == set(listed)
    schemas = standard("sur")["components"]["schemas"]
    asked = schemas["SurrenderRequestDetails"]["properties"]["surrenderRequestCode"]["enum"]
    answered = schemas["SurrenderRequestAnswer"]["properties"]["action"]["enum"]
    assert (asked, answered) == (list(SurrenderCode), list(SurrenderAction))
    issued = standard("iss")["components"]["schemas"]["IssuanceResponse"]["properties"]
    assert issued["issuanceResponseCode"]["enum"] == list(IssuanceCode)
