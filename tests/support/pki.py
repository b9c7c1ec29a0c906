"""Certification authorities and a time-stamp server for tests, with times that a test chooses.

The server writes RFC 3161 responses in DER itself, because `openssl ts` stamps with the machine's
clock only; one test asks that one, too. Keys follow from names and ECDSA is deterministic (RFC
6979), so what they sign is the same in every run.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from protocols.digest import sha256
from protocols.x509.path import DOCUMENT_SIGNING

START = datetime(2026, 1, 1, tzinfo=UTC)
YEARS = timedelta(days=3650)
SHA256_OID, SHA1_OID = "2.16.840.1.101.3.4.2.1", "1.3.14.3.2.26"


def key_of(name: str) -> ec.EllipticCurvePrivateKey:
    number = int.from_bytes(sha256(name.encode()), "big") >> 1
    return ec.derive_private_key(number, ec.SECP256R1())


def named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass(frozen=True)
class Spec:
    """What a certificate says; a test replaces the part it is about."""

    subject: str
    ca: bool = False
    path_length: int | None = None
    basic: bool = True
    sign_certificates: bool | None = None
    eku: tuple[x509.ObjectIdentifier, ...] = ()
    eku_critical: bool = False
    uri: str | None = None
    start: datetime = START
    end: datetime = START + YEARS
    digest: hashes.HashAlgorithm = field(default_factory=hashes.SHA256)
    constraints: x509.NameConstraints | None = None
    key: object = None
    serial: int = 1


@dataclass(frozen=True)
class Authority:
    """A certificate with its key."""

    spec: Spec
    der: bytes
    key: object

    def issue(self, spec: Spec) -> Authority:
        return make(spec, self)


def make(spec: Spec, by: Authority | None = None) -> Authority:
    """A certificate signed by `by`, or by itself."""
    key = spec.key or key_of(spec.subject)
    issuer = by.spec.subject if by else spec.subject
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(spec.subject))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(spec.serial)
        .not_valid_before(spec.start)
        .not_valid_after(spec.end)
    )
    issuing = by.key if by else key
    identifiers: list[tuple[x509.ExtensionType, bool]] = [
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuing.public_key()), False),
    ]
    for value, critical in _extensions(spec) + identifiers:
        builder = builder.add_extension(value, critical)
    own = by.key if by else key
    deterministic = True if isinstance(own, ec.EllipticCurvePrivateKey) else None
    signed = builder.sign(own, spec.digest, ecdsa_deterministic=deterministic)
    return Authority(spec, signed.public_bytes(Encoding.DER), key)


def _extensions(spec: Spec) -> list[tuple[x509.ExtensionType, bool]]:
    found: list[tuple[x509.ExtensionType, bool]] = []
    if spec.basic:
        length = spec.path_length if spec.ca else None
        found.append((x509.BasicConstraints(ca=spec.ca, path_length=length), True))
    signs = spec.ca if spec.sign_certificates is None else spec.sign_certificates
    names = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    usage = dict.fromkeys((*names, "encipher_only", "decipher_only"), False)
    found.append(
        (
            x509.KeyUsage(
                digital_signature=not spec.ca, key_cert_sign=signs, crl_sign=signs, **usage
            ),
            True,
        )
    )
    if spec.eku:
        found.append((x509.ExtendedKeyUsage(spec.eku), spec.eku_critical))
    if spec.uri:
        name = x509.UniformResourceIdentifier(spec.uri)
        found.append((x509.SubjectAlternativeName([name]), False))
    if spec.constraints:
        found.append((spec.constraints, True))
    return found


def root(name: str = "Test Root", **changes: object) -> Authority:
    return make(replace(Spec(name, ca=True, serial=99), **changes))


def between(above: Authority, name: str = "Test Intermediate", **changes: object) -> Authority:
    return above.issue(replace(Spec(name, ca=True), **changes))


def leaf(above: Authority, uri: str, key: object, **changes: object) -> Authority:
    """A certificate for signing credentials, of `uri`."""
    spec = Spec("Test Signer", eku=(DOCUMENT_SIGNING,), uri=uri, key=key)
    return above.issue(replace(spec, **changes))


# --- time-stamps -------------------------------------------------------------------------------


def tlv(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = len(body)
    if size < 128:
        return bytes([tag, size]) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def integer(value: int) -> bytes:
    return tlv(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    body = bytearray()
    for number in (40 * first + second, *rest):
        digits = [number & 0x7F]
        while number := number >> 7:
            digits.append(0x80 | number & 0x7F)
        body += bytes(reversed(digits))
    return tlv(6, bytes(body))


def algorithm(dotted: str, *parameters: bytes) -> bytes:
    return tlv(0x30, oid(dotted), *parameters)


def digest_of(data: bytes, imprint: str) -> bytes:
    made = hashes.Hash(hashes.SHA1() if imprint == SHA1_OID else hashes.SHA256())
    made.update(data)
    return made.finalize()


@dataclass(frozen=True)
class Server:
    """A time-stamp server. certificate: its own; above: further ones it sends along."""

    certificate: Authority
    above: tuple[Authority, ...] = ()
    send: bool = True

    def stamp(
        self,
        data: bytes,
        at: datetime,
        *,
        nonce: int | None = None,
        imprint: str = SHA256_OID,
        status: int = 0,
        accuracy: int | None = None,
        break_signature: bool = False,
        digest: bytes | None = None,
    ) -> bytes:
        """The response (DER) over `data`, or over a digest that came in a query, at `at`."""
        digest = digest or digest_of(data, imprint)
        info = self._info(digest, at, nonce, imprint, accuracy)
        if status:
            return tlv(0x30, tlv(0x30, integer(status)))
        return tlv(0x30, tlv(0x30, integer(0)), self._token(info, break_signature))

    def _info(
        self, digest: bytes, at: datetime, nonce: int | None, imprint: str, accuracy: int | None
    ) -> bytes:
        parts = [
            integer(1),
            oid("1.2.3.4.1"),
            tlv(0x30, algorithm(imprint), tlv(4, digest)),
            integer(7),
            tlv(0x18, at.strftime("%Y%m%d%H%M%SZ").encode()),
        ]
        if accuracy is not None:
            parts.append(tlv(0x30, integer(accuracy)))
        if nonce is not None:
            parts.append(integer(nonce))
        return tlv(0x30, *parts)

    def _token(self, info: bytes, break_signature: bool) -> bytes:
        content = oid("1.2.840.113549.1.9.16.1.4")
        certificate_hash = tlv(0x30, tlv(0x30, tlv(0x30, tlv(4, sha256(self.certificate.der)))))
        attributes = sorted(
            [
                tlv(0x30, oid("1.2.840.113549.1.9.3"), tlv(0x31, content)),
                tlv(0x30, oid("1.2.840.113549.1.9.4"), tlv(0x31, tlv(4, sha256(info)))),
                tlv(0x30, oid("1.2.840.113549.1.9.16.2.47"), tlv(0x31, certificate_hash)),
            ]
        )
        signed = tlv(0x31, *attributes)
        key = self.certificate.key
        method = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
        signature = key.sign(signed + b"x" * break_signature, method)
        loaded = x509.load_der_x509_certificate(self.certificate.der)
        signer = tlv(
            0x30,
            integer(1),
            tlv(0x30, loaded.issuer.public_bytes(), integer(loaded.serial_number)),
            algorithm(SHA256_OID),
            tlv(0xA0, *attributes),
            algorithm("1.2.840.10045.4.3.2"),
            tlv(4, signature),
        )
        sent = sorted([self.certificate.der, *(one.der for one in self.above)])
        signed_data = tlv(
            0x30,
            integer(3),
            tlv(0x31, algorithm(SHA256_OID)),
            tlv(0x30, content, tlv(0xA0, tlv(4, info))),
            tlv(0xA0, *sent) if self.send else b"",
            tlv(0x31, signer),
        )
        return tlv(0x30, oid("1.2.840.113549.1.7.2"), tlv(0xA0, signed_data))


def server(above: Authority, **changes: object) -> Server:
    """A server whose certificate is in order, but for `changes`."""
    spec = Spec(
        "Test Time-Stamp Server", eku=(ExtendedKeyUsageOID.TIME_STAMPING,), eku_critical=True
    )
    return Server(above.issue(replace(spec, **changes)))
