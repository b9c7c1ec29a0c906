"""Envelopes of others: what a header may hold, COSE in one spelling, the encoding of 1.1."""

from __future__ import annotations

import base64
import json

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from protocols import base64url, jws, keys
from protocols.credentials import data_integrity, did, envelope, secured, vcdm
from protocols.credentials.data_integrity import Expected
from protocols.fields import Fields
from protocols.verify import proven
from protocols.verify.presentation_steps import unwrapped
from protocols.verify.proven import Proven
from schemas import strict_json
from schemas.errors import TradeError
from schemas.findings import Outcome, Report
from tests.support.title_world import NOW

PRIVATE = ed25519.Ed25519PrivateKey.from_private_bytes(b"e" * 32)
DID = did.key_did(keys.SoftwareSigner("", PRIVATE).public())
SIGNER = keys.SoftwareSigner(f"{DID}#{DID.removeprefix('did:key:')}", PRIVATE)
CREDENTIAL = {
    "@context": [vcdm.CONTEXT],
    "type": ["VerifiableCredential"],
    "issuer": DID,
    "credentialSubject": {"id": "did:example:a"},
}
HEADER = {"alg": "EdDSA", "typ": "vc+jwt", "cty": "vc", "kid": SIGNER.kid}


def part(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def token(header: object = HEADER, claims: object = CREDENTIAL) -> bytes:
    text = f"{part(header)}.{part(claims)}"
    return f"{text}.{part(SIGNER.sign(text.encode()))}".encode()


def resolve(method: str) -> keys.PublicKey | None:
    url = did.parse(method)
    return did.resolve(url) if url.carries_its_key else None


def read(data: bytes, *, legacy: bool = False) -> Proven:
    found = Proven(NOW)
    found.read(data, resolve, Expected(NOW), legacy=legacy)
    return found


def test_a_credential_in_an_envelope_is_proven_by_its_own_issuer() -> None:
    report = proven.credential_report(read(token()))
    assert report.verdict is Outcome.PASSED
    assert [check.id for check in report.checks] == [
        "DI-01", "CRED-03", "CRED-04", "PRF-01", "CRED-07",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (HEADER | {"jwk": {}}, "jws_header_malformed"),
        (HEADER | {"jku": "https://a.example"}, "jws_header_malformed"),
        (HEADER | {"crit": ["x"]}, "jws_header_malformed"),
        (HEADER | {"alg": 5}, "jws_header_malformed"),
        (HEADER | {"alg": "none"}, "jws_algorithm_unknown"),
        (HEADER | {"alg": "HS256"}, "jws_algorithm_unknown"),
        (HEADER | {"kid": "a b"}, "jws_header_malformed"),
        (HEADER | {"cty": "vp"}, "jws_header_malformed"),
        (HEADER | {"typ": "vc+sd-jwt"}, "jws_typ_unexpected"),
        ({"alg": "EdDSA"}, "jws_typ_unexpected"),
        (HEADER | {"kid": "x" * 20_000}, "jws_too_large"),
    ],
)
def test_a_header_that_says_more_or_less_is_refused(header: dict, code: str) -> None:
    with pytest.raises(TradeError) as caught:
        envelope.parse(token(header))
    assert caught.value.code == code


@pytest.mark.parametrize(
    "data",
    [b"a.b", "é.b.c".encode(), b"", token() + b"~", token() + b"~~", token() + b"~x"],
)
def test_what_is_no_envelope_is_refused(data: bytes) -> None:
    with pytest.raises(TradeError):
        envelope.parse(data)


def test_an_sd_jwt_ends_with_its_tilde_and_holds_no_key_binding() -> None:
    given = token(HEADER | {"typ": "vc+sd-jwt"})
    assert envelope.parse(given + b"~").form == "vc+sd-jwt"
    for ending in (b"~~", b"~abc", b"~a~b"):
        with pytest.raises(TradeError):
            envelope.parse(given + ending)


def cose(**changes: object) -> bytes:
    made = envelope.sign_cose(
        strict_json.canonical(CREDENTIAL),
        typ="vc+cose",
        algorithm="EdDSA",
        kid=SIGNER.kid,
        sign=SIGNER.sign,
    )
    tag = cbor2.loads(made)
    header = cbor2.loads(tag.value[0])
    protected = changes.get("protected", cbor2.dumps(header | dict(changes.get("header", {}))))
    parts = [protected, changes.get("unprotected", {}), *tag.value[2:]]
    return cbor2.dumps(cbor2.CBORTag(int(changes.get("tag", 18)), parts))


def test_cose_is_read_as_it_is_written_bare_and_in_base64() -> None:
    assert proven.credential_report(read(cose())).verdict is Outcome.PASSED
    assert proven.credential_report(read(base64.b64encode(cose()))).verdict is Outcome.PASSED


@pytest.mark.parametrize(
    "data",
    [
        cose(unprotected={4: b"x"}),
        cose(tag=17),
        cose(protected="text"),
        cose(protected=b"\x80"),
        cose(protected=b"\xff"),
        cose(header={5: 1}),
        cose(header={1: -257}),
        cose(header={1: "EdDSA"}),
        cose(header={16: "application/vc+jwt"}),
        cose(header={16: 5}),
        cose(header={3: "application/vp"}),
        cose(header={4: b"a b"}),
        cose() + b"\x00",
        b"\xd2\x9f\xff",
        b"\xd2" + b"\x81" * 3000,
        b"\xd2" + bytes.fromhex("c5821a7fffffff03"),  # a number no library should work out
        cbor2.dumps(
            cbor2.CBORTag(18, [cbor2.dumps({1: -8, 16: "application/vc+cose"}), {}, 5, b""])
        ),
    ],
)
def test_cose_that_is_spelled_otherwise_is_refused(data: bytes) -> None:
    with pytest.raises(TradeError):
        envelope.parse(data)


def test_the_encoding_of_1_1_is_read_only_where_it_is_asked_for() -> None:
    data = token({"alg": "EdDSA", "typ": "JWT", "kid": SIGNER.kid}, {"iss": DID, "vc": CREDENTIAL})
    assert read(data).fault is not None
    assert proven.credential_report(read(data, legacy=True)).verdict is Outcome.PASSED
    for claims in ({"iss": DID}, {"vc": CREDENTIAL, "vp": {}}, {"vc": "text"}):
        found = read(token({"alg": "EdDSA", "kid": SIGNER.kid}, claims), legacy=True)
        assert found.fault is not None


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"iss": "did:example:else"}, "envelope_malformed"),
        ({"exp": "soon"}, "envelope_malformed"),
        ({"exp": True}, "envelope_malformed"),
        ({"exp": 1}, "credential_expired"),
        ({"nbf": 4_000_000_000}, "credential_not_yet_valid"),
    ],
)
def test_registered_claims_agree_and_are_in_time(claims: dict, code: str) -> None:
    found = read(token(claims=CREDENTIAL | claims))
    assert found.proofs is not None
    assert found.proofs.worst.code == code
    assert found.proofs.document is None


def test_a_claim_named_vc_or_vp_stands_in_no_envelope() -> None:
    assert read(token(claims=CREDENTIAL | {"vc": {}})).fault is not None


def test_a_proof_by_another_identifier_is_not_the_issuers() -> None:
    other = CREDENTIAL | {"issuer": "did:example:else"}
    report = proven.credential_report(read(token(claims=other)))
    assert report.check("PRF-01").code == "proof_not_issuers"
    other = CREDENTIAL | {"issuer": {"id": "https://issuer.example"}}
    check = proven.credential_report(read(token(claims=other))).check("PRF-01")
    assert (check.outcome, check.code) == (Outcome.PASSED, "issuer_not_proven")


def test_a_key_id_that_is_no_url_is_one_of_the_issuers_keys() -> None:
    header = HEADER | {"kid": DID.removeprefix("did:key:")}
    assert proven.credential_report(read(token(header))).verdict is Outcome.PASSED


def test_what_cannot_be_read_reaches_no_further_step() -> None:
    found = read(b"{}")
    assert proven.credential_report(found).verdict is Outcome.FAILED
    report = proven.presentation_report(found, Expected(NOW), lambda _: Report("", "", ()))
    assert {check.code for check in report.checks[1:]} == {"not_reached"}
    late = CREDENTIAL | {"validUntil": "2020-01-01T00:00:00Z"}
    assert proven.credential_report(read(token(claims=late))).check("CRED-07").code == (
        "credential_expired"
    )
    wrong = CREDENTIAL | {"type": ["Nothing"]}
    assert proven.credential_report(read(token(claims=wrong))).check("CRED-04").code == (
        "credential_malformed"
    )


def test_a_presentation_without_holder_names_nobody() -> None:
    shown = {"@context": [vcdm.CONTEXT], "type": "VerifiablePresentation"}
    found = read(token(HEADER | {"typ": "vp+jwt", "cty": "vp"}, shown))
    report = proven.presentation_report(
        found, Expected(NOW, challenge="n"), lambda _: Report("", "", ())
    )
    assert report.check("VP-02").code == "holder_not_named"
    assert report.check("VP-03").outcome is Outcome.PASSED


def test_only_documents_of_ours_are_taken_out_of_their_envelope() -> None:
    foreign = strict_json.canonical(envelope.wrap(envelope.CREDENTIAL, "vc+jwt", token().decode()))
    assert unwrapped(foreign) == foreign
    broken = foreign.replace(b"data:", b"date:")
    assert unwrapped(broken) == broken
    ours = jws.sign(
        strict_json.canonical(CREDENTIAL),
        typ="vc+jwt",
        signer=keys.SoftwareSigner("did:web:a.example#credential-1", PRIVATE),
        cty="vc",
    )
    wrapped = strict_json.canonical(envelope.wrap(envelope.CREDENTIAL, "vc+jwt", ours))
    assert unwrapped(wrapped) == ours.encode()


def test_canonical_forms_are_asked_for_what_is_inside_too() -> None:
    made = data_integrity.draft(CREDENTIAL, SIGNER, created=NOW, rdf=True)
    proof = made.options | {"proofValue": "z1"}
    inner = CREDENTIAL | {"proof": proof}
    shown = {
        "@context": [vcdm.CONTEXT],
        "type": "VerifiablePresentation",
        "verifiableCredential": [inner],
    }
    data = token(HEADER | {"typ": "vp+jwt", "cty": "vp"}, shown)
    assert len(secured.canonical_inputs(data, resolve)) == 2
    assert secured.canonical_inputs(b"x.y.z", resolve) == ()


def test_bare_digests_and_multihashes_of_resources_are_compared() -> None:
    body = b"resource"
    bare = "u" + part(vcdm.hashlib.sha256(body).digest())
    for digest, fits in ((bare, True), ("u" + part(bytes(32)), False)):
        members = {"relatedResource": {"id": "https://a.example", "digestMultibase": digest}}
        fields = Fields(members, vcdm.CODE)
        if fits:
            vcdm.require_resources(fields, {"https://a.example": body})
        else:
            with pytest.raises(TradeError):
                vcdm.require_resources(fields, {"https://a.example": body})


def test_a_certificate_that_spells_the_letters_of_a_presentation_is_none() -> None:
    certificate = '{"alg":"ES256","typ":"vc+jwt","x5c":["MIIBvp+jZZ"]}'
    shown = '{"alg":"ES256","typ":"vp+jwt"}'
    for header, is_presentation in ((certificate, False), (shown, True)):
        data = f"{base64url.encode(header.encode())}.e30.AA".encode()
        assert secured.is_compact_presentation(data) is is_presentation
