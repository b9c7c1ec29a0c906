"""Certificates that a member list names as anchors, and for whom (R7).

An anchor counts for one issuer's credentials, for one platform's envelopes, or for the stamps of
one time-stamp server, and for nobody else's. The list, not a CRL, says which certificates below it
count no longer (RFC 5280 §6.1.1 (d) leaves to the relying party what it trusts).
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import datetime

from protocols import times
from protocols.fields import DID, Fields
from protocols.members.entries import Json, within
from schemas.errors import MalformedError

CREDENTIAL, PLATFORM, TIMESTAMP = "credential", "platform", "timestamp"
MAX_CERTIFICATE = 16 * 1024
MAX_REVOKED = 1_000
_SUBJECTS = {
    CREDENTIAL: DID,
    PLATFORM: re.compile(r"(?a:[A-Z0-9]{1,4})"),
    TIMESTAMP: re.compile(r"(?a:https?://[A-Za-z0-9.\[\]:-]{1,255}(?:/[A-Za-z0-9._~/-]{0,500})?)"),
}


@dataclass(frozen=True, slots=True)
class RevokedCertificate:
    """A certificate (its SHA-256) that counts no longer since then."""

    sha256: bytes
    since: datetime

    def to_json(self) -> Json:
        """The object in the list."""
        return {"sha256": self.sha256.hex(), "since": times.to_text(self.since)}


@dataclass(frozen=True, slots=True)
class AnchorEntry:
    """One anchor. purpose: credential, platform or timestamp; certificate: DER.

    subject: whom it counts for: the issuer's DID, the platform's code, the server's URL
    """

    purpose: str
    subject: str
    certificate: bytes
    valid_from: datetime
    valid_until: datetime | None = None
    revoked: tuple[RevokedCertificate, ...] = ()

    def valid_at(self, at: datetime) -> bool:
        """Whether what was signed at `at` may stand on it."""
        return within(at, self.valid_from, self.valid_until)

    def to_json(self) -> Json:
        """The anchor's object in the list."""
        body: Json = {
            "purpose": self.purpose,
            "subject": self.subject,
            "certificate": base64.b64encode(self.certificate).decode("ascii"),
            "validFrom": times.to_text(self.valid_from),
        }
        if self.valid_until is not None:
            body["validUntil"] = times.to_text(self.valid_until)
        if self.revoked:
            body["revoked"] = [one.to_json() for one in self.revoked]
        return body


def read_anchor(fields: Fields) -> AnchorEntry:
    """One anchor; the certificate itself is examined by who builds a path to it."""
    purpose = fields.text("purpose")
    if purpose not in _SUBJECTS:
        raise fields.fault("purpose", f"purpose is one of {', '.join(sorted(_SUBJECTS))}")
    text = fields.text("certificate", max_length=2 * MAX_CERTIFICATE)
    start, end = fields.time("validFrom"), fields.optional_time("validUntil")
    if end is not None and end < start:
        raise fields.fault("validUntil", "it ends before it starts")
    return AnchorEntry(
        purpose=purpose,
        subject=fields.text("subject", pattern=_SUBJECTS[purpose]),
        certificate=_certificate(text, fields),
        valid_from=start,
        valid_until=end,
        revoked=tuple(
            RevokedCertificate(item.digest("sha256"), item.time("since"))
            for item in fields.children("revoked", MAX_REVOKED)
        ),
    )


def _certificate(text: str, fields: Fields) -> bytes:
    try:
        der = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        der = b""
    if not 0 < len(der) <= MAX_CERTIFICATE or base64.b64encode(der).decode("ascii") != text:
        raise MalformedError(
            fields.code, "the certificate is DER in base64", pointer=fields.place("certificate")
        )
    return der
