"""CRED-02 and CRED-03: whose key proves a credential of others, and whether it is listed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from protocols import keys, member_list
from protocols.credentials import did
from protocols.member_list import AlgorithmEntry, KeyStanding
from protocols.verify import foreign_steps
from schemas import strict_json
from schemas.findings import Outcome
from tests.shared import shared_path
from tests.support import evidence_world as world
from tests.support.title_world import NOW, ecdsa
from tests.unit.data_integrity.foreign_world import (
    ISSUER,
    OWN,
    STRANGER,
    by,
    members,
    proven,
    verify,
    wrong,
)


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
