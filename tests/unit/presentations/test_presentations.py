"""Presentations: their data model, what secures them, the holder, each credential in them."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from protocols import jws, keys
from protocols.credentials import data_integrity, did, envelope, presentation, secured
from protocols.credentials.data_integrity import Expected
from protocols.credentials.key_binding import Challenge
from protocols.verify import Case, examine_document, verify_document
from protocols.verify.proven import Proven
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError, TooLargeError, TradeError
from schemas.findings import Outcome, Report
from tests.corpora import files
from tests.shared import shared_path
from tests.support import evidence_world as world
from tests.support.title_world import NOW, ecdsa

if TYPE_CHECKING:
    from collections.abc import Callable

ASKED = Challenge("did:web:nl-customs.example", "n-1")
FOLDER = "vectors/credentials/"
V2 = "https://www.w3.org/ns/credentials/v2"


def by(private: object) -> keys.SoftwareSigner:
    name = did.key_did(keys.SoftwareSigner("", private).public())
    return keys.SoftwareSigner(f"{name}#{name.removeprefix('did:key:')}", private)


HOLDER = by(ed25519.Ed25519PrivateKey.from_private_bytes(b"h" * 32))
OTHER = by(ec.derive_private_key(77, ec.SECP256R1()))
FILE = world.issued()


def contained(file: str = FILE.credential) -> dict:
    return envelope.wrap(envelope.CREDENTIAL, "vc+jwt", file)


def shown(**changes: object) -> dict:
    members = {
        "@context": [V2],
        "type": ["VerifiablePresentation"],
        "holder": HOLDER.kid.partition("#")[0],
        "verifiableCredential": [contained()],
        **changes,
    }
    return {name: value for name, value in members.items() if value is not None}


def with_proof(
    members: dict | None = None, signer: keys.SoftwareSigner = HOLDER, **more: str
) -> bytes:
    options = {"challenge": ASKED.nonce, "domain": ASKED.audience, **more}
    made = data_integrity.draft(
        members or shown(),
        signer,
        created=NOW,
        purpose=presentation.AUTHENTICATION,
        more=options,
    )
    return strict_json.canonical(data_integrity.complete(made, signer))


def in_envelope(
    form: str = "vp+jwt", signer: keys.SoftwareSigner = HOLDER, **claims: object
) -> bytes:
    members = {**shown(), "nonce": ASKED.nonce, "aud": ASKED.audience, **claims}
    payload = strict_json.canonical(members)
    if form == "vp+cose":
        name = "EdDSA" if signer.algorithm == keys.ED25519 else signer.algorithm
        return envelope.sign_cose(
            payload, typ=form, algorithm=name, kid=signer.kid, sign=signer.sign
        )
    text = jws.sign(payload, typ=form, signer=signer, cty="vp")
    return (text + "~" * form.endswith("sd-jwt")).encode()


def verify(file: bytes, challenge: Challenge | None = ASKED, **changes: object) -> Report:
    given = {
        "members": world.MEMBERS,
        "at": NOW,
        "status": world.status(),
        "verifier_country": "NL",
        "challenge": challenge,
        **changes,
    }
    report, verified = verify_document(file, **given)
    assert verified is None  # a presentation never changes state
    return report


def wrong(report: Report) -> dict[str, tuple[str, str]]:
    return {
        check.id: (check.outcome.value, check.code)
        for check in report.checks
        if check.outcome is not Outcome.PASSED and check.code != "not_reached"
    }


@pytest.mark.parametrize("form", ["proof", "vp+jwt", "vp+sd-jwt", "vp+cose", "wrapped"])
def test_a_presentation_of_our_document_passes_in_every_form(form: str) -> None:
    if form == "proof":
        file = with_proof()
    elif form == "wrapped":
        wrapped = envelope.wrap(envelope.PRESENTATION, "vp+jwt", in_envelope().decode())
        file = strict_json.canonical(wrapped)
    else:
        file = in_envelope(form)
    report = verify(file)
    assert wrong(report) == {}
    assert report.verdict is Outcome.PASSED
    summary = report.check("VP-03").evidence["credentials"]
    assert summary == [{"subject": FILE.digest.hex(), "verdict": "PASSED"}]


FAULTS: dict[str, tuple[Callable[[], bytes], dict[str, tuple[str, str]]]] = {
    "another challenge": (
        lambda: with_proof(challenge="n-2"),
        {
            "CRED-03": ("FAILED", "invalid_challenge_error"),
            "VP-01": ("FAILED", "invalid_challenge_error"),
        },
    ),
    "another audience": (
        lambda: in_envelope(aud=["did:web:else.example"]),
        {
            "CRED-03": ("FAILED", "invalid_domain_error"),
            "VP-01": ("FAILED", "invalid_domain_error"),
        },
    ),
    "another nonce": (
        lambda: in_envelope(nonce="n-2"),
        {
            "CRED-03": ("FAILED", "invalid_challenge_error"),
            "VP-01": ("FAILED", "invalid_challenge_error"),
        },
    ),
    "another holder's key": (
        lambda: with_proof(signer=OTHER),
        {"VP-02": ("FAILED", "holder_not_proven")},
    ),
    "a copy's altered credential": (
        lambda: with_proof(
            shown(verifiableCredential=[contained(FILE.credential[:-6] + "AAAAAA")])
        ),
        {"VP-03": ("FAILED", "contained_not_verified")},
    ),
    "an expired envelope": (
        lambda: in_envelope(exp=int(NOW.timestamp()) - 120),
        {
            "CRED-03": ("FAILED", "credential_expired"),
            "VP-01": ("FAILED", "credential_expired"),
        },
    ),
    "an envelope of tomorrow": (
        lambda: in_envelope(nbf=int(NOW.timestamp()) + 120),
        {
            "CRED-03": ("FAILED", "credential_not_yet_valid"),
            "VP-01": ("FAILED", "credential_not_yet_valid"),
        },
    ),
    "a credential without proof": (
        lambda: with_proof(
            shown(
                verifiableCredential=[
                    {
                        "@context": [V2],
                        "type": ["VerifiableCredential"],
                        "issuer": "did:web:cn-cert.example",
                        "credentialSubject": {"id": "urn:x:y"},
                    }
                ]
            )
        ),
        {"VP-03": ("FAILED", "contained_not_verified")},
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_presentation_that_is_not_what_was_asked_fails_by_its_own_check(name: str) -> None:
    make, expected = FAULTS[name]
    assert wrong(verify(make())) == expected


def test_a_presentation_that_nobody_was_challenged_for_is_not_decided() -> None:
    report = verify(with_proof(), None)
    assert wrong(report) == {"VP-01": ("INDETERMINATE", "challenge_not_asked")}
    assert report.verdict is Outcome.INDETERMINATE


def test_an_altered_envelope_fails_and_its_alg_has_to_fit_the_key() -> None:
    text = in_envelope().decode()
    assert wrong(verify((text[:-6] + "AAAAAA").encode()))["CRED-03"] == ("FAILED", "bad_signature")
    head, rest = text.split(".", 1)
    header = json.loads(base64.urlsafe_b64decode(head + "=="))
    other = base64.urlsafe_b64encode(json.dumps(header | {"alg": "ES256"}).encode()).decode()
    found = wrong(verify(f"{other.rstrip('=')}.{rest}".encode()))
    assert found["CRED-03"] == ("FAILED", "jws_algorithm_mismatch")


def test_a_key_that_no_list_and_no_did_names_leaves_it_undecided() -> None:
    stranger = keys.SoftwareSigner("https://else.example#k", OTHER_KEY)
    found = wrong(verify(in_envelope(signer=stranger)))
    assert found["CRED-03"] == ("INDETERMINATE", "key_not_listed")


OTHER_KEY = ec.derive_private_key(78, ec.SECP256R1())


def test_our_document_in_an_envelope_of_the_standard_is_the_document() -> None:
    file = strict_json.canonical(contained())
    report, verified = verify_document(
        file, members=world.MEMBERS, at=NOW, status=world.status(), verifier_country="NL"
    )
    assert report.verdict is Outcome.PASSED
    assert verified is not None
    assert report.subject == FILE.digest.hex()


@pytest.mark.parametrize(
    "change",
    [
        {"@context": "https://www.w3.org/ns/credentials/examples/v2"},
        {"@context": []},
        {"type": ["VerifiableCredential", envelope.CREDENTIAL]},
        {"id": FILE.credential},
        {"id": "data:text/plain,abc"},
        {"name": "not signed"},
        {"id": "data:application/vc+cose;base64,***"},
    ],
)
def test_an_enveloping_object_says_nothing_beside_its_envelope(change: dict) -> None:
    with pytest.raises(MalformedError) as caught:
        envelope.unwrap(contained() | change)
    assert caught.value.code == "envelope_malformed"


def test_what_a_data_url_says_is_what_the_envelope_is() -> None:
    text = in_envelope()
    with pytest.raises(RefusedError):
        envelope.parse(text, media_type="vc+jwt")
    with pytest.raises(TooLargeError):
        envelope.parse(b"." * (envelope.MAX_BYTES + 1))
    wrapped = strict_json.canonical(envelope.wrap(envelope.CREDENTIAL, "vp+jwt", text.decode()))
    with pytest.raises(MalformedError):
        secured.open_envelope(wrapped)


# -- group 24: other things of ours given as a credential ------------------------------------------


def _token(typ: str | None, **claims: object) -> bytes:
    signer = ecdsa("cn-cert", "credential")
    header = {"alg": "ES256", "kid": signer.kid} | ({"typ": typ} if typ else {})
    parts = [header, {"iss": "did:web:cn-cert.example", "sub": "operator", **claims}]
    text = ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
    )
    signature = base64.urlsafe_b64encode(signer.sign(text.encode())).decode().rstrip("=")
    return f"{text}.{signature}".encode()


OTHER_THINGS = {
    "key binding": _token("kb+jwt", nonce="n", aud="a", sd_hash="x", iat=1),
    "api token": _token("at+jwt", exp=4_000_000_000),
    "plain jwt": _token("JWT", vc={"type": ["VerifiableCredential"]}),
    "without typ": _token(None, vc={"type": ["VerifiableCredential"]}),
    "token status list": _token("statuslist+jwt", status_list={"bits": 1, "lst": "eA"}),
    "exchange receipt": _token("px-receipt+jws"),
    "title operation": _token("px-title+jws"),
}


@pytest.mark.parametrize("name", OTHER_THINGS)
def test_group_24_another_signed_thing_given_as_credential_is_refused_by_typ(name: str) -> None:
    file = OTHER_THINGS[name]
    report, verified = verify_document(file, members=world.MEMBERS, at=NOW)
    assert verified is None
    check = report.check("CRED-01")
    assert check.outcome is Outcome.FAILED
    assert check.code in {"jws_typ_unexpected", "jws_header_malformed"}
    with pytest.raises(RefusedError) as caught:
        envelope.parse(file)
    assert caught.value.code == "jws_typ_unexpected"


@pytest.mark.parametrize("name", OTHER_THINGS)
def test_group_24_another_signed_thing_in_a_presentation_is_refused(name: str) -> None:
    file = with_proof(shown(verifiableCredential=[contained(OTHER_THINGS[name].decode())]))
    assert wrong(verify(file))["VP-03"] == ("FAILED", "contained_not_verified")


def test_group_24_a_presentation_is_no_document_and_a_status_list_is_none() -> None:
    for file in (with_proof(), in_envelope()):
        case = Case(file, world.MEMBERS, NOW)
        report, document = examine_document(case)
        assert document is None
        assert report.check("CRED-01") is None
    text = world.status().encode() if isinstance(world.status(), str) else world.status().signed
    report, verified = verify_document(
        text if isinstance(text, bytes) else text.encode(), members=world.MEMBERS, at=NOW
    )
    assert verified is None
    assert report.verdict is Outcome.FAILED


def test_group_24_a_credential_is_no_presentation() -> None:
    with pytest.raises(MalformedError):
        presentation.read(contained())
    nested = shown(verifiableCredential=[json.loads(with_proof())])
    with pytest.raises(TradeError):
        presentation.read(nested)


# -- vectors ---------------------------------------------------------------------------------------


def index(folder: str) -> list[dict]:
    found = [
        one
        for path in files(FOLDER.rstrip("/"), "INDEX.json")
        for one in json.loads(path.read_text())["vectors"]
    ]
    return [one for one in found if one["file"].startswith(folder)]


def test_the_vectors_are_here() -> None:
    shared_path(FOLDER + "INDEX.json")
    assert len(index("vcdm2/presentation-")) == 10
    assert len(index("vc-jose-cose/")) == 11


@pytest.mark.parametrize("vector", index("vcdm2/presentation-"), ids=lambda one: one["file"])
def test_presentation_vectors_get_their_verdict(vector: dict) -> None:
    members = json.loads(shared_path(FOLDER + vector["file"]).read_text())
    if vector["expected"] == "accept":
        assert presentation.read(members).types[0] == "VerifiablePresentation"
        return
    with pytest.raises(MalformedError):
        presentation.read(members)


@pytest.mark.parametrize("vector", index("vc-jose-cose/"), ids=lambda one: one["file"])
def test_jose_and_cose_vectors_get_their_verdict(vector: dict) -> None:
    """By the key each names, at the moment the presentations were made; outermost signature."""
    file = shared_path(FOLDER + vector["file"])
    method = json.loads((file.parent / vector["key"]).read_text())
    jwk = {k: v for k, v in method["publicKeyJwk"].items() if k not in ("kid", "alg")}
    key = keys.from_jwk(method["id"], jwk, foreign=True)

    def resolve(name: str) -> keys.PublicKey | None:
        return key if name.endswith("#" + method["publicKeyJwk"]["kid"]) else None

    found = Proven(datetime(2024, 12, 16, 1, 10, tzinfo=UTC))
    found.read(file.read_bytes().strip(), resolve, Expected(found.at))
    fine = found.fault is None and found.model_fault is None
    fine = fine and found.proofs is not None and found.proofs.document is not None
    assert fine is (vector["expected"] == "accept")
