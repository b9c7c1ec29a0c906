"""Keys of titles on an EVM chain: secp256k1, Keccak-256 and the addresses that stand for keys.

They are kept apart from `protocols.keys`: no credential, manifest or receipt is ever signed with
one. A signature has one spelling only (low s, v 27 or 28; Ethereum yellow paper appendix F,
EIP-2), as the contract takes no other either. Nonces follow RFC 6979: no randomness is used here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

import coincurve
from eth_hash.auto import keccak as _keccak
from typing_extensions import override

from schemas.errors import MalformedError

ADDRESS_BYTES: Final = 20
NOBODY: Final = bytes(ADDRESS_BYTES)
N: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
MAX_JOINT: Final = 4
_JOINT_TAG: Final = b"pratique/joint/1\n"


def keccak256(data: bytes) -> bytes:
    """The 32-byte Keccak-256 of `data` (the hash of Ethereum, not FIPS 202's SHA3-256)."""
    return bytes(_keccak(data))


@dataclass(frozen=True, slots=True)
class Signature:
    """A recoverable signature: `v` is 27 or 28, `s` at most half the order of the group."""

    v: int
    r: int
    s: int

    def to_bytes(self) -> bytes:
        """r ‖ s ‖ v, 65 bytes, as wallets write it."""
        return self.r.to_bytes(32, "big") + self.s.to_bytes(32, "big") + bytes([self.v])

    @property
    def canonical(self) -> bool:
        """Whether this is the one spelling that counts."""
        return self.v in (27, 28) and 0 < self.r < N and 0 < self.s <= N // 2


def signature_from_bytes(data: bytes) -> Signature:
    """r ‖ s ‖ v; raises MalformedError `evm_signature_malformed` for any other spelling."""
    if len(data) == 65:
        made = Signature(
            data[64], int.from_bytes(data[:32], "big"), int.from_bytes(data[32:64], "big")
        )
        if made.canonical:
            return made
    raise MalformedError("evm_signature_malformed", "65 bytes: r, low s, v of 27 or 28")


class EvmSigner(Protocol):
    """Signs digests with one secp256k1 key."""

    @property
    def address(self) -> bytes:
        """The 20 bytes that stand for the key."""
        ...

    def sign_digest(self, digest: bytes) -> Signature:
        """A canonical signature over 32 bytes."""
        ...


class SoftwareEvmSigner(EvmSigner):
    """A secp256k1 key in memory."""

    __slots__ = ("_key", "address")
    address: bytes

    def __init__(self, secret: bytes) -> None:
        """`secret` is 32 bytes; raises MalformedError `evm_key_malformed` outside the group."""
        if len(secret) != 32 or not 0 < int.from_bytes(secret, "big") < N:
            raise MalformedError("evm_key_malformed", "32 bytes, from 1 to the order of the group")
        self._key = coincurve.PrivateKey(secret)
        self.address = address_of(self._key.public_key.format(compressed=False))

    @override
    def sign_digest(self, digest: bytes) -> Signature:
        """A canonical signature over 32 bytes (libsecp256k1 makes s low)."""
        made = self._key.sign_recoverable(digest, hasher=None)
        r, s = int.from_bytes(made[:32], "big"), int.from_bytes(made[32:64], "big")
        return Signature(made[64] + 27, r, s)


def address_of(public_key: bytes) -> bytes:
    """The address of an uncompressed public key of 65 bytes: Keccak-256 without the prefix."""
    return keccak256(public_key[1:])[-ADDRESS_BYTES:]


def recover(digest: bytes, signature: Signature) -> bytes | None:
    """The address whose key made the signature; None when it is no signature that counts."""
    if not signature.canonical:
        return None
    recoverable = signature.to_bytes()[:64] + bytes([signature.v - 27])
    try:
        key = coincurve.PublicKey.from_signature_and_message(recoverable, digest, hasher=None)
    except ValueError:
        return None
    return address_of(key.format(compressed=False))


def joint_address(members: tuple[bytes, ...]) -> bytes:
    """The address of joint holders: two to four keys, ascending, that act only all together.

    ETDA 2023 s.2(4): persons acting jointly count as one. Raises MalformedError
    `title_joint_malformed`.
    """
    if not 2 <= len(members) <= MAX_JOINT or list(members) != sorted(set(members)):
        raise MalformedError("title_joint_malformed", "two to four different addresses, ascending")
    words = (32, len(members), *(int.from_bytes(member, "big") for member in members))
    packed = b"".join(word.to_bytes(32, "big") for word in words)
    return keccak256(_JOINT_TAG + packed)[-ADDRESS_BYTES:]


@lru_cache(maxsize=4096)
def checksum_text(address: bytes) -> str:
    """`0x` and 40 hexadecimal digits in the case that EIP-55 gives them."""
    plain = address.hex()
    hashed = keccak256(plain.encode()).hex()
    pairs = zip(plain, hashed, strict=False)
    return "0x" + "".join(digit.upper() if int(mark, 16) > 7 else digit for digit, mark in pairs)


def read_address(text: object, *, pointer: str = "") -> bytes:
    """The address of an EIP-55 text; raises MalformedError `evm_address_malformed`."""
    if isinstance(text, str) and len(text) == 42 and text.startswith("0x") and text.isascii():
        try:
            address = bytes.fromhex(text[2:])
        except ValueError:
            address = b""
        if checksum_text(address) == text:
            return address
    raise MalformedError(
        "evm_address_malformed", "an address is 0x and 40 digits in EIP-55 case", pointer=pointer
    )
