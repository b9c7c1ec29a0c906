"""What PINT 3.0.0 leaves open or says twice, and DCSA's toolkit otherwise: how it is decided here.

The numbers are those of docs/dcsa-notes.md. Decisions with a test of their own elsewhere are found
in `test_every_case.py`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from protocols import jws
from protocols.digest import sha256
from protocols.pint import answers, documents, signed
from protocols.pint.chain import open_entry
from protocols.pint.envelope import open_envelope_manifest
from protocols.pint.judgement import Judgement, Outcome
from protocols.pint.reading import checksum_of
from protocols.pint.refusal import EnvelopeRefusedError
from protocols.pint.words import Action, Response
from protocols.title.operation import ISSUANCE_TYP
from schemas import strict_json
from schemas.errors import TradeError
from tests.support import pint_world as w
from tests.support.title_world import ecdsa


def refused(judgement: Judgement) -> tuple[str, str]:
    error = judgement.error
    assert isinstance(error, EnvelopeRefusedError), judgement.outcome
    return error.code, error.response.value


def test_a1_a_document_is_hashed_in_the_form_of_rfc_8785() -> None:
    one = strict_json.loads_object(b'{"weight": 12000.0, "value": 1231.1, "name": "x"}')
    other = strict_json.loads_object(b'{"name":"x","value":1.2311E3,"weight":12000}')
    assert strict_json.canonical(one) == b'{"name":"x","value":1231.1,"weight":12000}'
    assert checksum_of(one) == checksum_of(other) == sha256(strict_json.canonical(one))


def test_a4_a_picture_named_in_an_entry_is_read_nowhere() -> None:
    document = w.bill()
    told = dict(w.first(document).to_json())
    told["eBLVisualisationByCarrier"] = w.document_of(b"%PDF-1.7 of nobody").to_json()
    text = signed.sign(strict_json.canonical(told), signer=w.signer_of("HOME"))
    judgement = w.Platform().judge(w.pack(document, [text]))
    assert judgement.outcome is Outcome.READY
    assert not judgement.missing


def test_a5_an_additional_document_is_hashed_as_bytes() -> None:
    content = b'{"b": 1.0, "a": 2}'
    document, texts = w.simple()
    data = w.pack(document, texts, supporting=[w.document_of(content, "list.json")])
    announced = open_envelope_manifest(w.read(data).manifest)[1].additional
    assert list(announced) == [sha256(content)]
    documents.take_document(announced, sha256(content), content)
    form = strict_json.canonical(strict_json.loads(content))
    with pytest.raises(EnvelopeRefusedError) as error:
        documents.take_document(announced, sha256(content), form)
    assert error.value.response is Response.INCD


def test_a10_c5_whom_it_was_issued_to_is_a_checksum_that_no_receiver_can_verify() -> None:
    document = w.bill()
    payload = strict_json.loads_object(
        signed.parse(w.issuance(document), expected_typ={ISSUANCE_TYP}).payload
    )
    payload["issueToChecksum"] = "5a" * 32
    text = jws.sign(strict_json.canonical(payload), typ=ISSUANCE_TYP, signer=ecdsa("nhl", "title"))
    texts = w.chain_of(w.first(document, issuance=text))
    assert w.Platform().judge(w.pack(document, texts)).outcome is Outcome.READY


def test_a13_the_last_transaction_of_the_last_entry_says_who_receives() -> None:
    document = w.bill()
    endorsed = w.act(Action.ENDORSE_TO_ORDER, w.SHIPPER, w.BUYER, minute=1)
    passed = w.act(Action.TRANSFER, w.SHIPPER, w.OTHER, minute=2)
    texts = w.chain_of(w.first(document, w.ISSUE, endorsed, passed))
    data = w.pack(document, texts)
    assert w.Platform("FARR").judge(data).outcome is Outcome.READY
    # AWAY is named in the entry, too, and only before its end.
    assert refused(w.Platform("AWAY").judge(data)) == ("pint_not_for_us", "BENV")


@pytest.mark.parametrize("action", [Action.SIGN, Action.BLANK_ENDORSE])
def test_a14_an_entry_that_ends_with_a_deed_for_nobody_is_for_no_platform(action: Action) -> None:
    document = w.bill()
    alone = w.act(action, w.SHIPPER, minute=1)
    texts = w.chain_of(w.first(document, w.ISSUE, alone))
    for code in w.PLATFORMS:
        assert refused(w.Platform(code).judge(w.pack(document, texts)))[0] == "pint_not_for_us"
    # It goes along with the next deed that leaves the platform.
    passed = w.act(Action.TRANSFER, w.SHIPPER, w.BUYER, minute=2)
    texts = w.chain_of(w.first(document, w.ISSUE, alone, passed))
    assert w.Platform().judge(w.pack(document, texts)).outcome is Outcome.READY


def test_c7_a_word_that_the_standard_does_not_have_decides_nothing() -> None:
    _, texts = w.simple()
    told = dict(answers.rejected(signed.checksum(texts[-1]), Response.BENV, "why").to_json())
    told["responseCode"] = "BETR"
    text = signed.sign(strict_json.canonical(told), signer=w.signer_of("AWAY"))
    with pytest.raises(TradeError, match="pint_message_malformed"):
        answers.open_finished(text)
    receiver = w.keyring().platform("AWAY")
    assert receiver is not None
    body = answers.body_of(text)
    answer = answers.read_answer(422, body, last_entry=texts[-1], receiver=receiver, at=w.NOW)
    assert isinstance(answer, answers.Unknown)


def test_a_middle_entry_by_the_key_of_another_hop_is_bsig() -> None:
    document = w.bill()
    onward = w.act(Action.TRANSFER, w.BUYER, w.OTHER, minute=2)
    back = w.act(Action.TRANSFER, w.OTHER, w.BANK, minute=3)
    texts = w.chain_of(w.first(document), [onward], [back])
    assert w.Platform().judge(w.pack(document, texts, by="FARR")).outcome is Outcome.READY
    middle = w.resigned(texts[1], w.signer_of("FARR"))
    last = replace(open_entry(texts[2]).entry, previous=signed.checksum(middle))
    wrong = [texts[0], middle, last.sign(w.signer_of("FARR"))]
    judgement = w.Platform().judge(w.pack(document, wrong, by="FARR"))
    assert refused(judgement)[1] == "BSIG"


def test_a_middle_entry_that_was_cut_out_is_benv() -> None:
    document = w.bill()
    onward = w.act(Action.TRANSFER, w.BUYER, w.OTHER, minute=2)
    back = w.act(Action.TRANSFER, w.OTHER, w.BANK, minute=3)
    texts = w.chain_of(w.first(document), [onward], [back])
    data = w.pack(document, [texts[0], texts[2]], by="FARR")
    assert refused(w.Platform().judge(data)) == ("pint_chain_broken", "BENV")


def _no_more(action: Action) -> Any:
    party = w.BUYER if action in {Action.TRANSFER, Action.ENDORSE} else None
    return w.act(action, w.SHIPPER, party, minute=5)


@pytest.mark.parametrize("action", [Action.TRANSFER, Action.ENDORSE, Action.SIGN])
def test_nothing_is_received_after_sacc(action: Action) -> None:
    document = w.bill()
    asked = w.act(Action.SURRENDER_FOR_DELIVERY, w.SHIPPER, w.CARRIER, minute=1)
    accepted = w.act(Action.SACC, w.CARRIER, w.SHIPPER, minute=2)
    texts = w.chain_of(w.first(document, w.ISSUE, asked, accepted, _no_more(action)))
    assert refused(w.Platform().judge(w.pack(document, texts))) == ("pint_after_sacc", "BENV")
