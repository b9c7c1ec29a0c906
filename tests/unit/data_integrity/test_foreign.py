"""Credentials of others through the one door of verification: every step, every verdict."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from node.cli.main import build
from protocols import base64url, member_list
from protocols.credentials import foreign_credential
from protocols.verify import STEPS, Case, foreign_steps
from schemas import strict_json
from schemas.errors import MalformedError
from schemas.findings import Outcome
from tests.support import evidence_world as world
from tests.support.title_world import NOW, ecdsa
from tests.unit.data_integrity.foreign_world import (
    ISSUER,
    STRANGER,
    URI,
    _merged,
    by,
    members,
    proven,
    verify,
    wrong,
)

if TYPE_CHECKING:
    from pathlib import Path

ALL = ["DI-01", *(f"CRED-{number:02d}" for number in (2, 3, 4, 5, 6, 7, 9, 10, 11, 12))]


def subject(**changes: object) -> dict:
    """A credentialSubject with claims changed."""
    return _merged(members()["credentialSubject"], changes)


def test_a_members_credential_with_a_proof_passes_every_step_that_applies() -> None:
    report = verify()
    assert wrong(report) == {}
    assert [check.id for check in report.checks] == ALL
    assert report.verdict is Outcome.PASSED
    assert len(report.subject) == 64
    assert report.to_json("zh")["checks"]
    # Whoever proves it, and however often: the statement is the same one.
    twice = proven(strict_json.loads_object(proven()), by(STRANGER))
    assert verify(twice).subject == report.subject


def test_recognition_and_network_are_asked_where_they_can_be() -> None:
    report = verify(proven(members(network=None)), verifier_country=None)
    ids = [check.id for check in report.checks]
    assert ids == [name for name in ALL if name not in ("CRED-05", "CRED-11")]
    assert report.verdict is Outcome.PASSED


def test_a_historical_report_says_so() -> None:
    assert verify(historical=True).historical


def test_every_foreign_step_is_one_of_the_reports() -> None:
    assert len(foreign_steps.STEPS) == len(ALL)


# --- DI-01, CRED-04 -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (b'{"proof": {}, "proof": {}}', "json_duplicate_name"),
        (b'{"proof": 1e400}', None),
        (b'{"proof": ', None),
        (b'{"proof": []}', "proof_malformed"),
        (b'{"proof": "' + b"a" * foreign_credential.MAX_BYTES + b'"}', None),
    ],
)
def test_di_01_what_cannot_be_read_fails_and_the_rest_is_not_reached(
    file: bytes, code: str | None
) -> None:
    report = verify(file)
    found = wrong(report)
    assert set(found) == {"DI-01"}
    assert found["DI-01"][0] == "FAILED"
    assert code is None or found["DI-01"][1] == code
    others = [check for check in report.checks if check.id not in ("DI-01", "CRED-12")]
    assert all(check.code == "not_reached" for check in others)


@pytest.mark.parametrize("file", [b"{}", b'{"documentType":"x"}', b'[{"proof":1}]'])
def test_other_files_are_not_taken_for_foreign_credentials(file: bytes) -> None:
    assert not foreign_steps.is_foreign(file)
    assert wrong(verify(file))["CRED-01"][0] == "FAILED"


def resource(**more: object) -> dict:
    return {"id": "https://a.example/r", "digestSRI": "sha384-" + "A" * 64, **more}


@pytest.mark.parametrize(
    "change",
    [
        {"@context": "https://www.w3.org/ns/credentials/v2"},
        {"@context": ["https://www.w3.org/2018/credentials/v1"]},
        {"@context": ["https://a.example/v1", "https://www.w3.org/ns/credentials/v2"]},
        {"@context": ["https://www.w3.org/ns/credentials/v2", 5]},
        {"@context": ["https://www.w3.org/ns/credentials/v2", "no url"]},
        {"type": ["Other"]},
        {"issuer": "no url"},
        {"issuer": {"id": ISSUER, "name": 5}},
        {"name": [{"@value": "a"}, "b"]},
        {"relatedResource": "x"},
        {"relatedResource": [resource(), resource()]},
        {"relatedResource": {"id": "https://a.example/r"}},
        {"credentialSubject": [{"id": "no url"}]},
        {"termsOfUse": [{"type": []}]},
        {"validFrom": "2027-01-01T00:00:00Z", "validUntil": "2026-01-01T00:00:00Z"},
    ],
)
def test_cred_04_what_breaks_the_data_model_fails(change: dict) -> None:
    found = wrong(verify(proven(members(**change))))
    assert found["CRED-04"] == ("FAILED", "credential_malformed")


@pytest.mark.parametrize(
    "change",
    [
        {"type": "VerifiableCredential"},
        {"relatedResource": [resource(), {**resource(), "id": "https://a.example/s"}]},
        {
            "relatedResource": {
                "id": "https://a.example/r",
                "digestMultibase": "u" + base64url.encode(b"\x12\x20" + bytes(32)),
            }
        },
        {"issuer": {"id": ISSUER, "name": "Desk", "description": {"@value": "d"}}},
        {"evidence": {"type": ["A", "B"], "id": "urn:e"}},
        {
            "@context": ["https://www.w3.org/ns/credentials/v2", {"Mine": {"@id": "urn:mine"}}],
            "type": ["VerifiableCredential", "Mine"],
        },
        {
            "@context": ["https://www.w3.org/ns/credentials/v2", {"@vocab": "urn:all:"}],
            "type": ["VerifiableCredential", "Mine"],
        },
    ],
)
def test_cred_04_what_the_data_model_allows_passes(change: dict) -> None:
    assert wrong(verify(proven(members(**change)))) == {}


def test_version_1_of_the_data_model_is_read_with_its_own_dates() -> None:
    old = {
        "@context": ["https://www.w3.org/2018/credentials/v1", "https://a.example/v1"],
        "validFrom": None,
        "validUntil": None,
        "issuanceDate": "2026-11-18T05:00:00Z",
        "expirationDate": "2026-12-18T05:00:00Z",
    }
    assert wrong(verify(proven(members(**old)))) == {}
    found = wrong(verify(proven(members(**{**old, "expirationDate": "2026-11-18T05:30:00Z"}))))
    assert found == {"CRED-07": ("FAILED", "credential_expired")}
    found = wrong(verify(proven(members(**{**old, "issuanceDate": None}))))
    assert found["CRED-04"][0] == "FAILED"


# --- CRED-05 … CRED-09 --------------------------------------------------------------------------


def test_r1_a_credential_of_another_network_is_refused() -> None:
    found = wrong(verify(proven(members(network="00" * 32))))
    assert found == {"CRED-05": ("FAILED", "other_network")}


def test_cred_06_without_a_document_type_there_is_no_right_to_look_for() -> None:
    other = subject(documentType="no-such-type", document=None)
    for claims in ({"a": 1}, other, subject(exportCountry=5, document=None)):
        found = wrong(verify(proven(members(credentialSubject=claims))))
        assert found == {"CRED-06": ("INDETERMINATE", "document_type_not_named")}


def test_cred_06_a_listed_key_without_the_right_fails() -> None:
    found = wrong(verify(proven(members(credentialSubject=subject(exportCountry="NL")))))
    assert found["CRED-06"] == ("FAILED", "issuer_without_right")


@pytest.mark.parametrize("days", [-1, 40])
def test_cred_07_time_is_judged_at_the_moment(days: int) -> None:
    found = wrong(verify(at=NOW + timedelta(days=days), status=None))
    assert found["CRED-07"][0] == "FAILED"


def test_cred_07_a_credential_need_not_state_its_time() -> None:
    assert wrong(verify(proven(members(validFrom=None, validUntil=None)))) == {}


def test_cred_09_the_document_inside_obeys_its_profile_and_the_claims() -> None:
    inside = members()["credentialSubject"]["document"]
    broken = subject(document={**inside, "verdict": "PERHAPS"})
    report = verify(proven(members(credentialSubject=broken)))
    assert wrong(report)["CRED-09"] == ("FAILED", "document_breaks_rules")
    assert report.findings
    found = wrong(verify(proven(members(credentialSubject=subject(number="Q-2")))))
    assert found == {"CRED-09": ("FAILED", "claims_contradict_document")}


def test_cred_09_without_a_document_inside_nothing_is_said_of_it() -> None:
    report = verify(proven(members(credentialSubject=subject(document=None))))
    assert report.verdict is Outcome.INDETERMINATE
    check = report.check("CRED-09")
    assert check is not None
    assert check.code == "not_reached"


def test_cred_09_a_document_that_is_no_document_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(key: str, payload: bytes) -> None:
        raise MalformedError("credential_malformed", "")

    monkeypatch.setattr(foreign_steps.registry, "examine", refuse)
    assert wrong(verify())["CRED-09"] == ("FAILED", "credential_malformed")


# --- CRED-11, CRED-12 ---------------------------------------------------------------------------


def test_cred_11_recognition_needs_an_agreement() -> None:
    assert wrong(verify(verifier_country="SG")) == {"CRED-11": ("FAILED", "not_recognised")}


def test_cred_11_a_traders_document_needs_no_agreement() -> None:
    invoice = subject(documentType="commercial-invoice", document=None)
    report = verify(proven(members(credentialSubject=invoice)), verifier_country="SG")
    check = report.check("CRED-11")
    assert check is not None
    assert (check.outcome, check.code) == (Outcome.PASSED, "recognition_not_needed")


def test_cred_12_a_stale_list_is_unknown() -> None:
    found = wrong(verify(at=NOW + timedelta(days=400), status=None))
    assert found["CRED-12"] == ("INDETERMINATE", "list_stale")


# --- where it is called from --------------------------------------------------------------------


def test_the_list_to_fetch_is_named_only_for_members() -> None:
    def named(file: bytes) -> foreign_steps.StatusNamed | None:
        return foreign_steps.status_named(Case(file, world.MEMBERS, NOW))

    url = members()["credentialStatus"]["statusListCredential"]
    assert named(proven()) == foreign_steps.StatusNamed(ISSUER, (url,))
    assert named(proven(members(credentialStatus=None))) == foreign_steps.StatusNamed(ISSUER)
    stated = {"status_list": {"idx": 0, "uri": URI}}
    asked = named(proven(members(credentialStatus=None, status=stated)))
    assert asked == foreign_steps.StatusNamed(ISSUER, token=URI)
    stated = {"status_list": {"idx": 0, "uri": "file:///tmp/list"}}
    assert named(proven(members(credentialStatus=None, status=stated))) is None
    own = by(STRANGER)
    assert named(proven(members(issuer=own.kid.partition("#")[0]), own)) is None
    assert named(b"nothing") is None
    assert STEPS


def test_pratique_verify_takes_a_foreign_credential(tmp_path: Path) -> None:
    trust = tmp_path / "trust.json"
    signed = member_list.sign_list(world.draft().payload(), [ecdsa("founder", "root")])
    trust.write_bytes(member_list.write_export([signed]))
    file = tmp_path / "foreign.json"
    file.write_bytes(proven())
    file.with_suffix(".status.jwt").write_text(world.status())
    at = NOW.isoformat().replace("+00:00", "Z")
    command = ["verify", str(file), "--trust", str(trust), "--at", at, "--country", "NL", "--json"]
    answer = CliRunner().invoke(build(command), command)
    body = json.loads(answer.stdout)
    assert (body["verdict"], answer.exit_code) == ("PASSED", 0), body
    assert [check["id"] for check in body["checks"]] == ALL
    file.write_bytes(proven(signer=by(STRANGER)))
    answer = CliRunner().invoke(build(command), command)
    assert (json.loads(answer.stdout)["verdict"], answer.exit_code) == ("FAILED", 1)
