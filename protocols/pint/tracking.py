"""The control tracking registry: its base URI, and the records that platforms sign about a bill.

PINT 3.0.0 names the registry in the first chain entry and makes it the final arbiter, but its API
is not published. The record model is that of DCSA's public prototype: a platform signs a record,
which names the one before it (optimistic concurrency), the registry adds by whom and when it was
taken. A record's id is the SHA-256 of the signed record; the bill's id is the checksum of its
transport document's canonical form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from protocols import times
from protocols.pint import signed
from protocols.pint.chain import MAX_URI, payload_fields
from protocols.pint.reading import PLATFORM, Json, compact, in_hex, present, word
from schemas import strict_json
from schemas.errors import ConflictError, MalformedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocols.fields import Fields
    from protocols.keys import Signer
    from protocols.pint.signed import Signed

URI_CODE = "pint_registry_uri"
_URI = re.compile(
    r"(?a:(?P<scheme>https?)://(?P<host>[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?)(?::(?P<port>[1-9]\d{0,4}))?"
    r"(?P<path>(?:/[A-Za-z0-9._~-]{1,100}){0,8})/v(?P<major>[1-9]\d{0,3}))"
)
_LOOPBACK = frozenset({"127.0.0.1", "localhost"})


@dataclass(frozen=True, slots=True)
class RegistryUri:
    """A base URI in its parts; text is the URI as written, which is what is compared."""

    text: str
    host: str
    port: int
    path: str
    major: int


def parse_registry_uri(text: str, *, test: bool = False) -> RegistryUri:
    """The base URI of a registry: https, no user, query or fragment, the major version last.

    test: the network is flagged so, and plain http to this machine itself is let through. Raises
    MalformedError `pint_registry_uri`. It is a key to look up in the member list (R7), never an
    address to call for itself.
    """
    match = _URI.fullmatch(text) if len(text) <= MAX_URI else None
    plain = match is not None and match["scheme"] == "http"
    if plain and not (test and match is not None and match["host"] in _LOOPBACK):
        raise MalformedError(URI_CODE, "a registry is asked over TLS")
    if match is None or any(part in {".", ".."} for part in match["path"].split("/")):
        raise MalformedError(URI_CODE, "a base URI is https and ends with the major version")
    port = int(match["port"] or (80 if plain else 443))
    if port > 65535 or ".." in match["host"]:
        raise MalformedError(URI_CODE, "the host or the port cannot be")
    return RegistryUri(text, match["host"], port, match["path"], int(match["major"]))


class RecordAction(StrEnum):
    """What a platform records, in the prototype's words."""

    INTEND = "INTEND TO TRANSFER"
    CANCEL = "CANCEL TRANSFER"
    ACCEPTED = "TRANSFER ACCEPTED"
    RETRACT = "RETRACT RECORD"
    DISPUTE = "DISPUTE RECORD"
    RESOLVED = "DISPUTE RECORD RESOLVED"
    SURRENDERED = "SURRENDERED"


#: Records that answer another one and name it.
ANSWERING = frozenset(
    {
        RecordAction.CANCEL,
        RecordAction.ACCEPTED,
        RecordAction.RETRACT,
        RecordAction.DISPUTE,
        RecordAction.RESOLVED,
    }
)


@dataclass(frozen=True, slots=True)
class PlatformRecord:
    """What one platform signs.

    ebl: SHA-256 of the transport document; actor, receiver: platform codes
    last: checksum of the chain's last entry that it is about; canonical: the record that counts
    after a dispute; answers: the record it answers; previous: the bill's record before it
    """

    ebl: bytes
    action: RecordAction
    actor: str
    at: datetime
    receiver: str | None = None
    last: bytes | None = None
    canonical: bytes | None = None
    answers: bytes | None = None
    previous: bytes | None = None

    def to_json(self) -> Json:
        """The signed object."""
        return {
            "eblID": self.ebl.hex(),
            "action": self.action.value,
            "actor": self.actor,
            "platformActionTimestamp": times.to_text(self.at),
            **present(
                receiver=self.receiver,
                lastEnvelopeTransferChainEntrySignedContentChecksum=in_hex(self.last),
                canonicalRecord=in_hex(self.canonical),
                inResponseToRecord=in_hex(self.answers),
                previousRecord=in_hex(self.previous),
            ),
        }

    def sign(self, signer: Signer, x5c: Sequence[bytes] = ()) -> str:
        """The compact JWS by the actor's platform key."""
        return signed.sign(strict_json.canonical(self.to_json()), signer=signer, x5c=x5c)


def read_platform_record(fields: Fields) -> PlatformRecord:
    """The payload of a platform's record; members that its action needs are there."""
    record = PlatformRecord(
        ebl=fields.digest("eblID"),
        action=word(fields, "action", RecordAction),
        actor=fields.text("actor", pattern=PLATFORM),
        at=fields.time("platformActionTimestamp"),
        receiver=fields.optional_text("receiver", pattern=PLATFORM),
        last=fields.optional_digest("lastEnvelopeTransferChainEntrySignedContentChecksum"),
        canonical=fields.optional_digest("canonicalRecord"),
        answers=fields.optional_digest("inResponseToRecord"),
        previous=fields.optional_digest("previousRecord"),
    )
    if record.action in ANSWERING and record.answers is None:
        raise fields.fault("inResponseToRecord", "this action answers a record and names it")
    if record.action is RecordAction.INTEND and (record.receiver is None or record.last is None):
        raise fields.fault("receiver", "a transfer names its receiver and its chain entry")
    return record


def open_platform_record(text: str) -> tuple[Signed, PlatformRecord]:
    """A record from its JWS, not yet verified; raises as `signed.parse` and
    MalformedError `pint_message_malformed`.
    """
    parsed = signed.parse(text)
    return parsed, read_platform_record(payload_fields(parsed))


@dataclass(frozen=True, slots=True)
class RegistryRecord:
    """A platform's record as the registry keeps it. number: its place among the bill's records."""

    number: int
    inserted_by: str
    inserted_at: datetime
    text: str

    @property
    def id(self) -> bytes:
        """SHA-256 of the signed record."""
        return signed.checksum(self.text)

    def to_json(self) -> Json:
        """The record with what the registry adds."""
        return {
            "recordID": self.id.hex(),
            "recordNumber": self.number,
            "insertedBy": self.inserted_by,
            "insertedAtTimestamp": times.to_text(self.inserted_at),
            "platformRecordSignedContent": self.text,
        }


def read_registry_record(fields: Fields) -> RegistryRecord:
    """A kept record; its id must be that of the text it holds."""
    record = RegistryRecord(
        number=fields.integer("recordNumber", 0, 2**53 - 1),
        inserted_by=fields.text("insertedBy", pattern=PLATFORM),
        inserted_at=fields.time("insertedAtTimestamp"),
        text=compact(fields, "platformRecordSignedContent"),
    )
    if fields.digest("recordID") != record.id:
        raise fields.fault("recordID", "the id is not that of the signed record")
    return record


def append(
    records: Sequence[RegistryRecord], text: str, inserted_by: str, inserted_at: datetime
) -> RegistryRecord:
    """The next record of a bill, whose signature the caller has verified.

    Raises ConflictError `pint_record_conflict` unless it names the head it was made upon.
    """
    _, record = open_platform_record(text)
    head = records[-1].id if records else None
    if record.previous != head:
        raise ConflictError("pint_record_conflict", "another record came first", head=in_hex(head))
    return RegistryRecord(len(records), inserted_by, inserted_at, text)
