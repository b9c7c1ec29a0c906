"""PRF-01: without a member list, a proof counts only by a key of the issuer's own identifier."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from protocols import keys
from protocols.credentials import data_integrity, did, vcdm
from protocols.credentials.data_integrity import Expected
from protocols.verify.proven import Proven, credential_report
from schemas.findings import Outcome
from tests.support.title_world import NOW


def by(seed: bytes) -> keys.SoftwareSigner:
    """A signer under its own did:key URL."""
    private = ed25519.Ed25519PrivateKey.from_private_bytes(seed * 32)
    name = did.key_did(keys.SoftwareSigner("", private).public())
    return keys.SoftwareSigner(f"{name}#{name.removeprefix('did:key:')}", private)


ISSUER, STRANGER = by(b"i"), by(b"s")


@pytest.mark.parametrize(
    ("signer", "outcome"), [(ISSUER, Outcome.PASSED), (STRANGER, Outcome.FAILED)]
)
def test_prf_01_a_strangers_proof_is_not_the_issuers(
    signer: keys.SoftwareSigner, outcome: Outcome
) -> None:
    document = {
        "@context": [vcdm.CONTEXT],
        "type": [vcdm.TYPE],
        "issuer": ISSUER.kid.partition("#")[0],
        "credentialSubject": {"id": "did:example:subject"},
    }
    signed = data_integrity.issue(document, signer, created=NOW)
    found = Proven(NOW)
    resolve = {one.kid: one.public() for one in (ISSUER, STRANGER)}.get
    found.read(json.dumps(signed).encode(), resolve, Expected(NOW))
    report = credential_report(found)
    check = report.check("PRF-01")
    assert check is not None
    assert check.outcome is outcome
    others = [one.outcome for one in report.checks if one.id != "PRF-01"]
    assert set(others) == {Outcome.PASSED}
