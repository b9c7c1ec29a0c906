"""Key files: one purpose each, named inside, closed to others."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from node.keystore import PURPOSES, KeyStore
from protocols.keys import from_jwk
from schemas.errors import ConflictError, MalformedError, NotFoundError, SettingsError

DID = "did:web:port.example"


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path, DID)


@pytest.mark.parametrize("purpose", sorted(PURPOSES))
def test_a_key_signs_again_after_it_was_read_back(keys: KeyStore, purpose: str) -> None:
    made = keys.create(purpose)
    read = KeyStore(keys.folder, DID).signer(purpose)
    assert read.kid == made.kid == f"{DID}#{purpose}-1"
    assert read.sign(b"data") == made.sign(b"data")
    assert from_jwk(read.kid, read.public_jwk).verify(read.sign(b"data"), b"data")
    assert (keys.folder / f"{purpose}-1.pem").stat().st_mode & 0o777 == 0o600


def test_the_newest_key_signs_and_the_old_one_stays(keys: KeyStore) -> None:
    for number in range(1, 12):
        assert keys.create("log").kid == f"{DID}#log-{number}"
        assert keys.signer("log").kid == f"{DID}#log-{number}"
    assert keys.signer("log").kid == f"{DID}#log-11"
    assert keys.signer_for(f"{DID}#log-2").kid == f"{DID}#log-2"
    assert len(keys.own()) == len(keys.files()) == 11


def test_purposes_with_a_common_beginning_are_not_mixed_up(keys: KeyStore) -> None:
    keys.create("registry-witness")
    assert not keys.has("registry")
    with pytest.raises(NotFoundError, match="key_missing"):
        keys.signer("registry")


def test_a_hosted_partys_key_carries_the_partys_did(keys: KeyStore) -> None:
    party = "did:web:exporter.example"
    made = keys.create_party("exporter", party)
    again = KeyStore(keys.folder, DID)
    assert again.signer_for(f"{party}#title-1").sign(b"x") == made.sign(b"x")
    assert list(again.parties()) == [party]
    assert again.own() == []
    with pytest.raises(ConflictError, match="party_key_exists"):
        keys.create_party("exporter", party)


@pytest.mark.parametrize(
    "kid", [f"{DID}#log-1", "did:web:other.example#title-1", "x", f"{DID}#../a"]
)
def test_r20_a_key_that_is_not_here_is_not_found(keys: KeyStore, kid: str) -> None:
    with pytest.raises(NotFoundError, match="key_missing"):
        keys.signer_for(kid)


@pytest.mark.parametrize("name", ["", "../x", "A", "a/b", "-a", "a" * 64])
def test_a_partys_name_is_a_plain_file_name(keys: KeyStore, name: str) -> None:
    with pytest.raises(MalformedError, match="party_name_bad"):
        keys.create_party(name, "did:web:x.example")


def test_r1_an_unknown_purpose_gets_no_key(keys: KeyStore) -> None:
    with pytest.raises(SettingsError, match="key_purpose_unknown"):
        keys.create("everything")


def test_a_renamed_key_file_is_noticed(keys: KeyStore) -> None:
    keys.create("log")
    (keys.folder / "log-1.pem").rename(keys.folder / "witness-1.pem")
    with pytest.raises(SettingsError, match="key_file_bad"):
        KeyStore(keys.folder, DID).signer("witness")


def _foreign() -> bytes:
    pem = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return f"kid: {DID}#log-1\n".encode() + pem


@pytest.mark.parametrize(
    "data", [b"", b"no key id\n", f"kid: {DID}#log-1\nrubbish".encode(), _foreign()]
)
def test_a_damaged_key_file_is_told(keys: KeyStore, data: bytes) -> None:
    (keys.folder / "log-1.pem").write_bytes(data)
    with pytest.raises(SettingsError, match="key_file_bad"):
        keys.signer("log")
