"""The manifest: one signed statement per message, with the body beside it (DESIGN §4, PX/1).

A manifest is about 500 bytes of RFC 8785 JSON in a compact JWS (`typ` px-manifest+jws). It names
the network (R1), both ends, the stream position and the body's digest, so that the body travels as
it is and an auditor can prove a receipt without seeing the document. A message's identity is the
SHA-256 of the manifest's payload (R2). Members we do not know are kept in the bytes and ignored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from protocols import jws, times
from protocols.digest import from_hex, sha256
from protocols.exchange.problems import Problem
from protocols.members.entries import KeyStanding
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocols.keys import Signer
    from protocols.members.entries import ListedKey

TYP = "px-manifest+jws"
VERSION = 1
MAX_MANIFEST_BYTES = 8 * 1024
MAX_BODY_BYTES = 8 * 1024 * 1024
MAX_LIFETIME = timedelta(days=15)
CLOCK_SKEW = timedelta(minutes=5)
LIFETIME = timedelta(days=14)

DOCUMENT = "urn:pratique:document:"
REVOCATION = "urn:pratique:revocation"
VALIDATED = "urn:pratique:validated"
DECIDED = "urn:pratique:decided"
VOID = "urn:pratique:void"
TITLE = "urn:pratique:title"
KEY_EVENT = "urn:pratique:key-event"
CONFLICT = "urn:pratique:conflict"
CONTROL_TYPES = frozenset({REVOCATION, VALIDATED, DECIDED, VOID, TITLE, KEY_EVENT, CONFLICT})

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TYPE = re.compile(r"(?a:urn:pratique:[a-z0-9][a-z0-9:.-]{0,120})")
_DID = re.compile(r"(?a:did:web:[A-Za-z0-9.%_:-]{1,255})")
_MEDIA = re.compile(r"(?a:[a-z0-9][a-z0-9.+-]{0,80}/[a-z0-9][a-z0-9.+-]{0,120})")
_STREAM = re.compile(r"[^\x00-\x1f\x7f]{1,100}")
_MAX_SEQ = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Body:
    """The body's SHA-256, its length in bytes and its media type."""

    sha256: bytes
    length: int
    media_type: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the sender signs about one message.

    network:     SHA-256 of the founding member list's payload (R1)
    id:          UUID version 7 (RFC 9562 §5.7), lowercase
    stream:      the consignment's UCR; None for the control stream, which never waits (R10)
    seq, prev:   position in (sender, recipient, stream) from 1, and the payload digest of the
                 message before it; both None in the control stream, prev None at seq 1
    issued_at, expires: aware UTC
    """

    network: bytes
    id: str
    sender: str
    recipient: str
    type: str
    stream: str | None
    seq: int | None
    prev: bytes | None
    issued_at: datetime
    expires: datetime
    body: Body

    def payload(self) -> bytes:
        """The RFC 8785 bytes that are signed."""
        return strict_json.canonical(
            {
                "v": VERSION,
                "network": self.network.hex(),
                "id": self.id,
                "from": self.sender,
                "to": self.recipient,
                "type": self.type,
                "stream": self.stream,
                "seq": self.seq,
                "prev": None if self.prev is None else self.prev.hex(),
                "iat": times.to_text(self.issued_at),
                "exp": times.to_text(self.expires),
                "body": {
                    "sha256": self.body.sha256.hex(),
                    "len": self.body.length,
                    "type": self.body.media_type,
                },
            }
        )


@dataclass(frozen=True, slots=True)
class SignedManifest:
    """A manifest as it travels: the JWS text, its values and its identity. Not yet verified."""

    text: str
    manifest: Manifest
    digest: bytes
    signature: jws.Jws


def new_id(at: datetime, random: bytes) -> str:
    """A UUID version 7 from the moment `at` and 10 random bytes (RFC 9562 §5.7)."""
    if len(random) < 10:
        raise ValueError("a message id needs 10 random bytes")
    raw = bytearray(times.to_ms(at).to_bytes(6, "big") + random[:10])
    raw[6] = 0x70 | (raw[6] & 0x0F)
    raw[8] = 0x80 | (raw[8] & 0x3F)
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def body_of(data: bytes, media_type: str) -> Body:
    """Digest, length and media type of the body `data`."""
    return Body(sha256(data), len(data), media_type)


def sign(manifest: Manifest, signer: Signer) -> SignedManifest:
    """The manifest signed with the sender's exchange key.

    Raises MalformedError `manifest_malformed` for one that no reader would take.
    """
    return read(jws.sign(manifest.payload(), typ=TYP, signer=signer))


def read(text: str) -> SignedManifest:
    """The manifest in the JWS `text`, unverified.

    Raises MalformedError `manifest_malformed` (and those of the JWS reader), RefusedError
    `version_unsupported` or a wrong `typ`, TooLargeError.
    """
    signature = jws.parse(text, typ=TYP, max_bytes=MAX_MANIFEST_BYTES)
    members = strict_json.loads_object(signature.payload, max_bytes=MAX_MANIFEST_BYTES)
    return SignedManifest(text, from_members(members), signature.payload_digest, signature)


def from_members(members: dict[str, Any]) -> Manifest:
    """The manifest from its JSON members; raises as `read`."""
    version = members.get("v")
    if isinstance(version, int) and version > VERSION:
        raise RefusedError(
            "version_unsupported", f"manifest version {version}", pointer="/v", supported=[VERSION]
        )
    if version != VERSION or isinstance(version, bool):
        raise _malformed("/v")
    stream, seq, prev = _position(members)
    body = members.get("body")
    if not isinstance(body, dict):
        raise _malformed("/body")
    return Manifest(
        network=from_hex(members.get("network"), pointer="/network"),
        id=_text(members, "id", _ID),
        sender=_text(members, "from", _DID),
        recipient=_text(members, "to", _DID),
        type=_text(members, "type", _TYPE),
        stream=stream,
        seq=seq,
        prev=prev,
        issued_at=times.from_text(members.get("iat"), pointer="/iat"),
        expires=times.from_text(members.get("exp"), pointer="/exp"),
        body=Body(
            sha256=from_hex(body.get("sha256"), pointer="/body/sha256"),
            length=_count(body.get("len"), "/body/len", least=0),
            media_type=_text(body, "type", _MEDIA, "/body"),
        ),
    )


def _position(members: dict[str, Any]) -> tuple[str | None, int | None, bytes | None]:
    if members.get("stream") is None:
        if members.get("seq") is not None or members.get("prev") is not None:
            raise _malformed("/seq")
        return None, None, None
    seq = _count(members.get("seq"), "/seq", least=1)
    prev = members.get("prev")
    if (prev is None) != (seq == 1):
        raise _malformed("/prev")
    digest = None if prev is None else from_hex(prev, pointer="/prev")
    return _text(members, "stream", _STREAM), seq, digest


def _text(members: dict[str, Any], name: str, form: re.Pattern[str], under: str = "") -> str:
    value = members.get(name)
    if not isinstance(value, str) or not form.fullmatch(value):
        raise _malformed(f"{under}/{name}")
    return value


def _count(value: object, pointer: str, *, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MAX_SEQ:
        raise _malformed(pointer)
    return value


def _malformed(pointer: str) -> MalformedError:
    return MalformedError(
        Problem.MALFORMED.value, "a member is missing or not in its form", pointer=pointer
    )


@dataclass(frozen=True, slots=True)
class Desk:
    """Who examines whose messages, against what, at one moment.

    network:     our network id
    recipient:   our DID
    caller:      the DID that authenticated the call (R12)
    key:         kid → the listed key, or None
    may_send:    (caller, message type) → a Problem or None: the access rule of the member list
    now:         the one moment of this examination, aware UTC
    behind:      the caller holds a later member list than ours, so our "no" may be out of date
    max_body:    bytes
    """

    network: bytes
    recipient: str
    caller: str
    key: Callable[[str], ListedKey | None]
    may_send: Callable[[str, str], Problem | None]
    now: datetime
    behind: bool = False
    max_body: int = MAX_BODY_BYTES


def examine(signed: SignedManifest, body: bytes, desk: Desk) -> Problem | None:
    """Everything that must hold before a message may consume an id or a sequence number (R8).

    In this order: sender and recipient, network, size, signature by a listed exchange key of the
    sender, body digest, times, access. Returns the first problem, or None.
    """
    problem = _examine_address(signed.manifest, body, desk)
    if problem is None:
        problem = _examine_right(signed, body, desk)
    if desk.behind and problem in (Problem.NOT_AUTHORISED, Problem.UNKNOWN_TYPE):
        return Problem.MEMBERS_BEHIND
    return problem


def _examine_address(manifest: Manifest, body: bytes, desk: Desk) -> Problem | None:
    if manifest.sender != desk.caller:
        return Problem.WRONG_SENDER
    if manifest.network != desk.network:
        return Problem.WRONG_NETWORK
    if manifest.recipient != desk.recipient:
        return Problem.WRONG_RECIPIENT
    return Problem.TOO_LARGE if len(body) > desk.max_body else None


def _examine_right(signed: SignedManifest, body: bytes, desk: Desk) -> Problem | None:
    manifest = signed.manifest
    problem = _examine_signature(signed, desk)
    if problem is not None:
        return problem
    if len(body) != manifest.body.length or sha256(body) != manifest.body.sha256:
        return Problem.DIGEST_MISMATCH
    return _examine_times(manifest, desk.now) or desk.may_send(desk.caller, manifest.type)


def _examine_signature(signed: SignedManifest, desk: Desk) -> Problem | None:
    listed = desk.key(signed.signature.kid)
    if listed is None:
        return Problem.UNKNOWN_KEY
    if listed.did != signed.manifest.sender or listed.purpose != "exchange":
        return Problem.NOT_AUTHORISED
    # The writer of a manifest chooses its date, so nothing proves it (R17).
    standing = listed.standing(signed.manifest.issued_at, proven=False)
    if standing in (KeyStanding.DOUBTFUL, KeyStanding.COMPROMISED):
        return Problem.KEY_COMPROMISED
    if standing is not KeyStanding.VALID:
        return Problem.NOT_AUTHORISED
    try:
        jws.verify(signed.signature, listed.public)
    except RefusedError:
        return Problem.BAD_SIGNATURE
    return None


def _examine_times(manifest: Manifest, now: datetime) -> Problem | None:
    if manifest.issued_at > now + CLOCK_SKEW:
        return Problem.CLOCK_SKEW
    lifetime = manifest.expires - manifest.issued_at
    # A clock that runs ahead by less than the allowed skew expires nothing.
    if now - manifest.expires >= CLOCK_SKEW or not timedelta(0) < lifetime <= MAX_LIFETIME:
        return Problem.EXPIRED
    return None
