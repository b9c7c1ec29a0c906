"""Every numbered step stands in a report; the file's form, its content, and what is sealed."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import base64url, jws
from protocols.credentials import credential
from protocols.credentials.key_binding import Challenge
from protocols.verify import STEPS, Verified
from schemas.catalogue import explain
from schemas.findings import Check, Outcome, Report
from tests.support import evidence_world as world
from tests.support.title_world import ecdsa
from tests.unit.verification.documents import FILE, only, verify, wrong

ALL = {f"CRED-{number:02d}" for number in range(1, 13)}


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


# --- CRED-01, CRED-03, CRED-04, CRED-08, CRED-09: form and content ---------------------------


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
