"""The keys with which a witness signs besides its own: as a mirror, and by ML-DSA-44.

They are in no member list: a log's policy names them where its lines are to be known. A mirror is
another cosigner than the witness and needs a key of its own (C2SP tlog-cosignature: the Ed25519
message does not name its signer). Made at the first start, in ``keys/cosigning/``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa

from ledger.witness import Cosigner
from node.home import write_private
from protocols.log import note
from schemas.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    from node.keystore import KeyStore

_MLDSA, _MIRROR = "ml-dsa-44.pem", "mirror.pem"


@dataclass(frozen=True, slots=True)
class CosignerKeys:
    """The ML-DSA-44 half of the witness (type 0x06) and the mirror (type 0x04)."""

    second: Cosigner
    mirror: Cosigner


def cosigner_keys(keys: KeyStore) -> CosignerKeys:
    """This node's keys, made when they are not there. Raises SettingsError `key_file_bad`."""
    folder = keys.folder / "cosigning"
    folder.mkdir(mode=0o700, exist_ok=True)
    host = keys.did.removeprefix("did:web:")
    second, mirror = _second(folder / _MLDSA), _mirror(folder / _MIRROR)
    raw = second.public_key().public_bytes_raw()
    return CosignerKeys(
        Cosigner(note.verifier_key(f"{host}/witness/1", note.ML_DSA_44, raw), second.sign),
        Cosigner(
            note.verifier_key(
                f"{host}/mirror/1", note.COSIGNATURE, mirror.public_key().public_bytes_raw()
            ),
            mirror.sign,
        ),
    )


def key_texts(keys: KeyStore) -> list[str]:
    """The vkeys that policies may name beside the listed one; none for who is no witness."""
    if not keys.has("witness"):
        return []
    made = cosigner_keys(keys)
    return [made.second.key.to_text(), made.mirror.key.to_text()]


def _second(file: Path) -> mldsa.MLDSA44PrivateKey:
    if not file.exists():
        _write(file, mldsa.MLDSA44PrivateKey.generate())
    key = _load(file)
    if not isinstance(key, mldsa.MLDSA44PrivateKey):
        raise SettingsError("key_file_bad", f"{file.name} holds another kind of key")
    return key


def _mirror(file: Path) -> ed25519.Ed25519PrivateKey:
    if not file.exists():
        _write(file, ed25519.Ed25519PrivateKey.generate())
    key = _load(file)
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise SettingsError("key_file_bad", f"{file.name} holds another kind of key")
    return key


def _write(file: Path, key: mldsa.MLDSA44PrivateKey | ed25519.Ed25519PrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_private(file, pem)


def _load(file: Path) -> object:
    try:
        return serialization.load_pem_private_key(file.read_bytes(), None)
    except (ValueError, TypeError):
        raise SettingsError("key_file_bad", f"{file.name} holds no readable key") from None
