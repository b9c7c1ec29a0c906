"""Credentials of others through the one door of verification: every step, every verdict."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from typer.testing import CliRunner

from node.cli.main import build
from protocols import base64url, data_integrity, did, foreign_credential, jws, keys, member_list
from protocols import token_status_list as tokens
from protocols.member_list import AlgorithmEntry, KeyStanding
from protocols.status_list import StatusEntry
from protocols.verify import STEPS, Case, foreign_steps, verify_document
from schemas import strict_json
from schemas.catalogue import explain
from schemas.errors import MalformedError
from schemas.findings import Outcome, Report
from tests.shared import shared_path
from tests.support import evidence_world as world
from tests.support import title_world
from tests.support.title_world import NOW, ecdsa

if TYPE_CHECKING:
    from pathlib import Path

ISSUER = title_world.did("cn-cert")
OWN = ecdsa("cn-cert", "credential")
FILE = world.issued()
ISSUED = world.ISSUED
STRANGER = ed25519.Ed25519PrivateKey.from_private_bytes(b"s" * 32)
ALL = ["DI-01", *(f"CRED-{number:02d}" for number in (2, 3, 4, 5, 6, 7, 9, 10, 11, 12))]


def members(**changes: object) -> dict:
    """The credential of `FILE` as a plain document, with members changed or (None) left out."""
    document = strict_json.loads_object(jws.parse(FILE.credential, typ="vc+jwt").payload)
    return _merged(document, changes)


def _merged(document: dict, changes: dict) -> dict:
    merged = document | changes
    return {name: value for name, value in merged.items() if value is not None}


def subject(**changes: object) -> dict:
    """A credentialSubject with claims changed."""
    return _merged(members()["credentialSubject"], changes)


def by(private: object, kid: str = "") -> keys.SoftwareSigner:
    """A signer under its own did:key URL."""
    name = did.key_did(keys.SoftwareSigner("", private).public())
    return keys.SoftwareSigner(f"{name}#{name.removeprefix('did:key:')}", private)


def proven(
    document: dict | None = None, signer: keys.SoftwareSigner = OWN, **more: object
) -> bytes:
    """A document with a proof, as a file."""
    issued = data_integrity.issue(document or members(), signer, **{"created": ISSUED, **more})
    return json.dumps(issued, indent=1).encode()


def verify(file: bytes | None = None, **changes: object) -> Report:
    values = {
        "members": world.MEMBERS,
        "at": NOW,
        "status": world.status(),
        "verifier_country": "NL",
        **changes,
    }
    report, verified = verify_document(proven() if file is None else file, **values)
    assert verified is None  # a foreign statement never changes state
    return report


def wrong(report: Report) -> dict[str, tuple[str, str]]:
    found = {
        check.id: (check.outcome.value, check.code)
        for check in report.checks
        if check.outcome is not Outcome.PASSED and check.code != "not_reached"
    }
    for _, code in found.values():
        told = explain(code)
        assert told is not None, code
        assert told.zh
        assert told.next
    return found


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


# --- CRED-02, CRED-03: whose key ----------------------------------------------------------------


def test_a_did_key_is_indeterminate_as_to_trust_unless_the_list_names_its_thumbprint() -> None:
    own = by(STRANGER)
    issuer = own.kid.partition("#")[0]
    found = wrong(verify(proven(members(issuer=issuer), own)))
    assert found == {"CRED-02": ("INDETERMINATE", "key_not_listed")}
    # The same key listed under cn-cert: then it is cn-cert that speaks, with cn-cert's rights.
    listed = by(_private(OWN))
    report = verify(proven(members(issuer=listed.kid.partition("#")[0]), listed))
    assert wrong(report) == {}
    check = report.check("CRED-06")
    assert check is not None
    assert check.evidence["issuer"] == ISSUER
    # Or the credential names the member, and the proof the key by itself.
    assert wrong(verify(proven(signer=listed))) == {}


def test_a_did_jwk_is_judged_in_the_same_way() -> None:
    name = did.jwk_did(keys.SoftwareSigner("", STRANGER).public())
    own = keys.SoftwareSigner(f"{name}#0", STRANGER)
    found = wrong(verify(proven(members(issuer=name), own)))
    assert found == {"CRED-02": ("INDETERMINATE", "key_not_listed")}


def _private(signer: keys.SoftwareSigner) -> object:
    """The private key behind a test signer (P-256 from its name)."""
    from cryptography.hazmat.primitives.asymmetric import ec

    from protocols.digest import sha256

    number = int.from_bytes(sha256(b"cn-cert credential"), "big") >> 1
    private = ec.derive_private_key(number, ec.SECP256R1())
    assert keys.SoftwareSigner(signer.kid, private).public() == signer.public()
    return private


def test_another_dids_proof_is_not_the_issuers() -> None:
    found = wrong(verify(proven(signer=by(STRANGER))))
    assert found == {"CRED-02": ("FAILED", "proof_not_issuers")}
    found = wrong(verify(proven(signer=ecdsa("nhl", "credential"))))
    assert found == {"CRED-02": ("FAILED", "proof_not_issuers")}


def test_who_speaks_for_a_url_is_not_known_here() -> None:
    found = wrong(verify(proven(members(issuer="https://vc.example/issuers/1"), by(STRANGER))))
    assert found == {"CRED-02": ("INDETERMINATE", "issuer_not_listed")}


@pytest.mark.parametrize(
    ("method", "outcome"),
    [
        (f"{ISSUER}#credential-9", "INDETERMINATE"),
        ("did:web:169.254.169.254#key-1", "INDETERMINATE"),
        ("https://169.254.169.254/key.json", "INDETERMINATE"),
        ("did:example:1#key", "INDETERMINATE"),
        ("did:key:z0#z0", "FAILED"),
        ("did:nonsense", "FAILED"),
    ],
)
def test_r7_a_method_is_looked_up_in_the_list_and_never_fetched(method: str, outcome: str) -> None:
    report = verify(proven(members(issuer=method.partition("#")[0]), OWN, method=method))
    check = report.check("CRED-03")
    assert check is not None
    assert check.outcome.value == outcome
    assert report.verdict is not Outcome.PASSED


def test_r1_a_key_for_another_purpose_is_refused() -> None:
    found = wrong(verify(proven(signer=ecdsa("cn-cert", "exchange"))))
    assert found["CRED-02"] == ("FAILED", "key_wrong_purpose")


def with_own_key(**times: object) -> member_list.MemberList:
    nodes = tuple(
        replace(
            node,
            keys=tuple(replace(key, **times) if key.kid == OWN.kid else key for key in node.keys),
        )
        for node in world.MEMBERS.nodes
    )
    return replace(world.MEMBERS, nodes=nodes)


@pytest.mark.parametrize(
    ("times", "outcome", "code"),
    [
        ({"valid_from": NOW + timedelta(hours=1)}, "FAILED", "key_not_yet_valid"),
        ({"valid_until": NOW}, "FAILED", "key_not_current"),
        (
            {"compromised_from": NOW, "compromise_announced": NOW},
            "FAILED",
            "key_compromised",
        ),
        (
            {"compromised_from": NOW, "compromise_announced": NOW + timedelta(days=1)},
            "INDETERMINATE",
            "key_doubtful",
        ),
    ],
)
def test_cred_02_the_key_must_stand_in_its_time(times: dict, outcome: str, code: str) -> None:
    found = wrong(verify(members=with_own_key(**times)))
    assert found["CRED-02"] == (outcome, code)
    assert set(foreign_steps._STANDINGS) == set(KeyStanding) - {KeyStanding.VALID}


def test_r3_an_algorithm_that_the_list_refuses_is_refused_here_too() -> None:
    refusing = replace(world.MEMBERS, algorithms=(AlgorithmEntry("ES256", NOW),))
    assert wrong(verify(members=refusing))["CRED-02"] == ("FAILED", "algorithm_refused")


def test_cred_03_a_changed_claim_fails() -> None:
    file = strict_json.loads_object(proven())
    file["credentialSubject"]["number"] = "Q-2"
    found = wrong(verify(json.dumps(file).encode()))
    assert found["CRED-03"] == ("FAILED", "proof_verification_error")


def test_cred_03_tells_of_every_proof_by_the_standards_names() -> None:
    file = strict_json.loads_object(proven(strict_json.loads_object(proven()), by(STRANGER)))
    file["proof"][1]["created"] = "2026-01-01T00:00:00Z"
    check = verify(json.dumps(file).encode()).check("CRED-03")
    assert check is not None
    first, second = check.evidence["proofs"]
    assert first["outcome"] == "PASSED"
    assert "problem" not in first
    assert second["problem"] == "https://w3id.org/security#PROOF_VERIFICATION_ERROR"


def test_a_proof_over_rdf_is_neither_valid_nor_invalid_and_says_what_is_missing() -> None:
    file = strict_json.loads_object(proven())
    file["proof"]["cryptosuite"] = "ecdsa-rdfc-2019"
    report = verify(json.dumps(file).encode())
    assert wrong(report) == {"CRED-03": ("INDETERMINATE", "proof_contexts_missing")}
    assert report.verdict is Outcome.INDETERMINATE


def test_a_w3c_vector_is_sound_and_yet_nobody_here_vouches_for_it() -> None:
    file = shared_path("vectors/credentials/di/signedJCS.json").read_bytes()
    report = verify(file)
    assert wrong(report) == {"CRED-02": ("INDETERMINATE", "issuer_not_listed")}
    check = report.check("CRED-03")
    assert check is not None
    assert check.outcome is Outcome.PASSED


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


# --- CRED-10: status ----------------------------------------------------------------------------


def test_cred_10_a_revoked_credential_fails() -> None:
    revoked = world.status(revoked=(FILE,))
    assert wrong(verify(status=revoked)) == {"CRED-10": ("FAILED", "revoked")}
    found = wrong(verify(status=revoked, at=NOW - timedelta(hours=1)))
    assert found["CRED-10"][0] == "INDETERMINATE"


def test_cred_10_a_suspended_one_too_and_a_list_of_later_decides_nothing() -> None:
    entry = StatusEntry(members()["credentialStatus"]["statusListCredential"], 5, "suspension")
    file = proven(members(credentialStatus=entry.to_json()))
    bits = bytearray(16384)
    bits[0] = 0x04
    text = world.status(bits=bytes(bits), purpose="suspension")
    assert wrong(verify(file, status=text)) == {"CRED-10": ("INDETERMINATE", "suspended")}
    held = foreign_steps.status_list.open_list(text, members=world.MEMBERS, now=NOW)
    found = wrong(verify(file, status=held, at=NOW - timedelta(hours=1), members=world.MEMBERS))
    assert found["CRED-10"] == ("INDETERMINATE", "suspension_later")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"credentialStatus": None}, "status_not_stated"),
        ({"credentialStatus": [{"type": "Other"}]}, "status_malformed"),
        ({"credentialStatus": [{"type": "A"}, {"type": "B"}]}, "status_malformed"),
    ],
)
def test_cred_10_what_cannot_be_looked_up_is_unknown(change: dict, code: str) -> None:
    found = wrong(verify(proven(members(**change))))
    assert found == {"CRED-10": ("INDETERMINATE", code)}


def test_cred_10_no_list_an_old_list_and_a_rolled_back_list_are_unknown() -> None:
    assert wrong(verify(status=None)) == {"CRED-10": ("INDETERMINATE", "status_unknown")}
    old = world.status(at=NOW - timedelta(hours=1))
    assert wrong(verify(status=old)) == {"CRED-10": ("INDETERMINATE", "status_stale")}
    held = foreign_steps.status_list.open_list(world.status(), members=world.MEMBERS, now=NOW)
    found = wrong(verify(status=old, held_status=held))
    assert found == {"CRED-10": ("INDETERMINATE", "status_rollback")}
    assert wrong(verify(status=held, held_status=held)) == {}
    other = replace(held, url=held.url + "9")
    assert wrong(verify(status=held, held_status=other)) == {}


URI = "https://cn-cert.example/tokens/1"


def token(signer: keys.SoftwareSigner = OWN, **changes: object) -> str:
    payload = {
        "sub": URI,
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 3600,
        "ttl": 600,
        "status_list": {
            "bits": 2,
            "lst": base64url.encode(zlib.compress(bytes([0b11_10_01_00]))),
        },
        **changes,
    }
    return jws.sign(strict_json.canonical(payload), typ=tokens.TYP, signer=signer)


@pytest.mark.parametrize(
    ("index", "found"),
    [
        (0, {}),
        (1, {"CRED-10": ("FAILED", "revoked")}),
        (2, {"CRED-10": ("INDETERMINATE", "suspended")}),
        (3, {"CRED-10": ("INDETERMINATE", "status_unknown")}),
        (4, {"CRED-10": ("INDETERMINATE", "token_status_out_of_range")}),
    ],
)
def test_cred_10_a_token_status_list_is_asked_where_it_is_named(index: int, found: dict) -> None:
    stated = {"status_list": {"idx": index, "uri": URI}}
    file = proven(members(credentialStatus=None, status=stated))
    assert wrong(verify(file, status=token())) == found


def test_cred_10_neither_kind_of_list_answers_for_the_other() -> None:
    stated = {"status_list": {"idx": 0, "uri": URI}}
    file = proven(members(credentialStatus=None, status=stated))
    found = wrong(verify(file))
    assert found == {"CRED-10": ("INDETERMINATE", "jws_typ_unexpected")}
    assert wrong(verify(status=token())) == {"CRED-10": ("INDETERMINATE", "jws_typ_unexpected")}
    held = foreign_steps.status_list.open_list(world.status(), members=world.MEMBERS, now=NOW)
    assert wrong(verify(file, status=held)) == {"CRED-10": ("INDETERMINATE", "status_unknown")}
    late = NOW + timedelta(minutes=11)
    found = wrong(verify(file, status=token(), at=late))
    assert found == {"CRED-10": ("INDETERMINATE", "status_stale")}
    stranger = token(ecdsa("nhl", "credential"))
    found = wrong(verify(file, status=stranger))
    assert found == {"CRED-10": ("INDETERMINATE", "token_status_other_issuer")}


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
