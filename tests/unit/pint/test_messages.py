"""Every message written, validated against the published OpenAPI files, and read again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.digest import sha256
from protocols.fields import Fields
from protocols.pint import answers, chain, documents, endorsement, issuance, signed, surrender
from protocols.pint import envelope as envelopes
from protocols.pint.parties import (
    DocumentParty,
    IdentifyingCode,
    RepresentedParty,
    TaxLegalReference,
    TransactionParty,
    document_party,
    no_party,
    read_party,
)
from protocols.pint.reading import CODE, checksum_of, from_base64, to_base64
from protocols.pint.transactions import Transaction, read_transaction
from protocols.pint.words import (
    Action,
    IssuanceCode,
    LinkAction,
    Reason,
    Response,
    SurrenderAction,
    SurrenderCode,
)
from protocols.title import Ending
from schemas import registry, strict_json
from schemas.errors import ConflictError, MalformedError, RefusedError, UnavailableError
from tests.shared import shared_path
from tests.support import pint_world as w

FILES = {
    "pint": "standards/dcsa/pint/EBL_PINT_v3.0.0.yaml",
    "iss": "standards/dcsa/issuance/EBL_ISS_v3.0.4.yaml",
    "sur": "standards/dcsa/surrender/EBL_SUR_v3.0.4.yaml",
    "end": "standards/dcsa/endorsement/EBL_END_v3.0.4.yaml",
}


@cache
def standard(name: str) -> Any:
    return yaml.load(shared_path(FILES[name]).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)


@cache
def validator(name: str, schema: str) -> Any:
    document = standard(name)
    rooted = {"$ref": f"#/components/schemas/{schema}", "components": document["components"]}
    return jsonschema.Draft202012Validator(rooted)


def valid(name: str, schema: str, value: Any) -> None:
    validator(name, schema).validate(json.loads(json.dumps(value)))


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


# Values of any content.

DIGESTS = st.binary(min_size=32, max_size=32)
WORDS = st.text("abcXYZ019é中-", min_size=1, max_size=20)
CODES = st.builds(IdentifyingCode, WORDS, WORDS, st.none() | WORDS)
REPRESENTED = st.builds(RepresentedParty, WORDS, st.lists(CODES, max_size=2).map(tuple))
TAXES = st.builds(TaxLegalReference, WORDS, st.sampled_from(["NL", "ZZ"]), WORDS)
PARTIES = st.builds(
    TransactionParty,
    WORDS,
    st.sampled_from(["HOME", "IDT", "X"]),
    st.lists(CODES, min_size=1, max_size=3).map(tuple),
    st.lists(TAXES, max_size=2).map(tuple),
    st.none() | REPRESENTED,
)
TIMES = st.integers(0, 10**12).map(
    lambda ms: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
)
TRANSACTIONS = st.builds(
    Transaction,
    st.sampled_from(Action),
    PARTIES,
    TIMES,
    st.none() | PARTIES,
    st.none() | st.sampled_from(Reason),
    st.none() | WORDS,
    st.none() | WORDS,
)
METADATA = st.builds(envelopes.DocumentMetadata, WORDS, st.integers(1, 10**9), WORDS, DIGESTS)
COMPACT = st.just(w.simple()[1][0])
ENTRIES = st.builds(
    chain.ChainEntry,
    st.sampled_from(["HOME", "IDT"]),
    DIGESTS,
    st.lists(TRANSACTIONS, min_size=1, max_size=3).map(tuple),
    st.none() | DIGESTS,
    st.none() | COMPACT,
    st.none() | st.just(w.REGISTRY),
)
MANIFESTS = st.builds(
    envelopes.EnvelopeManifest,
    DIGESTS,
    DIGESTS,
    st.none() | METADATA,
    st.lists(METADATA, max_size=2).map(tuple),
)
LINKS = st.builds(endorsement.EndorsementLink, st.sampled_from(LinkAction), PARTIES, TIMES, PARTIES)
RELATIONS = st.builds(issuance.TransportDocumentRelation, WORDS, st.none() | WORDS)
FINISHED = st.one_of(
    st.builds(answers.received, DIGESTS, st.lists(DIGESTS, max_size=2)),
    st.builds(answers.duplicate, DIGESTS, COMPACT, st.lists(DIGESTS, max_size=2)),
    st.builds(
        answers.rejected,
        DIGESTS,
        st.sampled_from([Response.BSIG, Response.BENV, Response.INCD, Response.DISE]),
        WORDS,
    ),
    st.builds(answers.missing_documents, DIGESTS, st.lists(DIGESTS, min_size=1, max_size=2), WORDS),
)


def fields(value: Any) -> Fields:
    """As it would be read from the wire."""
    return Fields(strict_json.loads_object(strict_json.canonical(value)), CODE)


def encoded(value: Any) -> bytes:
    return strict_json.canonical(value)


FEW = settings(max_examples=40, deadline=None)


@FEW
@given(PARTIES)
def test_a_party_is_read_as_it_was_written(party: TransactionParty) -> None:
    assert read_party(fields(party.to_json())) == party
    valid("pint", "ActorParty", party.to_json())


@FEW
@given(TRANSACTIONS)
def test_a_transaction_is_read_as_it_was_written(transaction: Transaction) -> None:
    assert read_transaction(fields(transaction.to_json())) == transaction
    valid("pint", "Transaction", transaction.to_json())


@FEW
@given(ENTRIES)
def test_an_entry_is_read_as_it_was_signed(entry: chain.ChainEntry) -> None:
    opened = chain.open_entry(entry.sign(w.signer_of("HOME")))
    assert opened.entry == entry
    assert opened.last == entry.transactions[-1]
    valid("pint", "EnvelopeTransferChainEntry", entry.to_json())


@FEW
@given(MANIFESTS)
def test_a_manifest_is_read_as_it_was_signed(manifest: envelopes.EnvelopeManifest) -> None:
    text = manifest.sign(w.signer_of("HOME"))
    assert envelopes.open_envelope_manifest(text)[1] == manifest
    valid("pint", "EnvelopeManifest", manifest.to_json())


@FEW
@given(st.builds(chain.IssuanceManifest, DIGESTS, DIGESTS, st.none() | DIGESTS))
def test_an_issuance_manifest_is_read_as_it_was_signed(manifest: chain.IssuanceManifest) -> None:
    assert chain.open_manifest(manifest.sign(w.signer_of("HOME")))[1] == manifest
    for name in ("pint", "iss"):
        valid(name, "IssuanceManifest", manifest.to_json())


@FEW
@given(FINISHED)
def test_an_answer_is_read_as_it_was_signed(answer: answers.FinishedResponse) -> None:
    text = answer.sign(w.signer_of("AWAY"))
    assert answers.open_finished(text)[1] == answer
    valid("pint", "EnvelopeTransferFinishedResponse", answer.to_json())
    valid("pint", "EnvelopeTransferFinishedResponseSignedContent", text)


@FEW
@given(LINKS, RELATIONS)
def test_a_link_is_read_as_it_was_written(
    link: endorsement.EndorsementLink, relation: issuance.TransportDocumentRelation
) -> None:
    made = endorsement.EndorsementChain(relation, (link,), "NHLX")
    assert endorsement.read_chain(fields(made.to_json())) == made
    valid("end", "EndorsementChain", made.to_json())
    asked = surrender.SurrenderRequest("s-1", relation, SurrenderCode.AREQ, links=(link,))
    assert surrender.read_request(encoded(asked.to_json())) == asked
    valid("sur", "SurrenderRequestDetails", asked.to_json())


def test_an_envelope_is_read_as_it_was_written_and_texts_stay_byte_for_byte() -> None:
    document, texts = w.simple()
    made = replace(w.read(w.pack(document, texts)), further={"issuanceManifestSignedContent": "x"})
    again = envelopes.read_envelope(made.to_bytes())
    assert again == made
    assert again.chain == tuple(texts)
    valid("pint", "EblEnvelope", json.loads(made.to_bytes()))


# The published examples.


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


# Parties.


def test_parties_are_compared_by_codes_in_the_same_list() -> None:
    def named(*codes: tuple[str, str]) -> TransactionParty:
        return TransactionParty("a", "HOME", tuple(IdentifyingCode(*code) for code in codes))

    one = named(("GLEIF", "1"), ("DNB", "7"))
    assert one.is_same(named(("GLEIF", "1")))
    assert not one.is_same(named(("GLEIF", "1"), ("DNB", "8")))
    assert not one.is_same(named(("FMC", "1")))
    assert one.did is None
    assert w.BUYER.did == w.BUYER.codes[0].code
    two = replace(w.BUYER, codes=(*w.BUYER.codes, IdentifyingCode("W3C", "did:web:b.example")))
    assert two.did is None


def test_a_party_of_the_document_without_codes_is_known_by_its_name_alone() -> None:
    nameless = DocumentParty("Imp  A")
    assert nameless.is_same(TransactionParty("imp a", "HOME", (IdentifyingCode("ZZZ", "1"),)))
    coded = DocumentParty("imp a", (IdentifyingCode("ZZZ", "2"),))
    assert not coded.is_same(TransactionParty("imp a", "HOME", (IdentifyingCode("ZZZ", "1"),)))
    assert document_party({}, "consignee") is None
    assert document_party({"documentParties": {"consignee": 1}}, "consignee") is None


# Additional documents and validation.


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


# Answers, from the sender's side.


ENTRY, OTHER = (text[1][0] for text in (w.simple(), w.simple("order")))
LAST = signed.checksum(ENTRY)


def _answered(status: int, body: bytes, last_entry: str = ENTRY) -> answers.Answer:
    receiver = w.keyring().platform("AWAY")
    assert receiver is not None
    return answers.read_answer(status, body, last_entry=last_entry, receiver=receiver, at=w.NOW)


def test_the_signed_code_decides_whatever_the_http_status() -> None:
    for status in (200, 409, 500):
        text = answers.received(LAST, ()).sign(w.signer_of("AWAY"))
        answer = _answered(status, answers.body_of(text))
        assert isinstance(answer, answers.Decided)
        assert answer.accepted
    refusal = answers.rejected(LAST, Response.BENV, "x" * 300)
    assert refusal.status == 422
    answer = _answered(200, answers.body_of(refusal.sign(w.signer_of("AWAY"))))
    assert isinstance(answer, answers.Decided)
    assert not answer.accepted
    assert len(answer.finished.reason or "") == 255


def test_r13_what_is_not_signed_by_the_receiver_about_this_envelope_decides_nothing() -> None:
    rece = answers.received(LAST, ())
    foreign = answers.body_of(rece.sign(w.signer_of("HOME")))
    elsewhere = answers.body_of(rece.sign(w.signer_of("AWAY")))
    outcomes = {
        "pint_key_unknown": _answered(200, foreign),
        "pint_answer_elsewhere": _answered(200, elsewhere, OTHER),
        "json_syntax": _answered(502, b"<html>"),
        "unsigned": _answered(200, b'{"responseCode":"RECE"}'),
        "pint_message_malformed": _answered(201, b"{}"),
    }
    for reason, answer in outcomes.items():
        assert isinstance(answer, answers.Unknown)
        assert answer.detail == reason
    assert _answered(204, b"") == answers.DocumentTaken()


def test_a_duplicate_counts_when_it_names_what_was_sent() -> None:
    again = w.resigned(ENTRY, w.signer_of("OUTS"))
    cases = [(ENTRY, True), (again, True), (OTHER, False)]
    for accepted, counts in cases:
        text = answers.duplicate(LAST, accepted, ()).sign(w.signer_of("AWAY"))
        answer = _answered(200, answers.body_of(text))
        assert isinstance(answer, answers.Decided) == counts
        assert not counts or answer.accepted


def test_a_started_transfer_lists_what_is_missing() -> None:
    started = answers.StartedResponse("r-1", bytes(32), LAST, (b"\1" * 32,))
    valid("pint", "EnvelopeTransferStartedResponse", started.to_json())
    assert _answered(201, encoded(started.to_json())) == answers.Started(started)
    other = _answered(201, encoded(started.to_json()), OTHER)
    assert isinstance(other, answers.Unknown)
    with pytest.raises(ValueError, match="finished at once"):
        replace(started, missing=()).to_json()
    empty = started.to_json() | {"missingAdditionalDocumentChecksums": []}
    assert isinstance(_answered(201, encoded(empty)), answers.Unknown)


def test_each_code_has_the_members_that_belong_to_it() -> None:
    for response in (Response.RECE, Response.DUPE, Response.MDOC):
        with pytest.raises(ValueError, match="lists of its own"):
            answers.rejected(bytes(32), response, "x")
    with pytest.raises(ValueError, match="what is missing"):
        answers.missing_documents(bytes(32), (), "x")
    dupe = answers.duplicate(bytes(32), w.simple()[1][0], ()).to_json()
    assert dupe["receivedAdditionalDocumentChecksums"] == []
    del dupe["duplicateOfAcceptedEnvelopeTransferChainEntrySignedContent"]
    mdoc = answers.rejected(bytes(32), Response.BENV, "").to_json() | {"responseCode": "MDOC"}
    assert "reason" not in mdoc
    odd = mdoc | {"responseCode": "BENV", "missingAdditionalDocumentChecksums": "x"}
    for bad in (dupe, mdoc, odd, odd | {"missingAdditionalDocumentChecksums": ["x"]}):
        with pytest.raises(MalformedError, match=CODE):
            answers.read_finished(fields(bad))
    assert answers.read_finished(
        fields(odd | {"reason": "", "missingAdditionalDocumentChecksums": []})
    )


def test_an_unsigned_error_has_the_standards_form() -> None:
    document, texts = w.simple(**{"/isToOrder": "yes"})
    judgement = w.Platform().judge(w.pack(document, texts))
    assert judgement.error is not None
    many = answers.errors_of(judgement.error)
    assert many[0].path == "$.isToOrder"
    plain = answers.errors_of(ConflictError("title_exists"))
    assert (plain[0].code, plain[0].path) == (answers.FUNCTIONAL, None)
    technical = answers.errors_of(UnavailableError("x", "later", pointer="/a/0/b~1c"))
    assert (technical[0].code, technical[0].path) == (answers.TECHNICAL, "$.a[0].b/c")
    made = answers.ErrorResponse(
        "POST", "/v3/envelopes", 400, "Bad Request", "2026-11-18T06:00:00.000Z", many, "ref"
    )
    valid("pint", "ErrorResponse", made.to_json())
    assert answers.read_error(encoded(made.to_json())) == made
    bare = {"errorCodeText": "a", "errorCodeMessage": "b"}
    assert answers.read_error(encoded(made.to_json() | {"errors": [bare]})).errors[0].code is None
    with pytest.raises(MalformedError, match=CODE):
        answers.read_error(encoded(made.to_json() | {"errors": []}))


# Issuance and surrender.


def _request(**changes: Any) -> issuance.IssuanceRequest:
    document = w.bill()
    issue_to = issuance.IssueToParty("exp-a", "HOME", w.SHIPPER.codes)
    picture = issuance.Visualisation("bill.pdf", b"%PDF")
    value = issue_to.to_json()
    manifest = chain.issuance_manifest(document, value, sha256(b"%PDF"))
    made = issuance.IssuanceRequest(
        document, issue_to, value, manifest.sign(w.signer_of("HOME")), picture
    )
    return replace(made, **changes)


def test_an_issuance_request_is_read_as_written_and_its_checksums_hold() -> None:
    old = issuance.TransportDocumentRelation("OLD", "1")
    replaced = issuance.Replacements((old,), (issuance.TransportDocumentRelation("NEW"),))
    for request in (
        _request(replacements=replaced),
        _request(visualisation=issuance.Visualisation("a.doc", b"%PDF", "application/msword")),
    ):
        valid("iss", "IssuanceRequest", request.to_json())
        again = issuance.read_request(encoded(request.to_json()))
        assert again == request
        assert issuance.require_manifest(again)[1].document == checksum_of(request.document)


@pytest.mark.parametrize(
    "changes",
    [
        {"document": {"a": 1}},
        {"issue_to_value": {"partyName": "other"}},
        {"visualisation": None},
        {"visualisation": issuance.Visualisation("bill.pdf", b"other")},
    ],
)
def test_an_issuance_request_for_something_else_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(RefusedError, match="pint_not_as_issued"):
        issuance.require_manifest(_request(**changes))


def test_tax_references_of_the_first_possessor_are_kept() -> None:
    party = issuance.IssueToParty(
        "exp-a", "HOME", w.SHIPPER.codes, (TaxLegalReference("PAN", "IN", "AAAAA0000A"),)
    )
    assert issuance.read_issue_to(fields(party.to_json())) == party


def test_an_issuance_answer_is_read_as_written() -> None:
    relation = issuance.TransportDocumentRelation("HHL71800000")
    for code in IssuanceCode:
        made = issuance.IssuanceResponse(
            relation, code, "why", (issuance.IssuanceError("a", "E1"), issuance.IssuanceError())
        )
        valid("iss", "IssuanceResponse", made.to_json())
        assert issuance.read_response(encoded(made.to_json())) == made
        assert made.may_be_asked_again == (code is not IssuanceCode.ISSU)
    plain = issuance.IssuanceResponse(relation, IssuanceCode.ISSU)
    assert "errors" not in plain.to_json()


def test_a_surrender_is_asked_with_the_chain_and_the_no_party() -> None:
    asks = w.act(Action.SURRENDER_FOR_AMENDMENT, w.SHIPPER, w.CARRIER, minute=9, reason=Reason.SWTP)
    signs = w.act(Action.SIGN, w.SHIPPER, minute=2)
    relation = issuance.TransportDocumentRelation("HHL71800000")
    request = surrender.request_of("s-1", relation, [w.ISSUE, w.TO_BUYER, signs, asks])
    assert [link.action for link in request.links] == [
        LinkAction.ISSUE,
        LinkAction.SIGN,
        LinkAction.SURRENDER_FOR_AMENDMENT,
    ]
    assert request.ending is Ending.PAPER
    body = request.to_json()
    valid("sur", "SurrenderRequestDetails", body)
    assert body["endorsementChain"][1]["recipient"] == no_party().to_json()
    assert surrender.read_request(encoded(body)) == request
    with pytest.raises(KeyError):
        surrender.request_of("s-1", relation, [w.ISSUE])


def test_a_surrender_request_that_cannot_be_is_refused() -> None:
    relation = issuance.TransportDocumentRelation("HHL71800000")
    link = endorsement.links_of([w.ISSUE])[0]
    good = surrender.SurrenderRequest("s-1", relation, SurrenderCode.SREQ, links=(link,)).to_json()
    bare = link.to_json()
    del bare["recipient"]
    nobody = bare | {"recipient": no_party().to_json()}
    for bad in (
        {"reasonCode": "SWTP"},
        {"surrenderRequestCode": "AREQ", "reasonCode": "WHY"},
        {"endorsementChain": [bare]},
        {"endorsementChain": [nobody]},
        {"surrenderRequestReference": " x"},
        {"transportDocumentReference": "T" * 21},
    ):
        with pytest.raises(MalformedError, match=CODE):
            surrender.read_request(encoded(good | bad))
    # An empty reason says as little as none.
    assert surrender.read_request(encoded(good | {"reasonCode": ""})).reason is None


def test_a_surrender_answer_is_read_as_written_and_a_rejection_says_why() -> None:
    fault = surrender.FeedbackElement("ERROR", "not yet", "$.a")
    for made in (
        surrender.SurrenderAnswer("s-1", SurrenderAction.SURR),
        surrender.SurrenderAnswer("s-1", SurrenderAction.SREJ, "not yet", (fault,)),
    ):
        valid("sur", "SurrenderRequestAnswer", made.to_json())
        assert surrender.read_answer(encoded(made.to_json())) == made
    unexplained = b'{"surrenderRequestReference":"s-1","action":"SREJ"}'
    with pytest.raises(MalformedError, match=CODE):
        surrender.read_answer(unexplained)
    taken = surrender.read_answer(unexplained, reason_required=False)
    assert taken.action is SurrenderAction.SREJ


# The auditor's view.


def test_a_transfer_chain_is_an_endorsement_chain_and_back() -> None:
    asks = w.act(Action.SURRENDER_FOR_DELIVERY, w.SHIPPER, w.CARRIER, minute=3)
    rejected = w.act(Action.SREJ, w.CARRIER, w.SHIPPER, minute=4)
    accepted = w.act(Action.SACC, w.CARRIER, w.SHIPPER, minute=5)
    blank = w.act(Action.BLANK_ENDORSE, w.SHIPPER, minute=1)
    links = endorsement.links_of([w.ISSUE, blank, asks, rejected, asks, accepted])
    assert [link.action for link in links] == [
        LinkAction.ISSUE,
        LinkAction.BLANK_ENDORSE,
        LinkAction.SURRENDER_FOR_DELIVERY,
        LinkAction.SURRENDER_FOR_DELIVERY,
        LinkAction.SURRENDERED,
    ]
    back = [endorsement.transaction_of(link, w.SHIPPER) for link in links]
    assert back == [w.ISSUE, blank, asks, asks, accepted]
    chains = [endorsement.EndorsementChain(issuance.TransportDocumentRelation("T1"), links, "NHLX")]
    body = [one.to_json() for one in chains]
    for one in body:
        valid("end", "EndorsementChain", one)
    assert endorsement.read_chains(encoded(body)) == tuple(chains)
    with pytest.raises(MalformedError, match=CODE):
        endorsement.read_chains(b"{}")
    with pytest.raises(MalformedError, match=CODE):
        endorsement.read_chains(encoded([body[0] | {"carrierSCACCode": "LONGER"}]))
