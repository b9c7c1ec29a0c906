"""Chains that were cut, grafted or swapped, and documents exchanged under them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from protocols.pint import signed
from protocols.pint.chain import following
from protocols.pint.judgement import Outcome
from protocols.pint.words import Action
from tests.support import pint_world as w
from tests.unit.pint.judging import judged, two_hops


def test_a_chain_without_its_beginning_is_refused() -> None:
    document, texts = two_hops()
    data = w.pack(document, texts[1:], by="AWAY")
    assert judged(data, w.Platform("FARR")) == ("PINT-06", "pint_issuance_missing", "BENV")


def test_a_chain_in_another_order_is_refused() -> None:
    document, texts = two_hops()
    assert judged(w.pack(document, texts[::-1]), w.Platform("FARR"))[2] == "BENV"


def test_a_first_entry_that_names_a_forerunner_is_refused() -> None:
    document = w.bill()
    texts = w.chain_of(w.first(document, previous=bytes(32)))
    assert judged(w.pack(document, texts)) == ("PINT-07", "pint_chain_broken", "BENV")


def test_an_entry_on_another_signature_of_its_forerunner_is_refused() -> None:
    document = w.bill()
    first = w.first(document, platform="HOME").sign(w.signer_of("HOME"))
    other = signed.sign(signed.parse(first).payload, signer=w.signer_of("HOME"), kid="other")
    onward = w.act(Action.TRANSFER, w.BUYER, w.OTHER, minute=2)
    second = following([other], "AWAY", [onward]).sign(w.signer_of("AWAY"))
    data = w.pack(document, [first, second], by="AWAY")
    assert judged(data, w.Platform("FARR")) == ("PINT-07", "pint_chain_broken", "BENV")


def test_a_grafted_chain_is_refused() -> None:
    _document, texts = w.simple()
    other = w.bill("order")
    onward = w.act(Action.TRANSFER, w.BUYER, w.OTHER, minute=2)
    entry = replace(following(texts, "AWAY", [onward]), document=w.checksum_of(other))
    grafted = [*texts, entry.sign(w.signer_of("AWAY"))]
    data = w.pack(other, grafted, by="AWAY")
    assert judged(data, w.Platform("FARR")) == ("PINT-08", "pint_chain_grafted", "BENV")


def test_a_registry_named_later_is_refused() -> None:
    document, texts = w.simple()
    onward = w.act(Action.TRANSFER, w.BUYER, w.OTHER, minute=2)
    entry = replace(following(texts, "AWAY", [onward]), registry=w.REGISTRY)
    texts.append(entry.sign(w.signer_of("AWAY")))
    data = w.pack(document, texts, by="AWAY")
    assert judged(data, w.Platform("FARR")) == ("PINT-08", "pint_registry_changed", "BENV")


def test_a_last_entry_swapped_in_from_another_envelope_is_bsig() -> None:
    document, texts = w.simple()
    elsewhere = w.act(Action.TRANSFER, w.SHIPPER, w.BANK, minute=1)
    swapped = w.chain_of(w.first(document, w.ISSUE, elsewhere))
    data = w.body(w.pack(document, texts), envelopeTransferChain=swapped)
    assert judged(data) == ("PINT-10", "pint_manifest_stale", "BSIG")


def test_a_document_swapped_under_the_chain_is_bsig() -> None:
    document, texts = w.simple()
    other = w.bill(**{"/termsAndConditions": "others"})
    data = w.body(w.pack(document, texts), transportDocument=other)
    assert judged(data) == ("PINT-11", "pint_document_altered", "BSIG")
    assert judged(w.pack(other, texts)) == ("PINT-11", "pint_document_altered", "BSIG")


def test_the_order_of_lines_and_unknown_members_belong_to_the_document() -> None:
    marks = {"/consignmentItems/0/descriptionOfGoods": ["one", "two"], "/xUnknown": 1}
    document, texts = w.simple(**marks)
    assert w.Platform().judge(w.pack(document, texts)).outcome is Outcome.READY
    turned = w.edited(document, {"/consignmentItems/0/descriptionOfGoods": ["two", "one"]})
    assert w.checksum_of(turned) != w.checksum_of(document)
    without = w.edited(document, {"/xUnknown": w.DROP})
    assert judged(w.body(w.pack(document, texts), transportDocument=without))[2] == "BSIG"


def test_the_carriers_visualisation_goes_along_unchanged() -> None:
    document, picture = w.bill(), w.document_of(b"%PDF picture")
    with_picture = w.issuance(document, picture.checksum)
    texts = w.chain_of(w.first(document, issuance=with_picture))
    good = w.Platform().judge(w.pack(document, texts, visualisation=picture))
    assert (good.outcome, good.missing) == (Outcome.DOCUMENTS, (picture.checksum,))
    refused = ("PINT-12", "pint_visualisation_differs", "BENV")
    assert judged(w.pack(document, texts)) == refused
    other = w.document_of(b"%PDF another")
    assert judged(w.pack(document, texts, visualisation=other)) == refused
    plain = w.chain_of(w.first(document))
    assert judged(w.pack(document, plain, visualisation=picture)) == refused


def test_times_of_transactions_are_in_order_and_not_of_the_future() -> None:
    document = w.bill()
    tomorrow = replace(w.TO_BUYER, at=w.NOW + timedelta(minutes=6))
    texts = w.chain_of(w.first(document, w.ISSUE, tomorrow))
    assert judged(w.pack(document, texts)) == ("PINT-13", "pint_from_the_future", "BENV")
    earlier = replace(w.TO_BUYER, at=w.ISSUE.at - timedelta(minutes=6))
    texts = w.chain_of(w.first(document, w.ISSUE, earlier))
    assert judged(w.pack(document, texts)) == ("PINT-13", "pint_out_of_order", "BENV")
    nearly = replace(w.TO_BUYER, at=w.ISSUE.at - timedelta(minutes=4))
    texts = w.chain_of(w.first(document, w.ISSUE, nearly))
    assert w.Platform().judge(w.pack(document, texts)).outcome is Outcome.READY
