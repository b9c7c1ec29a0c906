"""The JSON forms of parties, operations and title states; strict both ways.

An operation with a member that this version does not know is refused, not skipped: all witnesses
must read the same thing in it (R22). A state has exactly one canonical form (RFC 8785), whose
SHA-256 is what the registry's map commits to.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from protocols import times
from protocols.digest import sha256
from protocols.fields import DID, Fields
from protocols.title.machine import (
    MAX_JOINT,
    Bill,
    Ending,
    Issuance,
    Kind,
    Offer,
    Operation,
    Party,
    State,
    TitleState,
    joint_party,
)
from schemas import strict_json

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from enum import StrEnum

    _Enum = TypeVar("_Enum", bound=StrEnum)

Json: TypeAlias = dict[str, strict_json.JsonValue]

OPERATION_CODE = "title_operation_malformed"
STATE_CODE = "title_state_malformed"
VERSION = 1
MAX_SEQ = 1_000_000
#: A member or hosted party, or on an EVM chain a bare account (CAIP-10).
_PARTY_DID = re.compile(rf"{DID.pattern}|(?a:did:pkh:eip155:\d{{1,20}}:0x[0-9A-Fa-f]{{40}})")
_THUMBPRINT = re.compile(r"(?a:[A-Za-z0-9_-]{43})")
_OPERATION_MEMBERS = frozenset(
    {
        "v",
        "network",
        "arbiter",
        "title",
        "seq",
        "kind",
        "from",
        "to",
        "entry",
        "deadline",
        "issuance",
        "expires",
        "ending",
    }
)
#: Kinds that name a recipient; all others must not, except a surrender, which may name its carrier.
_WITH_RECIPIENT = frozenset(
    {Kind.ISSUE, Kind.TRANSFER, Kind.OFFER, Kind.ENDORSE, Kind.ENDORSE_TO_ORDER}
)
_MAY_NAME_RECIPIENT = _WITH_RECIPIENT | {
    Kind.SURRENDER_FOR_DELIVERY,
    Kind.SURRENDER_FOR_AMENDMENT,
}


def require_members(fields: Fields, allowed: AbstractSet[str]) -> None:
    """Raise for the first member that is not among `allowed`."""
    for name in fields.members:
        if name not in allowed:
            raise fields.fault(name, "a member that this version does not know")


def one_of(fields: Fields, name: str, values: type[_Enum]) -> _Enum:
    """The member as a value of that enumeration."""
    text = fields.text(name, max_length=40)
    try:
        return values(text)
    except ValueError:
        raise fields.fault(name, f"{name} is one of {', '.join(values)}") from None


# Parties.


def party_json(party: Party) -> Json:
    """`{"did", "key"}`, and `"joint"`: the members of a joint holder."""
    body: Json = {"did": party.did, "key": party.key}
    if party.joint:
        body["joint"] = [party_json(member) for member in party.joint]
    return body


def read_party(fields: Fields) -> Party:
    """A party from its DID and its key's RFC 7638 thumbprint."""
    require_members(fields, {"did", "key", "joint"})
    party = Party(fields.text("did", pattern=_PARTY_DID), fields.text("key", pattern=_THUMBPRINT))
    if not fields.has("joint"):
        return party
    joint = joint_party(map(_member, fields.children("joint", MAX_JOINT)))
    if joint != Party(party.did, party.key, joint.joint):
        raise fields.fault("joint", "did and key are those of its members")
    return joint


def _member(fields: Fields) -> Party:
    require_members(fields, {"did", "key"})
    return read_party(fields)


def _optional_party(fields: Fields, name: str) -> Party | None:
    child = fields.optional_child(name)
    return read_party(child) if child else None


# Operations.


def operation_bytes(operation: Operation) -> bytes:
    """The payload that is signed: RFC 8785 JSON."""
    body: Json = {
        "v": VERSION,
        "network": operation.network.hex(),
        "arbiter": operation.arbiter.hex(),
        "title": operation.title.hex(),
        "seq": operation.seq,
        "kind": operation.kind.value,
        "from": party_json(operation.sender),
        "entry": operation.entry.hex(),
        "deadline": times.to_text(operation.deadline),
    }
    if operation.recipient is not None:
        body["to"] = party_json(operation.recipient)
    if operation.issuance is not None:
        body["issuance"] = _issuance_json(operation.issuance)
    if operation.expires is not None:
        body["expires"] = times.to_text(operation.expires)
    if operation.ending is not None:
        body["ending"] = operation.ending.value
    return strict_json.canonical(body)


def _issuance_json(issuance: Issuance) -> Json:
    body: Json = {"bill": issuance.bill.value}
    if issuance.holder is not None:
        body["holder"] = party_json(issuance.holder)
    if issuance.replaces is not None:
        body["replaces"] = issuance.replaces.hex()
    return body


def read_operation_bytes(payload: bytes) -> Operation:
    """The operation of a payload; raises MalformedError `title_operation_malformed` or json_*."""
    fields = Fields(strict_json.loads_object(payload, max_bytes=8192), OPERATION_CODE)
    require_members(fields, _OPERATION_MEMBERS)
    fields.integer("v", VERSION, VERSION)
    kind = one_of(fields, "kind", Kind)
    first = kind is Kind.ISSUE
    _require_presence(fields, "issuance", needed=first)
    _require_presence(fields, "expires", needed=kind is Kind.OFFER)
    _require_presence(fields, "ending", needed=kind is Kind.END)
    if kind in _WITH_RECIPIENT or kind not in _MAY_NAME_RECIPIENT:
        _require_presence(fields, "to", needed=kind in _WITH_RECIPIENT)
    return Operation(
        network=fields.digest("network"),
        arbiter=fields.digest("arbiter"),
        title=fields.digest("title"),
        seq=fields.integer("seq", 0 if first else 1, 0 if first else MAX_SEQ),
        kind=kind,
        sender=read_party(fields.child("from")),
        recipient=_optional_party(fields, "to"),
        entry=fields.digest("entry"),
        deadline=fields.time("deadline"),
        digest=sha256(payload),
        issuance=_read_issuance(fields.child("issuance")) if first else None,
        expires=fields.optional_time("expires"),
        ending=one_of(fields, "ending", Ending) if fields.has("ending") else None,
    )


def _require_presence(fields: Fields, name: str, *, needed: bool) -> None:
    if fields.has(name) != needed:
        raise fields.fault(name, f"this kind {'needs' if needed else 'does not take'} {name}")


def _read_issuance(fields: Fields) -> Issuance:
    require_members(fields, {"bill", "holder", "replaces"})
    bill = one_of(fields, "bill", Bill)
    if bill is Bill.NAMED:
        raise fields.fault("bill", "a bill is issued straight, to order or blank")
    _require_presence(fields, "holder", needed=bill is not Bill.BLANK)
    return Issuance(bill, _optional_party(fields, "holder"), fields.optional_digest("replaces"))


# States.

_STATE_PARTIES = ("possessor", "holder", "surrenderedBy")
_STATE_MEMBERS = frozenset(
    {
        "title",
        "seq",
        "state",
        "bill",
        "issuer",
        "shipper",
        "head",
        "replaces",
        "purpose",
        "offer",
        "ending",
        *_STATE_PARTIES,
    }
)


def state_json(state: TitleState) -> Json:
    """The state as everybody shows it; members without a value are left out."""
    body: Json = {
        "title": state.title.hex(),
        "seq": state.seq,
        "state": state.state.value,
        "bill": state.bill.value,
        "issuer": party_json(state.issuer),
        "shipper": party_json(state.shipper),
        "head": state.head.hex(),
    }
    parties = zip(
        _STATE_PARTIES, (state.possessor, state.holder, state.surrendered_by), strict=True
    )
    body |= {name: party_json(party) for name, party in parties if party is not None}
    if state.replaces is not None:
        body["replaces"] = state.replaces.hex()
    if state.purpose is not None:
        body["purpose"] = state.purpose.value
    if state.ending is not None:
        body["ending"] = state.ending.value
    if state.offer is not None:
        body["offer"] = {
            "to": party_json(state.offer.recipient),
            "entry": state.offer.entry.hex(),
            "expires": times.to_text(state.offer.expires),
        }
    return body


def state_bytes(state: TitleState) -> bytes:
    """The canonical bytes of a state (RFC 8785)."""
    return strict_json.canonical(state_json(state))


def state_digest(state: TitleState) -> bytes:
    """What the registry's map holds for the title: SHA-256 of the canonical bytes."""
    return sha256(state_bytes(state))


def map_key(title: bytes) -> bytes:
    """The title's key in the registry's map; hashed, as an issuer chooses the title's bytes."""
    return sha256(b"pratique/registry-map/title/1\n" + title)


def read_state(fields: Fields) -> TitleState:
    """A state from its JSON form; raises MalformedError with the code of `fields`."""
    require_members(fields, _STATE_MEMBERS)
    possessor, holder, surrendered_by = (_optional_party(fields, name) for name in _STATE_PARTIES)
    offer = fields.optional_child("offer")
    return TitleState(
        title=fields.digest("title"),
        seq=fields.integer("seq", 1, MAX_SEQ),
        state=one_of(fields, "state", State),
        bill=one_of(fields, "bill", Bill),
        issuer=read_party(fields.child("issuer")),
        shipper=read_party(fields.child("shipper")),
        possessor=possessor,
        holder=holder,
        head=fields.digest("head"),
        replaces=fields.optional_digest("replaces"),
        surrendered_by=surrendered_by,
        purpose=one_of(fields, "purpose", Kind) if fields.has("purpose") else None,
        offer=_read_offer(offer) if offer else None,
        ending=one_of(fields, "ending", Ending) if fields.has("ending") else None,
    )


def read_state_bytes(data: bytes) -> TitleState:
    """A state from its canonical bytes; raises MalformedError `title_state_malformed`."""
    return read_state(Fields(strict_json.loads_object(data, max_bytes=8192), STATE_CODE))


def _read_offer(fields: Fields) -> Offer:
    require_members(fields, {"to", "entry", "expires"})
    return Offer(read_party(fields.child("to")), fields.digest("entry"), fields.time("expires"))
