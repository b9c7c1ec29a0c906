"""Private keys in files: `keys/<purpose>-<n>.pem`, and hosted parties' in `keys/parties/`.

A key's id is `<did>#<purpose>-<n>`; its purpose is fixed by the member list (R1). Files are
PKCS#8 PEM (RFC 7468), readable by their owner alone; a line `kid:` before the PEM names the key,
so a file that was renamed or copied to another node is noticed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa

from node.home import write_private
from protocols.credentials import did
from protocols.keys import ED25519, ES256, ES384, ML_DSA_65, SoftwareSigner
from schemas.errors import ConflictError, MalformedError, NotFoundError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from protocols.keys import PrivateKey

ECDSA_PURPOSES = frozenset({"credential", "exchange", "title", "release", "approval", "platform"})
# A root key signs member lists; it is named in the list's roots, not among a node's keys (R4).
ED25519_PURPOSES = frozenset({"log", "witness", "registry", "registry-witness", "root"})
PURPOSES = ECDSA_PURPOSES | ED25519_PURPOSES
_FILE = re.compile(r"([a-z-]+)-([1-9][0-9]{0,4})\.pem")
#: What makes a key of an algorithm; a credential key may choose, the others have no choice.
_MAKERS: Mapping[str, Callable[[], PrivateKey]] = MappingProxyType(
    {
        ES256: lambda: ec.generate_private_key(ec.SECP256R1()),
        ES384: lambda: ec.generate_private_key(ec.SECP384R1()),
        ML_DSA_65: mldsa.MLDSA65PrivateKey.generate,
        ED25519: ed25519.Ed25519PrivateKey.generate,
    }
)
_PARTY = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class KeyStore:
    """The private keys of one node and of the parties it hosts."""

    def __init__(self, folder: Path, did: str) -> None:
        """`folder` holds the files; `did` is the node's own."""
        self.folder = folder
        self.did = did
        self._signers: dict[str, SoftwareSigner] = {}
        self._newest: dict[str, SoftwareSigner] = {}

    def create(self, purpose: str, algorithm: str | None = None) -> SoftwareSigner:
        """A new key for `purpose`, numbered after the last one and stored durably.

        algorithm: of a credential key, a name of `protocols.keys.ALGORITHMS`; ES256 when not given.
        Raises SettingsError `key_algorithm_unknown` for one that is not made here.
        """
        if algorithm is not None and (purpose != "credential" or algorithm not in _MAKERS):
            raise SettingsError("key_algorithm_unknown", f"{algorithm} for {purpose}")
        if purpose not in PURPOSES:
            raise SettingsError("key_purpose_unknown", f"{purpose} is not a key purpose")
        self._newest.pop(purpose, None)
        number = max(self._numbers(purpose), default=0) + 1
        file = self.folder / f"{purpose}-{number}.pem"
        return self._write(file, f"{self.did}#{purpose}-{number}", purpose, algorithm)

    def create_party(self, name: str, did: str) -> SoftwareSigner:
        """A title key `<did>#title-1` for a party this node hosts; `name` names the file."""
        if not _PARTY.fullmatch(name):
            raise MalformedError("party_name_bad", "lower-case letters, digits and hyphens only")
        folder = self.folder / "parties"
        folder.mkdir(mode=0o700, exist_ok=True)
        file = folder / f"{name}.pem"
        if file.exists():
            raise ConflictError("party_key_exists", f"a key for {name} is already here")
        return self._write(file, f"{did}#title-1", "title")

    def issuer(self, algorithm: str) -> SoftwareSigner:
        """The key of a did:key issuer, made at its first use: in no member list, for tests only.

        algorithm: one that has a did:key. Raises MalformedError `multikey_malformed` for others.
        """
        folder = self.folder / "issuers"
        folder.mkdir(mode=0o700, exist_ok=True)
        file = folder / f"{algorithm.lower()}.pem"
        if file.exists():
            return self._read(file)
        key = _MAKERS[algorithm]()
        name = did.key_did(SoftwareSigner("", key).public())
        return self._keep(file, f"{name}#{name.removeprefix('did:key:')}", key)

    def signer(self, purpose: str) -> SoftwareSigner:
        """The newest key for `purpose`; raises NotFoundError `key_missing`."""
        # The home is locked: new keys come only through `create`, so the answer is kept.
        if purpose not in self._newest:
            number = max(self._numbers(purpose), default=0)
            self._newest[purpose] = self.signer_for(f"{self.did}#{purpose}-{number}")
        return self._newest[purpose]

    def has(self, purpose: str) -> bool:
        """Whether a key for `purpose` is here."""
        return any(True for _ in self._numbers(purpose))

    def signer_for(self, kid: str) -> SoftwareSigner:
        """The key with that id, the node's own or a party's; raises NotFoundError `key_missing`."""
        if kid not in self._signers:
            self._load(kid)
        if kid not in self._signers:
            raise NotFoundError("key_missing", f"no private key {kid} is in this node")
        return self._signers[kid]

    def parties(self) -> dict[str, SoftwareSigner]:
        """The title keys of hosted parties, by the party's DID."""
        files = sorted((self.folder / "parties").glob("*.pem"))
        signers = (self._read(file) for file in files)
        return {signer.kid.partition("#")[0]: signer for signer in signers}

    def own(self) -> list[SoftwareSigner]:
        """All keys of the node itself, by file name."""
        return [self._read(file) for file in sorted(self.folder.glob("*.pem"))]

    def files(self) -> list[Path]:
        """All key files, for checks of their permissions."""
        return sorted(self.folder.rglob("*.pem"))

    def _numbers(self, purpose: str) -> Iterator[int]:
        for file in self.folder.glob(f"{purpose}-*.pem"):
            match = _FILE.fullmatch(file.name)
            if match and match[1] == purpose:
                yield int(match[2])

    def _load(self, kid: str) -> None:
        did, _, fragment = kid.partition("#")
        if did != self.did:
            self.parties()
        elif (self.folder / f"{fragment}.pem").is_file() and _FILE.fullmatch(f"{fragment}.pem"):
            self._read(self.folder / f"{fragment}.pem")

    def _write(
        self, file: Path, kid: str, purpose: str, algorithm: str | None = None
    ) -> SoftwareSigner:
        key = _MAKERS[algorithm or (ED25519 if purpose in ED25519_PURPOSES else ES256)]()
        return self._keep(file, kid, key)

    def _keep(self, file: Path, kid: str, key: PrivateKey) -> SoftwareSigner:
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        write_private(file, f"kid: {kid}\n".encode() + pem)
        self._signers[kid] = SoftwareSigner(kid, key)
        return self._signers[kid]

    def _read(self, file: Path) -> SoftwareSigner:
        data = file.read_bytes()
        first, _, pem = data.partition(b"\n")
        kid = first.removeprefix(b"kid: ").decode("utf-8", "replace")
        if not first.startswith(b"kid: "):
            raise SettingsError("key_file_bad", f"{file.name} does not begin with its key id")
        if file.parent == self.folder and kid != f"{self.did}#{file.stem}":
            raise SettingsError("key_file_bad", f"{file.name} holds the key {kid}")
        if kid not in self._signers:
            self._signers[kid] = SoftwareSigner(kid, _private_key(file, pem))
        return self._signers[kid]


def _private_key(file: Path, pem: bytes) -> PrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        raise SettingsError("key_file_bad", f"{file.name} holds no readable key") from None
    kinds = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | mldsa.MLDSA65PrivateKey
    if not isinstance(key, kinds):
        raise SettingsError("key_file_bad", f"{file.name} is of a kind that is not used here")
    return key
