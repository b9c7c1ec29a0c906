"""A receiving platform judges an envelope: its steps, its registry, recipients and documents."""

from __future__ import annotations

from dataclasses import replace

import pytest

from protocols.pint import signed
from protocols.pint.checks import STEPS
from protocols.pint.judgement import Judgement, Outcome
from protocols.pint.receiver import RegistryPolicy
from protocols.pint.refusal import EnvelopeRefusedError
from protocols.pint.words import Action, Response
from protocols.title.operation import IssuanceManifest, sign_manifest
from schemas.catalogue import explain
from schemas.findings import Outcome as Verdict
from tests.support import pint_world as w
from tests.support.title_world import ecdsa
from tests.unit.pint.judging import failed, judged


def test_a_right_envelope_passes_every_step() -> None:
    document, texts = w.simple()
    judgement = w.Platform().judge(w.pack(document, texts))
    assert judgement.outcome is Outcome.READY
    assert [check.id for check in judgement.checks] == list(STEPS)
    assert {check.outcome for check in judgement.checks} == {Verdict.PASSED}
    assert judgement.state is not None
    assert judgement.state.possessor == w.BUYER
    assert judgement.moves_possession
    assert judgement.registry == w.REGISTRY
    report = judgement.report("envelope", "2026-11-18T06:00:00.000Z")
    assert report.verdict is Verdict.PASSED
    received = judgement.received()
    assert (received.response, received.received) == (Response.RECE, ())


def test_every_step_is_explained_in_both_languages() -> None:
    for step in STEPS:
        entry = explain(step)
        assert entry is not None, step
        assert entry.kind == "check"
        assert all((entry.en, entry.zh, entry.next, entry.next_zh, entry.source)), step


def test_a_chain_over_three_platforms_is_checked_hop_by_hop() -> None:
    document = w.bill()
    back = w.act(Action.TRANSFER, w.BUYER, w.party("agent", "OUTS"), minute=2)
    home = w.act(Action.TRANSFER, w.party("agent", "OUTS"), w.OTHER, minute=3)
    texts = w.chain_of(w.first(document), [back], [home])
    judgement = w.Platform("FARR").judge(w.pack(document, texts, by="OUTS"))
    assert judgement.outcome is Outcome.READY
    assert judgement.envelope is not None
    assert judgement.envelope.chain == tuple(texts)


# What cannot be attributed: 400, unsigned.


def _body_with(change: bytes, by: bytes) -> bytes:
    return w.pack(*w.simple()).replace(change, by, 1)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "json_syntax"),
        (b"[]", "json_not_object"),
        (b"{}", "pint_message_malformed"),
        (_body_with(b'{"', b'{"transportDocument":{},"'), "json_duplicate_name"),
        (_body_with(b'"isToOrder":true', b'"isToOrder":true,"x":9007199254740993'), "json_number"),
        (_body_with(b'"isToOrder":true', b'"isToOrder":true,"isToOrder":true'), "json_duplicate"),
        (w.body(w.pack(*w.simple()), envelopeTransferChain=[]), "pint_message_malformed"),
        (w.body(w.pack(*w.simple()), envelopeTransferChain="x.y.z"), "pint_message_malformed"),
        (w.body(w.pack(*w.simple()), envelopeTransferChain=["a.b"]), "pint_message_malformed"),
        (
            w.body(w.pack(*w.simple()), envelopeManifestSignedContent="a..c"),
            "pint_message_malformed",
        ),
    ],
)
def test_what_is_no_envelope_is_answered_unsigned(data: bytes, code: str) -> None:
    step, found, answer = judged(data)
    assert (step, answer) == ("PINT-01", "400")
    assert found.startswith(code)


def test_a_document_that_breaks_its_schema_is_answered_unsigned() -> None:
    facility = {"facilityCode": "INVALID_FACILITY_CODE", "facilityCodeListProvider": "SMDG"}
    place = {"UNLocationCode": "NLRTM", "facility": facility}
    document, texts = w.simple(**{"/transports/placeOfDelivery": place})
    judgement = w.Platform().judge(w.pack(document, texts))
    assert failed(judgement) == ("PINT-02", "pint_document_malformed", "400")
    assert judgement.error is not None
    assert judgement.error.findings


def test_terms_of_fifty_thousand_characters_travel() -> None:
    document, texts = w.simple(**{"/termsAndConditions": "条" * 50_000})
    assert w.Platform().judge(w.pack(document, texts)).outcome is Outcome.READY
    document, texts = w.simple(**{"/termsAndConditions": "条" * 50_001})
    assert judged(w.pack(document, texts))[2] == "400"


def test_what_the_carrier_wrote_beyond_the_schema_is_reported_and_refuses_no_transfer() -> None:
    document, texts = w.simple(**{"/declaredValue": 10})
    judgement = w.Platform().judge(w.pack(document, texts))
    assert judgement.outcome is Outcome.READY
    assert "BOL-005" in {finding.rule for finding in judgement.findings}


# The registry.


def test_r19_a_chain_that_names_no_listed_registry_is_refused() -> None:
    document = w.bill()
    for uri, code in (
        ("https://other.example/ctr/v1", "pint_registry_unlisted"),
        ("https://nhl.example/ctr", "pint_registry_uri"),
        ("http://nhl.example/ctr/v1", "pint_registry_uri"),
        (None, "pint_registry_required"),
    ):
        texts = w.chain_of(w.first(document, registry=uri))
        assert judged(w.pack(document, texts)) == ("PINT-14", code, "BENV")


def test_a_bill_without_registry_is_taken_by_policy_and_the_report_says_what_is_missing() -> None:
    document = w.bill()
    texts = w.chain_of(w.first(document, registry=None))
    judgement = w.Platform().judge(
        w.pack(document, texts), registries=RegistryPolicy(required=False)
    )
    assert judgement.outcome is Outcome.READY
    (check,) = [one for one in judgement.checks if one.id == "PINT-14"]
    assert check.code == "pint_registry_absent"
    assert check.reason


def test_r19_under_our_own_arbiter_the_manifest_makes_the_titles_id() -> None:
    document = w.bill()
    network, arbiter = b"\1" * 32, b"\2" * 32
    manifest = IssuanceManifest(
        network,
        arbiter,
        "did:web:nhl.example",
        document["transportDocumentReference"],
        w.checksum_of(document),
        bytes(32),
        bytes(32),
    )

    def judged_with(made: IssuanceManifest) -> Judgement:
        text = sign_manifest(made, ecdsa("nhl", "title"))
        data = w.pack(document, w.chain_of(w.first(document, issuance=text)))
        policy = RegistryPolicy(
            frozenset({w.REGISTRY}), arbiters={w.REGISTRY: arbiter}, network=network
        )
        return w.Platform().judge(data, registries=policy)

    good = judged_with(manifest)
    assert (good.outcome, good.title) == (Outcome.READY, manifest.title())
    refusal = ("PINT-14", "pint_other_arbiter", "BENV")
    for other in ({"arbiter": network}, {"network": arbiter}, {"reference": "OTHER"}):
        assert failed(judged_with(replace(manifest, **other))) == refusal
    document_only = w.pack(document, w.chain_of(w.first(document)))
    policy = RegistryPolicy(frozenset({w.REGISTRY}), arbiters={w.REGISTRY: arbiter})
    assert judged(document_only, registries=policy) == refusal


# What was done, and by whom.


def test_pint_15_a_transfer_by_who_never_had_the_bill_is_refused() -> None:
    document = w.bill()
    theft = w.act(Action.TRANSFER, w.party("thief", "HOME"), w.BUYER, minute=1)
    texts = w.chain_of(w.first(document, w.ISSUE, theft))
    assert judged(w.pack(document, texts)) == ("PINT-15", "pint_not_possessor", "BENV")


# Recipients and documents.


def test_an_envelope_for_another_platform_or_nobody_is_refused() -> None:
    document, texts = w.simple()
    refused = ("PINT-16", "pint_not_for_us", "BENV")
    assert judged(w.pack(document, texts), w.Platform("FARR")) == refused
    signs = w.act(Action.SIGN, w.SHIPPER, minute=1)
    texts = w.chain_of(w.first(document, w.ISSUE, signs))
    assert judged(w.pack(document, texts)) == refused
    inside = w.act(Action.TRANSFER, w.SHIPPER, w.party("imp-a", "HOME"), minute=1)
    texts = w.chain_of(w.first(document, w.ISSUE, inside))
    assert judged(w.pack(document, texts), w.Platform("HOME")) == refused


def test_an_unknown_recipient_is_refused_and_nothing_is_poisoned() -> None:
    document, texts = w.simple()
    platform = w.Platform()
    unknown = judged(w.pack(document, texts), platform, accepts=lambda party: False)
    assert unknown == ("PINT-16", "pint_recipient_unknown", "BENV")
    other = w.chain_of(w.first(document, w.ISSUE, replace(w.TO_BUYER, recipient=w.BANK)))
    assert platform.judge(w.pack(document, other)).outcome is Outcome.READY


def test_documents_are_counted_down_to_acceptance() -> None:
    document, texts = w.simple()
    first, second = w.document_of(b"one"), w.document_of(b"two", "two.pdf")
    data = w.pack(document, texts, supporting=(first, second))
    platform = w.Platform()
    started = platform.judge(data)
    assert started.outcome is Outcome.DOCUMENTS
    assert _reason(started, "PINT-17") == "2 still to come"
    answer = started.started("r-1")
    assert answer.missing == (first.checksum, second.checksum)
    assert answer.document == w.checksum_of(document)
    assert answer.last == signed.checksum(texts[-1])
    half = platform.judge(data, held={first.checksum})
    assert half.missing == (second.checksum,)
    assert _reason(half, "PINT-17") == "1 still to come"
    done = platform.judge(data, held={first.checksum, second.checksum})
    assert done.outcome is Outcome.READY
    both = (first.checksum, second.checksum)
    assert done.received().received == both
    # A receipt is written for what is here, whether it was before or came since.
    assert started.received(both).received == both
    with pytest.raises(EnvelopeRefusedError, match="pint_documents_missing") as raised:
        started.received([first.checksum])
    assert raised.value.response is Response.MDOC


def _reason(judgement: Judgement, step: str) -> str:
    (check,) = [one for one in judgement.checks if one.id == step]
    return check.reason
