"""The relayer's key: `keys/relayer/relayer-1.pem`, a secp256k1 key that moves no title.

It pays for transactions and owns the node's rows in the anchor contract, nothing else: operations
on titles are signed by their holders (R19). PKCS#8 PEM, readable by its owner alone, with the line
`kid:` before it as every key of a node has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from node.home import write_private
from protocols.evm.keys import SoftwareEvmSigner
from schemas.errors import SettingsError

if TYPE_CHECKING:
    from node.home import Home

_NAME = "relayer-1"


def relayer_signer(home: Home, did: str) -> SoftwareEvmSigner:
    """The relayer's key of that home, made at its first use."""
    file = home.keys / "relayer" / f"{_NAME}.pem"
    line = f"kid: {did}#{_NAME}\n".encode()
    if not file.exists():
        file.parent.mkdir(mode=0o700, exist_ok=True)
        made = ec.generate_private_key(ec.SECP256K1())
        pem = made.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        write_private(file, line + pem)
    data = file.read_bytes()
    if not data.startswith(line):
        raise SettingsError("key_file_bad", f"{file.name} holds another node's key")
    try:
        key = serialization.load_pem_private_key(data[len(line) :], None)
    except (ValueError, TypeError):
        raise SettingsError("key_file_bad", f"{file.name} holds no readable key") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256K1):
        raise SettingsError("key_file_bad", f"{file.name} is not a secp256k1 key")
    return SoftwareEvmSigner(key.private_numbers().private_value.to_bytes(32, "big"))
