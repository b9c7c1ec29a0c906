"""A receiving platform's answers: every refusal with its code, and nothing poisoned by it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols import base64url
from protocols.digest import sha256
from protocols.pint import signed
from protocols.pint.chain import following, open_entry
from protocols.pint.checks import STEPS, Judgement, Outcome
from protocols.pint.platforms import MemberKeyring
from protocols.pint.receiver import RegistryPolicy
from protocols.pint.refusal import EnvelopeRefusedError
from protocols.pint.words import Action, Response
from protocols.title_operation import ISSUANCE_TYP, IssuanceManifest, sign_manifest
from schemas import strict_json
from schemas.catalogue import explain
from schemas.errors import RefusedError
from schemas.findings import Outcome as Verdict
from tests.support import pint_world as w
from tests.support.title_world import ecdsa


def failed(judgement: Judgement) -> tuple[str, str, str]:
    """The step that failed, its code, and the signed code or 400."""
    (check,) = [one for one in judgement.checks if one.outcome is Verdict.FAILED]
    error = judgement.error
    answer = getattr(error, "response", None)
    assert error is not None
    assert explain(error.code) is not None, error.code
    assert judgement.outcome is (Outcome.REFUSED if answer else Outcome.MALFORMED)
    if answer:
        finished = judgement.finished()
        assert finished.response is answer
        assert finished.last == judgement.envelope.last_checksum
        assert finished.reason
    return check.id, check.code, answer.value if answer else "400"


def judged(data: bytes, platform: w.Platform | None = None, **changes: Any) -> tuple[str, str, str]:
    return failed((platform or w.Platform()).judge(data, **changes))


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


# Signatures: BSIG.


def _altered_first(change: Any, **more: Any) -> bytes:
    document, texts = w.simple()
    return w.pack(document, [change(texts[0])], **more)


def test_r7_an_unknown_platform_anywhere_in_the_chain_refuses_the_envelope() -> None:
    document = w.bill()
    stranger = w.first(document, platform="WXYZ").sign(w.signer_of("HOME"))
    assert judged(w.pack(document, [stranger])) == ("PINT-04", "pint_platform_unknown", "BSIG")
    for transactions in (
        (w.ISSUE, w.act(Action.TRANSFER, w.SHIPPER, w.party("imp-a", "WXYZ"))),
        (w.act(Action.ISSUE, w.CARRIER, w.party("exp-a", "WXYZ")), w.TO_BUYER),
    ):
        texts = w.chain_of(w.first(document, *transactions))
        assert judged(w.pack(document, texts)) == ("PINT-04", "pint_platform_unknown", "BENV")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (lambda text: w.with_header(text, alg="none"), "jws_algorithm_unknown"),
        (lambda text: w.with_header(text, alg="HS256", kid="x"), "jws_algorithm_unknown"),
        (lambda text: w.with_header(text, alg=7), "pint_jws_malformed"),
        (lambda text: w.with_header(text, alg="ES256", kid=""), "pint_jws_malformed"),
        (lambda text: w.with_header(text, alg="ES256", crit=["exp"]), "pint_jws_malformed"),
        (lambda text: w.with_header(text, alg="ES256", b64=False), "pint_jws_malformed"),
        (lambda text: w.with_header(text, alg="ES256", x5c=[]), "pint_jws_malformed"),
        (lambda text: w.with_header(text, alg="ES256", x5c=["*"]), "pint_jws_malformed"),
        (lambda text: w.with_header(text, alg="ES256", typ=["JWT"]), "pint_jws_malformed"),
        (lambda text: w.with_header(text, alg="ES256", typ="px-title+jws"), "jws_typ_unexpected"),
        (lambda text: text[:-1] + ("A" if text[-1] != "A" else "B"), ""),
    ],
)
def test_what_is_no_signature_is_bsig(text: Any, code: str) -> None:
    step, found, answer = judged(_altered_first(text))
    assert (step, answer) in {("PINT-03", "BSIG"), ("PINT-05", "BSIG")}
    assert not code or found == code


def test_a_changed_payload_under_the_old_signature_is_bsig() -> None:
    def change(payload: dict[str, Any]) -> None:
        payload["transactions"][1]["recipient"]["partyName"] = "Somebody else"

    data = _altered_first(lambda text: w.forged(text, change))
    assert judged(data) == ("PINT-05", "bad_signature", "BSIG")


def test_r7_each_entry_is_verified_against_the_platform_of_that_entry() -> None:
    document = w.bill()
    onward = w.act(Action.TRANSFER, w.BUYER, w.OTHER, minute=2)
    texts = w.chain_of(w.first(document))
    entry = following(texts, "AWAY", [onward])
    wrong_hop = [*texts, entry.sign(w.signer_of("HOME"))]
    data = w.pack(document, wrong_hop, by="AWAY")
    assert judged(data, w.Platform("FARR"))[1:] == ("pint_key_unknown", "BSIG")
    # The first hop signed by the second platform, under the name of the first.
    first = w.first(document).sign(w.signer_of("AWAY"))
    second = following([first], "AWAY", [onward]).sign(w.signer_of("AWAY"))
    data = w.pack(document, [first, second], by="AWAY")
    assert judged(data, w.Platform("FARR"))[1:] == ("pint_key_unknown", "BSIG")


def test_a_manifest_of_another_platform_is_bsig() -> None:
    document, texts = w.simple()
    assert judged(w.pack(document, texts, by="AWAY")) == ("PINT-05", "pint_key_unknown", "BSIG")


def test_a_bad_signature_poisons_nothing() -> None:
    document, texts = w.simple()
    platform = w.Platform()
    assert judged(w.pack(document, [texts[0][:-4] + "AAAA"]), platform)[2] == "BSIG"
    good = platform.judge(w.pack(document, texts))
    assert good.outcome is Outcome.READY
    platform.accept(good)
    assert platform.judge(w.pack(document, texts)).outcome is Outcome.DUPLICATE


# What an entry holds: BENV.


def _signed_payload(change: Any) -> bytes:
    document, texts = w.simple()
    payload = strict_json.loads_object(signed.parse(texts[0]).payload)
    change(payload)
    raw = payload.pop("__raw__", None) or strict_json.canonical(payload)
    return w.pack(document, [signed.sign(raw, signer=w.signer_of("HOME"))])


@pytest.mark.parametrize(
    "change",
    [
        lambda payload: payload.pop("eblPlatform"),
        lambda payload: payload.update(eblPlatform="TOO LONG"),
        lambda payload: payload.pop("transactions"),
        lambda payload: payload.update(transactions=[]),
        lambda payload: payload.update(transportDocumentChecksum="AB" * 32),
        lambda payload: payload["transactions"][0].update(actionCode="BETR"),
        lambda payload: payload["transactions"][0].update(actionCode="ISSU"),
        lambda payload: payload["transactions"][0].update(actionDateTime="yesterday"),
        lambda payload: payload["transactions"][1]["actor"].update(identifyingCodes=[]),
        lambda payload: payload["transactions"][1].update(reasonCode="WHY"),
        lambda payload: payload.update(controlTrackingRegistry="x" * 1025),
        lambda payload: payload.update(__raw__=b"not JSON"),
        lambda payload: payload.update(__raw__=b'{"a":1,"a":1}'),
    ],
)
def test_a_signed_entry_that_is_no_entry_is_benv(change: Any) -> None:
    step, _, answer = judged(_signed_payload(change))
    assert (step, answer) == ("PINT-03", "BENV")


def test_a_chain_entry_or_an_answer_is_no_manifest() -> None:
    document, texts = w.simple()
    data = w.body(w.pack(document, texts), envelopeManifestSignedContent=texts[0])
    assert judged(data)[::2] == ("PINT-03", "BENV")


def test_the_issuance_manifest_is_the_carriers() -> None:
    document = w.bill()
    manifest = strict_json.canonical(
        {"documentChecksum": w.checksum_of(document).hex(), "issueToChecksum": "ab" * 32}
    )
    cases: list[tuple[str | None, str, str]] = [
        (None, "pint_issuance_missing", "BENV"),
        (signed.sign(manifest, signer=ecdsa("nl-port", "title")), "pint_key_unknown", "BSIG"),
        # A title key signs nothing without our own typ (R1).
        (signed.sign(manifest, signer=ecdsa("nhl", "title")), "pint_key_unknown", "BSIG"),
        (w.issuance(document)[:-4] + "AAAA", "bad_signature", "BSIG"),
        (w.issuance(w.bill("order")), "pint_not_as_issued", "BENV"),
    ]
    for text, code, answer in cases:
        texts = w.chain_of(w.first(document, issuance=text))
        assert judged(w.pack(document, texts))[1:] == (code, answer)


def test_an_unlisted_carrier_issues_nothing() -> None:
    document = w.bill()
    stranger = w.party("exp-a")
    texts = w.chain_of(w.first(document, w.act(Action.ISSUE, stranger, w.BANK), w.TO_BUYER))
    assert judged(w.pack(document, texts)) == ("PINT-06", "pint_carrier_unknown", "BSIG")
    platform_only = w.party("nl-port")
    texts = w.chain_of(w.first(document, w.act(Action.ISSUE, platform_only, w.SHIPPER)))
    assert judged(w.pack(document, texts))[1] == "pint_carrier_unknown"


def test_a_second_issuance_manifest_later_in_the_chain_is_refused() -> None:
    document = w.bill()
    texts = w.chain_of(w.first(document))
    onward = w.act(Action.TRANSFER, w.BUYER, w.OTHER, minute=2)
    entry = replace(following(texts, "AWAY", [onward]), issuance=w.issuance(w.bill("order")))
    texts.append(entry.sign(w.signer_of("AWAY")))
    data = w.pack(document, texts, by="AWAY")
    assert judged(data, w.Platform("FARR")) == ("PINT-06", "pint_issued_twice", "BENV")


# Chains that were cut, grafted, swapped.


def _two_hops() -> tuple[dict[str, Any], list[str]]:
    document = w.bill()
    onward = w.act(Action.TRANSFER, w.BUYER, w.OTHER, minute=2)
    return document, w.chain_of(w.first(document), [onward])


def test_a_chain_without_its_beginning_is_refused() -> None:
    document, texts = _two_hops()
    data = w.pack(document, texts[1:], by="AWAY")
    assert judged(data, w.Platform("FARR")) == ("PINT-06", "pint_issuance_missing", "BENV")


def test_a_chain_in_another_order_is_refused() -> None:
    document, texts = _two_hops()
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


# What is known of the bill: DUPE and DISE.


def test_the_same_envelope_again_is_a_duplicate_of_what_was_accepted() -> None:
    document, texts = w.simple()
    paper = w.document_of(b"one")
    platform = w.Platform()
    platform.accept(platform.judge(w.pack(document, texts)))
    other = w.document_of(b"two", "never sent.pdf")
    data = w.pack(document, texts, supporting=(paper, other))
    again = platform.judge(data, held={paper.checksum})
    assert again.outcome is Outcome.DUPLICATE
    finished = again.finished()
    assert finished.response is Response.DUPE
    assert finished.duplicate_of == texts[-1]
    assert finished.received == (paper.checksum,)


def test_an_entry_signed_again_is_a_duplicate_even_under_a_manifest_of_before() -> None:
    document = w.bill()
    agent = w.party("agent", "OUTS")
    out = [w.act(Action.TRANSFER, w.BUYER, agent, minute=2)]
    onward = [w.act(Action.TRANSFER, agent, w.OTHER, minute=3)]
    texts = w.chain_of(w.first(document), out, onward)
    platform, data = w.Platform("FARR"), w.pack(document, texts, by="OUTS")
    platform.accept(platform.judge(data))
    again = w.resigned(texts[-1], w.signer_of("OUTS"))
    assert again != texts[-1]
    stale = w.body(data, envelopeTransferChain=[*texts[:-1], again])
    answer = platform.judge(stale)
    assert answer.outcome is Outcome.DUPLICATE
    assert answer.finished().duplicate_of == texts[-1]
    assert answer.finished().last == signed.checksum(again)


def test_an_altered_entry_is_disputed_even_under_a_manifest_of_before() -> None:
    document, texts = w.simple()
    platform, data = w.Platform(), w.pack(document, texts)
    platform.accept(platform.judge(data))
    altered = w.chain_of(w.first(document, w.ISSUE, replace(w.TO_BUYER, recipient=w.BANK)))
    for body in (w.body(data, envelopeTransferChain=altered), w.pack(document, altered)):
        assert judged(body, platform) == ("PINT-09", "pint_disputed", "DISE")


def test_a_chain_that_leaves_out_what_is_known_is_disputed() -> None:
    document = w.bill()
    endorsed = w.act(Action.ENDORSE_TO_ORDER, w.SHIPPER, w.BUYER, minute=1)
    moved = w.act(Action.TRANSFER, w.SHIPPER, w.BUYER, minute=2)
    texts = w.chain_of(w.first(document, w.ISSUE, endorsed), [moved])
    platform = w.Platform()
    whole = platform.judge(w.pack(document, texts))
    platform.accept(whole)
    cut = w.pack(document, texts[:1])
    assert judged(cut, platform) == ("PINT-09", "pint_disputed", "DISE")


def test_a_notice_then_the_transfer_are_two_envelopes_of_one_chain() -> None:
    document = w.bill()
    endorsed = w.act(Action.ENDORSE_TO_ORDER, w.SHIPPER, w.BUYER, minute=1)
    texts = w.chain_of(w.first(document, w.ISSUE, endorsed))
    platform = w.Platform()
    notice = platform.judge(w.pack(document, texts))
    assert notice.outcome is Outcome.READY
    assert not notice.moves_possession
    assert notice.state is not None
    assert (notice.state.possessor, notice.state.holder) == (w.SHIPPER, w.BUYER)
    platform.accept(notice)
    moved = w.act(Action.TRANSFER, w.SHIPPER, w.BUYER, minute=2)
    more = [*texts, following(texts, "HOME", [moved]).sign(w.signer_of("HOME"))]
    further = platform.judge(w.pack(document, more))
    assert further.outcome is Outcome.READY
    assert further.moves_possession
    platform.accept(further)
    # The notice again is a duplicate of the notice, though the chain went on.
    again = platform.judge(w.pack(document, texts)).finished()
    assert again.duplicate_of == texts[-1]


def test_a_chain_that_goes_on_from_another_signature_than_the_accepted_is_disputed() -> None:
    document = w.bill()
    agent = w.party("agent", "OUTS")
    issue = w.act(Action.ISSUE, w.party("nhl", "OUTS"), agent)
    entry = w.first(document, issue, w.act(Action.TRANSFER, agent, w.BUYER, minute=1))
    entry = replace(entry, platform="OUTS")
    accepted, other = entry.sign(w.signer_of("OUTS")), entry.sign(w.signer_of("OUTS"))
    assert accepted != other
    platform = w.Platform()
    platform.accept(platform.judge(w.pack(document, [accepted], by="OUTS")))
    back = w.act(Action.TRANSFER, w.BUYER, w.SHIPPER, minute=2)
    again = w.act(Action.TRANSFER, w.SHIPPER, w.BANK, minute=3)
    chain = [other, following([other], "AWAY", [back]).sign(w.signer_of("AWAY"))]
    chain.append(following(chain, "HOME", [again]).sign(w.signer_of("HOME")))
    assert judged(w.pack(document, chain), platform) == ("PINT-09", "pint_disputed", "DISE")


# Keys and time.


def test_r17_a_key_that_ended_later_still_stands_for_what_it_signed_before() -> None:
    document, texts = _two_hops()
    data = w.pack(document, texts, by="AWAY")
    ended = w.draft()
    keys = tuple(
        replace(key, valid_until=w.START + timedelta(days=2)) if key.purpose == "platform" else key
        for key in ended.nodes[0].keys
    )
    late = replace(ended, nodes=(replace(ended.nodes[0], keys=keys), *ended.nodes[1:]))
    ring = MemberKeyring(w.member_list(late))
    assert w.Platform("FARR").judge(data, keyring=ring).outcome is Outcome.READY
    first = w.pack(document, texts[:1])
    assert judged(first, keyring=ring) == ("PINT-05", "pint_key_not_valid", "BSIG")


def test_r17_a_compromised_key_proves_nothing_but_what_was_verified_before() -> None:
    document, texts = _two_hops()
    data = w.pack(document, texts, by="AWAY")
    made = w.draft()
    keys = tuple(
        replace(key, compromised_from=w.START, compromise_announced=w.START)
        if key.purpose == "platform"
        else key
        for key in made.nodes[0].keys
    )
    told = replace(made, nodes=(replace(made.nodes[0], keys=keys), *made.nodes[1:]))
    ring = MemberKeyring(w.member_list(told))
    platform = w.Platform("FARR")
    assert judged(data, platform, keyring=ring) == ("PINT-05", "pint_key_unknown", "BSIG")
    held = {open_entry(texts[0]).jws.checksum}
    assert platform.judge(data, keyring=ring, verified=held).outcome is Outcome.READY


# Nothing altered is ever accepted.


@settings(deadline=None)
@given(st.data())
def test_an_altered_chain_is_never_ready(data: st.DataObject) -> None:
    document, texts = _two_hops()
    good = strict_json.loads_object(w.pack(document, texts, by="AWAY"))
    at = data.draw(st.integers(0, 1))
    parts = texts[at].split(".")
    part = data.draw(st.integers(0, 2))
    place = data.draw(st.integers(0, len(parts[part]) - 1))
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    letter = data.draw(st.sampled_from(letters))
    parts[part] = parts[part][:place] + letter + parts[part][place + 1 :]
    altered = [*texts]
    altered[at] = ".".join(parts)
    body = strict_json.canonical(good | {"envelopeTransferChain": altered})
    judgement = w.Platform("FARR").judge(body)
    assert (judgement.outcome is Outcome.READY) == (altered == texts)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_get_an_answer(data: bytes) -> None:
    assert w.Platform().judge(data).outcome is Outcome.MALFORMED


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(max_size=8), st.none() | st.integers() | st.text(max_size=8)))
def test_any_signed_object_in_the_place_of_an_entry_gets_an_answer(value: dict[str, Any]) -> None:
    document, texts = w.simple()
    text = f"{texts[0].split('.')[0]}.{base64url.encode(_json(value))}.AAAA"
    data = w.body(w.pack(document, texts), envelopeTransferChain=[text])
    assert judged(data)[2] in {"BSIG", "BENV"}


def _json(value: dict[str, Any]) -> bytes:
    import json

    return json.dumps(value).encode()


def test_an_issuance_manifest_under_our_own_typ_serves_pint_and_the_titles_id() -> None:
    document = w.bill()
    text = w.issuance(document)
    assert signed.parse(text, expected_typ={ISSUANCE_TYP}).payload_digest == sha256(
        signed.parse(text, expected_typ={ISSUANCE_TYP}).payload
    )
    with pytest.raises(RefusedError, match="jws_typ_unexpected"):
        signed.parse(text)


# Whatever a listed platform signs gets an answer.

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.floats(-1e6, 1e6),
    st.text(max_size=5),
    st.sampled_from(
        ["9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00Z", "HOME", "SIGN", "00" * 32]
    ),
    st.lists(st.none(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.none(), max_size=2),
)


def _changed(data: st.DataObject, value: Any) -> None:
    """One member or element somewhere in `value` is replaced or left out."""
    node = value
    for _ in range(8):
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = data.draw(st.sampled_from(keys))
        below = node[key]
        if isinstance(below, dict | list) and below and data.draw(st.booleans()):
            node = below
            continue
        if data.draw(st.booleans()):
            node[key] = data.draw(VALUES)
        else:
            del node[key]
        return


@settings(deadline=None)
@given(st.data())
def test_whatever_a_platform_signs_or_sends_is_answered(data: st.DataObject) -> None:
    document, texts = w.simple("straight")
    which = data.draw(st.sampled_from(["document", "manifest", "entry", "both"]))
    good = strict_json.loads_object(w.pack(document, texts))
    entry = strict_json.loads_object(signed.parse(texts[0]).payload)
    if which in {"entry", "both"}:
        _changed(data, entry)
    if which in {"document", "both"}:
        _changed(data, document)
    text = signed.sign(strict_json.canonical(entry), signer=w.signer_of("HOME"))
    body = strict_json.loads_object(w.pack(document, [text]))
    if which == "manifest":
        manifest = strict_json.loads_object(
            signed.parse(good["envelopeManifestSignedContent"]).payload
        )
        _changed(data, manifest)
        payload = strict_json.canonical(manifest)
        body["envelopeManifestSignedContent"] = signed.sign(payload, signer=w.signer_of("HOME"))
    judgement = w.Platform().judge(strict_json.canonical(body))
    if judgement.outcome is Outcome.REFUSED:
        assert judgement.finished().status in {409, 422}
    elif judgement.outcome is Outcome.MALFORMED:
        assert judgement.error is not None
        assert judgement.error.status in {400, 413}
    if which == "document" and body["transportDocument"] != good["transportDocument"]:
        assert judgement.outcome in {Outcome.REFUSED, Outcome.MALFORMED}
