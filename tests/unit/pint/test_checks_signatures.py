"""BSIG and BENV: whose signatures stand in a chain, what they sign, and when their keys counted."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from protocols.digest import sha256
from protocols.pint import signed
from protocols.pint.chain import following, open_entry
from protocols.pint.judgement import Outcome
from protocols.pint.platforms import MemberKeyring
from protocols.pint.words import Action
from protocols.title.operation import ISSUANCE_TYP
from schemas import strict_json
from schemas.errors import RefusedError
from tests.support import pint_world as w
from tests.support.title_world import ecdsa
from tests.support.turned import turned
from tests.unit.pint.judging import judged, two_hops

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
    ],
)
def test_what_is_no_signature_is_bsig(text: Any, code: str) -> None:
    assert judged(_altered_first(text)) == ("PINT-03", code, "BSIG")


def test_a_signature_with_one_bit_turned_is_bsig() -> None:
    assert judged(_altered_first(turned)) == ("PINT-05", "bad_signature", "BSIG")


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
    assert judged(w.pack(document, [turned(texts[0])]), platform)[2] == "BSIG"
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
        (turned(w.issuance(document)), "bad_signature", "BSIG"),
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


# Keys and time.


def test_r17_a_key_that_ended_later_still_stands_for_what_it_signed_before() -> None:
    document, texts = two_hops()
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
    document, texts = two_hops()
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


def test_an_issuance_manifest_under_our_own_typ_serves_pint_and_the_titles_id() -> None:
    document = w.bill()
    text = w.issuance(document)
    assert signed.parse(text, expected_typ={ISSUANCE_TYP}).payload_digest == sha256(
        signed.parse(text, expected_typ={ISSUANCE_TYP}).payload
    )
    with pytest.raises(RefusedError, match="jws_typ_unexpected"):
        signed.parse(text)
