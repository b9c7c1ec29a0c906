"""Every numbered step of a verification passes for what is right and names what is wrong."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import base64url, credential, jws, leaf, status_list
from protocols.digest import sha256
from protocols.key_binding import Challenge
from protocols.leaf import LeafKind
from protocols.log_proof import LogProof
from protocols.member_list import IssuerEntry, MemberList
from protocols.verify import STEPS, Document, Receipt, Verified, verify_document
from schemas.catalogue import explain
from schemas.findings import Check, Outcome, Report
from tests.support import evidence_world as world
from tests.support.title_world import NOW, did, ecdsa, ed

FILE = world.issued()
ALL = {f"CRED-{number:02d}" for number in range(1, 13)}


def verify(
    file: bytes | None = None, **changes: object
) -> tuple[Report, Verified[Document] | None]:
    values = {
        "members": world.MEMBERS,
        "at": NOW,
        "status": world.status(),
        "verifier_country": "NL",
        **changes,
    }
    return verify_document(FILE.to_bytes() if file is None else file, **values)


def wrong(report: Report) -> dict[str, tuple[str, str]]:
    return {
        check.id: (check.outcome.value, check.code)
        for check in report.checks
        if check.outcome is not Outcome.PASSED and check.code != "not_reached"
    }


def only(report: Report, check_id: str, outcome: str, code: str) -> None:
    assert wrong(report) == {check_id: (outcome, code)}


def test_a_good_document_passes_every_step_in_order_and_is_verified() -> None:
    report, verified = verify(receipt=world.receipt(FILE))
    numbers = [check.id for check in report.checks]
    assert numbers == [*sorted(ALL), "LOG-01", "LOG-02", "LOG-03", "LOG-04"]
    assert report.verdict is Outcome.PASSED
    assert verified is not None
    assert verified.value.digest == FILE.digest
    assert verified.value.view.number == "Q-1"
    assert verified.report is report
    assert report.subject == FILE.digest.hex()


def test_recognition_is_left_out_when_no_country_asks() -> None:
    report, verified = verify(verifier_country=None)
    assert {check.id for check in report.checks} == ALL - {"CRED-11"}
    assert verified is not None


#: Asked only of files with certificates, or of issuers that must sign twice.
ASKED_ELSEWHERE = {"cred_15_certificates", "cred_16_countersignature"}


@pytest.mark.parametrize("step", [one for one in STEPS if one.__name__ not in ASKED_ELSEWHERE])
def test_every_step_stands_in_every_report(step: object) -> None:
    number = step.__name__.partition("_")[2][:2]
    report, _ = verify(b"nothing~", challenge=Challenge("a", "n"))
    assert report.check(f"CRED-{number}") is not None


# --- CRED-01, CRED-04, CRED-08: form, data model, payload ------------------------------------


@pytest.mark.parametrize("file", [b"", b"a.b.c", b"\xff\xfe", b"x" * 100, b"..", b"\n"])
def test_cred_01_what_is_no_credential_is_refused_by_form(file: bytes) -> None:
    report, verified = verify(file)
    assert wrong(report)["CRED-01"][0] == "FAILED"
    assert report.subject == ""
    assert verified is None
    others = [check for check in report.checks if check.id not in ("CRED-01", "CRED-12")]
    assert all(check.code == "not_reached" for check in others)
    assert report.verdict is Outcome.FAILED


def test_cred_01_a_file_too_large_is_refused() -> None:
    report, _ = verify(b"a" * (credential.MAX_FILE_BYTES + 1))
    assert wrong(report)["CRED-01"][0] == "FAILED"


def test_r1_a_status_list_is_no_document() -> None:
    report, _ = verify(world.status().encode())
    assert wrong(report)["CRED-04"][0] == "FAILED"


def test_r1_another_typ_is_no_credential() -> None:
    text = jws.sign(b"{}", typ="px-receipt+jws", signer=ecdsa("cn-cert", "credential"))
    report, _ = verify(text.encode())
    only(report, "CRED-01", "FAILED", "jws_typ_unexpected")


def test_cred_04_a_payload_outside_the_data_model_is_refused() -> None:
    text = jws.sign(b"{}", typ="vc+jwt", signer=ecdsa("cn-cert", "credential"), cty="vc")
    report, _ = verify(text.encode())
    only(report, "CRED-04", "FAILED", "credential_malformed")


def altered(find: bytes, put: bytes) -> bytes:
    """The credential with its payload changed and its signature kept."""
    head, body, signature = FILE.credential.split(".")
    payload = base64url.decode(body).replace(find, put)
    return f"{head}.{base64url.encode(payload)}.{signature}".encode()


def test_an_altered_weight_fails_by_signature_and_by_payload_digest() -> None:
    report, verified = verify(altered(b'"26460"', b'"29460"'))
    assert wrong(report)["CRED-03"] == ("FAILED", "bad_signature")
    assert wrong(report)["CRED-08"] == ("FAILED", "credential_payload_mismatch")
    assert verified is None


def test_cred_03_an_altered_claim_fails_by_signature_only() -> None:
    report, _ = verify(altered(b'"number":"Q-1","payload', b'"number":"Q-7","payload'))
    assert wrong(report)["CRED-03"] == ("FAILED", "bad_signature")
    assert "CRED-08" not in wrong(report)


@given(st.data())
def test_no_changed_byte_of_a_credential_ever_passes(data: st.DataObject) -> None:
    original = FILE.to_bytes()
    place = data.draw(st.integers(0, len(original) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda byte: byte != original[place]))
    report, verified = verify(original[:place] + bytes([value]) + original[place + 1 :])
    assert report.verdict is not Outcome.PASSED
    assert verified is None


@given(st.binary(max_size=400))
def test_no_bytes_ever_raise(data: bytes) -> None:
    report, verified = verify(data)
    assert report.verdict is Outcome.FAILED
    assert verified is None


# --- CRED-02: the key ------------------------------------------------------------------------


def with_key(name: str, purpose: str, **changes: object) -> MemberList:
    """The list with one key's fields replaced."""
    kid = ecdsa(name, purpose).kid
    nodes = tuple(
        replace(
            node,
            keys=tuple(replace(key, **changes) if key.kid == kid else key for key in node.keys),
        )
        for node in world.MEMBERS.nodes
    )
    return replace(world.MEMBERS, nodes=nodes)


def test_r7_an_unlisted_key_is_indeterminate_and_never_looked_up() -> None:
    nodes = tuple(node for node in world.MEMBERS.nodes if node.did != did("cn-cert"))
    report, _ = verify(members=replace(world.MEMBERS, nodes=nodes))
    assert wrong(report)["CRED-02"] == ("INDETERMINATE", "key_not_listed")
    assert wrong(report)["CRED-06"] == ("INDETERMINATE", "issuer_not_listed")
    assert report.verdict is Outcome.INDETERMINATE


def test_r1_a_key_of_another_purpose_signs_no_credential() -> None:
    file = world.issued(signer=ecdsa("cn-cert", "exchange"))
    report, _ = verify(file.to_bytes())
    only(report, "CRED-02", "FAILED", "key_wrong_purpose")


def test_cred_04_a_key_of_another_member_signs_for_nobody_else() -> None:
    file = world.issued(signer=ecdsa("nhl", "credential"))
    report, _ = verify(file.to_bytes())
    assert wrong(report)["CRED-04"][0] == "FAILED"


def test_r17_a_rotated_key_counts_only_with_a_witnessed_receipt_from_its_time() -> None:
    members = with_key("cn-cert", "credential", valid_until=NOW + timedelta(hours=1))
    later, fresh = NOW + timedelta(hours=2), {"status": opened_status(NOW + timedelta(hours=2))}
    report, _ = verify(members=members, at=later, **fresh)
    only(report, "CRED-02", "FAILED", "key_not_current")
    report, verified = verify(members=members, at=later, receipt=world.receipt(FILE), **fresh)
    assert verified is not None
    report, _ = verify(members=members, at=later, receipt=world.receipt(FILE, ()), **fresh)
    only(report, "CRED-02", "FAILED", "key_not_current")


def opened_status(at: object) -> status_list.StatusList:
    return status_list.open_list(world.status(at=at), members=world.MEMBERS, now=at)


def test_a_key_that_is_not_valid_yet_is_refused() -> None:
    members = with_key("cn-cert", "credential", valid_from=NOW + timedelta(hours=1))
    report, _ = verify(members=members, status=opened_status(NOW))
    only(report, "CRED-02", "FAILED", "key_not_yet_valid")


def test_r17_between_compromise_and_announcement_is_indeterminate_earlier_witnessed_stands() -> (
    None
):
    doubt, told = NOW + timedelta(hours=1), NOW + timedelta(hours=3)
    members = with_key("cn-cert", "credential", compromised_from=doubt, compromise_announced=told)
    during, after = NOW + timedelta(hours=2), NOW + timedelta(hours=4)
    report, _ = verify(members=members, at=during, status=renewed_status(during))
    only(report, "CRED-02", "INDETERMINATE", "key_doubtful")
    report, _ = verify(members=members, at=after, status=renewed_status(after))
    only(report, "CRED-02", "FAILED", "key_compromised")
    receipt = world.receipt(FILE, at=NOW)
    report, verified = verify(
        members=members, at=after, status=renewed_status(after), receipt=receipt
    )
    assert verified is not None


def renewed_status(at: object) -> status_list.StatusList:
    """As `opened_status`, by a key about which there is no doubt."""
    return replace(opened_status(at), kid=ecdsa("nl-customs", "credential").kid)


def test_r17_a_list_held_from_before_its_key_fell_into_doubt_says_nothing_any_more() -> None:
    """Whoever stole the key could have signed it, with a long life, before anybody knew."""
    doubt, told = NOW + timedelta(hours=1), NOW + timedelta(hours=3)
    members = with_key("cn-cert", "credential", compromised_from=doubt, compromise_announced=told)
    forged = world.status(at=NOW + timedelta(hours=2), ttl=timedelta(days=100))
    held = status_list.open_list(forged, members=world.MEMBERS, now=NOW + timedelta(hours=2))
    receipt = world.receipt(FILE, at=NOW)
    at = NOW + timedelta(hours=4)
    report, verified = verify(members=members, at=at, status=held, receipt=receipt)
    only(report, "CRED-10", "INDETERMINATE", "status_key_refused")
    assert verified is None


def test_moments_at_the_end_of_time_are_compared_and_never_overflow() -> None:
    last = datetime.max.replace(tzinfo=UTC)
    for at in (last, datetime.min.replace(tzinfo=UTC)):
        report, _ = verify(at=at, status=None, historical=True)
        assert report.verdict is not Outcome.PASSED


# --- CRED-05, CRED-06: network and right ------------------------------------------------------


def test_r1_a_credential_of_another_network_is_refused() -> None:
    file = world.issued(network=sha256(b"another"))
    report, _ = verify(file.to_bytes())
    only(report, "CRED-05", "FAILED", "other_network")


def test_cred_06_an_issuer_without_the_right_is_refused() -> None:
    report, _ = verify(members=replace(world.MEMBERS, issuers=()))
    assert wrong(report)["CRED-06"] == ("FAILED", "issuer_without_right")


def test_cred_06_a_right_that_ended_counts_only_for_what_is_proven_older() -> None:
    ends = NOW + timedelta(hours=1)
    start = NOW - timedelta(days=1)
    right = IssuerEntry(did("cn-cert"), "quality-certificate", "CN", start, ends)
    members, later = replace(world.MEMBERS, issuers=(right,)), NOW + timedelta(hours=2)
    status = opened_status(later)
    report, _ = verify(members=members, at=later, status=status)
    assert wrong(report)["CRED-06"] == ("FAILED", "issuer_without_right")
    report, verified = verify(members=members, at=later, status=status, receipt=world.receipt(FILE))
    assert verified is not None


def test_cred_06_a_right_for_another_country_does_not_cover() -> None:
    right = replace(world.MEMBERS.issuers[0], country="KR")
    report, _ = verify(members=replace(world.MEMBERS, issuers=(right,)))
    assert wrong(report)["CRED-06"] == ("FAILED", "issuer_without_right")


def test_cred_06_the_role_of_a_node_is_enough_where_the_list_says_nothing_more() -> None:
    payload = packing_list()
    file = world.issued(payload, "packing-list", "nhl")
    report, verified = verify(file.to_bytes(), status=world.status("nhl"))
    assert verified is not None, wrong(report)
    check = report.check("CRED-11")
    assert check is not None
    assert check.code == "recognition_not_needed"
    listed = IssuerEntry(did("cn-port"), "packing-list", "CN", NOW - timedelta(days=1))
    members = replace(world.MEMBERS, issuers=(*world.MEMBERS.issuers, listed))
    report, _ = verify(file.to_bytes(), status=world.status("nhl"), members=members)
    only(report, "CRED-06", "FAILED", "issuer_without_right")


def packing_list() -> bytes:
    document = json.loads(world.quality("P-1"))
    for name in ("inspectedAt", "results", "verdict"):
        del document[name]
    document |= {
        "documentType": "packing-list",
        "importCountry": "NL",
        "invoice": {"number": "INV-1", "date": "2026-11-17"},
        "parties": {
            "seller": {"name": "A"},
            "buyer": {"name": "B"},
            "consignor": {"name": "A"},
            "consignee": {"name": "B"},
        },
        "containers": [{"number": world.BOX}],
        "totals": {
            "packages": 1890,
            "netWeight": {"value": "24570", "unit": "KGM"},
            "grossWeight": {"value": "26460", "unit": "KGM"},
        },
        "goods": [
            {
                "sequence": 1,
                "description": "Fresh ginger",
                "hs": "091011",
                "packages": {"count": 1890, "packageType": "CT"},
                "netWeight": {"value": "24570", "unit": "KGM"},
                "grossWeight": {"value": "26460", "unit": "KGM"},
            }
        ],
    }
    return json.dumps(document).encode()


def test_cred_06_and_09_an_unknown_type_is_named() -> None:
    made = world.claims(world.quality(), "quality-certificate", "cn-cert")
    made = replace(made, document_type="no-such-paper")
    file = credential.issue(made, world.quality(), ecdsa("cn-cert", "credential"))
    report, _ = verify(file.to_bytes())
    assert wrong(report)["CRED-06"] == ("FAILED", "unknown_document_type")
    assert wrong(report)["CRED-09"] == ("FAILED", "unknown_document_type")


# --- CRED-07, CRED-09 -------------------------------------------------------------------------


def test_cred_07_time_is_judged_at_the_one_frozen_moment() -> None:
    later = NOW + timedelta(days=31)
    report, _ = verify(at=later, status=opened_status(NOW))
    assert wrong(report)["CRED-07"] == ("FAILED", "credential_expired")
    file = world.issued(valid_from=NOW + timedelta(hours=1))
    report, _ = verify(file.to_bytes())
    assert wrong(report)["CRED-07"] == ("FAILED", "credential_not_yet_valid")


def test_cred_07_a_document_past_its_own_date_is_expired() -> None:
    file = world.issued(world.quality(validUntil="2026-11-17"))
    report, _ = verify(file.to_bytes())
    assert wrong(report)["CRED-07"] == ("FAILED", "credential_expired")


def test_cred_09_error_findings_fail_and_are_listed() -> None:
    file = world.issued(world.quality(exportCountry="China"), export_country=None)
    report, verified = verify(file.to_bytes())
    assert wrong(report)["CRED-09"] == ("FAILED", "document_breaks_rules")
    assert any(finding.pointer == "/exportCountry" for finding in report.findings)
    assert verified is None


def test_cred_09_claims_that_contradict_the_document_fail() -> None:
    report, _ = verify(world.issued(number="Q-9").to_bytes())
    only(report, "CRED-09", "FAILED", "claims_contradict_document")
    check = report.check("CRED-09")
    assert check is not None
    assert check.reason == "number"


# --- CRED-10: status --------------------------------------------------------------------------


def test_cred_10_a_revoked_document_fails() -> None:
    report, _ = verify(status=world.status(revoked=(FILE,)))
    only(report, "CRED-10", "FAILED", "revoked")


def test_r25_no_status_and_stale_status_are_indeterminate() -> None:
    report, verified = verify(status=None)
    only(report, "CRED-10", "INDETERMINATE", "status_unknown")
    assert verified is None
    old = world.status(at=NOW - timedelta(minutes=16))
    report, _ = verify(status=old)
    only(report, "CRED-10", "INDETERMINATE", "status_stale")
    assert report.verdict is Outcome.INDETERMINATE


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"issuer": "nhl"}, "status_other_issuer"),
        ({"signer": ecdsa("cn-cert", "exchange")}, "status_key_refused"),
        ({"url": status_list.list_url(did("cn-cert"), "2")}, "status_other_list"),
        ({"network": sha256(b"x")}, "status_other_network"),
        ({"purpose": "suspension"}, "status_other_purpose"),
    ],
)
def test_cred_10_a_list_that_does_not_belong_says_nothing(
    changes: dict[str, object], code: str
) -> None:
    report, _ = verify(status=world.status(**changes))
    only(report, "CRED-10", "INDETERMINATE", code)


def test_cred_10_a_rolled_back_list_says_nothing() -> None:
    held = opened_status(NOW)
    older = world.status(at=NOW - timedelta(minutes=5))
    report, _ = verify(status=older, held_status=held)
    only(report, "CRED-10", "INDETERMINATE", "status_rollback")
    foreign = status_list.open_list(world.status("nhl"), members=world.MEMBERS, now=NOW)
    assert verify(held_status=foreign)[1] is not None


def test_r25_a_historical_report_is_marked_and_verifies_nothing() -> None:
    report, verified = verify(historical=True)
    assert report.verdict is Outcome.PASSED
    assert report.historical
    assert verified is None


def test_a_list_signed_later_speaks_for_the_past_only_while_the_bit_is_clear() -> None:
    later = NOW + timedelta(hours=5)
    report, _ = verify(status=opened_status(later), historical=True)
    assert report.verdict is Outcome.PASSED
    revoked = status_list.open_list(
        world.status(at=later, revoked=(FILE,)), members=world.MEMBERS, now=later
    )
    report, _ = verify(status=revoked, historical=True)
    only(report, "CRED-10", "INDETERMINATE", "status_later")


# --- CRED-11, CRED-12 -------------------------------------------------------------------------


def test_cred_11_without_an_agreement_it_is_not_recognised() -> None:
    report, _ = verify(verifier_country="KZ")
    only(report, "CRED-11", "FAILED", "not_recognised")
    assert verify(verifier_country="CN")[1] is not None  # a country accepts its own issuers


def test_r6_reading_goes_on_for_seven_days_and_then_nothing_is_known() -> None:
    expired = expired_since(NOW - timedelta(days=1))
    report, _ = verify(members=expired, status=opened_status(NOW))
    assert wrong(report) == {}
    check = report.check("CRED-12")
    assert check is not None
    assert check.code == "list_reading_only"
    stale = expired_since(NOW - timedelta(days=8))
    report, verified = verify(members=stale, status=opened_status(NOW))
    only(report, "CRED-12", "INDETERMINATE", "list_stale")
    assert verified is None


def expired_since(end: datetime) -> MemberList:
    """The list with that end; its keys began long before."""
    early = timedelta(days=400)
    nodes = tuple(
        replace(node, keys=tuple(replace(k, valid_from=k.valid_from - early) for k in node.keys))
        for node in world.MEMBERS.nodes
    )
    return replace(world.MEMBERS, nodes=nodes, expires=end)


def test_r6_grace_is_for_known_keys_and_a_new_one_fails_closed() -> None:
    expired = replace(world.MEMBERS, expires=NOW - timedelta(days=1))
    kid = jws.parse(FILE.to_bytes().decode(), typ="vc+jwt").kid
    began = world.MEMBERS.key(kid)
    assert began is not None
    assert began.valid_from >= expired.expires, "the key began after the list had ended"
    report, verified = verify(members=expired, status=opened_status(NOW))
    only(report, "CRED-12", "INDETERMINATE", "list_stale_for_new_key")
    assert verified is None


def test_r4_a_list_of_a_later_moment_answers_for_none_before_it() -> None:
    later = replace(world.MEMBERS, issued_at=NOW + timedelta(minutes=2))
    report, _ = verify(members=later)
    only(report, "CRED-12", "INDETERMINATE", "list_not_yet")


# --- LOG: receipts ----------------------------------------------------------------------------


def test_r17_an_unwitnessed_receipt_is_marked_and_indeterminate_only_when_asked() -> None:
    receipt = world.receipt(FILE, witnesses=("cn-port",))
    report, verified = verify(receipt=receipt)
    check = report.check("LOG-04")
    assert check is not None
    assert (check.outcome, check.code) == (Outcome.PASSED, "unwitnessed")
    assert verified is not None
    report, verified = verify(receipt=receipt, require_witnesses=True)
    only(report, "LOG-04", "INDETERMINATE", "unwitnessed")
    assert verified is None


def test_a_missing_receipt_counts_only_when_asked_for() -> None:
    report, _ = verify(require_witnesses=True)
    only(report, "LOG-01", "INDETERMINATE", "receipt_missing")


def test_r18_a_receipt_of_another_document_is_refused() -> None:
    report, _ = verify(receipt=world.receipt(world.issued(world.quality("Q-2"))))
    only(report, "LOG-01", "FAILED", "leaf_of_other_document")
    report, _ = verify(receipt=Receipt(b"no leaf", world.receipt(FILE).proof))
    only(report, "LOG-01", "FAILED", "leaf_malformed")
    report, _ = verify(b"nothing", receipt=world.receipt(FILE))
    check = report.check("LOG-01")
    assert check is not None
    assert check.code == "not_reached"


def test_r5_a_log_that_the_list_does_not_name_proves_nothing() -> None:
    report, _ = verify(receipt=world.receipt(FILE, owner="kz-rail"))
    only(report, "LOG-02", "INDETERMINATE", "log_not_listed")


def test_a_receipt_that_cannot_be_read_or_does_not_lead_to_the_root_fails() -> None:
    good = world.receipt(FILE)
    report, _ = verify(receipt=replace(good, proof="no proof"))
    only(report, "LOG-02", "FAILED", "log_proof_malformed")
    other = leaf.encode(replace(leaf.decode(good.entry), kind=LeafKind.ISSUE))
    report, _ = verify(receipt=replace(good, entry=other))
    assert wrong(report)["LOG-03"][0] == "FAILED"


def test_r16_an_older_epoch_of_the_log_still_proves() -> None:
    listed = world.MEMBERS.log(world.log_key("nl-port").name)
    assert listed is not None
    newer = replace(listed, epoch=2, policy="")
    members = replace(world.MEMBERS, logs=(*world.MEMBERS.logs, newer))
    assert verify(members=members, receipt=world.receipt(FILE))[1] is not None
    lone = replace(world.MEMBERS, logs=(newer,))
    report, _ = verify(members=lone, receipt=world.receipt(FILE, ()))
    check = report.check("LOG-04")
    assert check is not None
    assert check.code == "unwitnessed"


def test_r5_the_policy_beside_the_receipt_counts_for_nothing() -> None:
    text = world.receipt(FILE, ()).proof
    proof = LogProof(
        **{name: getattr(_parsed(text), name) for name in ("index", "hashes", "checkpoint")}
    )
    with_extra = replace(proof, extra=b"quorum none").to_text()
    report, _ = verify(receipt=Receipt(world.receipt(FILE).entry, with_extra))
    assert wrong(report)["LOG-03"] == ("FAILED", "log_proof_malformed")


def _parsed(text: str) -> LogProof:
    from protocols import log_proof

    return log_proof.parse(text)


# --- Verified ---------------------------------------------------------------------------------


def test_only_the_verifier_makes_a_verified_value_and_it_cannot_be_changed_or_copied() -> None:
    report, verified = verify()
    assert verified is not None
    with pytest.raises(TypeError):
        Verified(verified.value, report, seal=object())
    with pytest.raises(TypeError):
        verified._value = None
    with pytest.raises(TypeError):
        del verified._value
    with pytest.raises(TypeError):
        pickle.dumps(verified)
    with pytest.raises(TypeError):
        copy.copy(verified)
    assert FILE.digest.hex() in repr(verified)


def test_a_report_that_did_not_pass_seals_nothing() -> None:
    from protocols.verify import verified as module

    failed = Report("x", "", (Check("CRED-01", Outcome.FAILED),))
    passed = Report("x", "", (Check("CRED-01", Outcome.PASSED),), historical=True)
    for report in (failed, passed):
        with pytest.raises(TypeError):
            Verified(1, report, seal=module._SEAL)


def test_no_other_module_touches_the_seal() -> None:
    root = Path(__file__).resolve().parents[3]
    users = {
        str(file.relative_to(root))
        for package in ("schemas", "protocols", "ledger", "interop", "node", "testnet")
        for file in (root / package).rglob("*.py")
        if "_SEAL" in file.read_text(encoding="utf-8")
    }
    assert users == {"protocols/verify/verified.py", "protocols/verify/run.py"}


def test_every_check_and_code_of_a_report_is_explained() -> None:
    reports = [
        verify()[0],
        verify(b"")[0],
        verify(status=None, verifier_country="KZ", require_witnesses=True)[0],
    ]
    for check in [check for report in reports for check in report.checks]:
        assert explain(check.id) is not None, check.id
        assert not check.code or explain(check.code) is not None, check.code
        assert check.to_json("zh")["title"]


def test_the_log_key_of_the_world_is_not_a_credential_key() -> None:
    assert ed("cn-cert", "log").kid != ecdsa("cn-cert", "credential").kid


def test_r17_a_key_listed_within_the_witnessed_second_is_not_too_young() -> None:
    members = with_key("cn-cert", "credential", valid_from=NOW + timedelta(milliseconds=500))
    receipt = world.receipt(FILE)
    _, verified = verify(
        members=members, at=NOW + timedelta(seconds=2), status=opened_status(NOW), receipt=receipt
    )
    assert verified is not None
