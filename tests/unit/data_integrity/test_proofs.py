"""Multikeys, DIDs and Data Integrity proofs against the standards' vectors and against misuse."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa
from hypothesis import given
from hypothesis import strategies as st

from protocols import base64url, keys
from protocols.credentials import data_integrity, did, foreign_credential, multikey
from protocols.credentials.data_integrity import Expected
from schemas import strict_json
from schemas.catalogue import explain
from schemas.errors import MalformedError, RefusedError, TradeError
from schemas.findings import Outcome
from tests.shared import ROOT, shared_path

AT = datetime(2026, 6, 1, tzinfo=UTC)
PRIVATE = {
    "Ed25519": ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)),
    "P-256": ec.derive_private_key(7, ec.SECP256R1()),
    "P-384": ec.derive_private_key(8, ec.SECP384R1()),
}
ML_DSA = mldsa.MLDSA65PrivateKey.from_seed_bytes(bytes(32))
RDFC = "rdfc"


def index(folder: str) -> list[dict]:
    """The vectors of a folder; none where the shared data is absent (a test says so)."""
    base = Path(os.environ.get("PRATIQUE_SHARED", ROOT.parent / "shared"))
    file = base / "vectors/credentials/INDEX.json"
    if not file.exists():
        return []
    vectors = json.loads(file.read_text())["vectors"]
    return [vector for vector in vectors if vector["file"].startswith(f"{folder}/")]


def load(name: str) -> dict:
    return foreign_credential.load(shared_path(f"vectors/credentials/{name}").read_bytes())


def resolve(method: str) -> keys.PublicKey:
    return did.resolve(did.parse(method))


def signer(kind: str) -> keys.SoftwareSigner:
    """A signer whose key id is its own did:key URL."""
    name = did.key_did(keys.SoftwareSigner("", PRIVATE[kind]).public())
    return keys.SoftwareSigner(f"{name}#{name.removeprefix('did:key:')}", PRIVATE[kind])


# --- vectors ------------------------------------------------------------------------------------


def test_the_vectors_are_here() -> None:
    shared_path("vectors/credentials/INDEX.json")
    assert len(index("di")) == 50
    assert len(index("vcdm2")) > 40


@pytest.mark.parametrize("vector", index("di"), ids=lambda vector: vector["file"])
def test_data_integrity_vectors_get_their_verdict(vector: dict) -> None:
    """Without contexts no proof over RDF is valid; what its options show still fails."""
    document = load(vector["file"])
    found = data_integrity.verify(document, resolve, Expected(AT))
    suites = {proof.cryptosuite for proof in found.proofs}
    if any(RDFC in suite for suite in suites):
        assert found.document is None
        worst = found.worst
        shown = (".noproofvm.", ".purpose.", ".multibase.")
        by_options = any(one in vector["file"] for one in shown)
        wrong_key = vector["file"] == "di/signedJCSECDSAP256.suite.json"
        if by_options or wrong_key or len(suites) > 1:
            assert (worst.outcome, worst.code) == (Outcome.FAILED, "proof_verification_error")
        else:
            assert (worst.outcome, worst.code) == (Outcome.INDETERMINATE, "proof_contexts_missing")
    elif vector["expected"] == "reject":
        assert found.document is None
        assert found.worst.outcome is Outcome.FAILED
        assert found.worst.code == "proof_verification_error"
    else:
        assert found.worst.outcome is Outcome.PASSED
        assert found.document is not None
        expected = document["proof"]["@context"]
        assert found.document["@context"] == expected
        rest = {name: value for name, value in document.items() if name != "proof"}
        assert found.document == rest | {"@context": expected}


@pytest.mark.parametrize(
    "vector",
    # Presentations have a reader of their own: see test_rdf_proofs.
    [v for v in index("vcdm2") if "presentation-" not in v["file"]],
    ids=lambda vector: vector["file"],
)
def test_data_model_vectors_get_their_verdict(vector: dict) -> None:
    members = load(vector["file"])
    if vector["expected"] == "accept":
        assert foreign_credential.read(members).members == members
        return
    with pytest.raises(MalformedError) as caught:
        foreign_credential.read(members)
    assert caught.value.code == "credential_malformed"


# --- multikeys and DIDs -------------------------------------------------------------------------


@given(st.binary(min_size=1, max_size=120))
def test_base58_has_one_spelling(data: bytes) -> None:
    text = multikey.encode_base58(data)
    assert multikey.decode_base58(text) == data


@pytest.mark.parametrize(
    "text", ["", "z", "u11", "z0", "zI", "zl", "zO", "z1 1", 5, "z" + "1" * 200]
)
def test_base58_refuses_what_it_does_not_have(text: object) -> None:
    with pytest.raises(MalformedError):
        multikey.decode_base58(text)


@pytest.mark.parametrize("kind", PRIVATE)
def test_a_key_is_found_again_in_its_dids(kind: str) -> None:
    key = keys.SoftwareSigner("", PRIVATE[kind]).public()
    name = did.key_did(key)
    found = resolve(f"{name}#{name.removeprefix('did:key:')}")
    assert found.jwk == key.jwk
    assert found.kid == f"{name}#{name.removeprefix('did:key:')}"
    other = did.jwk_did(key)
    assert resolve(f"{other}#0").jwk == key.jwk


def test_the_dids_of_the_standards_examples_are_read() -> None:
    # did:key v0.7 §3.1.1 (Ed25519), §3.1.4 (P-256, P-384); did:jwk §3 (P-256)
    for text in (
        "z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
        "zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU2169",
        "z82Lm1MpAkeJcix9K8TMiLd5NMAhnwkjjCBeWHXyu3U4oT2MVJJKXkcVBgjGhnLBn2Kaau9",
    ):
        assert did.key_did(resolve(f"did:key:{text}#{text}")) == f"did:key:{text}"
    jwk = (
        "eyJjcnYiOiJQLTI1NiIsImt0eSI6IkVDIiwieCI6ImFjYklRaXVNczNpOF91c3pFakoydHBUdFJNNEVVM3l6"
        "OTFQSDZDZEgyVjAiLCJ5IjoiX0tjeUxqOXZXTXB0bm1LdG00NkdxRHo4d2Y3NEk1TEtncmwyR3pIM25TRSJ9"
    )
    assert resolve(f"did:jwk:{jwk}#0").algorithm == keys.ES256


def test_ml_dsa_has_a_did_jwk_and_no_did_key() -> None:
    key = keys.SoftwareSigner("", ML_DSA).public()
    assert resolve(f"{did.jwk_did(key)}#0").jwk == key.jwk
    with pytest.raises(MalformedError):
        did.key_did(key)


def jwk_url(change: dict, fragment: str = "0") -> str:
    jwk = dict(keys.SoftwareSigner("", PRIVATE["P-256"]).public_jwk) | change
    return f"did:jwk:{base64url.encode(json.dumps(jwk).encode())}#{fragment}"


def test_a_did_jwk_may_say_what_the_key_is_for() -> None:
    assert resolve(jwk_url({"use": "sig", "kid": "x"})).algorithm == keys.ES256


P256 = ec.derive_private_key(7, ec.SECP256R1()).public_key().public_numbers()
GOOD = "z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"


def key_url(raw: bytes) -> str:
    text = multikey.encode_base58(raw)
    return f"did:key:{text}#{text}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        None,
        "did:key:",
        "DID:key:z6Mk",
        "did:key:zé#zé",
        "did:key:z6Mk/path#x",
        "did:key:" + "z" * 4000,
        f"did:key:{GOOD}",
        f"did:key:{GOOD}#other",
        "did:web:a.example#credential-1",
        "did:example:abc#key",
        key_url(b"\xed\x01" + bytes(31)),
        key_url(b"\xec\x01" + bytes(32)),
        key_url(b"\x80\x24\x04" + bytes(64)),
        key_url(b"\x80\x24\x02" + b"\xff" * 32),
        key_url(b"\x81\x24\x02" + bytes(32)),
        jwk_url({}, "1"),
        jwk_url({"use": "enc"}),
        jwk_url({"d": "AA"}),
        jwk_url({"kty": "RSA"}),
        "did:jwk:e30=#0",
        "did:jwk:W10#0",
    ],
)
def test_what_is_no_key_is_refused(text: object) -> None:
    with pytest.raises(TradeError):
        did.resolve(did.parse(text))


# --- issuing and verifying ----------------------------------------------------------------------

DOCUMENT = {
    "@context": ["https://www.w3.org/ns/credentials/v2", {"a": "https://a.example/#a"}],
    "type": ["VerifiableCredential"],
    "issuer": "did:example:x",
    "credentialSubject": {"a": 1.50, "words": "€ 公 \u2028"},
}


def proven(document: dict | None = None, kind: str = "P-256", **more: object) -> dict:
    values = {"created": AT, **more}
    return data_integrity.issue(document or DOCUMENT, signer(kind), **values)


def worst(document: dict, **asked: object) -> tuple[str, str]:
    expected = Expected(**{"at": AT, **asked})
    found = data_integrity.verify(document, resolve, expected).worst
    return found.outcome.value, found.code


PASSED = ("PASSED", "")
WRONG = ("FAILED", "proof_verification_error")


@pytest.mark.parametrize("kind", PRIVATE)
def test_what_is_issued_verifies_and_comes_back(kind: str) -> None:
    document = proven(kind=kind)
    suite = "eddsa-jcs-2022" if kind == "Ed25519" else "ecdsa-jcs-2019"
    assert document["proof"]["cryptosuite"] == suite
    found = data_integrity.verify(document, resolve, Expected(AT))
    assert found.document == DOCUMENT
    assert found.worst.key is not None
    length = {"Ed25519": 64, "P-256": 64, "P-384": 96}[kind]
    assert len(multikey.decode_base58(document["proof"]["proofValue"])) == length


def test_a_document_without_contexts_is_proven_too() -> None:
    document = proven({"a": 1})
    assert "@context" not in document["proof"]
    assert data_integrity.verify(document, resolve, Expected(AT)).document == {"a": 1}


def test_what_is_appended_to_the_contexts_does_not_come_back() -> None:
    document = proven()
    document["@context"] = [*DOCUMENT["@context"], "https://evil.example/v1"]
    assert data_integrity.verify(document, resolve, Expected(AT)).document == DOCUMENT
    for wrong in (
        ["https://evil.example/v1", *DOCUMENT["@context"]],
        DOCUMENT["@context"][:1],
        None,
    ):
        assert worst(document | {"@context": wrong}) == WRONG


def test_a_context_that_is_one_text_is_a_list_of_one() -> None:
    document = proven(DOCUMENT | {"@context": "https://one.example/v1"})
    appended = document | {"@context": ["https://one.example/v1", "https://two.example/v1"]}
    found = data_integrity.verify(appended, resolve, Expected(AT)).document
    assert found is not None
    assert found["@context"] == "https://one.example/v1"


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({"type": None}, WRONG),
        ({"type": "Ed25519Signature2020"}, ("INDETERMINATE", "proof_suite_unknown")),
        ({"verificationMethod": None}, WRONG),
        ({"verificationMethod": "did:key:zz#zz"}, WRONG),
        ({"proofPurpose": None}, WRONG),
        ({"proofPurpose": "authentication"}, WRONG),
        ({"cryptosuite": None}, WRONG),
        ({"cryptosuite": "eddsa-jcs-2022"}, WRONG),
        ({"cryptosuite": "ecdsa-rdfc-2019"}, ("INDETERMINATE", "proof_contexts_missing")),
        ({"cryptosuite": "eddsa-rdfc-2022"}, WRONG),
        ({"cryptosuite": "experiment-1"}, ("INDETERMINATE", "proof_suite_unknown")),
        (
            {"cryptosuite": "bbs-2023", "verificationMethod": "did:key:zz#zz"},
            ("INDETERMINATE", "proof_suite_unknown"),
        ),
        ({"created": "2026-06-01"}, WRONG),
        ({"created": "2026-06-01T00:02:00Z"}, WRONG),
        ({"expires": "2026-05-31T23:58:00Z"}, WRONG),
        ({"expires": "2027-01-01T00:00:00"}, WRONG),
        ({"proofValue": None}, WRONG),
        ({"proofValue": "u" + "A" * 86}, WRONG),
        ({"proofValue": "z11"}, WRONG),
        ({"previousProof": "urn:nobody"}, WRONG),
        ({"previousProof": []}, WRONG),
        ({"nonce": "added"}, WRONG),
    ],
)
def test_a_proof_whose_options_are_changed_is_not_valid(change: dict, verdict: tuple) -> None:
    document = proven()
    proof = {**document["proof"], **change}
    document["proof"] = {name: value for name, value in proof.items() if value is not None}
    assert worst(document) == verdict
    code = explain(verdict[1])
    assert code is not None
    assert code.zh


def test_domain_and_challenge_are_asked_for_by_the_verifier() -> None:
    plain = proven()
    assert worst(plain, domain="nl.example") == ("FAILED", "invalid_domain_error")
    assert worst(plain, challenge="c") == ("FAILED", "invalid_challenge_error")
    own = signer("P-256")
    options = {"domain": ["a.example", "nl.example"], "challenge": "c"}
    signed = _signed_with(own, options)
    assert worst(signed, domain="nl.example", challenge="c") == PASSED
    assert worst(signed, domain="b.example", challenge="x") == ("FAILED", "invalid_domain_error")
    assert worst(signed, domain="a.example", challenge="x") == ("FAILED", "invalid_challenge_error")
    wrong_purpose = signed | {"proof": signed["proof"] | {"proofPurpose": "authentication"}}
    assert worst(wrong_purpose, domain="b.example") == WRONG  # the order of the standard
    assert all(code.startswith("https://w3id.org/") for code in data_integrity.PROBLEMS.values())


def _signed_with(own: keys.SoftwareSigner, options: dict) -> dict:
    """A proof with options that `issue` does not write."""
    proof = {
        "type": "DataIntegrityProof",
        "cryptosuite": "ecdsa-jcs-2019",
        "verificationMethod": own.kid,
        "proofPurpose": "assertionMethod",
        **options,
    }
    value = own.sign(
        data_integrity._hash_data(
            strict_json.canonical(proof), strict_json.canonical(DOCUMENT), own.algorithm
        )
    )
    return DOCUMENT | {"proof": proof | {"proofValue": multikey.encode_base58(value)}}


def test_a_proof_may_expire_later_and_need_not_say_when_it_was_made() -> None:
    document = _signed_with(signer("P-256"), {"expires": "2026-06-02T00:00:00Z"})
    assert worst(document) == PASSED
    assert worst(document, at=AT + timedelta(days=2)) == WRONG


def test_every_proof_of_a_set_must_hold() -> None:
    both = proven(proven(kind="Ed25519"), kind="P-384")
    assert [proof["cryptosuite"] for proof in both["proof"]] == ["eddsa-jcs-2022", "ecdsa-jcs-2019"]
    found = data_integrity.verify(both, resolve, Expected(AT))
    assert [proof.outcome for proof in found.proofs] == [Outcome.PASSED] * 2
    assert found.document == DOCUMENT
    both["proof"][1]["created"] = "2026-01-01T00:00:00Z"
    found = data_integrity.verify(both, resolve, Expected(AT))
    assert [proof.outcome for proof in found.proofs] == [Outcome.PASSED, Outcome.FAILED]
    assert found.document is None


def test_a_chain_covers_the_proofs_before_it() -> None:
    first = proven(kind="Ed25519", proof_id="urn:first")
    chain = proven(first, previous=["urn:first"], proof_id="urn:second")
    assert worst(chain) == PASSED
    assert data_integrity.verify(chain, resolve, Expected(AT)).document == DOCUMENT
    # The earlier proof replaced by another valid one of the same id: the later one notices.
    other = proven(kind="P-384", proof_id="urn:first")["proof"]
    assert worst(chain | {"proof": [other, chain["proof"][1]]}) == WRONG
    assert worst(chain | {"proof": chain["proof"][1]}) == WRONG


def test_a_chain_over_a_proof_that_is_not_there_is_not_issued() -> None:
    with pytest.raises(RefusedError) as caught:
        proven(previous=["urn:nobody"])
    assert caught.value.code == "proof_generation_error"
    with pytest.raises(RefusedError) as caught:
        data_integrity.issue(DOCUMENT, keys.SoftwareSigner("", ML_DSA), created=AT)
    assert caught.value.code == "proof_generation_error"


@pytest.mark.parametrize(
    "proof",
    [None, [], "x", [5], [{"id": "urn:a"}, {"id": "urn:a"}], [{}] * 17],
)
def test_a_document_without_readable_proofs_is_refused(proof: object) -> None:
    with pytest.raises(MalformedError) as caught:
        data_integrity.verify(DOCUMENT | {"proof": proof}, resolve, Expected(AT))
    assert caught.value.code == "proof_malformed"


@given(st.dictionaries(st.text(max_size=4), st.integers(0, 9) | st.text(max_size=4), max_size=6))
def test_what_is_signed_is_put_together_as_rfc_8785_writes_it(members: dict) -> None:
    members.pop("proof", None)
    texts = data_integrity._Texts.of(members, [{"id": "urn:a"}, {"id": "urn:b"}])
    assert texts.covered({}, []) == strict_json.canonical(members)
    whole = members | {"@context": "c", "proof": [{"id": "urn:b"}]}
    assert texts.covered({"@context": "c"}, [1]) == strict_json.canonical(whole)


def test_many_proofs_do_not_cost_many_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    document: dict = DOCUMENT | {"long": ["x"] * 1000}
    for number in range(data_integrity.MAX_PROOFS):
        document = proven(document, proof_id=f"urn:{number}")
    written: list[int] = []
    canonical = strict_json.canonical

    def counted(value: object) -> bytes:
        text = canonical(value)
        written.append(len(text))
        return text

    monkeypatch.setattr(data_integrity.strict_json, "canonical", counted)
    assert worst(document) == PASSED
    assert sum(length > 3000 for length in written) == 1


def test_a_method_that_nobody_here_knows_is_unknown() -> None:
    found = data_integrity.verify(proven(), lambda method: None, Expected(AT)).worst
    assert (found.outcome.value, found.code) == ("INDETERMINATE", "key_not_listed")
