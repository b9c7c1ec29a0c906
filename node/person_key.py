"""A person's own private key in a file of their own (R26): it never reaches a node.

PKCS#8 PEM (RFC 7468), perhaps under a passphrase, readable by its owner alone. Its did:key is the
person's name wherever something that they signed is verified.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from protocols import approval
from protocols.credentials import did
from protocols.keys import SoftwareSigner
from schemas.errors import ConflictError, SettingsError

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 16 * 1024
_OTHERS = 0o077


def create(file: Path, passphrase: str = "") -> str:
    """Make a P-256 key in a new file; its did:key. Raises ConflictError `review_key_exists`."""
    key = ec.generate_private_key(ec.SECP256R1())
    how: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        how = serialization.BestAvailableEncryption(passphrase.encode())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise ConflictError("review_key_exists", str(file)) from None
    with os.fdopen(descriptor, "wb") as target:
        target.write(pem)
        target.flush()
        os.fsync(target.fileno())
    return did.key_did(SoftwareSigner("", key).public())


def needs_passphrase(file: Path) -> bool:
    """Whether the file is encrypted."""
    return b"ENCRYPTED PRIVATE KEY" in _read(file)


def load(file: Path, passphrase: str = "") -> SoftwareSigner:
    """The signer under its own did:key; raises SettingsError `review_key_bad`."""
    try:
        secret = passphrase.encode() if passphrase else None
        key = serialization.load_pem_private_key(_read(file), secret)
    except (ValueError, TypeError):
        raise SettingsError("review_key_bad", f"{file}: no key, or another passphrase") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise SettingsError("review_key_bad", f"{file}: no P-256 key")
    name = did.key_did(SoftwareSigner("", key).public())
    return SoftwareSigner(approval.key_id(name), key)


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as source:
            if os.fstat(source.fileno()).st_mode & _OTHERS:
                raise SettingsError("review_key_bad", f"{file}: others can read it (chmod 600)")
            return source.read(MAX_BYTES)
    except OSError as error:
        raise SettingsError("review_key_bad", f"{file}: {error.strerror}") from None
