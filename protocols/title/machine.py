"""Title of an electronic bill of lading: one pure state machine, one holder at a time.

`apply` takes the state of a title and the next operation and gives the next state, or raises the
one reason why not. Nothing here looks at signatures (`protocols.title.operation`), at keys or at
the order of competing operations (`protocols.title.registry`). Possession and titleholdership are
kept apart, as DCSA PINT 3.0.0 does (Transaction.actionCode): TRANSFER moves the possession,
ENDORSE… names another titleholder. Sources: UK ETDA 2023 s.2(2), MLETR art. 10–12, R19–R21.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

import cbor2

from protocols import base64url
from protocols.digest import sha256
from schemas.errors import (
    ConflictError,
    ForbiddenError,
    MalformedError,
    NotFoundError,
    RefusedError,
)

if TYPE_CHECKING:
    from datetime import datetime

_TITLE_TAG = "pratique/title/1"
_HEAD_TAG = b"pratique/title-head/1\n"
_JOINT_TAG = "pratique/title-joint/1"
MAX_JOINT = 4
ACCOUNT = "did:pkh:"
"""How the DID begins of an account on a chain whose owner is not known (CAIP-10)."""
NO_HEAD = bytes(32)


class State(StrEnum):
    """Where a title is. ENDED is absorbing; NONE is a title that was never issued."""

    NONE = "NONE"
    LIVE = "LIVE"
    OFFERED = "OFFERED"
    SURRENDERED = "SURRENDERED"
    ACCEPTED = "ACCEPTED"
    ENDED = "ENDED"


class Kind(StrEnum):
    """What an operation does; the names follow the action codes of DCSA PINT 3.0.0."""

    ISSUE = "ISSUE"
    TRANSFER = "TRANSFER"
    OFFER = "OFFER"
    ACCEPT_OFFER = "ACCEPT_OFFER"
    DECLINE_OFFER = "DECLINE_OFFER"
    CANCEL_OFFER = "CANCEL_OFFER"
    ENDORSE = "ENDORSE"
    ENDORSE_TO_ORDER = "ENDORSE_TO_ORDER"
    BLANK_ENDORSE = "BLANK_ENDORSE"
    SURRENDER_FOR_DELIVERY = "SURRENDER_FOR_DELIVERY"
    SURRENDER_FOR_AMENDMENT = "SURRENDER_FOR_AMENDMENT"
    ACCEPT_SURRENDER = "ACCEPT_SURRENDER"
    REJECT_SURRENDER = "REJECT_SURRENDER"
    END = "END"


class Bill(StrEnum):
    """What kind of bill it is now.

    STRAIGHT never changes its titleholder. TO_ORDER and BLANK are negotiable; NAMED is what a
    negotiable bill becomes when it is endorsed in full to somebody who may not endorse on.
    """

    STRAIGHT = "straight"
    TO_ORDER = "to-order"
    BLANK = "blank"
    NAMED = "named"


class Ending(StrEnum):
    """Why a title ended: goods delivered, replaced by an amended title, switched to paper."""

    DELIVERED = "delivered"
    AMENDED = "amended"
    PAPER = "paper"


@dataclass(frozen=True, slots=True)
class Party:
    """Who may act: a DID and the RFC 7638 thumbprint of one of its title keys.

    joint: the two to four parties of a joint holder, who act only all together and count as one
           (ETDA 2023 s.2(4)); made by `joint_party`. Empty for everybody else
    """

    did: str
    key: str
    joint: tuple[Party, ...] = ()


@dataclass(frozen=True, slots=True)
class Issuance:
    """What only ISSUE says: kind of bill, titleholder (none when blank), the title it replaces."""

    bill: Bill
    holder: Party | None
    replaces: bytes | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One signed request to move a title on; immutable, identified by its payload's digest.

    seq:      the title's sequence number this operation builds on (0 for ISSUE)
    entry:    SHA-256 of what it stands for elsewhere: the issuance manifest's payload for ISSUE,
              a transfer chain entry, a letter; 32 zero bytes where there is nothing
    deadline: after it the operation is void
    digest:   SHA-256 of the signed payload (R2); empty until it is signed
    expires:  OFFER only: until when the recipient may accept
    """

    network: bytes
    arbiter: bytes
    title: bytes
    seq: int
    kind: Kind
    sender: Party
    recipient: Party | None
    entry: bytes
    deadline: datetime
    digest: bytes = b""
    issuance: Issuance | None = None
    expires: datetime | None = None
    ending: Ending | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """A transfer that waits for its recipient's word (R20): to whom, of what, until when."""

    recipient: Party
    entry: bytes
    expires: datetime


@dataclass(frozen=True, slots=True)
class TitleState:
    """Everything a title is at one sequence number.

    possessor: the one party in control; None only when ENDED
    holder:    the titleholder (endorsee, consignee of a straight bill); None = bearer
    shipper:   the first possessor
    head:      digest of the whole history: SHA-256(tag, previous head, operation digest)
    surrendered_by, purpose: who gets it back on rejection; the kind of the surrender
    """

    title: bytes
    seq: int
    state: State
    bill: Bill
    issuer: Party
    shipper: Party
    possessor: Party | None
    holder: Party | None
    head: bytes
    replaces: bytes | None = None
    surrendered_by: Party | None = None
    purpose: Kind | None = None
    offer: Offer | None = None
    ending: Ending | None = None


def joint_party(members: Iterable[Party]) -> Party:
    """Several parties as one; `did` is the first one's in order, `key` a digest over all of them.

    Raises MalformedError `title_joint_malformed` unless they are two to four different parties,
    none of them joint itself.
    """
    named = tuple(sorted(members, key=lambda member: (member.did, member.key)))
    if not 2 <= len(named) <= MAX_JOINT or len(set(named)) != len(named):
        raise MalformedError("title_joint_malformed", f"two to {MAX_JOINT} different parties")
    if any(member.joint for member in named):
        raise MalformedError("title_joint_malformed", "joint holders are not nested")
    pairs = [[member.did, member.key] for member in named]
    digest = sha256(cbor2.dumps([_JOINT_TAG, pairs], canonical=True))
    return Party(named[0].did, base64url.encode(digest), named)


def title_id(
    *,
    network: bytes,
    arbiter: bytes,
    carrier: str,
    reference: str,
    manifest_digest: bytes,
    salt: bytes,
) -> bytes:
    """The id of a title (R19), over a deterministic CBOR array so that no two inputs run together.

    carrier is the DID, reference the transportDocumentReference, manifest_digest the SHA-256 of
    the issuance manifest's payload, salt 32 bytes.
    """
    parts = [_TITLE_TAG, network, arbiter, carrier, reference, manifest_digest, salt]
    return sha256(cbor2.dumps(parts, canonical=True))


def next_head(head: bytes, operation_digest: bytes) -> bytes:
    """The head after one more operation; the first builds on `NO_HEAD`."""
    return sha256(_HEAD_TAG + head + operation_digest)


def apply(
    state: TitleState | None,
    operation: Operation,
    at: datetime,
    *,
    replaced: TitleState | None = None,
) -> TitleState:
    """The state after `operation` at the moment `at`; the given state is never changed.

    `replaced` is the state of the title that an ISSUE names as its predecessor. Raises
    RefusedError `title_operation_expired`, `title_bad_recipient`, `title_not_negotiable`,
    `title_offer_expired`, `title_offer_other_entry`, `title_ending_mismatch`; ConflictError
    `title_exists`, `title_seq_conflict`, `title_seq_ahead`, `title_ended`,
    `title_state_forbids`, `title_offer_open`, `title_replaces_unended`; ForbiddenError
    `title_not_possessor`, `title_not_holder`, `title_not_issuer`, `title_not_recipient`;
    NotFoundError `title_never_issued`.
    """
    if at > operation.deadline:
        raise RefusedError("title_operation_expired", "the operation's deadline has passed")
    if operation.kind is Kind.ISSUE:
        return _issue(state, operation, replaced)
    return _move(state, operation, at)


def _issue(
    state: TitleState | None, operation: Operation, replaced: TitleState | None
) -> TitleState:
    if state is not None:
        raise ConflictError("title_exists", "a title is issued once", seq=state.seq)
    issuance, recipient = operation.issuance, operation.recipient
    assert issuance is not None
    assert recipient is not None
    if operation.sender.joint:
        raise ForbiddenError("title_not_issuer", "a bill has one carrier")
    if operation.sender == recipient:
        raise RefusedError("title_bad_recipient", "a carrier does not issue a bill to itself")
    if issuance.replaces is not None:
        _require_replaceable(replaced, operation)
    return TitleState(
        title=operation.title,
        seq=1,
        state=State.LIVE,
        bill=issuance.bill,
        issuer=operation.sender,
        shipper=recipient,
        possessor=recipient,
        holder=issuance.holder,
        head=next_head(NO_HEAD, operation.digest),
        replaces=issuance.replaces,
    )


def _require_replaceable(replaced: TitleState | None, operation: Operation) -> None:
    if replaced is None or replaced.ending not in {Ending.AMENDED, Ending.PAPER}:
        raise ConflictError(
            "title_replaces_unended", "the title it replaces has not ended as amended or on paper"
        )
    if replaced.issuer.did != operation.sender.did:
        raise ForbiddenError("title_not_issuer", "another carrier issued the title it replaces")


def _move(state: TitleState | None, operation: Operation, at: datetime) -> TitleState:
    if state is None:
        raise NotFoundError("title_never_issued", "this title was never issued here")
    if operation.seq != state.seq:
        raise ConflictError(
            # Behind is lost for ever; ahead may only have overtaken the one it builds on.
            "title_seq_conflict" if operation.seq < state.seq else "title_seq_ahead",
            f"the title is at {state.seq}, the operation builds on {operation.seq}",
            seq=state.seq,
        )
    if state.state is State.ENDED:
        raise ConflictError("title_ended", "an ended title never moves again", seq=state.seq)
    rule = _RULES[operation.kind]
    if state.state not in rule.states:
        raise ConflictError(
            "title_state_forbids",
            f"{operation.kind.value} is not possible while the title is {state.state.value}",
            seq=state.seq,
        )
    rule.role(state, operation)
    changed = rule.effect(state, operation, at)
    return replace(changed, seq=state.seq + 1, head=next_head(state.head, operation.digest))


# Roles: who may.


def _possessor(state: TitleState, operation: Operation) -> None:
    if operation.sender != state.possessor:
        raise ForbiddenError("title_not_possessor", "only the possessor may do this")


def _issuer(state: TitleState, operation: Operation) -> None:
    # By DID, not by key: a carrier's title key may have been renewed while the bill was at sea.
    if operation.sender.joint or operation.sender.did != state.issuer.did:
        raise ForbiddenError("title_not_issuer", "only the carrier that issued the title may")


def _offered_to(state: TitleState, operation: Operation) -> None:
    assert state.offer is not None
    if operation.sender != state.offer.recipient:
        raise ForbiddenError("title_not_recipient", "the title was offered to somebody else")


def _titleholder(state: TitleState, operation: Operation) -> None:
    """Endorsing takes both: possession, and being the named endorsee (a blank bill names none)."""
    _possessor(state, operation)
    if state.bill in {Bill.STRAIGHT, Bill.NAMED}:
        raise RefusedError("title_not_negotiable", f"a {state.bill.value} bill is not endorsed on")
    if state.holder is not None and operation.sender != state.holder:
        raise ForbiddenError("title_not_holder", "only the titleholder may endorse")


def _may_claim(state: TitleState, operation: Operation) -> None:
    """Straight: shipper or consignee; named: the titleholder; blank: possession suffices."""
    _possessor(state, operation)
    entitled = state.holder in {None, operation.sender}
    if state.bill is Bill.STRAIGHT:
        entitled = operation.sender in {state.shipper, state.holder}
    if not entitled:
        raise ForbiddenError("title_not_holder", "only the titleholder may claim the goods")


def _may_amend(state: TitleState, operation: Operation) -> None:
    """As for delivery; the shipper may also ask while it holds the bill (an error found early)."""
    if operation.sender == state.shipper:
        _possessor(state, operation)
    else:
        _may_claim(state, operation)


# Effects: what changes.


def _transfer(state: TitleState, operation: Operation, at: datetime) -> TitleState:
    del at
    return replace(state, possessor=_new_possessor(state, operation))


def _new_possessor(state: TitleState, operation: Operation) -> Party:
    recipient = operation.recipient
    assert recipient is not None
    if recipient in {state.possessor, state.issuer}:
        raise RefusedError(
            "title_bad_recipient", "possession goes to another party; to the carrier by surrender"
        )
    return recipient


def _offer(state: TitleState, operation: Operation, at: datetime) -> TitleState:
    expires = operation.expires
    assert expires is not None
    if expires <= at:
        raise RefusedError("title_offer_expired", "the offer would have expired already")
    offer = Offer(_new_possessor(state, operation), operation.entry, expires)
    return replace(state, state=State.OFFERED, offer=offer)


def _accept_offer(state: TitleState, operation: Operation, at: datetime) -> TitleState:
    offer = state.offer
    assert offer is not None
    if at > offer.expires:
        raise RefusedError("title_offer_expired", "the offer has expired")
    if operation.entry != offer.entry:
        raise RefusedError("title_offer_other_entry", "what was offered is another chain entry")
    return replace(state, state=State.LIVE, possessor=offer.recipient, offer=None)


def _decline_offer(state: TitleState, operation: Operation, at: datetime) -> TitleState:
    del operation, at
    return replace(state, state=State.LIVE, offer=None)


def _cancel_offer(state: TitleState, operation: Operation, at: datetime) -> TitleState:
    assert state.offer is not None
    # R20: the recipient can rely on the offer until it expires; a refusal is its DECLINE_OFFER.
    if at <= state.offer.expires:
        raise ConflictError("title_offer_open", "an open offer is cancelled only once it expired")
    return _decline_offer(state, operation, at)


_ENDORSED: Mapping[Kind, Bill] = MappingProxyType(
    {
        Kind.ENDORSE: Bill.NAMED,
        Kind.ENDORSE_TO_ORDER: Bill.TO_ORDER,
        Kind.BLANK_ENDORSE: Bill.BLANK,
    }
)


def _endorse(state: TitleState, operation: Operation, at: datetime) -> TitleState:
    del at
    recipient = operation.recipient
    if recipient is not None and recipient in {operation.sender, state.issuer}:
        raise RefusedError("title_bad_recipient", "a bill is endorsed to another party")
    return replace(state, bill=_ENDORSED[operation.kind], holder=recipient)


def _surrender(state: TitleState, operation: Operation, at: datetime) -> TitleState:
    del at
    if operation.recipient not in {None, state.issuer}:
        raise RefusedError("title_bad_recipient", "a bill is surrendered to its own carrier")
    return replace(
        state,
        state=State.SURRENDERED,
        possessor=state.issuer,
        surrendered_by=operation.sender,
        purpose=operation.kind,
    )


def _accept_surrender(state: TitleState, operation: Operation, at: datetime) -> TitleState:
    del operation, at
    return replace(state, state=State.ACCEPTED)


def _reject_surrender(state: TitleState, operation: Operation, at: datetime) -> TitleState:
    del operation, at
    return replace(
        state,
        state=State.LIVE,
        possessor=state.surrendered_by,
        surrendered_by=None,
        purpose=None,
    )


def _end(state: TitleState, operation: Operation, at: datetime) -> TitleState:
    del at
    delivered = operation.ending is Ending.DELIVERED
    if delivered != (state.purpose is Kind.SURRENDER_FOR_DELIVERY):
        raise RefusedError("title_ending_mismatch", "the ending does not fit the surrender")
    return replace(state, state=State.ENDED, possessor=None, ending=operation.ending)


@dataclass(frozen=True, slots=True)
class _Rule:
    """From which states, by whom, with what effect."""

    states: frozenset[State]
    role: Callable[[TitleState, Operation], None]
    effect: Callable[[TitleState, Operation, datetime], TitleState] = field(repr=False)


_LIVE = frozenset({State.LIVE})
_OFFERED = frozenset({State.OFFERED})
_SURRENDERED = frozenset({State.SURRENDERED})
_RULES: Mapping[Kind, _Rule] = MappingProxyType(
    {
        Kind.TRANSFER: _Rule(_LIVE, _possessor, _transfer),
        Kind.OFFER: _Rule(_LIVE, _possessor, _offer),
        Kind.ACCEPT_OFFER: _Rule(_OFFERED, _offered_to, _accept_offer),
        Kind.DECLINE_OFFER: _Rule(_OFFERED, _offered_to, _decline_offer),
        Kind.CANCEL_OFFER: _Rule(_OFFERED, _possessor, _cancel_offer),
        Kind.ENDORSE: _Rule(_LIVE, _titleholder, _endorse),
        Kind.ENDORSE_TO_ORDER: _Rule(_LIVE, _titleholder, _endorse),
        Kind.BLANK_ENDORSE: _Rule(_LIVE, _titleholder, _endorse),
        Kind.SURRENDER_FOR_DELIVERY: _Rule(_LIVE, _may_claim, _surrender),
        Kind.SURRENDER_FOR_AMENDMENT: _Rule(_LIVE, _may_amend, _surrender),
        Kind.ACCEPT_SURRENDER: _Rule(_SURRENDERED, _issuer, _accept_surrender),
        Kind.REJECT_SURRENDER: _Rule(_SURRENDERED, _issuer, _reject_surrender),
        Kind.END: _Rule(frozenset({State.ACCEPTED}), _issuer, _end),
    }
)
