"""With which keys a document is signed: the credential key, its certificates, a second signature.

Certificates come from `credential.certificates` in the home; their leaf names the key. The second,
ML-DSA signature is made when the settings or the node's entry in the member list ask for it, and
then the ML-DSA key never signs a credential by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from protocols.credentials import countersignature
from protocols.keys import ALGORITHMS, thumbprint
from protocols.x509 import path as x509_path
from schemas.errors import RefusedError, SettingsError, TradeError

if TYPE_CHECKING:
    from node.runtime import Node
    from protocols.credentials.credential import DocumentFile
    from protocols.keys import Signer
    from protocols.member_list import MemberList, NodeEntry

MAX_CHAIN_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True)
class Signing:
    """The key, the certificates that go with it (DER, leaf first), and the second key, if any."""

    signer: Signer
    x5c: tuple[bytes, ...] = ()
    second: Signer | None = None

    def countersign(self, file: DocumentFile, network: bytes) -> DocumentFile:
        """The file with the second signature, where one is made."""
        if self.second is None:
            return file
        text = countersignature.sign(network, file.digest, self.second)
        return replace(file, countersignature=text)


def signing(node: Node, members: MemberList) -> Signing:
    """How this node signs documents now.

    Raises RefusedError `own_key_not_listed`; SettingsError `countersigning_key_missing`,
    `certificate_chain_bad`.
    """
    entry = members.node(node.did)
    second = _second(node, entry) if _wants_two(node, entry) else None
    chain = _chain(node)
    if chain:
        return Signing(_certified(node, chain[0]), chain, second)
    return Signing(credential_signer(node, members), (), second)


def _wants_two(node: Node, entry: NodeEntry | None) -> bool:
    since = entry.countersigned_from if entry else None
    listed = since is not None and node.clock.now() >= since
    return listed or node.settings.credential.countersign


def credential_signer(node: Node, members: MemberList) -> Signer:
    """Our newest credential key that the list has in force; RefusedError `own_key_not_listed`.

    Where documents are signed twice, the ML-DSA keys are left to the second signature.
    """
    entry = members.node(node.did)
    two = _wants_two(node, entry)
    allowed = set(ALGORITHMS) - (countersignature.ALGORITHMS if two else set())
    key = entry.key_for("credential", node.clock.now(), allowed) if entry else None
    if key is None:
        raise RefusedError("own_key_not_listed", "no credential key of ours is in force")
    return node.keys.signer_for(key.kid)


def _second(node: Node, entry: NodeEntry | None) -> Signer:
    algorithms = countersignature.ALGORITHMS
    key = entry.key_for("credential", node.clock.now(), algorithms) if entry else None
    if key is None:
        raise SettingsError("countersigning_key_missing", "no ML-DSA credential key is in force")
    return node.keys.signer_for(key.kid)


def _chain(node: Node) -> tuple[bytes, ...]:
    """The configured certificates; none when none are configured."""
    name = node.settings.credential.certificates
    if not name:
        return ()
    file = node.home.path / name
    try:
        with file.open("rb") as source:
            found = x509.load_pem_x509_certificates(source.read(MAX_CHAIN_BYTES))
    except (OSError, ValueError):
        raise SettingsError("certificate_chain_bad", f"{name} cannot be read as PEM") from None
    if len(found) > x509_path.MAX_CERTIFICATES:
        raise SettingsError("certificate_chain_bad", "a chain has at most six certificates")
    return tuple(one.public_bytes(Encoding.DER) for one in found)


def _certified(node: Node, leaf: bytes) -> Signer:
    """The credential key here that the leaf certifies, for our own DID."""
    try:
        certificate = x509_path.load(leaf)
        x509_path.require_name(certificate, node.did)
        wanted = x509_path.key_of(certificate, node.did).thumbprint()
    except TradeError as error:
        raise SettingsError("certificate_chain_bad", error.detail) from None
    for signer in node.keys.own():
        purpose = signer.kid.partition("#")[2].rpartition("-")[0]
        if purpose == "credential" and thumbprint(signer.public_jwk) == wanted:
            return signer
    raise SettingsError("certificate_chain_bad", "no credential key here has that certificate")
