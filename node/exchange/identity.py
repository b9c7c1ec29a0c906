"""What a message's body says it is, read before anything is verified.

Only for naming things: the log leaf's subject (R18), the document column, events. Whoever sends
lies about these hurts nobody but the trace of his own document; every decision reads the verified
claims instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from protocols import base64url
from protocols.digest import sha256
from protocols.exchange.manifest import DOCUMENT
from protocols.log import leaf
from schemas.errors import MalformedError


@dataclass(frozen=True, slots=True)
class Naming:
    """The document's digest (None for a message that is no document) and the leaf's hashes."""

    document: bytes | None
    subject: bytes
    commit: bytes


def name(message_type: str, message_id: str, manifest_digest: bytes, body: bytes) -> Naming:
    """How intake names one message.

    A document is named by its own type, number and salt. Any other message has no salt of an
    issuer; its manifest's digest serves, which nobody guesses because the id is random.
    """
    named = _document(body) if message_type.startswith(DOCUMENT) else None
    if named is not None:
        return named
    return Naming(
        document_digest(body) if message_type.startswith(DOCUMENT) else None,
        leaf.subject(message_type, message_id, manifest_digest),
        leaf.commit(manifest_digest, sha256(body)),
    )


def subject_of(body: bytes) -> bytes | None:
    """The subject under which logs remember a document, None for anything else."""
    named = _document(body)
    return None if named is None else named.subject


def document_digest(body: bytes) -> bytes | None:
    """SHA-256 of the payload of the compact JWS that a document file begins with (R2)."""
    payload = _payload(body)
    return None if payload is None else sha256(payload)


def _payload(body: bytes) -> bytes | None:
    # What is disclosed and to whom it is bound stands after the first tilde (RFC 9901 §4).
    parts = body.partition(b"\n")[0].partition(b"~")[0].split(b".", 3)
    if len(parts) != 3:
        return None
    try:
        return base64url.decode(parts[1].decode("ascii"))
    except (UnicodeDecodeError, MalformedError):
        return None


def _document(body: bytes) -> Naming | None:
    payload = _payload(body)
    if payload is None:
        return None
    try:
        members: Any = orjson.loads(payload)
        claims = members.get("credentialSubject", members)
        salt = base64url.decode(claims["salt"])
        subject = leaf.subject(claims["documentType"], claims["number"], salt)
    except (ValueError, KeyError, TypeError, AttributeError, MalformedError):
        return None
    digest = sha256(payload)
    return Naming(digest, subject, leaf.commit(salt, digest))
