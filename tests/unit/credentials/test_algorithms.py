"""The one table of algorithms: more of them, a made-up one, and an end for any of them (R3)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa
from hypothesis import given
from hypothesis import strategies as st

from node.cli.changes import wish as change_options
from node.keystore import KeyStore
from node.trust.views import read_wish
from protocols import base64url, jws, keys, member_list
from protocols.credentials import envelope, key_binding, status_list
from protocols.keys import Algorithm
from protocols.member_list import AlgorithmEntry, ListedKey
from protocols.verify import Receipt, verify_document
from schemas.catalogue import explain
from schemas.errors import MalformedError, RefusedError, SettingsError
from tests.support import evidence_world, title_world
from tests.support.made_network import NOW, START, A, Made, following, founded, listed, signer
from tests.support.network import Member, make_network, running_network

KID = f"{A}#credential-2"
P384 = ec.derive_private_key(11, ec.SECP384R1())
P384_ORDER = int(
    "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973",
    16,
)
ML_DSA = mldsa.MLDSA65PrivateKey.from_seed_bytes(bytes(32))
PRIVATE = {
    keys.ES256: ec.derive_private_key(7, ec.SECP256R1()),
    keys.ED25519: ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)),
    keys.ES384: P384,
    keys.ML_DSA_65: ML_DSA,
}

FOREIGN = {
    keys.ES512: ec.derive_private_key(13, ec.SECP521R1()),
    keys.ML_DSA_44: mldsa.MLDSA44PrivateKey.from_seed_bytes(bytes(32)),
}


def test_every_algorithm_of_the_table_is_tried_here() -> None:
    foreign = {name for name, row in keys.ALGORITHMS.items() if row.foreign}
    assert foreign == set(FOREIGN)
    assert set(PRIVATE) == set(keys.ALGORITHMS) - foreign


@pytest.mark.parametrize("name", FOREIGN)
def test_r3_some_algorithms_are_read_in_what_strangers_sign_and_nowhere_else(name: str) -> None:
    """Own documents, the member list and key bindings stay within the narrower list."""
    theirs = keys.SoftwareSigner(KID, FOREIGN[name])
    assert theirs.algorithm == name
    with pytest.raises(RefusedError) as caught:
        jws.parse(jws.sign(b"{}", typ="vc+jwt", signer=theirs, cty="vc"), typ="vc+jwt")
    assert caught.value.code == "jws_algorithm_unknown"
    with pytest.raises(MalformedError):
        keys.from_jwk(KID, theirs.public_jwk)
    with pytest.raises(MalformedError):
        with_key(founded(), theirs)
    with pytest.raises(MalformedError):
        key_binding.holder_of({"cnf": {"jwk": dict(theirs.public_jwk)}})
    with pytest.raises(SettingsError):
        KeyStore(Path("nowhere"), A).create("credential", name)

    claims = {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiableCredential"],
        "issuer": A,
        "credentialSubject": {"id": "https://a.example/1"},
    }
    text = jws.sign(json.dumps(claims).encode(), typ="vc+jwt", signer=theirs, cty="vc")
    found = envelope.parse(text.encode())
    assert found.alg == name
    assert theirs.public().verify(found.signature, found.signing_input)


@pytest.mark.parametrize("name", PRIVATE)
def test_every_algorithm_signs_and_verifies_credentials_and_nothing_else_fits(name: str) -> None:
    ours = keys.SoftwareSigner(KID, PRIVATE[name])
    assert ours.algorithm == name
    text = jws.sign(b"{}", typ="vc+jwt", signer=ours, cty="vc")
    parsed = jws.parse(text, typ="vc+jwt")
    assert json.loads(base64url.decode(text.split(".")[0]))["alg"] == name
    jws.verify(parsed, ours.public())
    altered = replace(parsed, signing_input=parsed.signing_input + b"A")
    with pytest.raises(RefusedError) as caught:
        jws.verify(altered, ours.public())
    assert caught.value.code == "bad_signature"
    for other in set(PRIVATE) - {name}:
        with pytest.raises(RefusedError) as caught:
            jws.verify(parsed, keys.SoftwareSigner(KID, PRIVATE[other]).public())
        assert caught.value.code == "jws_algorithm_mismatch"


@given(st.binary(max_size=100))
def test_r2_es384_is_deterministic_and_low_s(data: bytes) -> None:
    ours = keys.SoftwareSigner(KID, P384)
    signature = ours.sign(data)
    s = int.from_bytes(signature[48:], "big")
    high = signature[:48] + (P384_ORDER - s).to_bytes(48, "big")
    assert ours.sign(data) == signature
    assert s <= P384_ORDER // 2
    assert ours.public().verify(signature, data)
    assert ours.public().verify(high, data)
    assert not ours.public().verify(signature[:-1], data)


def test_an_akp_key_is_written_as_rfc_9964_says() -> None:
    ours = keys.SoftwareSigner(KID, ML_DSA)
    assert set(ours.public_jwk) == {"kty", "alg", "pub"}
    assert (ours.public_jwk["kty"], ours.public_jwk["alg"]) == ("AKP", "ML-DSA-65")
    assert len(ours.public().raw()) == 1952
    # RFC 7638 with the required members of RFC 9964 §6: alg, kty, pub.
    text = f'{{"alg":"ML-DSA-65","kty":"AKP","pub":"{ours.public_jwk["pub"]}"}}'
    expected = base64url.encode(hashlib.sha256(text.encode()).digest())
    assert ours.public().thumbprint() == expected
    assert len(keys.SoftwareSigner(KID, P384).public().raw()) == 97


@pytest.mark.parametrize(
    "change",
    [{"alg": "ML-DSA-44"}, {"alg": None}, {"pub": "AAAA"}, {"crv": "P-256"}, {"priv": "AAAA"}],
)
def test_an_akp_key_of_another_form_is_refused(change: dict) -> None:
    jwk = dict(keys.SoftwareSigner(KID, ML_DSA).public_jwk) | change
    with pytest.raises(MalformedError):
        keys.from_jwk(KID, {name: value for name, value in jwk.items() if value is not None})


# --- an algorithm nobody has heard of ----------------------------------------------------------


class MadePrivateKey:
    """A private key of the made-up algorithm, which is a keyed hash and secure for nobody."""

    def __init__(self, secret: bytes) -> None:
        self.secret = secret


def _digest(secret: bytes, data: bytes) -> bytes:
    return hashlib.sha256(b"made up" + secret + data).digest()


MADE_UP = Algorithm(
    "MADE-UP-1",
    {"kty": "MADE", "crv": "up"},
    ("secret",),
    frozenset({"MADE-UP-1"}),
    lambda jwk: lambda sig, data: sig == _digest(base64url.decode(jwk["secret"]), data),
    lambda key: (
        ({"secret": key.secret}, lambda data: _digest(key.secret, data))
        if isinstance(key, MadePrivateKey)
        else None
    ),
)


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(keys._TABLE, MADE_UP.name, MADE_UP)
    yield keys.SoftwareSigner(KID, MadePrivateKey(b"s" * 32))
    jws._header.cache_clear()


def with_key(made: Made, own: keys.SoftwareSigner, **times: datetime) -> Made:
    """The network with one more credential key for A."""
    key = ListedKey(own.public(), "credential", A, **{"valid_from": START, **times})
    entry = replace(made.draft.nodes[0], keys=(*made.draft.nodes[0].keys, key))
    draft = replace(made.draft, nodes=(entry, *made.draft.nodes[1:]))
    signed = member_list.sign_list(draft.payload(), made.roots[:2])
    return Made(member_list.open_founding(signed, now=NOW), made.roots, draft)


def status_text(made: Made, own: keys.SoftwareSigner) -> str:
    return status_list.sign_list(
        url=status_list.list_url(A, "1"),
        issuer=A,
        network=made.members.network,
        bits=bytes(status_list.MIN_ENTRIES // 8),
        ttl=timedelta(minutes=15),
        valid_from=NOW,
        valid_until=NOW + timedelta(days=1),
        signer=own,
    )


def test_a_made_up_algorithm_works_without_touching_any_caller(
    made_up: keys.SoftwareSigner,
) -> None:
    made = with_key(founded(), made_up)
    found = made.members.key(KID)
    assert found is not None
    assert found.public == made_up.public()
    opened = status_list.open_list(status_text(made, made_up), members=made.members, now=NOW)
    assert opened.kid == KID
    assert made_up.public().raw() == b"s" * 32


def test_without_its_row_the_made_up_algorithm_is_unknown() -> None:
    with pytest.raises(MalformedError):
        keys.from_jwk(KID, {"kty": "MADE", "crv": "up", "secret": "AAAA"})
    with pytest.raises(MalformedError):
        keys.SoftwareSigner(KID, MadePrivateKey(b""))


# --- the end of an algorithm --------------------------------------------------------------------


def ended(made: Made, name: str, until: datetime) -> member_list.MemberList:
    draft = following(made).with_algorithm(AlgorithmEntry(name, until))
    signed = member_list.sign_list(draft.payload(), made.roots[:2])
    return member_list.advance(made.members, signed, now=NOW)


def test_r3_a_member_list_refuses_an_algorithm_from_a_date_on() -> None:
    made = founded()
    until = NOW + timedelta(days=5)
    members = ended(made, keys.ES256, until)
    key = members.key(f"{A}#credential-1")
    assert key is not None
    assert key.valid_at(until - timedelta(seconds=1))
    assert not key.valid_at(until)
    entry = members.node(A)
    assert entry is not None
    assert entry.key_for("credential", until) is None
    assert entry.key_for("log", until) is not None  # Ed25519 goes on
    # What the next draft copies is what the list says, not what it makes of it.
    as_listed = members.key_as_listed(f"{A}#credential-1")
    assert as_listed is not None
    assert as_listed.valid_until is None
    assert members.nodes == made.members.nodes
    assert members.key_as_listed("did:web:nobody.example#credential-1") is None
    text = status_text(made, signer(f"{A}#credential-1"))
    status_list.open_list(text, members=made.members, now=NOW)
    with pytest.raises(RefusedError) as caught:
        status_list.open_list(text, members=ended(made, keys.ES256, NOW), now=NOW)
    assert caught.value.code == "status_key_refused"


def test_the_end_of_an_algorithm_is_told_before_anyone_signs() -> None:
    made = founded()
    members = ended(made, "ES999", NOW)  # not known to everybody yet, and kept all the same
    assert members.algorithms == (AlgorithmEntry("ES999", NOW),)
    assert members.algorithm_until("ES999") == NOW
    told = member_list.diff(made.members, members)
    assert "adds end of algorithm ES999: refused from 2026-11-18T06:00:00.000Z on" in told
    kept = member_list.MemberListDraft.after(members, issued_at=NOW, expires=members.expires)
    assert kept.algorithms == members.algorithms


def test_a_list_names_an_algorithm_once() -> None:
    made = founded()
    twice = following(made, algorithms=(AlgorithmEntry("ES256", NOW),) * 2)
    signed = member_list.sign_list(twice.payload(), made.roots[:2])
    with pytest.raises(MalformedError):
        member_list.advance(made.members, signed, now=NOW)


def test_the_table_itself_may_begin_and_end_an_algorithm(monkeypatch: pytest.MonkeyPatch) -> None:
    since, until = NOW - timedelta(days=2), NOW + timedelta(days=2)
    row = replace(keys.ALGORITHMS[keys.ES384], since=since, until=until)
    monkeypatch.setitem(keys._TABLE, keys.ES384, row)
    made = with_key(founded(), keys.SoftwareSigner(KID, P384))
    key = made.members.key(KID)
    assert key is not None
    assert (key.valid_from, key.valid_until) == (since, until)
    later = with_key(founded(), keys.SoftwareSigner(KID, P384), valid_from=NOW)
    held = later.members.key(KID)
    assert held is not None
    assert held.valid_from == NOW


@pytest.mark.parametrize("purpose", ["exchange", "log", "title", "release"])
@pytest.mark.parametrize("name", [keys.ES384, keys.ML_DSA_65])
def test_r1_the_newer_algorithms_sign_credentials_alone(purpose: str, name: str) -> None:
    made = founded()
    own = keys.SoftwareSigner(f"{A}#{purpose}-9", PRIVATE[name])
    key = replace(listed(f"{A}#{purpose}-9", purpose), public=own.public())
    entry = replace(made.draft.nodes[0], keys=(key,))
    draft = replace(made.draft, nodes=(entry, *made.draft.nodes[1:]))
    signed = member_list.sign_list(draft.payload(), made.roots[:2])
    with pytest.raises(MalformedError):
        member_list.open_founding(signed, now=NOW)


@pytest.mark.parametrize("name", PRIVATE)
def test_a_home_keeps_credential_keys_of_every_algorithm(name: str, tmp_path) -> None:
    made = KeyStore(tmp_path, A).create("credential", name)
    again = KeyStore(tmp_path, A).signer("credential")
    assert again.algorithm == name
    assert again.public() == made.public()


@pytest.mark.parametrize(("purpose", "name"), [("credential", "RS256"), ("log", "ES384")])
def test_a_home_makes_no_other_keys(purpose: str, name: str, tmp_path) -> None:
    with pytest.raises(SettingsError) as caught:
        KeyStore(tmp_path, A).create(purpose, name)
    assert caught.value.code == "key_algorithm_unknown"


def test_ml_dsa_counts_from_its_standard_on() -> None:
    assert keys.ALGORITHMS[keys.ML_DSA_65].since == datetime(2026, 5, 1, tzinfo=UTC)


def test_cred_02_a_document_signed_after_the_end_of_its_algorithm_fails_by_name() -> None:
    file = evidence_world.issued()

    def cred_02(until: datetime, receipt: Receipt | None = None) -> tuple[str, str]:
        entry = AlgorithmEntry(keys.ES256, until)
        members = replace(evidence_world.MEMBERS, algorithms=(entry,))
        at = until + timedelta(hours=1)
        report, _ = verify_document(file.to_bytes(), members=members, at=at, receipt=receipt)
        check = report.check("CRED-02")
        assert check is not None
        return check.outcome.value, check.code

    end = title_world.NOW + timedelta(hours=2)
    assert cred_02(end) == ("FAILED", "algorithm_refused")
    # A quorum of witnesses saw it before: then it stands (R17).
    assert cred_02(end, evidence_world.receipt(file)) == ("PASSED", "")
    assert explain("algorithm_refused") is not None
    assert explain("key_algorithm_unknown") is not None


def test_a_root_asks_for_the_end_of_an_algorithm_through_the_operators_api() -> None:
    wish = read_wish({"algorithms": [{"id": "ES256", "until": "2035-01-01T00:00:00Z"}]})
    assert wish.algorithms == (AlgorithmEntry("ES256", datetime(2035, 1, 1, tzinfo=UTC)),)
    assert not wish.changes_nothing
    asked = change_options(refuse_algorithm=["ES256=2035-01-01"])
    assert asked["algorithms"] == [{"id": "ES256", "until": "2035-01-01T00:00:00.000Z"}]
    with pytest.raises(MalformedError):
        change_options(refuse_algorithm=["ES256"])


async def test_the_next_version_carries_the_end_of_an_algorithm(tmp_path) -> None:
    made = make_network(tmp_path, {"port": Member()})
    async with running_network(made) as nodes:
        token = {"algorithms": [{"id": "ES384", "until": "2035-01-01T00:00:00Z"}]}
        signing = nodes["port"].trust.signing
        signed = await signing.sign(read_wish(token))
        assert signed[0].published
        current = nodes["port"].members.current
        assert current is not None
        assert current.algorithm_until("ES384") == datetime(2035, 1, 1, tzinfo=UTC)
