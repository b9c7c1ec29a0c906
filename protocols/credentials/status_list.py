"""Bitstring Status List (W3C, 2025): entries, encoded lists, list credentials, roll-back.

A list is a credential of the issuer; bit 0 is the most significant bit of the first byte, the
text is `u` + base64url(gzip(bits)) and holds at least 131 072 entries, so that fetching a list
tells nothing about the one entry somebody looks at. The URL in an entry is a name made from the
issuer's DID, a look-up key into the member list and never an address to connect to (R7). A list
older than the one held, or one that takes a revocation back, is refused.

Revocation is final, suspension is not (§2.2): a document has an entry in a list of each purpose,
because what may be cleared in a list must follow from the list alone.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from protocols import base64url, jws, times
from protocols.credentials import vcdm
from protocols.fields import Fields
from protocols.members.trust import Freshness
from schemas import strict_json
from schemas.errors import ConflictError, MalformedError, RefusedError, TooLargeError

if TYPE_CHECKING:
    from protocols.jws import Jws
    from protocols.keys import Signer
    from protocols.members.trust import MemberList
    from schemas.strict_json import JsonValue

CODE = "status_malformed"
TYP = "vc+jwt"
TYPE = "BitstringStatusListCredential"
ENTRY_TYPE = "BitstringStatusListEntry"
REVOCATION = "revocation"
SUSPENSION = "suspension"
#: The longest that any list is relied on, whatever ttl its issuer states.
MAX_AGE = timedelta(days=1)
MIN_ENTRIES = 131_072
MAX_ENTRIES = 8 * MIN_ENTRIES
MAX_TEXT_BYTES = 1024 * 1024
_GZIP = 31  # zlib: gzip framing, 32 kB window
_PURPOSE = re.compile(r"(?a:[a-z][A-Za-z]{1,40})")
_INDEX = re.compile(r"(?a:0|[1-9]\d{0,8})")
_URL = re.compile(r"(?a:https://[!#-\[\]-~]{1,400})")
_LIST_ID = re.compile(r"(?a:[A-Za-z0-9-]{1,40})")


class Status(StrEnum):
    """What a bit says."""

    VALID = "valid"
    REVOKED = "revoked"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class StatusEntry:
    """Where a credential's status stands: bit `index` of the list named `list_url`."""

    list_url: str
    index: int
    purpose: str = REVOCATION

    def to_json(self) -> dict[str, JsonValue]:
        """The credentialStatus member."""
        return {
            "id": f"{self.list_url}#{self.index}",
            "type": ENTRY_TYPE,
            "statusPurpose": self.purpose,
            "statusListIndex": str(self.index),
            "statusListCredential": self.list_url,
        }


def list_url(did: str, list_id: str) -> str:
    """The name of an issuer's list: an https URL under the host of its did:web."""
    host, *path = did.removeprefix("did:web:").split(":")
    return "/".join((f"https://{host.replace('%3A', ':')}", *path, "status", list_id))


def list_id_of(url: str, did: str) -> str:
    """The list's id when `url` names a list of `did`; raises RefusedError `status_foreign_list`."""
    list_id = url.rpartition("/")[2]
    if not _LIST_ID.fullmatch(list_id) or url != list_url(did, list_id):
        raise RefusedError("status_foreign_list", "the list is not one of the issuer's")
    return list_id


def read_entry(fields: Fields) -> StatusEntry:
    """A credentialStatus member, strictly; raises MalformedError with the code of `fields`."""
    if fields.text("type") != ENTRY_TYPE:
        raise fields.fault("type", f"the status entry is a {ENTRY_TYPE}")
    if fields.has("statusSize") and fields.integer("statusSize", 1, 64) != 1:
        raise fields.fault("statusSize", "an entry of one bit is read here")
    return StatusEntry(
        list_url=fields.text("statusListCredential", pattern=_URL),
        index=int(fields.text("statusListIndex", pattern=_INDEX)),
        purpose=fields.text("statusPurpose", pattern=_PURPOSE),
    )


def entries_to_json(status: StatusEntry, suspension: StatusEntry | None) -> JsonValue:
    """The credentialStatus member: one entry, or the entries of both purposes."""
    if suspension is None:
        return status.to_json()
    return [status.to_json(), suspension.to_json()]


def read_entries(fields: Fields, name: str) -> tuple[StatusEntry, StatusEntry | None]:
    """The revocation entry, and the suspension entry where there is one, of a document of ours.

    Raises MalformedError with the code of `fields`: other purposes, or one of them twice.
    """
    several = isinstance(fields.members.get(name), list)
    found = fields.children(name, max_items=2) if several else (fields.child(name),)
    entries = {entry.purpose: entry for entry in map(read_entry, found)}
    if len(entries) != len(found) or REVOCATION not in entries:
        raise fields.fault(name, "one entry for revocation, and at most one for suspension")
    suspension = entries.get(SUSPENSION)
    if len(found) > 1 and suspension is None:
        raise fields.fault(name, "the second entry is for suspension")
    return entries[REVOCATION], suspension


def encode_bits(bits: bytes) -> str:
    """`u` + base64url(gzip(bits)); the same bits always give the same text."""
    packer = zlib.compressobj(level=9, wbits=_GZIP)
    return "u" + base64url.encode(packer.compress(bits) + packer.flush())


def decode_bits(text: str) -> bytes:
    """The bits of an encodedList.

    Exactly one complete gzip member of 131 072 to 1 048 576 entries; raises MalformedError
    `status_malformed` or TooLargeError `status_too_large`.
    """
    if len(text) > MAX_TEXT_BYTES:
        raise TooLargeError("status_too_large", f"more than {MAX_TEXT_BYTES} characters")
    if not text.startswith("u"):
        raise MalformedError(CODE, "an encoded list begins with the multibase prefix u")
    unpacker = zlib.decompressobj(wbits=_GZIP)
    try:
        bits = unpacker.decompress(base64url.decode(text[1:]), MAX_ENTRIES // 8 + 1)
    except zlib.error:
        raise MalformedError(CODE, "an encoded list is one gzip member") from None
    if len(bits) > MAX_ENTRIES // 8:
        raise TooLargeError("status_too_large", f"more than {MAX_ENTRIES} entries")
    if not unpacker.eof or unpacker.unused_data:
        raise MalformedError(CODE, "an encoded list is one complete gzip member and no more")
    if len(bits) * 8 < MIN_ENTRIES:
        raise MalformedError(CODE, f"a list has at least {MIN_ENTRIES} entries")
    return bits


def bit(bits: bytes, index: int) -> bool:
    """Bit `index`, counted from the most significant bit of the first byte."""
    if not 0 <= index < len(bits) * 8:
        raise RefusedError("status_out_of_range", "the list has no such entry")
    return bool(bits[index >> 3] & (0x80 >> (index & 7)))


def set_bit(bits: bytes, index: int, *, to: bool = True) -> bytes:
    """`bits` with bit `index` set, or cleared."""
    bit(bits, index)  # range
    changed, mask = bytearray(bits), 0x80 >> (index & 7)
    changed[index >> 3] = changed[index >> 3] | mask if to else changed[index >> 3] & ~mask
    return bytes(changed)


@dataclass(frozen=True, slots=True)
class StatusList:
    """One list credential, read. signed is its compact JWS; ttl says how long it may be cached."""

    url: str
    issuer: str
    network: bytes
    purposes: tuple[str, ...]
    bits: bytes = field(repr=False)
    ttl: timedelta
    valid_from: datetime
    valid_until: datetime
    kid: str
    digest: bytes
    signed: str = field(repr=False)

    def fresh_at(self, now: datetime, max_age: timedelta = MAX_AGE) -> bool:
        """Whether the list may be relied on at `now`: within its ttl, `max_age` and validity."""
        return self.age(now) < min(self.ttl, max_age) and now < self.valid_until

    def age(self, now: datetime) -> timedelta:
        """How long ago the issuer signed it."""
        return now - self.valid_from


#: What a verifier has of the lists a document needs: one or several, signed texts or verified ones.
#: Bytes are an IETF list token in CWT form (`token_status_list`); no reader here takes them.
GivenList = StatusList | str | bytes
StatusLists = GivenList | tuple[GivenList, ...] | None


def sign_list(
    *,
    url: str,
    issuer: str,
    network: bytes,
    bits: bytes,
    ttl: timedelta,
    valid_from: datetime,
    valid_until: datetime,
    signer: Signer,
    purpose: str = REVOCATION,
) -> str:
    """The list credential as a compact JWS."""
    payload: dict[str, JsonValue] = {
        "@context": [vcdm.CONTEXT],
        "id": url,
        "type": [vcdm.TYPE, TYPE],
        "issuer": issuer,
        "network": network.hex(),
        "validFrom": times.to_text(valid_from),
        "validUntil": times.to_text(valid_until),
        "credentialSubject": {
            "id": f"{url}#list",
            "type": "BitstringStatusList",
            "statusPurpose": purpose,
            "encodedList": encode_bits(bits),
            "ttl": ttl // timedelta(milliseconds=1),
        },
    }
    return jws.sign(strict_json.canonical(payload), typ=TYP, signer=signer, cty="vc")


def parse_list(text: str | bytes) -> tuple[Jws, StatusList]:
    """A list credential read under our profile, its signature not yet verified."""
    if isinstance(text, bytes):
        raise RefusedError("jws_typ_unexpected", "a list of this kind is a JWS, never a CWT")
    signed = jws.parse(text, typ=TYP, max_bytes=4 * MAX_TEXT_BYTES)
    credential = vcdm.read(signed.payload)
    if TYPE not in credential.types:
        raise RefusedError("status_not_a_list", "the credential is not a status list")
    vcdm.require_kid_of_issuer(signed.kid, credential.issuer)
    fields = Fields(credential.members, CODE)
    subject = fields.child("credentialSubject")
    if subject.text("type") != "BitstringStatusList":
        raise subject.fault("type", "the subject is a BitstringStatusList")
    opened = StatusList(
        url=fields.text("id", pattern=_URL),
        issuer=credential.issuer,
        network=fields.digest("network"),
        purposes=read_purposes(subject),
        bits=decode_bits(subject.text("encodedList", max_length=MAX_TEXT_BYTES)),
        ttl=timedelta(milliseconds=subject.integer("ttl", 0, 10**10)),
        valid_from=fields.time("validFrom"),
        valid_until=fields.time("validUntil"),
        kid=signed.kid,
        digest=signed.payload_digest,
        signed=text,
    )
    return signed, opened


def read_purposes(subject: Fields) -> tuple[str, ...]:
    """statusPurpose of a list: one text, or a list of them."""
    if isinstance(subject.members.get("statusPurpose"), list):
        return subject.texts("statusPurpose", pattern=_PURPOSE, max_items=10)
    return (subject.text("statusPurpose", pattern=_PURPOSE),)


def keeps_for(keeper: str, issuer: str, members: MemberList, at: datetime) -> bool:
    """Whether `keeper` may sign lists about documents of `issuer`: itself, or its listed delegate.

    The credential still has to name a list of that keeper, so its issuer agreed to it.
    """
    if keeper == issuer:
        return True
    return any(right.delegated_by == issuer for right in members.rights_of(keeper, at))


def keeper_of(url: str, members: MemberList, issuer: str, at: datetime) -> str:
    """Whose list it is by its name, the issuer's or a delegate's; `status_foreign_list` if none."""
    delegates = (each.did for each in members.issuers if each.delegated_by == issuer)
    for did in dict.fromkeys((issuer, *delegates)):
        try:
            list_id_of(url, did)
        except RefusedError:
            continue
        if keeps_for(did, issuer, members, at):
            return did
    raise RefusedError("status_foreign_list", "the list is not one of the issuer's")


def open_list(
    text: str | bytes, *, members: MemberList, now: datetime, issuer: str | None = None
) -> StatusList:
    """A list verified against the member list at `now`: signature, key, issuer, network, dates.

    issuer: whose documents it is about, when known; it signed the list, or its delegate did.
    Raises MalformedError, RefusedError
    (`status_foreign_list`, `status_other_network`, `status_key_refused`, `status_other_issuer`,
    `bad_signature`, `credential_expired`, …) or RefusedError `member_list_stale` (R6: revocation
    has no grace).
    """
    signed, opened = parse_list(text)
    if issuer is not None and not keeps_for(opened.issuer, issuer, members, now):
        raise RefusedError("status_other_issuer", "the list is signed by somebody else")
    if opened.network != members.network:
        raise RefusedError("status_other_network", "the list belongs to another network")
    list_id_of(opened.url, opened.issuer)
    if members.freshness(now) is not Freshness.FRESH:
        raise RefusedError("member_list_stale", "revocations need a member list in force")
    key = members.key(signed.kid)
    if key is None or key.purpose != "credential" or not key.valid_at(now):
        raise RefusedError("status_key_refused", "the key is no valid credential key of the issuer")
    jws.verify(signed, key.public)
    vcdm.require_in_time(opened.valid_from, opened.valid_until, now)
    return opened


def check(entry: StatusEntry, held: StatusList, *, issuer: str) -> Status:
    """What `held` says about a credential of `issuer` with that entry.

    Raises RefusedError `status_other_issuer`, `status_other_list`, `status_other_purpose` or
    `status_out_of_range`: then the list says nothing about it.
    """
    if held.issuer != issuer:
        raise RefusedError("status_other_issuer", "the list is signed by somebody else")
    if held.url != entry.list_url:
        raise RefusedError("status_other_list", "the entry names another list")
    if entry.purpose not in held.purposes:
        raise RefusedError("status_other_purpose", "the list has another purpose")
    if not bit(held.bits, entry.index):
        return Status.VALID
    return Status.SUSPENDED if entry.purpose == SUSPENSION else Status.REVOKED


def supersedes(new: StatusList, held: StatusList | None) -> bool:
    """Whether `new` takes the place of `held` (False: it is the same list again).

    Raises RefusedError `status_rollback` when it is older or takes a revocation back, ConflictError
    `status_fork` when two lists claim the same moment.
    """
    if held is None:
        return True
    if new.url != held.url or new.issuer != held.issuer:
        raise RefusedError("status_other_list", "the lists are different ones")
    if new.digest == held.digest:
        return False
    if new.valid_from < held.valid_from:
        raise RefusedError("status_rollback", "the list is older than the one already held")
    if new.valid_from == held.valid_from:
        raise ConflictError("status_fork", "two lists were signed for the same moment")
    if set(new.purposes) != set(held.purposes):
        # Else a list between two others could forget what the first had revoked.
        raise RefusedError("status_rollback", "the list has other purposes than the one held")
    if REVOCATION in held.purposes and _cleared(held.bits, new.bits):
        raise RefusedError("status_rollback", "the list takes a revocation back")
    return True


def _cleared(before: bytes, after: bytes) -> bool:
    size = max(len(before), len(after))
    old = int.from_bytes(before.ljust(size, b"\0"), "big")
    new = int.from_bytes(after.ljust(size, b"\0"), "big")
    return bool(old & ~new)
