"""X.509 certification paths: RFC 5280 §6.1, from a leaf to an anchor that the member list names.

The chain is given in order, leaf first, as `x5c` has it (RFC 7515 §4.1.6); nothing is fetched and
no path is searched for. Beyond the RFC: at most six certificates; RSA from 2048 bits, P-256,
P-384, P-521, Ed25519, Ed448; SHA-256 or longer. Revocation is the member list's: it names
certificates that count no longer, so no CRL or OCSP answer is read (R5, R7). Names are in
`protocols.x509.names`, policies in `protocols.x509.policy`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from protocols import base64url
from protocols.digest import sha256
from protocols.keys import PublicKey, from_jwk
from protocols.x509.names import Constraints, is_named, same
from protocols.x509.policy import PolicyInput, PolicyTree
from schemas.errors import MalformedError, RefusedError

MAX_CERTIFICATES = 6
MAX_BYTES = 16 * 1024
MIN_RSA = 2048
_CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})
_HASHES = (SHA256, SHA384, SHA512)
DOCUMENT_SIGNING = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")  # RFC 9336
#: Extensions that are processed; any other that is critical refuses the path (§4.2).
_PROCESSED = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.POLICY_CONSTRAINTS,
        ExtensionOID.POLICY_MAPPINGS,
        ExtensionOID.INHIBIT_ANY_POLICY,
    }
)
#: What the library raises, on loading or later, beside ValueError and TypeError.
_UNREADABLE = (
    LookupError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
T = TypeVar("T", bound=x509.ExtensionType)


class Purpose(Enum):
    """What the leaf's key is used for, which decides its extended key usage."""

    #: Signing credentials: RFC 9336 documentSigning, where a usage is stated at all.
    CREDENTIAL = "credential"
    #: RFC 3161 §2.3: timeStamping, critical and alone.
    TIMESTAMP = "timestamp"
    #: A platform's envelope: any usage; the anchor is listed for its code (R7).
    PLATFORM = "platform"


@dataclass(frozen=True, slots=True)
class CertificatePath:
    """A path that holds: the certificates, leaf first, and the anchor (DER) that it reaches."""

    certificates: tuple[x509.Certificate, ...]
    anchor: bytes

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate of who signs."""
        return self.certificates[0]

    def told(self) -> list[str]:
        """Subjects and anchor, leaf first, for a report (RFC 4514)."""
        subjects = [one.subject.rfc4514_string()[:200] for one in self.certificates]
        return [*subjects, load(self.anchor).subject.rfc4514_string()[:200]]


def load(der: bytes) -> x509.Certificate:
    """One certificate; raises MalformedError `certificate_malformed`."""
    try:
        with warnings.catch_warnings():
            # RFC 5280 §4.1.2.2: who reads certificates copes with serial numbers below 1.
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            certificate = x509.load_der_x509_certificate(der[:MAX_BYTES])
        # These are parsed when they are first asked for, so they are asked for here.
        _ = (certificate.extensions, certificate.public_key(), certificate.subject)
        _ = (certificate.issuer, certificate.signature_algorithm_parameters)
        exact = certificate.public_bytes(Encoding.DER) == der
    except (ValueError, TypeError, *_UNREADABLE):
        exact = False
    if not exact:
        detail = "a certificate cannot be read, or its key is of no kind used here"
        raise MalformedError("certificate_malformed", detail)
    return certificate


def validate(
    chain: Sequence[bytes],
    anchors: Sequence[bytes],
    at: datetime,
    *,
    purpose: Purpose = Purpose.CREDENTIAL,
    policies: PolicyInput | None = None,
    revoked: Mapping[bytes, datetime] | None = None,
) -> CertificatePath:
    """The path from `chain[0]` to one of `anchors`, valid at `at`.

    chain:   DER, leaf first, each signed by the next; the anchor itself may end it
    anchors: DER; they count for their name and key only
    revoked: SHA-256 of a certificate → since when it counts no longer

    Raises MalformedError `certificate_malformed`; RefusedError `certificate_chain_too_long`,
    `certificate_unknown_root`, `certificate_order`, `certificate_signature`, `certificate_weak`,
    `certificate_expired`, `certificate_not_yet_valid`, `certificate_not_ca`, `certificate_is_ca`,
    `certificate_path_length`, `certificate_key_usage`, `certificate_name_constraints`,
    `certificate_policy`, `certificate_critical_extension`, `certificate_path_revoked`.
    """
    certificates, anchor = _ending_at(chain, anchors)
    path = [load(one) for one in reversed(certificates)]
    tree, names = PolicyTree(len(path), policies or PolicyInput()), Constraints()
    left, above = len(path), load(anchor)
    for number, certificate in enumerate(path, start=1):
        last = number == len(path)
        _require_link(certificate, above)
        require_time(certificate, at, revoked or {})
        self_issued = same(certificate.subject, certificate.issuer)
        if last or not self_issued:
            names.check(certificate)
        tree.enter(certificate, last=last, self_issued=self_issued)
        _require_known_extensions(certificate)
        if not last:
            tree.leave(certificate, self_issued=self_issued)
            names.add(certificate)
            left = _prepare(certificate, left, self_issued=self_issued)
        above = certificate
    tree.finish(path[-1])
    _require_leaf(path[-1], purpose)
    return CertificatePath(tuple(reversed(path)), anchor)


def _ending_at(chain: Sequence[bytes], anchors: Sequence[bytes]) -> tuple[list[bytes], bytes]:
    """The certificates below the anchor, and the anchor that the last of them names as issuer."""
    if not 1 <= len(chain) <= MAX_CERTIFICATES:
        raise RefusedError("certificate_chain_too_long", f"1 to {MAX_CERTIFICATES} certificates")
    for number, one in enumerate(chain):
        if one in anchors and number:
            return list(chain[:number]), one
    top = load(chain[-1])
    fitting = [one for one in anchors if same(load(one).subject, top.issuer)]
    signers = [one for one in fitting if _signed_by(top, load(one))]
    if not fitting:
        raise _misplaced(chain, anchors)
    return list(chain), (signers or fitting)[0]


def _misplaced(chain: Sequence[bytes], anchors: Sequence[bytes]) -> RefusedError:
    """Whether the chain is in the wrong order, or leads nowhere that is listed."""
    subjects = [load(one).subject for one in anchors]
    issuers = [load(one).issuer for one in chain]
    if any(same(subject, issuer) for subject in subjects for issuer in issuers):
        return RefusedError("certificate_order", "the leaf is first and each is signed by the next")
    return RefusedError("certificate_unknown_root", "the chain reaches no anchor that is listed")


def _require_link(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    """§6.1.3 (a) (1), (4): named and signed by the one above, with algorithms that count."""
    if not same(certificate.issuer, issuer.subject):
        raise RefusedError("certificate_order", "the leaf is first and each is signed by the next")
    _require_strong(certificate)
    if not _signed_by(certificate, issuer):
        raise RefusedError("certificate_signature", "a certificate is not signed by the one above")


def _require_strong(certificate: x509.Certificate) -> None:
    key, digest = certificate.public_key(), _digest_of(certificate)
    strong = (
        (isinstance(key, rsa.RSAPublicKey) and key.key_size >= MIN_RSA)
        or (isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES)
        or isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey)
    )
    if not strong or not (digest is None or isinstance(digest, _HASHES)):
        raise RefusedError("certificate_weak", "a key or a digest is too weak to count")


def _digest_of(certificate: x509.Certificate) -> HashAlgorithm | None:
    """The digest of its signature; None for algorithms that have one built in."""
    try:
        return certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        raise RefusedError("certificate_weak", "the signature's algorithm is unknown") from None


def _signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    key, parameters = issuer.public_key(), certificate.signature_algorithm_parameters
    signature, data = certificate.signature, certificate.tbs_certificate_bytes
    digest = _digest_of(certificate)
    try:
        if isinstance(key, rsa.RSAPublicKey) and digest is not None:
            if not isinstance(parameters, padding.AsymmetricPadding):
                return False
            key.verify(signature, data, parameters, digest)
        elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(parameters, ec.ECDSA):
            key.verify(signature, data, parameters)
        elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
            key.verify(signature, data)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def require_time(
    certificate: x509.Certificate, at: datetime, revoked: Mapping[bytes, datetime]
) -> None:
    """§6.1.3 (a) (2), (3): raises RefusedError `certificate_not_yet_valid`, `certificate_expired`,
    `certificate_path_revoked`."""
    if at < certificate.not_valid_before_utc:
        raise RefusedError("certificate_not_yet_valid", "a certificate was not valid yet")
    if at > certificate.not_valid_after_utc:
        raise RefusedError("certificate_expired", "a certificate had expired")
    since = revoked.get(sha256(certificate.public_bytes(Encoding.DER)))
    if since is not None and at >= since:
        raise RefusedError("certificate_path_revoked", "the member list ended it before that time")


def _extension(certificate: x509.Certificate, kind: type[T]) -> x509.Extension[T] | None:
    try:
        return certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None


def _require_known_extensions(certificate: x509.Certificate) -> None:
    """§6.1.4 (o), §6.1.5 (f)."""
    if any(one.critical and one.oid not in _PROCESSED for one in certificate.extensions):
        raise RefusedError("certificate_critical_extension", "one is critical and not understood")


def _prepare(certificate: x509.Certificate, left: int, *, self_issued: bool) -> int:
    """§6.1.4 (k) to (n): a CA that may sign certificates; how many may still follow it."""
    basic = _extension(certificate, x509.BasicConstraints)
    if certificate.version is not x509.Version.v3 or basic is None or not basic.value.ca:
        raise RefusedError("certificate_not_ca", "a certificate above the leaf is not a CA's")
    usage = _extension(certificate, x509.KeyUsage)
    if usage is not None and not usage.value.key_cert_sign:
        raise RefusedError("certificate_key_usage", "a CA's key may not sign certificates")
    if not self_issued:
        if left <= 0:
            raise RefusedError("certificate_path_length", "more CAs follow than one allows")
        left -= 1
    limit = basic.value.path_length
    return left if limit is None else min(left, limit)


_EXTENDED: Mapping[Purpose, x509.ObjectIdentifier] = MappingProxyType(
    {
        Purpose.CREDENTIAL: DOCUMENT_SIGNING,
        Purpose.TIMESTAMP: ExtendedKeyUsageOID.TIME_STAMPING,
    }
)


def _require_leaf(leaf: x509.Certificate, purpose: Purpose) -> None:
    """The leaf signs for `purpose`, and is no CA."""
    basic = _extension(leaf, x509.BasicConstraints)
    if basic is not None and basic.value.ca and purpose is not Purpose.PLATFORM:
        raise RefusedError("certificate_is_ca", "a CA's certificate signs nothing but certificates")
    usage = _extension(leaf, x509.KeyUsage)
    signs = usage is None or usage.value.digital_signature or usage.value.content_commitment
    extended, wanted = _extension(leaf, x509.ExtendedKeyUsage), _EXTENDED.get(purpose)
    if purpose is Purpose.TIMESTAMP:
        alone = extended is not None and extended.critical and list(extended.value) == [wanted]
    else:
        alone = extended is None or wanted is None or wanted in extended.value
    if not alone or (not signs and purpose is not Purpose.PLATFORM):
        raise RefusedError("certificate_key_usage", "the key is certified for another use")


def serial_of(certificate: x509.Certificate) -> int:
    """The serial number, whatever its sign."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return certificate.serial_number


def key_of(leaf: x509.Certificate, kid: str) -> PublicKey:
    """The leaf's key as one that verifies JWS; raises MalformedError `key_malformed`."""
    key = leaf.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        numbers, size = key.public_numbers(), (key.curve.key_size + 7) // 8
        named = {"secp256r1": "P-256", "secp384r1": "P-384"}.get(key.curve.name, key.curve.name)
        x, y = (base64url.encode(value.to_bytes(size, "big")) for value in (numbers.x, numbers.y))
        return from_jwk(kid, {"kty": "EC", "crv": named, "x": x, "y": y})
    if isinstance(key, ed25519.Ed25519PublicKey):
        raw = base64url.encode(key.public_bytes_raw())
        return from_jwk(kid, {"kty": "OKP", "crv": "Ed25519", "x": raw})
    raise MalformedError("key_malformed", "the certified key signs no credentials here")


def require_name(leaf: x509.Certificate, did: str) -> None:
    """Raise RefusedError `certificate_other_name` unless the leaf names `did` as a URI."""
    if not is_named(leaf, did):
        raise RefusedError(
            "certificate_other_name", "the certificate names another than the issuer"
        )
