"""Token Status List (IETF draft-ietf-oauth-status-list): reading.

Not to be mistaken for W3C's Bitstring list (`protocols.credentials.status_list`), from which it
differs in everything that matters: a status has 1, 2, 4 or 8 bits and stands *least* significant
bit first, the compression is zlib (RFC 1950), times are seconds, the list is no credential but a
token of typ `statuslist+jwt` (a text) or `application/statuslist+cwt` (bytes: COSE_Sign1 over CBOR)
whose `sub` is its own name. Neither reader takes the other's lists. The two forms differ in how
they are spelled and signed; what they state is read and judged by the same code.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from protocols import base64url, cose, jws, strict_cbor
from protocols.credentials import vcdm
from protocols.credentials.status_list import MAX_AGE
from protocols.digest import sha256
from protocols.fields import Fields
from protocols.members.trust import Freshness
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError, TooLargeError

if TYPE_CHECKING:
    from protocols.cose import Sign1
    from protocols.member_list import MemberList
    from protocols.strict_cbor import CborValue
    from schemas.strict_json import JsonValue

CODE = "token_status_malformed"
TYP = "statuslist+jwt"
JWT, CWT = "application/statuslist+jwt", "application/statuslist+cwt"
MAX_LIST_BYTES = 1024 * 1024
MAX_TEXT_BYTES = 4 * 1024 * 1024
MAX_SECONDS = 253402300799
#: For lists that state neither `exp` nor `ttl`: how long one may be relied on.
DEFAULT_TTL = timedelta(hours=1)
#: A list token as it is signed: the JWT form is a text, the CWT form is bytes.
ListToken: TypeAlias = str | bytes
_ZLIB = zlib.MAX_WBITS
#: RFC 8392 §3.1, §14.1 of the draft: the claims that are read, by their number in a CWT.
_CLAIMS = {2: "sub", 4: "exp", 6: "iat", 65534: "ttl"}
_STATUS_LIST = 65533
_URI = re.compile(r"(?a:https://[!#-\[\]-~]{1,400})")


class TokenStatus(StrEnum):
    """What a value says (§7.1); values from 3 on are for applications, and mean nothing here."""

    VALID = "valid"
    INVALID = "invalid"
    SUSPENDED = "suspended"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a token's status stands: entry `index` of the list whose name is `uri` (§6)."""

    index: int
    uri: str


@dataclass(frozen=True, slots=True)
class Signature:
    """Who says to have signed a list token, how, and over what; not yet verified."""

    kid: str
    alg: str
    value: bytes
    signing_input: bytes


@dataclass(frozen=True, slots=True)
class TokenStatusList:
    """One list token, read. expires is None when it states no end; kid names who signed it."""

    uri: str
    kid: str
    issued_at: datetime
    expires: datetime | None
    ttl: timedelta | None
    bits: int
    data: bytes = field(repr=False)

    @property
    def issuer(self) -> str:
        """The DID of the key that signed it."""
        return jws.did_of(self.kid)

    @property
    def digest(self) -> bytes:
        """SHA-256 over what the list states: the same in either form."""
        stated: dict[str, JsonValue] = {
            "sub": self.uri,
            "iat": int(self.issued_at.timestamp()),
            "exp": None if self.expires is None else int(self.expires.timestamp()),
            "ttl": None if self.ttl is None else int(self.ttl.total_seconds()),
            "bits": self.bits,
            "statuses": sha256(self.data).hex(),
        }
        return sha256(strict_json.canonical(stated))

    def value(self, index: int) -> int:
        """The raw value of an entry; raises RefusedError `token_status_out_of_range`."""
        per_byte = 8 // self.bits
        if not 0 <= index < len(self.data) * per_byte:
            raise RefusedError("token_status_out_of_range", "the list has no such entry")
        shift = index % per_byte * self.bits
        return self.data[index // per_byte] >> shift & ((1 << self.bits) - 1)

    def fresh_at(self, now: datetime, max_age: timedelta = MAX_AGE) -> bool:
        """Whether the list may be relied on at `now`: within ttl, `max_age` and before its end."""
        unstated = DEFAULT_TTL if self.expires is None else max_age
        ends = self.issued_at + min(max_age, unstated if self.ttl is None else self.ttl)
        return now < (ends if self.expires is None else min(ends, self.expires))

    def age(self, now: datetime) -> timedelta:
        """How long ago the issuer signed it."""
        return now - self.issued_at


def read_reference(fields: Fields) -> Reference:
    """The `status_list` object of a token's `status`; raises MalformedError."""
    return Reference(fields.integer("idx", 0, 8 * MAX_LIST_BYTES), fields.text("uri", pattern=_URI))


def at_time(uri: str, at: datetime) -> str:
    """The address of the list as it was at `at` (§8.4): the parameter `time`, in Unix seconds.

    A server that knows no such parameter answers with the list of now, which `open_list` refuses
    for that moment.
    """
    return f"{uri}{'&' if '?' in uri else '?'}time={int(at.timestamp())}"


def received(media_type: str, body: bytes) -> ListToken:
    """The token in an answer of that Content-Type (§8.2), which alone says in which form it is.

    Raises MalformedError `token_status_malformed`; the form's own reader refuses the other's.
    """
    if media_type == CWT:
        return body
    try:
        return body.decode("ascii").strip()
    except UnicodeDecodeError:
        raise MalformedError(CODE, "the answer is not a list token in JWT form") from None


def decode(bits: int, text: str) -> bytes:
    """The bytes of `lst` in JWT form; raises as `inflate`, and `base64url_malformed`."""
    return inflate(bits, base64url.decode(text))


def inflate(bits: int, packed: bytes) -> bytes:
    """The bytes of a list: one complete zlib stream of at most 1 MiB.

    Raises MalformedError `token_status_malformed`, TooLargeError `token_status_too_large`.
    """
    if bits not in {1, 2, 4, 8}:
        raise MalformedError(CODE, "bits is 1, 2, 4 or 8")
    unpacker = zlib.decompressobj(wbits=_ZLIB)
    try:
        data = unpacker.decompress(packed, MAX_LIST_BYTES + 1)
    except zlib.error:
        raise MalformedError(CODE, "lst is one zlib stream") from None
    if len(data) > MAX_LIST_BYTES:
        raise TooLargeError("token_status_too_large", f"more than {MAX_LIST_BYTES} bytes")
    if not unpacker.eof or unpacker.unused_data or not data:
        raise MalformedError(CODE, "lst is one complete zlib stream and no more")
    return data


def parse_list(token: ListToken) -> tuple[Signature, TokenStatusList]:
    """A status list token in either form, its signature not yet verified.

    Raises MalformedError, RefusedError, TooLargeError as `jws.parse`, `cose.parse` and `inflate`.
    """
    signature, fields, packed = _jwt(token) if isinstance(token, str) else _cwt(token)
    bits = fields.child("status_list").integer("bits", 1, 8)
    return signature, TokenStatusList(
        uri=fields.text("sub", pattern=_URI),
        kid=signature.kid,
        issued_at=_seconds(fields, "iat"),
        expires=_seconds(fields, "exp") if fields.has("exp") else None,
        ttl=timedelta(seconds=fields.integer("ttl", 1, 10**9)) if fields.has("ttl") else None,
        bits=bits,
        data=inflate(bits, packed),
    )


def _jwt(text: str) -> tuple[Signature, Fields, bytes]:
    """§5.1: signature, claims, and the packed list."""
    signed = jws.parse(text, typ=TYP, max_bytes=MAX_TEXT_BYTES)
    fields = Fields(strict_json.loads_object(signed.payload, max_bytes=MAX_TEXT_BYTES), CODE)
    packed = fields.child("status_list").text("lst", max_length=MAX_TEXT_BYTES)
    signature = Signature(signed.kid, signed.header.alg, signed.signature, signed.signing_input)
    return signature, fields, base64url.decode(packed)


def _cwt(data: bytes) -> tuple[Signature, Fields, bytes]:
    """§5.2: signature, claims by the names they have in JSON, and the packed list.

    Tagged COSE_Sign1 alone: a COSE_Mac0 would need a secret shared with the issuer.
    """
    if len(data) > MAX_TEXT_BYTES:
        raise TooLargeError("token_status_too_large", f"more than {MAX_TEXT_BYTES} bytes")
    signed = cose.parse(data, CODE)
    signature = _cwt_signature(signed)
    claims = strict_cbor.loads_map(signed.payload, CODE)
    listed = claims.get(_STATUS_LIST)
    packed = listed.get("lst") if isinstance(listed, dict) else None
    if not isinstance(listed, dict) or not isinstance(packed, bytes):
        raise MalformedError(CODE, "claim 65533 is a map with lst, a byte string")
    members = {name: _plain(claims[at]) for at, name in _CLAIMS.items() if at in claims}
    fields = Fields({**members, "status_list": {"bits": _plain(listed.get("bits"))}}, CODE)
    return signature, fields, packed


def _cwt_signature(signed: Sign1) -> Signature:
    """The key id is a hint at the key, so it may stand unprotected, as it does in the draft."""
    if signed.protected.get(cose.TYP) != CWT:
        raise RefusedError("jws_typ_unexpected", f"this place takes {CWT}", pointer="/16")
    labels = [*signed.protected, *signed.unprotected]
    if set(labels) != {cose.ALG, cose.KID, cose.TYP} or len(labels) != 3:
        raise MalformedError(CODE, "alg, kid and typ, each once, and nothing else is read")
    if not set(signed.unprotected) <= {cose.KID}:
        raise MalformedError(CODE, "alg and typ are protected")
    kid = {**signed.protected, **signed.unprotected}[cose.KID]
    text = kid.decode("ascii", "replace") if isinstance(kid, bytes) else None
    if text is None or not jws.is_key_id(text):
        raise MalformedError(CODE, "kid is the DID URL of one key")
    return Signature(text, cose.algorithm(signed.protected), signed.signature, signed.signing_input)


def _plain(value: CborValue) -> str | int | None:
    """What JSON has, too; None for what no claim here is."""
    return value if isinstance(value, str | int) else None


def _seconds(fields: Fields, name: str) -> datetime:
    return datetime.fromtimestamp(fields.integer(name, 0, MAX_SECONDS), UTC)


def open_list(
    token: ListToken, *, members: MemberList, now: datetime, issuer: str
) -> TokenStatusList:
    """A list signed by `issuer` with a key that stands in the member list at `now` (§8.3).

    Raises MalformedError, TooLargeError, RefusedError `token_status_other_issuer`,
    `token_status_expired`, `token_status_from_future`, `status_key_refused`, `bad_signature`, and
    `member_list_stale` (R6: revocation has no grace).
    """
    signed, opened = parse_list(token)
    if opened.issuer != issuer:
        raise RefusedError("token_status_other_issuer", "the list is signed by somebody else")
    if members.freshness(now) is not Freshness.FRESH:
        raise RefusedError("member_list_stale", "revocations need a member list in force")
    key = members.key(signed.kid)
    if key is None or key.purpose != "credential" or not key.valid_at(now):
        raise RefusedError("status_key_refused", "the key is no valid credential key of the issuer")
    jws.check(key.public, signed.alg, signed.value, signed.signing_input)
    if opened.issued_at > now + vcdm.SKEW:
        raise RefusedError("token_status_from_future", "the list was issued later than now")
    if opened.expires is not None and opened.expires <= now:
        raise RefusedError("token_status_expired", "the list's time is over")
    return opened


def check(reference: Reference, held: TokenStatusList) -> TokenStatus:
    """What `held` says; RefusedError `token_status_other_list`, `token_status_out_of_range`."""
    if held.uri != reference.uri:
        raise RefusedError("token_status_other_list", "the token names another list")
    named = {0: TokenStatus.VALID, 1: TokenStatus.INVALID, 2: TokenStatus.SUSPENDED}
    return named.get(held.value(reference.index), TokenStatus.OTHER)
