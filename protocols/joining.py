"""Asking to be on the member list: what a node offers, proven by every key it offers.

A request is a JSON object in the many-signature form: the network id it is meant for (R1), the
node's entry, the parties it hosts, its log, and the rights it asks for. Every offered key signs,
so nobody lists a key that somebody else holds. The roots decide; nothing here admits anybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain

from protocols import jws, times
from protocols.fields import COUNTRY, TYPE_KEY, Fields
from protocols.keys import Signer
from protocols.member_list import (
    IssuerEntry,
    ListedKey,
    LogEntry,
    MemberList,
    NodeEntry,
    PartyEntry,
)
from protocols.members import reading
from schemas import strict_json
from schemas.errors import ConflictError, MalformedError, RefusedError

TYP = "px-join+jws"
MEDIA_TYPE = "application/px-join+json"
CODE = "join_malformed"
MAX_BYTES = 256 * 1024
MAX_AGE = timedelta(days=1)
SKEW = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Right:
    """A document type a node wants to issue, for a country (and an office of it)."""

    document_type: str
    country: str
    office: str | None = None

    def entry(self, did: str, valid_from: datetime) -> IssuerEntry:
        """The right as the member list states it."""
        return IssuerEntry(did, self.document_type, self.country, valid_from, office=self.office)


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """A request that proved itself. digest is SHA-256 of its payload, its id."""

    network: bytes
    node: NodeEntry
    parties: tuple[PartyEntry, ...]
    log: LogEntry | None
    wants: tuple[Right, ...]
    issued_at: datetime
    digest: bytes
    signed: bytes = field(repr=False)

    @property
    def keys(self) -> tuple[ListedKey, ...]:
        """Every key that is offered."""
        return (*self.node.keys, *chain.from_iterable(party.keys for party in self.parties))


def build(
    *,
    network: bytes,
    node: NodeEntry,
    issued_at: datetime,
    signers: Sequence[Signer],
    parties: Sequence[PartyEntry] = (),
    log: LogEntry | None = None,
    wants: Sequence[Right] = (),
) -> bytes:
    """The signed request; `signers` are all keys of the node and its parties."""
    body: dict[str, strict_json.JsonValue] = {
        "network": network.hex(),
        "issued": times.to_text(issued_at),
        "node": node.to_json(),
        "parties": [party.to_json() for party in parties],
        "wants": [_right_json(right) for right in wants],
    }
    if log is not None:
        body["log"] = log.to_json()
    return jws.sign_multi(strict_json.canonical(body), typ=TYP, signers=signers).to_bytes()


def _right_json(right: Right) -> dict[str, strict_json.JsonValue]:
    office = {} if right.office is None else {"office": right.office}
    return {"documentType": right.document_type, "country": right.country, **office}


def read(signed: bytes, *, test: bool) -> JoinRequest:
    """A request whose every offered key signed it.

    test: whether plain http endpoints are allowed. Raises MalformedError `join_malformed`,
    `member_list_malformed`, RefusedError `join_unproven`.
    """
    envelope = jws.parse_multi(signed, typ=TYP, max_bytes=MAX_BYTES)
    fields = Fields(strict_json.loads_object(envelope.payload, max_bytes=MAX_BYTES), CODE)
    node = reading.read_node(fields.child("node"), test=test)
    log = fields.optional_child("log")
    request = JoinRequest(
        network=fields.digest("network"),
        node=node,
        parties=tuple(map(reading.read_party, fields.children("parties", 100))),
        log=reading.read_log(log) if log else None,
        wants=tuple(_read_right(child) for child in fields.children("wants", 100)),
        issued_at=fields.time("issued"),
        digest=envelope.payload_digest,
        signed=signed,
    )
    _require_own(request)
    _require_proof(request, envelope)
    return request


def _read_right(fields: Fields) -> Right:
    return Right(
        fields.text("documentType", pattern=TYPE_KEY),
        fields.text("country", pattern=COUNTRY),
        fields.optional_text("office"),
    )


def _require_own(request: JoinRequest) -> None:
    did = request.node.did
    if any(party.host != did or party.did == did for party in request.parties):
        raise MalformedError(CODE, "a node asks only for parties it hosts", pointer="/parties")
    if request.log is not None and request.log.did != did:
        raise MalformedError(CODE, "a node asks only for its own log", pointer="/log")
    if not any(key.purpose == "exchange" for key in request.node.keys):
        raise MalformedError(CODE, "a node offers an exchange key", pointer="/node/keys")


def _require_proof(request: JoinRequest, envelope: jws.MultiJws) -> None:
    signatures = {signature.kid: signature for signature in envelope.signatures}
    for key in request.keys:
        if key.kid not in signatures:
            raise RefusedError("join_unproven", f"{key.kid} did not sign the request")
        jws.verify(signatures[key.kid], key.public)


def require_admissible(request: JoinRequest, members: MemberList, now: datetime) -> None:
    """Whether the request may wait for the roots of `members`' network.

    Raises RefusedError `join_other_network`, `join_expired`; ConflictError `join_did_taken` when a
    listed DID is asked for without a key it already has.
    """
    if request.network != members.network:
        raise RefusedError("join_other_network", "the request names another network")
    if not now - MAX_AGE <= request.issued_at <= now + SKEW:
        raise RefusedError("join_expired", "the request is too old, or the clocks differ")
    for did, offered in _owners(request).items():
        listed = [key for key in members.keys.values() if key.did == did]
        known = {key.public.thumbprint() for key in listed if key.valid_at(now)}
        if listed and not known & {key.public.thumbprint() for key in offered}:
            raise ConflictError("join_did_taken", f"{did} is listed with other keys")
        party = members.party(did)
        if party is not None and party.host != request.node.did:
            raise ConflictError("join_did_taken", f"{did} is hosted at {party.host}")


def _owners(request: JoinRequest) -> dict[str, tuple[ListedKey, ...]]:
    owners: tuple[NodeEntry | PartyEntry, ...] = (request.node, *request.parties)
    return {owner.did: owner.keys for owner in owners}


def is_admitted(request: JoinRequest, members: MemberList) -> bool:
    """Whether the list names the node, its keys and its parties' keys as asked for.

    Who asks is a member by that, whatever else it wants; what is still missing of that,
    `node.trust.wishes.missing` says.
    """
    if members.node(request.node.did) is None:
        return False
    for key in request.keys:
        listed = members.key(key.kid)
        if listed is None or listed.public != key.public or listed.purpose != key.purpose:
            return False
    return True
