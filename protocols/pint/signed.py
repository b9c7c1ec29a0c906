"""JWS as platforms and carriers write them: compact, kept byte for byte, any listed algorithm.

PINT 3.0.0 says "compact serialization, RFC 7515 7.1" and nothing about headers, so the reader takes
headers without typ or kid, which `protocols.jws` never does. What could point to a key or change
the encoding is not followed (`jku`, `x5u`, `jwk`) or refused (`crit`, `b64`); a typ with a suffix
names an object of another protocol and is refused unless the caller expects it (R1). Algorithms
are RS, PS and ES with 256, 384 and 512 bits, and EdDSA; which of them count depends on the key
(R3). Chain links and checksums are over the whole text, as the standard says; elsewhere an object's
identity is the SHA-256 of its payload (R2).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

from protocols import base64url
from protocols.digest import sha256
from protocols.keys import from_ed25519_bytes
from protocols.pint.reading import MAX_COMPACT
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError, TooLargeError

if TYPE_CHECKING:
    from protocols.keys import Signer

MAX_HEADER = 24 * 1024
MAX_CHAIN = 6
MAX_KID = 500
MIN_RSA_BITS = 2048
CODE = "pint_jws_malformed"

_HASHES: Mapping[str, HashAlgorithm] = MappingProxyType(
    {"256": SHA256(), "384": SHA384(), "512": SHA512()}
)
_CURVES: Mapping[str, tuple[str, int]] = MappingProxyType(
    {"256": ("secp256r1", 32), "384": ("secp384r1", 48), "512": ("secp521r1", 66)}
)
ALGORITHMS = frozenset(
    {f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in _HASHES} | {"EdDSA", "Ed25519"}
)


@dataclass(frozen=True, slots=True)
class Signed:
    """One parsed, not yet verified JWS. text is what was received, to be sent on unaltered.

    checksum: SHA-256 of the whole text, what PINT's links and checksums are made of
    """

    text: str
    checksum: bytes
    alg: str
    kid: str | None
    typ: str | None
    x5c: tuple[bytes, ...]
    payload: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    @property
    def signing_input(self) -> bytes:
        """The bytes that the signature covers."""
        return self.text.rpartition(".")[0].encode("ascii")

    @property
    def payload_digest(self) -> bytes:
        """SHA-256 of the payload: the same when a randomised signature was made again."""
        return sha256(self.payload)


def checksum(text: str) -> bytes:
    """SHA-256 of a JWS text (PINT 3.0.0, …SignedContentChecksum)."""
    return sha256(text.encode("ascii"))


def parse(text: str, *, expected_typ: AbstractSet[str] = frozenset()) -> Signed:
    """A compact JWS; raises MalformedError `pint_jws_malformed`, json_*, base64url_malformed,
    TooLargeError `jws_too_large`, RefusedError `jws_algorithm_unknown`, `jws_typ_unexpected`.
    """
    if len(text) > MAX_COMPACT:
        raise TooLargeError("jws_too_large", f"more than {MAX_COMPACT} characters")
    parts = text.split(".")
    if len(parts) != 3 or not all(parts):
        raise MalformedError(CODE, "a compact JWS has three parts that are not empty")
    protected, payload, signature = parts
    if len(protected) > MAX_HEADER:
        raise TooLargeError("jws_too_large", f"a header over {MAX_HEADER} characters")
    header = _header(protected)
    if header.typ is not None and "+" in header.typ and header.typ not in expected_typ:
        raise RefusedError(
            "jws_typ_unexpected", "a signed object of another protocol", pointer="/typ"
        )
    return Signed(
        text=text,
        payload=base64url.decode(payload, pointer="payload"),
        signature=base64url.decode(signature, pointer="signature"),
        checksum=checksum(text),
        alg=header.alg,
        kid=header.kid,
        typ=header.typ,
        x5c=header.x5c,
    )


@dataclass(frozen=True, slots=True)
class _Header:
    """What a protected header says; typ: in lower case and without `application/`."""

    alg: str
    kid: str | None
    typ: str | None
    x5c: tuple[bytes, ...]


@lru_cache(maxsize=256)
def _header(protected: str) -> _Header:
    """A header says who signs and how, and nothing of what: a signer's is always the same text."""
    header = strict_json.loads_object(base64url.decode(protected, pointer="protected"))
    if "crit" in header or "b64" in header:
        # RFC 7515 §4.1.11: what must be understood and is not understood refuses the object.
        raise MalformedError(CODE, "extensions (crit, b64) are not used here")
    return _Header(_algorithm(header), _kid(header), _typ(header), _chain(header))


def _algorithm(header: Mapping[str, object]) -> str:
    alg = header.get("alg")
    if not isinstance(alg, str):
        raise MalformedError(CODE, "alg is missing or not a text", pointer="/alg")
    if alg not in ALGORITHMS:
        raise RefusedError(
            "jws_algorithm_unknown", "alg names no algorithm in use here", pointer="/alg"
        )
    return alg


def _kid(header: Mapping[str, object]) -> str | None:
    kid = header.get("kid")
    if kid is None:
        return None
    if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID:
        raise MalformedError(CODE, f"kid is a text of 1 to {MAX_KID} characters", pointer="/kid")
    return kid


def _typ(header: Mapping[str, object]) -> str | None:
    typ = header.get("typ")
    if typ is None:
        return None
    if not isinstance(typ, str) or len(typ) > 100:
        raise MalformedError(CODE, "typ is a media type", pointer="/typ")
    return typ.lower().removeprefix("application/")


def _chain(header: Mapping[str, object]) -> tuple[bytes, ...]:
    if "x5c" not in header:
        return ()
    value = header["x5c"]
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_CHAIN:
        raise MalformedError(CODE, f"x5c is a list of 1 to {MAX_CHAIN} certificates")
    return tuple(_certificate(item) for item in value)


def _certificate(value: object) -> bytes:
    try:
        der = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except (ValueError, binascii.Error):
        der = b""
    if not der:
        raise MalformedError(CODE, "an x5c certificate is standard base64", pointer="/x5c")
    return der


#: alg, signature, data → whether the key made it.
Check = Callable[[str, bytes, bytes], bool]


def check_of(key: object) -> Check | None:
    """How a certified key verifies; None for kinds that sign nothing here (R3).

    RSA from 2048 bits takes RS and PS, a curve its own ES, Ed25519 EdDSA: never what alg wishes.
    """
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
        return _rsa_check(key)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _curve_check(key)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return _edwards_check(key)
    return None


def _rsa_check(key: rsa.RSAPublicKey) -> Check:
    def check(alg: str, signature: bytes, data: bytes) -> bool:
        family, digest = alg[:2], _HASHES.get(alg[2:])
        if family not in {"RS", "PS"} or digest is None:
            return False
        method: padding.AsymmetricPadding = padding.PKCS1v15()
        if family == "PS":
            # RFC 7518 §3.5: MGF1 with the same digest, salt as long as the digest.
            method = padding.PSS(padding.MGF1(digest), digest.digest_size)
        return _holds(lambda: key.verify(signature, data, method, digest))

    return check


def _curve_check(key: ec.EllipticCurvePublicKey) -> Check:
    def check(alg: str, signature: bytes, data: bytes) -> bool:
        curve, size = _CURVES.get(alg[2:], ("", 0)) if alg[:2] == "ES" else ("", 0)
        if curve != key.curve.name or len(signature) != 2 * size:
            return False
        r, s = (int.from_bytes(part, "big") for part in (signature[:size], signature[size:]))
        method = ec.ECDSA(_HASHES[alg[2:]])
        return _holds(lambda: key.verify(encode_dss_signature(r, s), data, method))

    return check


def _edwards_check(key: ed25519.Ed25519PublicKey) -> Check:
    # One strict rule for Ed25519 (R2): the same as for the keys of the member list.
    strict = from_ed25519_bytes("certified", key.public_bytes_raw())
    return lambda alg, signature, data: (
        alg in {"EdDSA", "Ed25519"} and strict.verify(signature, data)
    )


def _holds(verify: Callable[[], None]) -> bool:
    try:
        verify()
    except InvalidSignature:
        return False
    return True


def sign(
    payload: bytes, *, signer: Signer, x5c: Sequence[bytes] = (), kid: str | None = None
) -> str:
    """The compact JWS of `payload`, header alg and kid, with the certificates where there are any.

    x5c: certificates of the signer's key in DER, the leaf first; kid: another name of the key
    """
    # RFC 9864's names are new; platforms read RFC 8037's.
    alg = "EdDSA" if signer.algorithm == "Ed25519" else signer.algorithm
    protected = _protected(alg, kid or signer.kid, tuple(x5c))
    body = base64url.encode(payload)
    signature = signer.sign(f"{protected}.{body}".encode("ascii"))
    return f"{protected}.{body}.{base64url.encode(signature)}"


@lru_cache(maxsize=64)
def _protected(alg: str, kid: str, x5c: tuple[bytes, ...]) -> str:
    header: dict[str, strict_json.JsonValue] = {"alg": alg, "kid": kid}
    if x5c:
        header["x5c"] = [base64.b64encode(one).decode("ascii") for one in x5c]
    return base64url.encode(strict_json.canonical(header))
