"""Answers from the sender's side: the signed code decides, and nothing unsigned does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from protocols.pint import answers, signed
from protocols.pint.reading import CODE
from protocols.pint.words import Response
from schemas.errors import ConflictError, MalformedError, UnavailableError
from tests.support import pint_world as w
from tests.unit.pint.published import encoded, fields, valid

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
