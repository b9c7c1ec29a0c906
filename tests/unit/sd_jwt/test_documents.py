"""Documents with disclosable members: issued, shown in part, verified step by step."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from protocols import jws
from protocols.credentials import credential, forms, key_binding, sd_credential, sd_jwt
from protocols.credentials.credential import JSON, CredentialClaims, DocumentFile
from protocols.credentials.key_binding import Challenge
from protocols.verify import Document, Verified, verify_document
from protocols.verify.altered import given_payload
from schemas import registry, strict_json
from schemas.catalogue import explain
from schemas.errors import MalformedError, RefusedError, TooLargeError, TradeError
from schemas.findings import Outcome, Report
from tests.support import evidence_world as world
from tests.support.title_world import NOW, ecdsa

INVOICE = registry.example("commercial-invoice")
PLAIN = sd_credential.plain_payload(INVOICE)
PRICES = ("/goods/0/unitPrice", "/goods/0/amount", "/totalAmount")
KEY, HOLDER = ecdsa("nhl", "credential"), ecdsa("nhl", "title")
BOTH = pytest.mark.parametrize("form", [sd_credential.VC, sd_credential.DC])
TYPES = sorted(key for key in registry.document_types() if registry.disclosable(key))
ASKED = Challenge("did:web:nl-customs.example", "nonce-1")


def salts(size: int) -> bytes:
    return b"\x0b" * size


def claims(payload: bytes = INVOICE, key: str = "commercial-invoice") -> CredentialClaims:
    plain = sd_credential.plain_payload(payload)
    consignment = registry.examine(key, payload).view.consignment
    made = world.claims(plain, key, "nhl")
    return replace(
        made,
        consignment=consignment,
        valid_from=made.valid_from.replace(microsecond=0),
        valid_until=made.valid_until.replace(microsecond=0),
    )


def issued(form: str = sd_credential.VC, **more: Any) -> DocumentFile:
    return sd_credential.issue(claims(), INVOICE, KEY, salts=salts, form=form, **more)


def shown(file: DocumentFile, *pointers: str) -> bytes:
    return sd_credential.present(file.to_bytes(), pointers).text.encode()


def verify(file: bytes, **changes: Any) -> tuple[Report, Verified[Document] | None]:
    values = {"members": world.MEMBERS, "at": NOW, "status": world.status("nhl"), **changes}
    return verify_document(file, **values)


def wrong(report: Report) -> dict[str, str]:
    for check in report.checks:
        assert not check.code or explain(check.code) is not None
    bad = (each for each in report.checks if each.outcome is not Outcome.PASSED)
    return {each.id: each.code for each in bad if each.code != "not_reached"}


@BOTH
def test_what_is_issued_opens_with_the_same_claims_and_the_whole_document(form: str) -> None:
    file = issued(form)
    assert file.media_type == f"application/{form}"
    opened = forms.open_file(file.to_bytes())
    assert opened.claims == claims()
    assert opened.file == file == DocumentFile.from_bytes(file.to_bytes())
    assert json.loads(file.payload) == json.loads(INVOICE)
    assert opened.presentation is not None
    assert set(opened.presentation.disclosed) == set(PRICES)
    assert opened.presentation.withheld == ()
    jws.verify(opened.jws, KEY.public())


@BOTH
def test_r2_identity_excludes_the_disclosures(form: str) -> None:
    file = issued(form)
    part = DocumentFile.from_bytes(shown(file, "/totalAmount"))
    assert part.digest == file.digest
    assert part.payload != file.payload


@BOTH
def test_a_whole_and_a_partial_document_verify_and_say_what_is_shown(form: str) -> None:
    file = issued(form)
    report, verified = verify(file.to_bytes())
    assert wrong(report) == {}
    assert verified is not None
    assert verified.value.digest == file.digest
    for pointers in ((), PRICES[:1], PRICES[:2], ("/totalAmount",), ("/goods",)):
        report, verified = verify(shown(file, *pointers))
        assert wrong(report) == {}
        assert verified is not None
        check = report.check("CRED-13")
        assert check is not None
        told = check.evidence
        assert {*told["disclosed"], *told["withheld"]} == set(PRICES)
        assert check.code == "partly_disclosed"
    assert json.loads(verified.value.file.payload)["goods"][0]["amount"] == "33169.50"


@pytest.mark.parametrize("key", TYPES)
def test_every_marked_member_can_be_withheld_alone_and_with_all_others(key: str) -> None:
    payload = registry.example(key)
    made = claims(payload, key)
    file = sd_credential.issue(made, payload, KEY, salts=salts)
    places = sd_credential.disclosable_in(key, payload)
    assert places
    for kept in [(), *[tuple(set(places) - {one}) for one in places], *[(one,) for one in places]]:
        opened = forms.open_file(shown(file, *kept))
        assert opened.presentation is not None
        withheld = frozenset(opened.presentation.withheld)
        assert withheld == set(places) - set(kept)
        examination = registry.examine_part(key, opened.file.payload, withheld)
        assert examination.findings == registry.examine(key, payload).findings


def test_rules_still_judge_what_is_shown() -> None:
    bad = json.loads(INVOICE) | {"delivery": {"incoterm": "XXX", "place": "Shanghai"}}
    payload = json.dumps(bad).encode()
    file = sd_credential.issue(claims(payload), payload, KEY, salts=salts)
    report, _ = verify(shown(file))
    assert wrong(report) == {"CRED-09": "document_breaks_rules"}
    del bad["currency"]
    payload = json.dumps(bad).encode()
    file = sd_credential.issue(claims(payload), payload, KEY, salts=salts)
    report, _ = verify(shown(file))
    assert wrong(report) == {"CRED-09": "document_breaks_rules"}


def test_a_finding_at_a_withheld_place_is_not_held_against_the_document() -> None:
    bad = json.loads(INVOICE)
    bad["goods"][0]["amount"] = "1.00"
    withheld = frozenset({"/goods/0/amount"})
    found = registry.examine_part("commercial-invoice", json.dumps(bad).encode(), withheld)
    assert [finding.rule for finding in found.findings] == ["INV-002"]
    with pytest.raises(RefusedError):
        registry.examine_part("phytosanitary-certificate", b"", frozenset())


@BOTH
def test_a_tampered_disclosure_fails_cred_13_and_the_other_steps_still_speak(form: str) -> None:
    file = issued(form)
    head, *disclosures = file.to_bytes().decode().split("~")
    forged = sd_jwt.digest_of("x")
    for bad in ("~".join((head, *disclosures[1:-1], forged, "")), "~".join((head, *disclosures[:2],
                disclosures[0], ""))):  # fmt: skip
        report, verified = verify(bad.encode())
        assert set(wrong(report)) == {"CRED-13"}
        assert verified is None
    passed = {each.id for each in report.checks if each.outcome is Outcome.PASSED}
    assert {"CRED-01", "CRED-03", "CRED-04", "CRED-05", "CRED-06", "CRED-10"} <= passed


def test_an_altered_payload_fails_the_signature() -> None:
    other = issued(sd_credential.DC)
    head = issued().credential.rpartition(".")[0]
    text = f"{head}.{other.credential.rpartition('.')[2]}~"
    assert wrong(verify(text.encode())[0]) == {"CRED-03": "bad_signature"}


@BOTH
def test_a_file_that_is_no_sd_jwt_of_a_document_fails_in_its_first_step(form: str) -> None:
    file = issued(form)
    for bad in (file.credential.encode(), b"~", b"\xff~", file.credential.encode() + b"~~"):
        report, _ = verify(bad)
        assert set(wrong(report)) == {"CRED-01"}
    plain = world.issued().credential.encode() + b"~"
    assert wrong(verify(plain)[0]) == {"CRED-01": "jws_typ_unexpected"}
    with pytest.raises(TooLargeError):
        sd_credential.parse(b"~" * (credential.MAX_FILE_BYTES + 1))


def remade(form: str, pointers: tuple[str, ...], *keep: int, **changes: Any) -> bytes:
    """The issuer's own credential with other members concealed or changed, properly signed."""
    whole = sd_jwt.reveal(sd_credential.parse(issued(form).to_bytes())).claims
    subject = whole["credentialSubject"] if form == sd_credential.VC else whole
    assert isinstance(subject, dict)
    for name, value in changes.items():
        (whole if name.startswith("top_") else subject)[name.removeprefix("top_")] = value
    members, disclosures = sd_jwt.conceal(whole, pointers, salts)
    cty = jws.CONTENT_TYPES.get(form)
    text = jws.sign(strict_json.canonical(members), typ=form, signer=KEY, cty=cty)
    return "~".join((text, *(disclosures[at] for at in keep), "")).encode()


@BOTH
def test_only_what_the_profile_marks_may_be_concealed(form: str) -> None:
    document = sd_credential.PLACES[form]
    prices = tuple(document + one for one in PRICES)
    assert wrong(verify(remade(form, prices, 0, 1, 2))[0]) == {}
    unlisted = {"disclosable": list(PRICES[:2])}
    assert wrong(verify(remade(form, prices, 0, 1, 2, **unlisted))[0]) == {
        "CRED-13": "disclosure_out_of_place"
    }
    assert "CRED-13" in wrong(verify(remade(form, prices, 0, 1, **unlisted))[0])
    element = {"disclosable": ["/goods/0"]}
    for more in (element, {"disclosable": ["/goods/x/amount"]}, {"disclosable": ["/number"]}):
        found = wrong(verify(remade(form, (f"{document}/goods/0",), 0, **more))[0])
        assert found["CRED-13"] == "disclosure_out_of_place"
    hidden = wrong(verify(remade(form, (f"{document}/goods/0",), disclosable=[]))[0])
    assert hidden["CRED-13"] == "disclosure_out_of_place"
    # Listed and neither concealed nor disclosed: the list and the digests must agree.
    assert wrong(verify(remade(form, ()))[0])["CRED-13"] == "disclosure_out_of_place"


ALWAYS = {
    sd_credential.VC: [
        "/issuer", "/validFrom", "/validUntil", "/credentialStatus", "/network", "/type",
        "/credentialSubject/salt", "/credentialSubject/number", "/credentialSubject/documentType",
    ],
    sd_credential.DC: [
        "/iss", "/nbf", "/exp", "/status", "/network", "/vct", "/salt", "/number", "/documentType",
    ],
}  # fmt: skip


@BOTH
def test_issuer_times_status_network_type_and_salt_are_never_disclosable(form: str) -> None:
    for pointer in ALWAYS[form]:
        for keep in ((), (0,)):
            report, verified = verify(remade(form, (pointer,), *keep, disclosable=[]))
            assert verified is None
            assert wrong(report)


@BOTH
@pytest.mark.parametrize(
    "changes",
    [
        {"payload": {"mediaType": JSON, "digest": "00" * 32, "size": 1}},
        {"payload": {"mediaType": "text/plain"}},
        {"document": "x"},
        {"salt": "AA"},
        {"number": 1},
        {"top_cnf": {"kid": "x"}},
        {"disclosable": "x"},
    ],
)
def test_a_credential_outside_the_profile_is_refused(form: str, changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        forms.open_file(remade(form, (), **{"disclosable": [], **changes}))


@pytest.mark.parametrize(
    "changes",
    [
        {"vct": "urn:pratique:profile:packing-list:1"},
        {"exp": None},
        {"status": {"status_list": {"idx": 1, "uri": "x"}}},
        {"documentType": "no-such-type"},
        {"jti": "x"},
    ],
)
def test_a_dc_sd_jwt_outside_the_profile_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(TradeError):
        forms.open_file(remade(sd_credential.DC, (), disclosable=[], **changes))


def test_a_dc_sd_jwt_of_a_document_needs_both_times() -> None:
    whole = sd_jwt.reveal(sd_credential.parse(issued(sd_credential.DC).to_bytes())).claims
    del whole["exp"]
    text = jws.sign(strict_json.canonical(whole), typ=sd_credential.DC, signer=KEY) + "~"
    with pytest.raises(MalformedError) as caught:
        forms.open_file(text.encode())
    assert caught.value.code == "sd_jwt_vc_malformed"


def test_a_vc_sd_jwt_without_a_subject_is_refused() -> None:
    text = jws.sign(b'{"credentialSubject":1}', typ=sd_credential.VC, signer=KEY) + "~"
    with pytest.raises(MalformedError):
        forms.open_file(text.encode())


def test_optional_claims_come_back_in_both_forms() -> None:
    made = replace(claims(), export_country="CN", import_country="NL", replaces=b"\x01" * 32)
    for form in sorted(sd_credential.FORMS):
        file = sd_credential.issue(made, INVOICE, KEY, salts=salts, form=form)
        assert forms.open_file(file.to_bytes()).claims == made
        assert forms.read(forms.parse_signature(file.to_bytes())).number == made.number


def test_what_cannot_be_disclosed_is_not_issued_this_way() -> None:
    described = world.claims(INVOICE, "commercial-invoice", "nhl")
    with pytest.raises(RefusedError) as caught:
        sd_credential.issue(described, INVOICE, KEY, salts=salts)
    assert caught.value.code == "credential_payload_mismatch"
    for key in ("quality-certificate", "phytosanitary-certificate"):
        with pytest.raises(RefusedError) as caught:
            sd_credential.disclosable_in(key, b"{}")
        assert caught.value.code == "nothing_disclosable"
    with pytest.raises(RefusedError):
        sd_credential.disclosable_in("certificate-of-origin", b'{"parties":[]}')
    with pytest.raises(TooLargeError):
        sd_credential.plain_payload(b" " * (credential.MAX_DOCUMENT_BYTES + 1))


def test_two_presentations_of_one_document_add_up() -> None:
    file = issued()
    one, two = shown(file, PRICES[0]), shown(file, PRICES[1], PRICES[2])
    both = forms.open_file(sd_credential.combined(one, two))
    assert both.presentation is not None
    assert both.presentation.withheld == ()
    other = issued(sd_credential.DC).to_bytes()
    with pytest.raises(RefusedError):
        sd_credential.combined(one, other)


@BOTH
def test_key_binding_is_the_verifiers_policy_never_if_present(form: str) -> None:
    file = issued(form, holder=HOLDER.public_jwk)
    part = sd_credential.present(file.to_bytes(), PRICES[2:])
    bound = key_binding.bind(part, ASKED, at=NOW, signer=HOLDER).text.encode()
    assert wrong(verify(bound, challenge=ASKED)[0]) == {}
    assert verify(bound, challenge=ASKED)[1] is not None
    assert wrong(verify(part.text.encode(), challenge=ASKED)[0]) == {
        "CRED-14": "key_binding_missing"
    }
    other = Challenge(ASKED.audience, "nonce-2")
    assert wrong(verify(bound, challenge=other)[0]) == {"CRED-14": "key_binding_other_nonce"}
    report, verified = verify(bound)
    assert verified is not None
    assert report.check("CRED-14") is None
    unbindable = world.issued().to_bytes()
    report, verified = verify(unbindable, status=world.status(), challenge=ASKED)
    assert wrong(report) == {"CRED-14": "key_binding_missing"}
    assert verified is None


def test_nothing_is_taken_from_a_selective_file_for_a_comparison() -> None:
    assert given_payload(issued().to_bytes()) is None
