"""Credentials: what is issued opens again, what is altered does not, and the hostile vectors."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import base64url, digest, jws, keys, times
from protocols.credentials import credential, vcdm
from protocols.credentials.credential import CredentialClaims, DocumentFile, PayloadInfo
from protocols.credentials.status_list import StatusEntry
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError, TooLargeError, TradeError
from tests.shared import shared_path
from tests.support.made_network import NOW, A, signer

KEY = signer(f"{A}#credential-1")
DOCUMENT = b'{ "number":"INV-1", "b":[1,2.50,"\xc3\xa9"] , "a":{"z":1}}\n'
CLAIMS = CredentialClaims(
    id="urn:uuid:7a6cafb9-11c3-41a8-98d8-8b5a45c2548f",
    credential_type="CommercialInvoiceCredential",
    issuer=A,
    network=b"\x07" * 32,
    valid_from=NOW,
    valid_until=NOW + timedelta(days=30),
    status=StatusEntry("https://a-port.example/status/1", 94567),
    document_type="commercial-invoice",
    number="INV-1",
    salt=b"\x09" * 32,
    payload=PayloadInfo.of(DOCUMENT, "application/json"),
)
FULL = replace(
    CLAIMS, consignment="6CN1", export_country="CN", import_country="NL", replaces=b"\x01" * 32
)


def signed(members: object, typ: str = "vc+jwt") -> bytes:
    return jws.sign(strict_json.canonical(members), typ=typ, signer=KEY, cty="vc").encode()


def members_of(file: DocumentFile) -> dict:
    return strict_json.loads_object(jws.parse(file.credential, typ="vc+jwt").payload)


@pytest.mark.parametrize("claims", [CLAIMS, FULL])
def test_a_json_document_is_inside_and_unaltered(claims: CredentialClaims) -> None:
    file = credential.issue(claims, DOCUMENT, KEY)
    opened = credential.open_file(file.to_bytes())
    assert opened.claims == claims
    assert credential.read(opened.jws) == claims
    assert opened.file == file == DocumentFile.from_bytes(file.to_bytes())
    assert opened.file.payload == DOCUMENT
    assert DOCUMENT in opened.jws.payload
    assert file.digest == opened.jws.payload_digest
    assert file.media_type == "application/vc+jwt"
    jws.verify(opened.jws, KEY.public())


def test_any_other_document_travels_beside() -> None:
    xml = b"<a>\n</a>\n"
    claims = replace(CLAIMS, payload=PayloadInfo.of(xml, "application/xml"))
    file = credential.issue(claims, xml, KEY)
    assert file.to_bytes() == file.credential.encode() + b"\n" + xml
    assert file.media_type == "application/vnd.pratique.document"
    opened = credential.open_file(file.to_bytes())
    assert (opened.file, opened.claims) == (file, claims)


def test_the_leaf_subject_is_salted() -> None:
    text = b"commercial-invoice\x00INV-1\x00" + b"\x09" * 32
    assert CLAIMS.subject_digest() == digest.sha256(text)


json_documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["document", "}}", ',"document":', "x", '"']), inner)
    ),
    max_leaves=10,
)


@given(json_documents, st.sampled_from([None, 2]))
def test_whatever_the_document_contains_its_bytes_come_back(value: object, indent: object) -> None:
    payload = json.dumps(value, indent=indent).encode()
    file = credential.issue(
        replace(CLAIMS, payload=PayloadInfo.of(payload, "application/json")), payload, KEY
    )
    assert DocumentFile.from_bytes(file.to_bytes()).payload == payload


@given(st.data())
def test_a_changed_byte_never_opens_and_verifies(data: st.DataObject) -> None:
    intact = bytearray(credential.issue(CLAIMS, DOCUMENT, KEY).to_bytes())
    at = data.draw(st.integers(0, len(intact) - 1))
    intact[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(TradeError):
        jws.verify(credential.open_file(bytes(intact)).jws, KEY.public())


def test_what_is_no_json_or_does_not_match_is_not_issued() -> None:
    with pytest.raises(RefusedError) as caught:
        credential.issue(CLAIMS, DOCUMENT + b" ", KEY)
    assert caught.value.code == "credential_payload_mismatch"
    for bad in (b'{"a":1,"a":2}', b"{", b"\xef\xbb\xbf{}"):
        with pytest.raises(MalformedError):
            credential.issue(
                replace(CLAIMS, payload=PayloadInfo.of(bad, credential.JSON)), bad, KEY
            )
    with pytest.raises(TooLargeError):
        credential.issue(CLAIMS, b" " * (credential.MAX_DOCUMENT_BYTES + 1), KEY)


def test_a_document_that_is_not_where_it_belongs_is_refused() -> None:
    file = credential.issue(CLAIMS, DOCUMENT, KEY)
    with pytest.raises(MalformedError):  # JSON beside
        credential.open_file(file.to_bytes() + b"\n" + DOCUMENT)
    members = members_of(file)  # canonical order: not the issuer's bytes
    with pytest.raises(MalformedError) as caught:
        credential.open_file(signed(members))
    assert caught.value.code == "credential_not_verbatim"
    members["credentialSubject"].pop("document")
    with pytest.raises(MalformedError):
        credential.open_file(signed(members))
    xml = replace(CLAIMS, payload=PayloadInfo.of(b"<a/>", "application/xml"))
    beside = credential.issue(xml, b"<a/>", KEY).to_bytes()
    with pytest.raises(RefusedError) as refused:
        credential.open_file(beside + b" ")
    assert refused.value.code == "credential_payload_mismatch"
    with pytest.raises(MalformedError):
        credential.open_file(b"\xff")
    with pytest.raises(TooLargeError):
        credential.open_file(b"a" * (credential.MAX_FILE_BYTES + 1))


def test_a_document_digest_that_does_not_fit_is_refused() -> None:
    members = members_of(credential.issue(CLAIMS, DOCUMENT, KEY))
    subject = members.pop("credentialSubject")
    subject.pop("document")
    subject["payload"]["digest"] = "00" * 32
    payload = (
        strict_json.canonical(members)[:-1]
        + b',"credentialSubject":'
        + strict_json.canonical(subject)[:-1]
        + b',"document":'
        + DOCUMENT
        + b"}}"
    )
    with pytest.raises(RefusedError) as caught:
        credential.open_file(jws.sign(payload, typ="vc+jwt", signer=KEY).encode())
    assert caught.value.code == "credential_payload_mismatch"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("id", "https://a.example/1"),
        ("id", ...),
        ("type", "VerifiableCredential"),
        ("type", ["VerifiableCredential"]),
        ("type", ["VerifiableCredential", "x y"]),
        ("type", ["VerifiableCredential", "BitstringStatusListCredential"]),
        ("issuer", {"id": A}),
        ("issuer", "did:web:b-customs.example"),
        ("network", "AA"),
        ("network", ...),
        ("validFrom", ...),
        ("validUntil", ...),
        ("credentialStatus", ...),
        ("credentialStatus", [{"type": "x"}]),
        ("credentialSchema", {"id": "urn:pratique:profile:other:1", "type": "JsonSchema"}),
        ("credentialSchema", {"id": "urn:pratique:profile:commercial-invoice:1", "type": "x"}),
        ("credentialSubject", [{"a": 1}, {"b": 2}]),
        ("credentialSubject/documentType", "Invoice"),
        ("credentialSubject/number", ""),
        ("credentialSubject/number", "x" * 201),
        ("credentialSubject/salt", base64url.encode(b"short")),
        ("credentialSubject/payload", 5),
        ("credentialSubject/payload/size", True),
        ("credentialSubject/payload/mediaType", "json"),
        ("credentialSubject/exportCountry", "cn"),
        ("credentialStatus/statusListIndex", 5),
        ("credentialStatus/type", "StatusList2021Entry"),
    ],
)
def test_claims_outside_the_profile_are_refused(path: str, value: object) -> None:
    members = members_of(credential.issue(CLAIMS, DOCUMENT, KEY))
    *parents, last = path.split("/")
    place = members
    for name in parents:
        place = place[name]
    place.pop(last) if value is ... else place.update({last: value})
    with pytest.raises(MalformedError) as caught:
        credential.read(jws.parse(signed(members).decode(), typ="vc+jwt"))
    assert caught.value.code in {"credential_malformed", "credential_kid_not_issuer"}
    assert caught.value.code != "credential_malformed" or caught.value.pointer


BASE = {
    "@context": [vcdm.CONTEXT],
    "type": ["VerifiableCredential"],
    "issuer": A,
    "credentialSubject": {"a": 1},
}


def test_the_data_model_leaves_dates_and_id_open_and_ignores_the_unknown() -> None:
    opened = vcdm.read(strict_json.canonical(BASE | {"type": "VerifiableCredential", "x": 1}))
    assert (opened.id, opened.valid_from, opened.valid_until) == (None, None, None)
    opened.require_in_time(NOW)
    several = BASE | {"credentialSubject": [{"a": 1}, {"b": 1}], "issuer": {"id": A, "name": "A"}}
    assert len(vcdm.read(strict_json.canonical(several)).subjects) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"@context": vcdm.CONTEXT},
        {"@context": ["https://www.w3.org/2018/credentials/v1"]},
        {"@context": [vcdm.CONTEXT, {"@vocab": "x"}]},
        {"@context": [vcdm.CONTEXT, vcdm.CONTEXT]},
        {"type": ["Other"]},
        {"issuer": "https://a.example"},
        {"issuer": {"name": "x"}},
        {"credentialSubject": []},
        {"credentialSubject": [{"a": 1}, {}]},
        {"credentialSubject": "x"},
        {"vc": {}},
        {"vp": {}},
        {"iss": "did:web:other.example"},
        {"jti": "urn:x:1"},
        {"sub": "x"},
        {"exp": True},
        {"nbf": "1"},
        {"iat": -1},
        {"termsOfUse": {"id": "x"}},
        {"evidence": ["x"]},
        {"id": "not a url"},
        {"validFrom": "2026-01-02T00:00:00Z", "validUntil": "2026-01-01T00:00:00Z"},
    ],
)
def test_what_breaks_the_data_model_is_refused(change: dict) -> None:
    with pytest.raises(MalformedError):
        vcdm.read(strict_json.canonical(BASE | change))


def test_validity_is_read_with_a_minute_for_clocks_and_the_earlier_end_counts() -> None:
    end = times.to_ms(NOW) // 1000
    opened = vcdm.read(
        strict_json.canonical(
            BASE
            | {"validFrom": "2026-01-01T00:00:00Z", "validUntil": "2027-01-01T00:00:00Z"}
            | {"exp": end, "iss": A}
        )
    )
    opened.require_in_time(NOW + timedelta(seconds=59))
    with pytest.raises(RefusedError) as caught:
        opened.require_in_time(NOW + timedelta(seconds=60))
    assert caught.value.code == "credential_expired"
    with pytest.raises(RefusedError) as caught:
        opened.require_in_time(times.from_text("2025-12-31T23:58:59Z"))
    assert caught.value.code == "credential_not_yet_valid"


def test_texts_that_read_otherwise_than_they_look_are_named() -> None:
    members = {"a": "x", "b/c": ["ok", "evil\u202etxt"], "n": 5}
    assert list(vcdm.display_hazards(members)) == ["/b~1c/1"]


HOSTILE = "vectors/credentials/jws-hostile"


def hostile_names() -> list[dict]:
    try:
        index = json.loads(shared_path("vectors/credentials/INDEX.json").read_text())
    except pytest.skip.Exception:
        return []
    return [item for item in index["vectors"] if item["file"].startswith("jws-hostile/")]


def hostile_verdict(text: str, at: str) -> tuple[str, bool]:
    """The generic layer's answer: parse, model, key by kid among the assertion keys, time."""
    document = json.loads(shared_path(f"{HOSTILE}/_trusted_did_document.json").read_text())
    trusted = {
        method["id"]: keys.from_jwk(method["id"], method["publicKeyJwk"])
        for method in document["verificationMethod"]
        if method["id"] in document["assertionMethod"]
    }
    try:
        parsed = jws.parse(text, typ="vc+jwt")
        opened = vcdm.read(parsed.payload)
        vcdm.require_kid_of_issuer(parsed.kid, opened.issuer)
        if parsed.kid not in trusted:
            return "reject", False
        jws.verify(parsed, trusted[parsed.kid])
        opened.require_in_time(times.from_text(at))
    except TradeError:
        return "reject", False
    return "accept", bool(list(vcdm.display_hazards(opened.members)))


@pytest.mark.parametrize("vector", hostile_names(), ids=lambda item: item["file"])
def test_every_hostile_jws_gets_its_verdict(vector: dict) -> None:
    raw = shared_path(f"vectors/credentials/{vector['file']}").read_bytes()
    try:
        text = raw.decode("ascii").strip()
    except UnicodeDecodeError:
        text = raw.decode("utf-8", "replace").strip()
    verdict, warned = hostile_verdict(text, vector["verify_at"])
    expected = vector["expected"]
    if expected == "accept-with-warning":
        assert (verdict, warned) == ("accept", True)
    elif expected == "reject-or-accept-without-fetch":
        assert verdict == "reject"
    else:
        assert verdict == expected, vector["note"]
