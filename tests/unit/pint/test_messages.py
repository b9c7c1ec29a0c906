"""Every message written, validated against the published OpenAPI files, and read again."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.pint import answers, chain, endorsement, issuance, surrender
from protocols.pint import envelope as envelopes
from protocols.pint.parties import (
    DocumentParty,
    IdentifyingCode,
    RepresentedParty,
    TaxLegalReference,
    TransactionParty,
    document_party,
    read_party,
)
from protocols.pint.reading import CODE
from protocols.pint.transactions import Transaction, read_transaction
from protocols.pint.words import Action, LinkAction, Reason, Response, SurrenderCode
from schemas.errors import MalformedError
from tests.support import pint_world as w
from tests.unit.pint.published import encoded, fields, valid

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
