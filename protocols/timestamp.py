"""Time-stamps of RFC 3161: asking for one, and what one proves.

A time-stamp says that bytes existed at a moment. It is kept as the whole response, in DER, exactly
as the authority gave it. The authority counts when its certificate reaches an anchor that the
member list names for time-stamps (R5, R7), was made for nothing else (RFC 3161 §2.3), was valid
when it stamped, and has not expired since: before that, a later stamp must cover the earlier one
(RFC 4998 §5.2). The imprint is SHA-256. The signature over the token is checked by rfc3161-client.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from protocols.digest import sha256
from protocols.x509 import path as x509_path
from protocols.x509.names import same
from protocols.x509.path import MAX_CERTIFICATES, Purpose
from schemas.errors import MalformedError, RefusedError, TooLargeError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rfc3161_client import TimeStampResponse

MEDIA_TYPE_QUERY, MEDIA_TYPE_REPLY = "application/timestamp-query", "application/timestamp-reply"
MAX_BYTES = 64 * 1024
MAX_NONCE_BYTES = 8
_SHA256 = "2.16.840.1.101.3.4.2.1"
_DIGESTS = frozenset({_SHA256, "2.16.840.1.101.3.4.2.2", "2.16.840.1.101.3.4.2.3"})
#: RFC 3161 §2.4.1: version 1, and the head of a SHA-256 imprint.
_VERSION = bytes.fromhex("020101")
_IMPRINT = bytes.fromhex("3031300d060960864801650304020105000420")
_WITH_CERTIFICATE = bytes.fromhex("0101ff")


@dataclass(frozen=True, slots=True)
class TimeStamp:
    """A response as it was read; only `verify` says what it is worth.

    made:    the moment it states; at: the latest moment that can mean, accuracy included
    imprint: what was stamped: SHA-256 of the bytes
    chain:   the authority's certificates in DER, the signing one first, as far as they are given
    """

    response: bytes
    made: datetime
    at: datetime
    imprint: bytes
    imprint_algorithm: str
    nonce: int | None
    chain: tuple[bytes, ...]


def request(data: bytes, nonce: int) -> bytes:
    """The query (DER) that asks for a stamp over `data`; nonce: 1 to 2**64 − 1, random."""
    if not 0 < nonce < 1 << 8 * MAX_NONCE_BYTES:
        raise ValueError("the nonce has 1 to 64 bits")
    number = nonce.to_bytes(nonce.bit_length() // 8 + 1, "big")
    body = _VERSION + _IMPRINT + sha256(data) + bytes([2, len(number)]) + number + _WITH_CERTIFICATE
    return bytes([0x30, len(body)]) + body


def read(response: bytes) -> TimeStamp:
    """The response's content. Nothing is verified.

    Raises TooLargeError `tsa_too_large`; MalformedError `tsa_not_der` when it is not DER: also
    when a set in it is not sorted, as some servers write it; RefusedError `tsa_refused` when the
    server did not grant it; UnavailableError `tsa_reader_missing`.
    """
    if len(response) > MAX_BYTES:
        raise TooLargeError("tsa_too_large", f"a time-stamp has at most {MAX_BYTES} bytes")
    try:
        return _read(response, _decoded(response))
    except (ValueError, TypeError, OverflowError, LookupError, AttributeError):
        # The library parses parts when they are first asked for, and has no error of its own.
        raise _not_der() from None


def _decoded(response: bytes) -> TimeStampResponse:
    # An extra of the installation, so it is looked for when it is needed.
    try:
        from rfc3161_client import decode_timestamp_response
    except ImportError:
        raise UnavailableError("tsa_reader_missing", "the extra tsa is not installed") from None
    return decode_timestamp_response(response)


def _not_der() -> MalformedError:
    return MalformedError("tsa_not_der", "this is not a time-stamp response in DER")


def _read(response: bytes, parsed: TimeStampResponse) -> TimeStamp:
    if parsed.status != 0:
        raise RefusedError("tsa_refused", f"the server answered with status {parsed.status}")
    if parsed.as_bytes() != response:
        raise _not_der()
    info = parsed.tst_info
    made = info.gen_time.replace(tzinfo=UTC)
    signers = list(parsed.signed_data.signer_infos)
    if len(signers) != 1:
        raise RefusedError("tsa_signature", "a time-stamp has one signer")
    digests = {one.dotted_string for one in parsed.signed_data.digest_algorithms}
    if not digests <= _DIGESTS:
        raise RefusedError("tsa_weak", "the signature is over a digest too weak to count")
    certificates = [x509_path.load(one) for one in sorted(parsed.signed_data.certificates)]
    signer = [
        one
        for one in certificates
        if x509_path.serial_of(one) == signers[0].serial_number and one.issuer == signers[0].issuer
    ]
    return TimeStamp(
        response,
        made,
        made + _spread(parsed),
        info.message_imprint.message,
        info.message_imprint.hash_algorithm.dotted_string,
        info.nonce,
        _chain(signer, certificates),
    )


def _spread(parsed: TimeStampResponse) -> timedelta:
    """How much later than stated it can have been; a whole second means some time within it."""
    info = parsed.tst_info
    spread = timedelta() if info.gen_time.microsecond else timedelta(milliseconds=999)
    if info.accuracy is None:
        return spread
    return spread + timedelta(
        seconds=info.accuracy.seconds or 0,
        milliseconds=info.accuracy.millis or 0,
        microseconds=info.accuracy.micros or 0,
    )


def _chain(
    signer: Sequence[x509.Certificate], given: Iterable[x509.Certificate]
) -> tuple[bytes, ...]:
    """The given certificates from the signer upwards; a set has no order of its own."""
    chain, rest = list(signer[:1]), [one for one in given if one not in signer]
    while chain and len(chain) < MAX_CERTIFICATES:
        above = next((one for one in rest if same(one.subject, chain[-1].issuer)), None)
        if above is None:
            break
        rest.remove(above)
        chain.append(above)
    return tuple(one.public_bytes(Encoding.DER) for one in chain)


def verify(
    response: bytes,
    data: bytes,
    anchors: Sequence[bytes],
    *,
    at: datetime,
    nonce: int | None = None,
    revoked: Mapping[bytes, datetime] | None = None,
) -> TimeStamp:
    """What the response proves of `data`, judged at `at`: now, or when a later stamp covers it.

    anchors, revoked: as `x509_path.validate` takes them; nonce: of the query, where it is known

    Raises as `read`; RefusedError `tsa_imprint_weak`, `tsa_other_digest`, `tsa_nonce`,
    `tsa_certificate_missing`, `tsa_expired`, `tsa_signature`, and certificate_*.
    """
    stamp = read(response)
    if stamp.imprint_algorithm != _SHA256:
        raise RefusedError("tsa_imprint_weak", "the imprint is not SHA-256")
    if stamp.imprint != sha256(data):
        raise RefusedError("tsa_other_digest", "the time-stamp is over other bytes")
    if nonce is not None and stamp.nonce != nonce:
        raise RefusedError("tsa_nonce", "the answer does not repeat the question's number")
    if not stamp.chain:
        raise RefusedError("tsa_certificate_missing", "it does not hold its signer's certificate")
    path = x509_path.validate(
        stamp.chain, anchors, stamp.made, purpose=Purpose.TIMESTAMP, revoked=revoked
    )
    if path.leaf.not_valid_after_utc < at:
        raise RefusedError("tsa_expired", "its certificate expired before a later stamp covered it")
    _require_signature(stamp, path.anchor)
    return stamp


def _require_signature(stamp: TimeStamp, anchor: bytes) -> None:
    from rfc3161_client import VerificationError, VerifierBuilder

    roots = [x509_path.load(anchor)]
    chain = [x509_path.load(one) for one in stamp.chain[1:]]
    verifier = VerifierBuilder(roots=roots, intermediates=chain).build()
    try:
        verifier.verify(_decoded(stamp.response), stamp.imprint)
    except (VerificationError, ValueError, LookupError):
        raise RefusedError("tsa_signature", "the signature does not hold") from None
