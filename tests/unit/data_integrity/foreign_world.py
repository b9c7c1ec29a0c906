"""A credential of somebody else, proven and verified; and what is wrong with it."""

from __future__ import annotations

import json

from cryptography.hazmat.primitives.asymmetric import ed25519

from protocols import jws, keys
from protocols.credentials import data_integrity, did
from protocols.verify import verify_document
from schemas import strict_json
from schemas.catalogue import explain
from schemas.findings import Outcome, Report
from tests.support import evidence_world as world
from tests.support import title_world
from tests.support.title_world import NOW, ecdsa

ISSUER = title_world.did("cn-cert")
OWN = ecdsa("cn-cert", "credential")
FILE = world.issued()
ISSUED = world.ISSUED
STRANGER = ed25519.Ed25519PrivateKey.from_private_bytes(b"s" * 32)


def members(**changes: object) -> dict:
    """The credential of `FILE` as a plain document, with members changed or (None) left out."""
    document = strict_json.loads_object(jws.parse(FILE.credential, typ="vc+jwt").payload)
    return _merged(document, changes)


def _merged(document: dict, changes: dict) -> dict:
    merged = document | changes
    return {name: value for name, value in merged.items() if value is not None}


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


URI = "https://cn-cert.example/tokens/1"
