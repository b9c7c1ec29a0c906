"""Signed calls between nodes: a fixed subset of HTTP Message Signatures (RFC 9421).

One label, one list of covered components, one order of parameters; the content digest follows
RFC 9530. The tag carries the network id (R1), Px-To the addressee, Px-Members version and digest
of the sender's member list (R4). The key must be an exchange key of a listed node (R12); replay is
stopped by the nonce, which the caller stores until `expires`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

from protocols import jws, times
from protocols.digest import from_hex
from protocols.keys import ED25519, ES256
from protocols.members.trust import Freshness
from schemas.errors import MalformedError, UnauthenticatedError

if TYPE_CHECKING:
    from protocols.keys import Signer
    from protocols.members.entries import ListedKey
    from protocols.members.trust import MemberList

PURPOSE = "exchange"
MAX_SKEW = timedelta(seconds=60)
MAX_LIFETIME = timedelta(seconds=300)
COMPONENTS = (
    "@method",
    "@authority",
    "@path",
    "@query",
    "content-digest",
    "px-to",
    "px-members",
)
_COVERED = "(" + " ".join(f'"{name}"' for name in COMPONENTS) + ")"
_HEADERS = ("Signature-Input", "Signature", "Content-Digest", "Px-To", "Px-Members")
_ALGORITHMS = MappingProxyType({ES256: "ecdsa-p256-sha256", ED25519: "ed25519"})
_PARAMETERS = re.compile(
    r"(?a:" + re.escape(_COVERED) + r";created=(\d{1,12});expires=(\d{1,12})"
    r';nonce="([A-Za-z0-9_-]{16,64})";keyid="([!#-\[\]-~]{1,400})"'
    r';alg="([a-z0-9-]{1,40})";tag="px-1:([0-9a-f]{64})")'
)
_MEMBERS = re.compile(r"(?a:([1-9]\d{0,5});([0-9a-f]{64}))")
_BYTES = re.compile(r"(?a::([A-Za-z0-9+/]{1,200}={0,2}):)")


@dataclass(frozen=True, slots=True)
class MembersClaim:
    """Which member list the sender holds: version and payload digest (R4)."""

    version: int
    digest: bytes

    def to_text(self) -> str:
        """The value of the Px-Members header."""
        return f"{self.version};{self.digest.hex()}"


@dataclass(frozen=True, slots=True)
class SignedCall:
    """A verified call: who made it, with which key, until when its nonce must be remembered."""

    did: str
    kid: str
    nonce: str
    created: datetime
    expires: datetime
    members: MembersClaim


@dataclass(frozen=True, slots=True)
class Call:
    """The covered parts of a request. query is the raw text after `?`, "" for none."""

    method: str
    authority: str
    path: str
    query: str
    body_digest: bytes


def members_claim(members: MemberList) -> MembersClaim:
    """What to say in Px-Members about the list held."""
    return MembersClaim(members.version, members.digest)


def read_members_claim(text: str) -> MembersClaim:
    """The Px-Members header of a request or answer; raises `http_signature_malformed`."""
    match = _MEMBERS.fullmatch(text)
    if match is None:
        raise MalformedError("http_signature_malformed", "Px-Members is version;digest")
    return MembersClaim(int(match[1]), from_hex(match[2]))


def content_digest(body_digest: bytes) -> str:
    """The Content-Digest header (RFC 9530) of a body with that SHA-256."""
    return f"sha-256=:{base64.b64encode(body_digest).decode('ascii')}:"


def sign_request(
    call: Call,
    *,
    to: str,
    members: MemberList,
    created: datetime,
    nonce: str,
    signer: Signer,
    lifetime: timedelta = MAX_LIFETIME,
) -> dict[str, str]:
    """The headers that make `call` a signed one. nonce: 16 to 64 base64url characters."""
    headers = {
        "Content-Digest": content_digest(call.body_digest),
        "Px-To": to,
        "Px-Members": members_claim(members).to_text(),
    }
    parameters = (
        f"{_COVERED};created={times.to_ms(created) // 1000}"
        f";expires={times.to_ms(created + lifetime) // 1000}"
        f';nonce="{nonce}";keyid="{signer.kid}";alg="{_ALGORITHMS[signer.algorithm]}"'
        f';tag="px-1:{members.network.hex()}"'
    )
    signature = signer.sign(_base(call, headers, parameters))
    headers["Signature-Input"] = f"px={parameters}"
    headers["Signature"] = f"px=:{base64.b64encode(signature).decode('ascii')}:"
    return headers


def _base(call: Call, headers: Mapping[str, str], parameters: str) -> bytes:
    values = (
        call.method.upper(),
        call.authority.lower(),
        call.path or "/",
        f"?{call.query}",
        headers["Content-Digest"],
        headers["Px-To"],
        headers["Px-Members"],
    )
    lines = [f'"{name}": {value}' for name, value in zip(COMPONENTS, values, strict=True)]
    lines.append(f'"@signature-params": {parameters}')
    try:
        return "\n".join(lines).encode("ascii")
    except UnicodeEncodeError:
        raise MalformedError("http_signature_malformed", "a covered part is not ASCII") from None


def verify_request(
    call: Call, headers: Mapping[str, str], *, to: str, members: MemberList, now: datetime
) -> SignedCall:
    """Who made `call` to the node `to`, by the keys of `members`.

    headers: looked up by the usual names (pass a case-insensitive mapping). Raises
    UnauthenticatedError `http_signature_missing`, `http_signature_expired`,
    `http_signature_other_body`, `http_signature_other_addressee`, `http_signature_unknown_key`,
    `http_signature_invalid`, `member_list_stale`, or MalformedError `http_signature_malformed`.
    """
    given = {name: headers[name] for name in _HEADERS if name in headers}
    if len(given) != len(_HEADERS):
        raise UnauthenticatedError("http_signature_missing", f"wanted are {', '.join(_HEADERS)}")
    claim = read_members_claim(given["Px-Members"])
    parameters = given["Signature-Input"].removeprefix("px=")
    match = _PARAMETERS.fullmatch(parameters)
    if match is None:
        raise MalformedError("http_signature_malformed", "Signature-Input is not of our form")
    created, expires = (times.from_ms(int(second) * 1000) for second in match.group(1, 2))
    _require_time(created, expires, now)
    if given["Px-To"] != to or match[6] != members.network.hex():
        raise UnauthenticatedError(
            "http_signature_other_addressee", "the call is meant for another node or network"
        )
    if given["Content-Digest"] != content_digest(call.body_digest):
        raise UnauthenticatedError("http_signature_other_body", "the body is not the signed one")
    key = _listed_key(match[4], members, now)
    signature = _signature(given["Signature"])
    signed = _base(call, given, parameters)
    if match[5] != _ALGORITHMS[key.public.algorithm] or not key.public.verify(signature, signed):
        raise UnauthenticatedError("http_signature_invalid", "the signature does not fit")
    return SignedCall(key.did, key.kid, match[3], created, expires, claim)


def _require_time(created: datetime, expires: datetime, now: datetime) -> None:
    too_long = not timedelta(0) < expires - created <= MAX_LIFETIME
    if too_long or created > now + MAX_SKEW or expires < now:
        raise UnauthenticatedError("http_signature_expired", "too old, or the clocks differ")


def _listed_key(kid: str, members: MemberList, now: datetime) -> ListedKey:
    if members.freshness(now) is Freshness.STALE:
        raise UnauthenticatedError("member_list_stale", "our member list expired a week ago")
    key = members.key(kid)
    node = members.node(jws.did_of(kid))
    if key is None or node is None or key.purpose != PURPOSE or not key.valid_at(now):
        raise UnauthenticatedError(
            "http_signature_unknown_key", "the key is not a valid exchange key of a listed node"
        )
    return key


def _signature(text: str) -> bytes:
    match = _BYTES.fullmatch(text.removeprefix("px="))
    try:
        return base64.b64decode(match[1], validate=True) if match else b""
    except (ValueError, binascii.Error):
        return b""
