"""Documents proven over RDF and verified with the imported contexts."""

from __future__ import annotations

import struct
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from node.verification.canonicaliser import WORKER, Limits, OfflineCanonicaliser
from node.verification.contexts import ContextStore
from protocols import keys
from protocols.credentials import data_integrity, did
from protocols.credentials.data_integrity import Expected, Verification
from schemas.catalogue import explain
from tests.shared import shared_path

AT = datetime(2026, 6, 1, tzinfo=UTC)
#: How fast the machine is decides no test: an honest document may take its time here.
UNHURRIED = Limits(seconds=60.0)
V2 = "https://www.w3.org/ns/credentials/v2"
EXAMPLES = "https://www.w3.org/ns/credentials/examples/v2"
PRIVATE = {
    "Ed25519": ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)),
    "P-256": ec.derive_private_key(7, ec.SECP256R1()),
    "P-384": ec.derive_private_key(8, ec.SECP384R1()),
}


@cache
def contexts() -> ContextStore:
    return ContextStore.of_files(shared_path("vectors/credentials/contexts"))


def resolve(method: str) -> keys.PublicKey:
    return did.resolve(did.parse(method))


def signer(kind: str) -> keys.SoftwareSigner:
    name = did.key_did(keys.SoftwareSigner("", PRIVATE[kind]).public())
    return keys.SoftwareSigner(f"{name}#{name.removeprefix('did:key:')}", PRIVATE[kind])


def verify(document: dict, machine: OfflineCanonicaliser) -> Verification:
    forms = machine.forms(data_integrity.canonical_inputs(document, resolve), contexts())
    return data_integrity.verify(document, resolve, Expected(AT), forms)


def worst(document: dict, machine: OfflineCanonicaliser) -> tuple[str, str]:
    found = verify(document, machine).worst
    told = explain(found.code)
    assert not found.code or (told is not None and told.zh)
    return found.outcome.value, found.code


def canonical_nquads(data: bytes, digest: str, *, seconds: float = 60.0) -> bytes | None:
    """What the worker answers to N-Quads; None when it was ended."""
    words = [sys.executable, "-I", str(WORKER), str(512 * 2**20), "nquads"]
    head = struct.pack(">IIBI", int(seconds * 1000), 1000, int(digest == "SHA384"), len(data))
    done = subprocess.run(words, input=head + data, capture_output=True, timeout=120, check=False)
    answer = done.stdout[1:]
    if not answer:
        return None
    status, length = struct.unpack(">BI", answer[:5])
    assert (status, length) == (0, len(answer) - 5)
    return answer[5:]


DOCUMENT = {
    "@context": [V2, EXAMPLES],
    "id": "urn:uuid:1",
    "type": ["VerifiableCredential"],
    "issuer": "did:example:x",
    "validFrom": "2026-01-01T00:00:00Z",
    "credentialSubject": {"id": "urn:s", "a": 1.50, "words": '€ 公 \u2028 "q" \t'},
}


def proven(
    machine: OfflineCanonicaliser, document: dict | None = None, kind: str = "P-256", **more: object
) -> dict:
    own = signer(kind)
    made = data_integrity.draft(document or DOCUMENT, own, **{"created": AT, "rdf": True, **more})
    return data_integrity.complete(made, own, machine.forms(made.inputs, contexts()))


PASSED = ("PASSED", "")
WRONG = ("FAILED", "proof_verification_error")
