"""Public keys, signers and the table of algorithms.

The algorithm belongs to the key (R3): a key knows the one algorithm it verifies with and the
names that algorithm may carry in a JOSE header. ECDSA is P-256 with SHA-256 (RFC 7518 §3.4),
raw r‖s; our own signatures are deterministic (RFC 6979) and low-S, the high-S of others verifies
because JOSE allows it: identity is the payload's digest, never the signature (R2). Ed25519
follows libsodium's rule everywhere (R2). No symmetric algorithm exists here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol, TypeAlias

import nacl.bindings
import nacl.exceptions
import nacl.signing
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256
from typing_extensions import override

from protocols import base64url
from protocols.digest import sha256
from schemas.errors import MalformedError

ES256 = "ES256"
ED25519 = "Ed25519"
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_ECDSA = ec.ECDSA(SHA256())
_ECDSA_DETERMINISTIC = ec.ECDSA(SHA256(), deterministic_signing=True)

Jwk: TypeAlias = Mapping[str, str]
Check: TypeAlias = Callable[[bytes, bytes], bool]


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One signature algorithm: its name, the key it needs, its header names, how it verifies.

    members: the JWK members of a public key besides kty and crv (RFC 7518 §6, RFC 8037 §2)
    load:    public JWK → function (signature, data) → bool; raises ValueError for a bad key
    """

    name: str
    kty: str
    crv: str
    members: tuple[str, ...]
    header_names: frozenset[str]
    load: Callable[[Jwk], Check]


def _load_p256(jwk: Jwk) -> Check:
    x, y = (base64url.decode(jwk[name]) for name in ("x", "y"))
    if len(x) != 32 or len(y) != 32:
        raise ValueError("a P-256 coordinate has 32 bytes")
    numbers = ec.EllipticCurvePublicNumbers(
        int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1()
    )
    key = numbers.public_key()

    def check(signature: bytes, data: bytes) -> bool:
        if len(signature) != 64:
            return False
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        try:
            key.verify(encode_dss_signature(r, s), data, _ECDSA)
        except InvalidSignature:
            return False
        return True

    return check


def _load_ed25519(jwk: Jwk) -> Check:
    point = base64url.decode(jwk["x"])
    if not nacl.bindings.crypto_core_ed25519_is_valid_point(point):
        raise ValueError("not a point of the prime-order group")

    def check(signature: bytes, data: bytes) -> bool:
        if len(signature) != 64:
            return False
        try:
            nacl.bindings.crypto_sign_open(signature + data, point)
        except nacl.exceptions.BadSignatureError:
            return False
        return True

    return check


ALGORITHMS: Mapping[str, Algorithm] = MappingProxyType(
    {
        ES256: Algorithm(ES256, "EC", "P-256", ("x", "y"), frozenset({"ES256"}), _load_p256),
        # RFC 9864 names the curve; RFC 8037's older "EdDSA" means the same for this key.
        ED25519: Algorithm(
            ED25519, "OKP", "Ed25519", ("x",), frozenset({"Ed25519", "EdDSA"}), _load_ed25519
        ),
    }
)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key somebody else signs with: key id, algorithm name and public JWK (RFC 7517)."""

    kid: str
    algorithm: str
    jwk: Jwk = field(hash=False)
    _check: Check = field(repr=False, compare=False)

    def verify(self, signature: bytes, data: bytes) -> bool:
        """Whether `signature` over `data` is this key's. Never raises."""
        return self._check(signature, data)

    def thumbprint(self) -> str:
        """RFC 7638 thumbprint (SHA-256, base64url): the key's name wherever keys are compared."""
        return thumbprint(self.jwk)

    def raw(self) -> bytes:
        """The 32 bytes of an Ed25519 key; the 65-byte uncompressed point of a P-256 key."""
        coordinates = [base64url.decode(self.jwk[name]) for name in ("x", "y") if name in self.jwk]
        return coordinates[0] if len(coordinates) == 1 else b"\x04" + b"".join(coordinates)


def thumbprint(jwk: Jwk) -> str:
    """RFC 7638 thumbprint of a public JWK that `from_jwk` accepts."""
    algorithm = _algorithm_of(jwk)
    names = sorted(("crv", "kty", *algorithm.members))
    text = ",".join(f'"{name}":"{jwk[name]}"' for name in names)
    return base64url.encode(sha256(f"{{{text}}}".encode()))


def from_jwk(kid: str, jwk: object, *, pointer: str = "") -> PublicKey:
    """A key from its public JWK: the members its type needs and perhaps its own `alg`.

    Raises MalformedError `key_malformed`.
    """
    if not isinstance(jwk, Mapping) or not all(isinstance(value, str) for value in jwk.values()):
        raise _bad_key("a public key is a JWK object of strings", pointer)
    algorithm = _algorithm_of(jwk, pointer)
    public = {name: value for name, value in jwk.items() if name != "alg"}
    if set(public) != {"kty", "crv", *algorithm.members}:
        raise _bad_key(f"a {algorithm.crv} key has kty, crv and its coordinates only", pointer)
    if jwk.get("alg", algorithm.name) not in algorithm.header_names:
        raise _bad_key("the key names an algorithm that it cannot be used with", pointer)
    try:
        check = algorithm.load(public)
    except (ValueError, TypeError, MalformedError, nacl.exceptions.CryptoError):
        raise _bad_key(f"not a valid {algorithm.crv} public key", pointer) from None
    return PublicKey(kid, algorithm.name, MappingProxyType(public), check)


def from_ed25519_bytes(kid: str, raw: bytes) -> PublicKey:
    """An Ed25519 key from its 32 raw bytes; raises `key_malformed`."""
    return from_jwk(kid, {"kty": "OKP", "crv": "Ed25519", "x": base64url.encode(raw)})


def _algorithm_of(jwk: Jwk, pointer: str = "") -> Algorithm:
    for algorithm in ALGORITHMS.values():
        if jwk.get("kty") == algorithm.kty and jwk.get("crv") == algorithm.crv:
            return algorithm
    raise _bad_key("keys are EC P-256 or OKP Ed25519", pointer)


def _bad_key(detail: str, pointer: str) -> MalformedError:
    return MalformedError("key_malformed", detail, pointer=pointer)


class Signer(Protocol):
    """Something that holds a private key: a file, a hardware module."""

    @property
    def kid(self) -> str:
        """The key's DID URL."""
        ...

    @property
    def algorithm(self) -> str:
        """A name of `ALGORITHMS`."""
        ...

    @property
    def public_jwk(self) -> Jwk:
        """The public half, as `from_jwk` takes it."""
        ...

    def sign(self, data: bytes) -> bytes:
        """The raw signature over `data`: 64 bytes for both algorithms."""
        ...


PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class SoftwareSigner(Signer):
    """A signer over a private key in memory; pure, because both algorithms are deterministic."""

    __slots__ = ("_algorithm", "_jwk", "_kid", "_sign")

    def __init__(self, kid: str, private_key: PrivateKey) -> None:
        """`private_key` is P-256 or Ed25519; raises MalformedError `key_malformed` otherwise."""
        self._kid = kid
        if isinstance(private_key, ed25519.Ed25519PrivateKey):
            self._algorithm, self._sign = ED25519, _ed25519_signing(private_key)
            self._jwk = _jwk("OKP", "Ed25519", x=private_key.public_key().public_bytes_raw())
        elif isinstance(private_key.curve, ec.SECP256R1):
            self._algorithm, self._sign = ES256, _p256_signing(private_key)
            numbers = private_key.public_key().public_numbers()
            coordinates = {"x": numbers.x.to_bytes(32, "big"), "y": numbers.y.to_bytes(32, "big")}
            self._jwk = _jwk("EC", "P-256", **coordinates)
        else:
            raise _bad_key("keys are EC P-256 or OKP Ed25519", "")

    @property
    @override
    def kid(self) -> str:
        return self._kid

    @property
    @override
    def algorithm(self) -> str:
        return self._algorithm

    @property
    @override
    def public_jwk(self) -> Jwk:
        return self._jwk

    @override
    def sign(self, data: bytes) -> bytes:
        return self._sign(data)

    def public(self) -> PublicKey:
        """The public half as a key that verifies."""
        return from_jwk(self._kid, self._jwk)


def _jwk(kty: str, crv: str, **coordinates: bytes) -> Jwk:
    encoded = {name: base64url.encode(value) for name, value in coordinates.items()}
    return MappingProxyType({"kty": kty, "crv": crv, **encoded})


def _ed25519_signing(private_key: ed25519.Ed25519PrivateKey) -> Callable[[bytes], bytes]:
    key = nacl.signing.SigningKey(private_key.private_bytes_raw())
    return lambda data: key.sign(data).signature


def _p256_signing(private_key: ec.EllipticCurvePrivateKey) -> Callable[[bytes], bytes]:
    def sign(data: bytes) -> bytes:
        r, s = decode_dss_signature(private_key.sign(data, _ECDSA_DETERMINISTIC))
        # Low-S (R2): of the two valid values of s, ours is always the smaller one.
        low = min(s, _P256_ORDER - s)
        return r.to_bytes(32, "big") + low.to_bytes(32, "big")

    return sign
