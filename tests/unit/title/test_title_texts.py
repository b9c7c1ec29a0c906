"""Operations, states, manifests and refusals as signed bytes: strict both ways."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import jws, times
from protocols.digest import sha256
from protocols.fields import Fields
from protocols.title.json_forms import (
    operation_bytes,
    read_operation_bytes,
    read_state,
    read_state_bytes,
    state_bytes,
    state_json,
)
from protocols.title.machine import (
    Bill,
    Ending,
    Issuance,
    Kind,
    Offer,
    Operation,
    State,
    TitleState,
)
from protocols.title.operation import (
    ISSUANCE_TYP,
    OPERATION_TYP,
    REFUSAL_TYP,
    Refusal,
    document_checksum,
    issue_to_checksum,
    read_manifest,
    read_operation,
    read_refusal,
    sign_manifest,
    sign_operation,
    sign_refusal,
    verify_manifest,
    verify_operation,
    verify_refusal,
)
from protocols.title.registry import MemberTitleKeys
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError, TooLargeError
from tests.support.title_world import (
    ARBITER,
    MEMBERS,
    NOW,
    TRADERS,
    ecdsa,
    issue,
    manifest,
    operation,
    party,
    signed,
)

KEYS = MemberTitleKeys(MEMBERS)
NAMES = st.sampled_from(sorted(TRADERS))
PARTIES = NAMES.map(party)
DIGESTS = st.binary(min_size=32, max_size=32)
MOMENTS = st.integers(0, 4_000_000_000_000).map(times.from_ms)
NO_RECIPIENT = {
    Kind.ACCEPT_OFFER,
    Kind.DECLINE_OFFER,
    Kind.CANCEL_OFFER,
    Kind.BLANK_ENDORSE,
    Kind.ACCEPT_SURRENDER,
    Kind.REJECT_SURRENDER,
    Kind.END,
}
SURRENDERS = {Kind.SURRENDER_FOR_DELIVERY, Kind.SURRENDER_FOR_AMENDMENT}


@st.composite
def operations(draw: st.DrawFn) -> Operation:
    kind = draw(st.sampled_from(Kind))
    recipient = None if kind in NO_RECIPIENT else draw(PARTIES)
    if kind in SURRENDERS:
        recipient = draw(st.none() | PARTIES)
    bill = draw(st.sampled_from([Bill.STRAIGHT, Bill.TO_ORDER, Bill.BLANK]))
    holder = None if bill is Bill.BLANK else draw(PARTIES)
    first = kind is Kind.ISSUE
    return Operation(
        network=draw(DIGESTS),
        arbiter=draw(DIGESTS),
        title=draw(DIGESTS),
        seq=0 if first else draw(st.integers(1, 1_000_000)),
        kind=kind,
        sender=draw(PARTIES),
        recipient=recipient,
        entry=draw(DIGESTS),
        deadline=draw(MOMENTS),
        issuance=Issuance(bill, holder, draw(st.none() | DIGESTS)) if first else None,
        expires=draw(MOMENTS) if kind is Kind.OFFER else None,
        ending=draw(st.sampled_from(Ending)) if kind is Kind.END else None,
    )


@st.composite
def states(draw: st.DrawFn) -> TitleState:
    maybe_party = st.none() | PARTIES
    offers = st.builds(Offer, PARTIES, DIGESTS, MOMENTS)
    return TitleState(
        title=draw(DIGESTS),
        seq=draw(st.integers(1, 1_000_000)),
        state=draw(st.sampled_from(State)),
        bill=draw(st.sampled_from(Bill)),
        issuer=draw(PARTIES),
        shipper=draw(PARTIES),
        possessor=draw(maybe_party),
        holder=draw(maybe_party),
        head=draw(DIGESTS),
        replaces=draw(st.none() | DIGESTS),
        surrendered_by=draw(maybe_party),
        purpose=draw(st.none() | st.sampled_from(sorted(SURRENDERS))),
        offer=draw(st.none() | offers),
        ending=draw(st.none() | st.sampled_from(Ending)),
    )


@given(operations())
def test_an_operation_reads_back_as_it_was_written(made: Operation) -> None:
    payload = operation_bytes(made)
    assert read_operation_bytes(payload) == replace(made, digest=sha256(payload))


@given(states())
def test_a_state_reads_back_as_it_was_written(state: TitleState) -> None:
    assert read_state_bytes(state_bytes(state)) == state
    assert read_state(Fields(state_json(state), "title_state_malformed")) == state


def changed(made: Operation, **members: object) -> bytes:
    body = strict_json.loads_object(operation_bytes(made)) | members
    return strict_json.canonical({name: v for name, v in body.items() if v is not ...})


TRANSFER = operation(Kind.TRANSFER, bytes(32), 1, "exp-a", "bank")


@pytest.mark.parametrize(
    ("made", "members", "pointer"),
    [
        (TRANSFER, {"v": 2}, "/v"),
        (TRANSFER, {"extra": 1}, "/extra"),
        (TRANSFER, {"kind": "STEAL"}, "/kind"),
        (TRANSFER, {"to": ...}, "/to"),
        (TRANSFER, {"seq": 0}, "/seq"),
        (TRANSFER, {"seq": 1_000_001}, "/seq"),
        (TRANSFER, {"seq": True}, "/seq"),
        (TRANSFER, {"title": "AB" * 32}, "/title"),
        (TRANSFER, {"deadline": "2026-11-18T06:00:00"}, "/deadline"),
        (TRANSFER, {"from": {"did": "did:web:a.example"}}, "/from/key"),
        (TRANSFER, {"from": {"did": "x", "key": "A" * 43}}, "/from/did"),
        (TRANSFER, {"from": {"did": "did:web:a.example", "key": "A" * 42}}, "/from/key"),
        (TRANSFER, {"ending": "paper"}, "/ending"),
        (TRANSFER, {"expires": "2026-11-18T06:00:00Z"}, "/expires"),
        (TRANSFER, {"issuance": {"bill": "blank"}}, "/issuance"),
        (operation(Kind.END, bytes(32), 1, "nhl"), {"ending": "sunk"}, "/ending"),
        (operation(Kind.BLANK_ENDORSE, bytes(32), 1, "nhl"), {"to": {}}, "/to"),
        (issue(), {"issuance": {"bill": "named"}}, "/issuance/bill"),
        (issue(), {"issuance": {"bill": "straight"}}, "/issuance/holder"),
        (issue(bill=Bill.BLANK, holder=None), {"seq": 1}, "/seq"),
    ],
)
def test_an_operation_that_says_too_much_or_too_little_is_malformed(
    made: Operation, members: dict[str, object], pointer: str
) -> None:
    with pytest.raises(MalformedError) as caught:
        read_operation_bytes(changed(made, **members))
    assert caught.value.code == "title_operation_malformed"
    assert caught.value.pointer == pointer


def test_a_blank_bill_names_no_holder() -> None:
    holder = {"did": "did:web:a.example", "key": "A" * 43}
    made = changed(
        issue(bill=Bill.BLANK, holder=None), issuance={"bill": "blank", "holder": holder}
    )
    with pytest.raises(MalformedError, match="title_operation_malformed"):
        read_operation_bytes(made)


def test_an_operation_has_a_size_limit() -> None:
    with pytest.raises(TooLargeError):
        read_operation("a" * 20_000)


def test_r1_a_receipt_is_not_taken_for_a_title_operation() -> None:
    other = jws.sign(
        operation_bytes(TRANSFER), typ="px-receipt+jws", signer=ecdsa("exp-a", "title")
    )
    with pytest.raises(RefusedError, match="jws_typ_unexpected"):
        read_operation(other)


def test_r2_the_operation_is_identified_by_its_payload() -> None:
    read = read_operation(signed(TRANSFER))
    assert read.operation.digest == sha256(operation_bytes(TRANSFER)) == read.jws.payload_digest
    assert read.text == signed(TRANSFER)


def test_r20_a_signer_signs_only_for_the_party_whose_key_it_is() -> None:
    with pytest.raises(RefusedError, match="title_key_mismatch"):
        sign_operation(TRANSFER, ecdsa("bank", "title"))


def verified(text: str) -> None:
    verify_operation(read_operation(text), KEYS, NOW)


def test_a_listed_party_is_verified() -> None:
    verified(signed(TRANSFER))
    verified(signed(issue()))


def test_an_unlisted_key_is_refused() -> None:
    made = replace(TRANSFER, sender=party("stranger"))
    with pytest.raises(RefusedError, match="title_key_not_listed"):
        verified(signed(made, "stranger"))


def test_r1_a_key_of_another_purpose_is_refused() -> None:
    signer = ecdsa("nhl", "exchange")
    text = jws.sign(operation_bytes(TRANSFER), typ=OPERATION_TYP, signer=signer)
    with pytest.raises(RefusedError, match="title_key_not_listed"):
        verified(text)


def test_a_listed_key_that_the_operation_does_not_name_is_refused() -> None:
    text = jws.sign(operation_bytes(TRANSFER), typ=OPERATION_TYP, signer=ecdsa("bank", "title"))
    with pytest.raises(RefusedError, match="title_key_mismatch"):
        verified(text)


def test_a_broken_signature_is_refused() -> None:
    head, body, signature = signed(TRANSFER).split(".")
    other = "A" if signature[0] != "A" else "B"
    with pytest.raises(RefusedError, match="bad_signature"):
        verified(f"{head}.{body}.{other}{signature[1:]}")


def test_an_unlisted_recipient_is_refused() -> None:
    for stranger in (party("stranger"), replace(party("bank"), key="A" * 43)):
        with pytest.raises(RefusedError, match="title_recipient_not_listed"):
            verified(signed(replace(TRANSFER, recipient=stranger)))
    made = issue()
    strange = replace(made, issuance=Issuance(Bill.TO_ORDER, party("stranger")))
    with pytest.raises(RefusedError, match="title_recipient_not_listed"):
        verified(signed(strange))


def test_only_a_listed_carrier_issues() -> None:
    made = replace(issue(), sender=party("cn-port"))
    with pytest.raises(RefusedError, match="title_issuer_not_listed"):
        verified(signed(made))


# Manifests.


def test_a_manifest_names_its_title() -> None:
    text = sign_manifest(manifest(), ecdsa("nhl", "title"))
    read = verify_manifest(text, KEYS, NOW)
    assert read == manifest()
    assert read.title() == issue().title


@pytest.mark.parametrize(
    "members",
    [
        {"salt": "AA"},
        {"extra": 1},
        {"carrier": "nhl"},
        {"transportDocumentReference": ""},
        {"documentChecksum": 1},
    ],
)
def test_a_manifest_with_other_members_is_malformed(members: dict[str, object]) -> None:
    body = strict_json.loads_object(manifest().to_bytes()) | members
    text = jws.sign(strict_json.canonical(body), typ=ISSUANCE_TYP, signer=ecdsa("nhl", "title"))
    with pytest.raises(MalformedError, match="issuance_manifest_malformed"):
        read_manifest(text)


def test_a_manifest_has_one_spelling() -> None:
    text = jws.sign(manifest().to_bytes() + b" ", typ=ISSUANCE_TYP, signer=ecdsa("nhl", "title"))
    with pytest.raises(MalformedError, match="issuance_manifest_malformed"):
        read_manifest(text)


def test_a_manifest_is_signed_by_its_carrier() -> None:
    with pytest.raises(RefusedError, match="title_key_mismatch"):
        verify_manifest(sign_manifest(manifest(), ecdsa("bank", "title")), KEYS, NOW)
    with pytest.raises(RefusedError, match="title_key_not_listed"):
        verify_manifest(sign_manifest(manifest(), ecdsa("stranger", "title")), KEYS, NOW)


def test_checksums_follow_the_values_and_not_the_spelling() -> None:
    assert document_checksum({"b": 1, "a": 12000.0}) == document_checksum({"a": 12000, "b": 1})
    assert issue_to_checksum(party("bank"), "A") != issue_to_checksum(party("bank"), "B")


# Refusals.


@pytest.mark.parametrize("winner", [None, b"w" * 32])
def test_a_refusal_reads_back_and_verifies(winner: bytes | None) -> None:
    refusal = Refusal(
        network=MEMBERS.network,
        arbiter=ARBITER.id,
        title=b"t" * 32,
        operation=b"o" * 32,
        code="title_seq_conflict",
        seq=3,
        at=NOW,
        winner=winner,
    )
    signer = ecdsa("nhl", "exchange")
    text = sign_refusal(refusal, signer)
    assert verify_refusal(text, signer.public()) == refusal
    with pytest.raises(RefusedError, match="bad_signature"):
        verify_refusal(text, ecdsa("bank", "title").public())


def test_a_refusal_with_unknown_members_is_malformed() -> None:
    text = jws.sign(b'{"code":"x","more":1}', typ=REFUSAL_TYP, signer=ecdsa("nhl", "exchange"))
    with pytest.raises(MalformedError, match="title_refusal_malformed"):
        read_refusal(text)


@pytest.mark.parametrize("name", ["purpose", "offer", "ending"])
def test_a_state_with_strange_members_is_malformed(name: str) -> None:
    body = state_json(TitleState(**_plain())) | {name: {"x": 1}}
    with pytest.raises(MalformedError, match="title_state_malformed"):
        read_state_bytes(strict_json.canonical(body))


def _plain() -> dict[str, object]:
    return {
        "title": bytes(32),
        "seq": 1,
        "state": State.LIVE,
        "bill": Bill.BLANK,
        "issuer": party("nhl"),
        "shipper": party("exp-a"),
        "possessor": party("exp-a"),
        "holder": None,
        "head": bytes(32),
    }
