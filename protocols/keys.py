"""Public keys, signers and the one table of algorithms (`ALGORITHMS`).

The algorithm belongs to the key (R3): a key knows the one algorithm it verifies with and the
names that algorithm may carry in a JOSE header. ECDSA is P-256 with SHA-256 or P-384 with SHA-384
(RFC 7518 §3.4), raw r‖s; our own signatures are deterministic (RFC 6979) and low-S, the high-S of
others verifies because JOSE allows it: identity is the payload's digest, never the signature (R2).
P-521 with SHA-512 and ML-DSA-44 are read in what strangers sign; no member, node or holder has such
a key.
Ed25519 follows libsodium's rule everywhere (R2). ML-DSA-65 is RFC 9964's, with an empty context.
No symmetric algorithm exists here. Whoever adds an algorithm adds one row; nobody else changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Protocol, TypeAlias

import nacl.bindings
import nacl.exceptions
import nacl.signing
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from typing_extensions import override

from protocols import base64url
from protocols.digest import sha256
from schemas.errors import MalformedError

ES256 = "ES256"
ES384 = "ES384"
ES512 = "ES512"
ED25519 = "Ed25519"
ML_DSA_44 = "ML-DSA-44"
ML_DSA_65 = "ML-DSA-65"

Jwk: TypeAlias = Mapping[str, str]
Check: TypeAlias = Callable[[bytes, bytes], bool]
PrivateKey: TypeAlias = (
    ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | mldsa.MLDSA44PrivateKey
    | mldsa.MLDSA65PrivateKey
)
#: The public members of a private key (raw bytes by JWK name), and how it signs.
Signing: TypeAlias = tuple[Mapping[str, bytes], Callable[[bytes], bytes]]


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One signature algorithm: its name, the key it needs, its header names, how it works.

    fixed:   the JWK members that tell its keys from others: kty, and crv or alg
    members: the JWK members that hold the public key (RFC 7518 §6, RFC 8037 §2, RFC 9964 §3)
    load:    public JWK → function (signature, data) → bool; raises ValueError for a bad key
    sign:    private key → `Signing`, or None when the key is of another kind
    since, until: when signatures by it count at all; a member list may end it earlier
    everywhere: whether keys of every purpose use it, or the signing of credentials alone
    foreign: whether only strangers' identifiers name keys of it: never a list, a node, a holder
    """

    name: str
    fixed: Jwk
    members: tuple[str, ...]
    header_names: frozenset[str]
    load: Callable[[Jwk], Check]
    sign: Callable[[object], Signing | None]
    since: datetime | None = None
    until: datetime | None = None
    everywhere: bool = False
    foreign: bool = False

    def owns(self, jwk: Jwk) -> bool:
        """Whether `jwk` is a key of this algorithm."""
        return all(jwk.get(name) == value for name, value in self.fixed.items())


@dataclass(frozen=True, slots=True)
class _Curve:
    """A curve of RFC 7518 §6.2.1.1: its JWK name, group, order, coordinate size and digest."""

    name: str
    group: ec.EllipticCurve
    order: int
    size: int
    digest: SHA256 | SHA384 | SHA512

    def load(self, jwk: Jwk) -> Check:
        x, y = (base64url.decode(jwk[name]) for name in ("x", "y"))
        if len(x) != self.size or len(y) != self.size:
            raise ValueError(f"a {self.name} coordinate has {self.size} bytes")
        numbers = ec.EllipticCurvePublicNumbers(
            int.from_bytes(x, "big"), int.from_bytes(y, "big"), self.group
        )
        key, size, method = numbers.public_key(), self.size, ec.ECDSA(Prehashed(self.digest))
        # The same digest; inside of `verify` it takes three times as long.
        hashed = getattr(hashlib, self.digest.name)

        def check(signature: bytes, data: bytes) -> bool:
            if len(signature) != 2 * size:
                return False
            r = int.from_bytes(signature[:size], "big")
            s = int.from_bytes(signature[size:], "big")
            try:
                key.verify(encode_dss_signature(r, s), hashed(data).digest(), method)
            except InvalidSignature:
                return False
            return True

        return check

    def sign(self, key: object) -> Signing | None:
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != self.group.name:
            return None
        numbers = key.public_key().public_numbers()
        public = {
            "x": numbers.x.to_bytes(self.size, "big"),
            "y": numbers.y.to_bytes(self.size, "big"),
        }
        method = ec.ECDSA(self.digest, deterministic_signing=True)

        def sign(data: bytes) -> bytes:
            r, s = decode_dss_signature(key.sign(data, method))
            # Low-S (R2): of the two valid values of s, ours is always the smaller one.
            low = min(s, self.order - s)
            return r.to_bytes(self.size, "big") + low.to_bytes(self.size, "big")

        return public, sign


_P256 = _Curve(
    "P-256",
    ec.SECP256R1(),
    0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    32,
    SHA256(),
)
_P384 = _Curve(
    "P-384",
    ec.SECP384R1(),
    int(
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"
        "C7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973",
        16,
    ),
    48,
    SHA384(),
)
_P521 = _Curve(
    "P-521",
    ec.SECP521R1(),
    int(
        "01FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"
        "FA51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409",
        16,
    ),
    66,
    SHA512(),
)


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


def _sign_ed25519(key: object) -> Signing | None:
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    signing = nacl.signing.SigningKey(key.private_bytes_raw())
    return {"x": key.public_key().public_bytes_raw()}, lambda data: signing.sign(data).signature


@dataclass(frozen=True, slots=True)
class _MlDsa:
    """One size of ML-DSA (FIPS 204): its classes of keys."""

    public: type[mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey]
    private: type[mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey]

    def load(self, jwk: Jwk) -> Check:
        key = self.public.from_public_bytes(base64url.decode(jwk["pub"]))

        def check(signature: bytes, data: bytes) -> bool:
            try:
                key.verify(signature, data)
            except InvalidSignature:
                return False
            return True

        return check

    def sign(self, key: object) -> Signing | None:
        if not isinstance(key, self.private):
            return None
        return {"pub": key.public_key().public_bytes_raw()}, key.sign


_ML_DSA_44 = _MlDsa(mldsa.MLDSA44PublicKey, mldsa.MLDSA44PrivateKey)
_ML_DSA_65 = _MlDsa(mldsa.MLDSA65PublicKey, mldsa.MLDSA65PrivateKey)
_RFC_9964 = datetime(2026, 5, 1, tzinfo=UTC)  # published in this month


_TABLE = {
    row.name: row
    for row in (
        Algorithm(
            ES256,
            {"kty": "EC", "crv": "P-256"},
            ("x", "y"),
            frozenset({"ES256"}),
            _P256.load,
            _P256.sign,
            everywhere=True,
        ),
        # RFC 9864 names the curve; RFC 8037's older "EdDSA" means the same for this key.
        Algorithm(
            ED25519,
            {"kty": "OKP", "crv": "Ed25519"},
            ("x",),
            frozenset({"Ed25519", "EdDSA"}),
            _load_ed25519,
            _sign_ed25519,
            everywhere=True,
        ),
        Algorithm(
            ES384,
            {"kty": "EC", "crv": "P-384"},
            ("x", "y"),
            frozenset({"ES384"}),
            _P384.load,
            _P384.sign,
        ),
        Algorithm(
            ES512,
            {"kty": "EC", "crv": "P-521"},
            ("x", "y"),
            frozenset({"ES512"}),
            _P521.load,
            _P521.sign,
            foreign=True,
        ),
        Algorithm(
            ML_DSA_65,
            {"kty": "AKP", "alg": "ML-DSA-65"},
            ("pub",),
            frozenset({"ML-DSA-65"}),
            _ML_DSA_65.load,
            _ML_DSA_65.sign,
            since=_RFC_9964,
        ),
        Algorithm(
            ML_DSA_44,
            {"kty": "AKP", "alg": "ML-DSA-44"},
            ("pub",),
            frozenset({"ML-DSA-44"}),
            _ML_DSA_44.load,
            _ML_DSA_44.sign,
            since=_RFC_9964,
            foreign=True,
        ),
    )
}
#: The table, by name. Everything about algorithms is asked of it when it is needed.
ALGORITHMS: Mapping[str, Algorithm] = MappingProxyType(_TABLE)


def is_known(header_name: str, *, foreign: bool = False) -> bool:
    """Whether some algorithm has this name in a header (foreign: in a stranger's)."""
    return any(
        header_name in algorithm.header_names
        for algorithm in ALGORITHMS.values()
        if foreign or not algorithm.foreign
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
        """The bytes of a key of one member; the uncompressed point (SEC 1 §2.3.3) of an EC key."""
        members = [base64url.decode(self.jwk[name]) for name in ALGORITHMS[self.algorithm].members]
        return members[0] if len(members) == 1 else b"\x04" + b"".join(members)


def thumbprint(jwk: Jwk) -> str:
    """RFC 7638 thumbprint of a public JWK that `from_jwk` accepts."""
    algorithm = _algorithm_of(jwk)
    names = sorted((*algorithm.fixed, *algorithm.members))
    text = ",".join(f'"{name}":"{jwk[name]}"' for name in names)
    return base64url.encode(sha256(f"{{{text}}}".encode()))


def from_jwk(kid: str, jwk: object, *, pointer: str = "", foreign: bool = False) -> PublicKey:
    """A key from its public JWK: the members its type needs and perhaps its own `alg`.

    foreign: the key stands in a stranger's identifier, where more kinds are read.
    Raises MalformedError `key_malformed`.
    """
    if not isinstance(jwk, Mapping) or not all(isinstance(value, str) for value in jwk.values()):
        raise _bad_key("a public key is a JWK object of strings", pointer)
    algorithm = _algorithm_of(jwk, pointer)
    if algorithm.foreign and not foreign:
        raise _bad_key(_KINDS, pointer)
    needed = {*algorithm.fixed, *algorithm.members}
    if set(jwk) - {"alg"} != needed - {"alg"}:
        raise _bad_key(f"an {algorithm.name} key has {', '.join(sorted(needed))} only", pointer)
    if jwk.get("alg", algorithm.name) not in algorithm.header_names:
        raise _bad_key("the key names an algorithm that it cannot be used with", pointer)
    public = {name: jwk[name] for name in jwk if name in needed}
    try:
        check = algorithm.load(public)
    except (ValueError, TypeError, MalformedError, nacl.exceptions.CryptoError):
        raise _bad_key(f"not a valid {algorithm.name} public key", pointer) from None
    return PublicKey(kid, algorithm.name, MappingProxyType(public), check)


#: RFC 7517 members that say what a key is for; they do not change which key it is.
_ABOUT = frozenset({"use", "key_ops", "kid"})


def from_stranger(kid: str, jwk: Mapping[str, object]) -> PublicKey:
    """A key from a stranger's identifier: more kinds are read, and RFC 7517 §4.2 to §4.5.

    Raises MalformedError `key_malformed`, also for a key that is not meant for signatures.
    """
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(operations, list):
        raise _bad_key("the key is not for signatures", "")
    if "verify" not in operations:
        raise _bad_key("the key is not for verifying", "")
    said = {name: value for name, value in jwk.items() if name not in _ABOUT}
    return from_jwk(kid, said, foreign=True)


def from_ed25519_bytes(kid: str, raw: bytes) -> PublicKey:
    """An Ed25519 key from its 32 raw bytes; raises `key_malformed`."""
    return from_jwk(kid, {"kty": "OKP", "crv": "Ed25519", "x": base64url.encode(raw)})


def _algorithm_of(jwk: Jwk, pointer: str = "") -> Algorithm:
    for algorithm in ALGORITHMS.values():
        if algorithm.owns(jwk):
            return algorithm
    raise _bad_key(_KINDS, pointer)


_KINDS = "the key is of a kind that no algorithm in use here has"


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
        """The raw signature over `data`, as JOSE writes it."""
        ...


class SoftwareSigner(Signer):
    """A signer over a private key in memory.

    Pure for ECDSA and Ed25519, whose signatures are deterministic; ML-DSA takes random bytes inside
    the library (FIPS 204 §3.4, hedged), and nothing here depends on a signature's bytes (R2).
    """

    __slots__ = ("_algorithm", "_jwk", "_kid", "_sign")

    def __init__(self, kid: str, private_key: PrivateKey) -> None:
        """`private_key` is of a kind in the table; raises MalformedError `key_malformed` else."""
        self._kid = kid
        for algorithm in ALGORITHMS.values():
            signing = algorithm.sign(private_key)
            if signing is not None:
                members, self._sign = signing
                encoded = {name: base64url.encode(value) for name, value in members.items()}
                self._jwk: Jwk = MappingProxyType({**algorithm.fixed, **encoded})
                self._algorithm = algorithm.name
                return
        raise _bad_key(_KINDS, "")

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
        return from_jwk(self._kid, self._jwk, foreign=True)
