"""What the transactions of a chain may do: possession, titleholder, surrender, end (PINT 3.0.0).

`replay` walks a chain from ISSUE to its last transaction and gives who possesses the bill and who
holds its title, or the one reason why the chain says something that cannot be. The rules are those
of Transaction.actionCode and of the eBL types in the standard's introduction, and the same as
`protocols.title.machine` has, with one difference: a platform need not record the possession
passing within it (EnvelopeTransferChainEntry.transactions), so between two transactions of one
platform another of its parties may have come into possession. Where every transfer is recorded in a
registry, that is not taken for granted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from protocols.pint.parties import DocumentParty, TransactionParty, document_party
from protocols.pint.refusal import EnvelopeRefusedError
from protocols.pint.transactions import Transaction
from protocols.pint.words import (
    ENDING,
    ENDORSED,
    ENDORSEMENTS,
    SURRENDERS,
    WITHOUT_RECIPIENT,
    Action,
    Reason,
    Response,
)
from protocols.title.machine import Bill, Ending

if TYPE_CHECKING:
    from collections.abc import Iterable

    from protocols.pint.chain import ChainEntry
    from schemas.strict_json import JsonValue


def _nobody(party: TransactionParty) -> bool:
    del party
    return False


@dataclass(frozen=True, slots=True)
class Terms:
    """What the transport document says about who may hold the bill.

    possession_recorded: whether every change of possession is a transaction, as under our registry
    is_bank: whether a straight bill may be pledged to that party
    represents_carrier: whether that party is known to act for the carrier in surrenders
    possession_traced: False only for an older dialect, whose chains do not say how the actor of a
    transaction came into possession (test networks, R7)
    """

    bill: Bill
    consignee: DocumentParty | None = None
    endorsee: DocumentParty | None = None
    issuing_party: DocumentParty | None = None
    possession_recorded: bool = False
    is_bank: Callable[[TransactionParty], bool] = _nobody
    represents_carrier: Callable[[TransactionParty], bool] = _nobody
    possession_traced: bool = True


def terms_of(
    document: Mapping[str, JsonValue],
    *,
    possession_recorded: bool = False,
    is_bank: Callable[[TransactionParty], bool] = _nobody,
    represents_carrier: Callable[[TransactionParty], bool] = _nobody,
) -> Terms:
    """The terms of a transport document that satisfies its profile.

    isToOrder false is straight; true with an endorsee is to order, without one in blank.
    """
    endorsee = document_party(document, "endorsee")
    bill = Bill.STRAIGHT
    if document.get("isToOrder") is True:
        bill = Bill.BLANK if endorsee is None else Bill.TO_ORDER
    return Terms(
        bill,
        document_party(document, "consignee"),
        endorsee,
        document_party(document, "issuingParty"),
        possession_recorded,
        is_bank,
        represents_carrier,
    )


@dataclass(frozen=True, slots=True)
class Surrender:
    """A surrender that the carrier has not answered."""

    action: Action
    reason: Reason | None
    by: TransactionParty


@dataclass(frozen=True, slots=True)
class ChainState:
    """Where the bill is after a transaction.

    possessor: who has it, on which platform; the carrier while it is surrendered
    holder: endorsee, or consignee of a straight bill; None = bearer
    ended: how, once the carrier accepted the surrender
    """

    bill: Bill
    carrier: TransactionParty
    shipper: TransactionParty
    possessor: TransactionParty
    holder: TransactionParty | DocumentParty | None
    surrender: Surrender | None = None
    ended: Ending | None = None


def replay(entries: Iterable[ChainEntry], terms: Terms) -> ChainState:
    """The state after all transactions; raises EnvelopeRefusedError BENV, see `apply`."""
    state: ChainState | None = None
    for entry in entries:
        for transaction in entry.transactions:
            state = apply(state, transaction, entry.platform, terms)
    if state is None:
        raise refused("pint_issue_first", "a chain begins with ISSUE")
    return state


def apply(
    state: ChainState | None, transaction: Transaction, platform: str, terms: Terms
) -> ChainState:
    """The state after `transaction`, signed by `platform`.

    Raises EnvelopeRefusedError BENV: `pint_issue_first`, `pint_issued_twice`, `pint_after_sacc`,
    `pint_actor_elsewhere`, `pint_recipient_missing`, `pint_recipient_unexpected`,
    `pint_reason_misplaced`, `pint_surrendered`, `pint_not_surrendered`, `pint_not_in_control`,
    `pint_not_possessor`, `pint_not_holder`, `pint_not_negotiable`, `pint_straight_stranger`,
    `pint_recipient_same`, `pint_surrender_to_stranger`, `pint_not_carrier`, `pint_bad_recipient`.
    """
    if state is not None and state.ended is not None:
        raise refused("pint_after_sacc", "after SACC no transaction is possible")
    _require_form(transaction, platform)
    if transaction.action is Action.ISSUE:
        return _issue(state, transaction, terms)
    if state is None:
        raise refused("pint_issue_first", "a chain begins with ISSUE")
    if (state.surrender is not None) != (transaction.action in _ANSWERS):
        if state.surrender is not None:
            raise refused("pint_surrendered", "a surrendered bill waits for the carrier's answer")
        raise refused("pint_not_surrendered", "nothing was surrendered that could be answered")
    return _EFFECTS[transaction.action](state, transaction, terms)


_ANSWERS = frozenset({Action.SACC, Action.SREJ})


def refused(code: str, detail: str) -> EnvelopeRefusedError:
    """A chain that cannot be: BENV."""
    return EnvelopeRefusedError(Response.BENV, code, detail)


def _require_form(transaction: Transaction, platform: str) -> None:
    if transaction.actor.platform != platform:
        raise refused("pint_actor_elsewhere", "an actor acts on the platform that signs")
    unneeded = transaction.action in WITHOUT_RECIPIENT
    if transaction.recipient is None and not unneeded:
        raise refused("pint_recipient_missing", f"{transaction.action.value} names a recipient")
    if transaction.recipient is not None and unneeded:
        raise refused("pint_recipient_unexpected", f"{transaction.action.value} names nobody")
    if transaction.reason is not None and (
        transaction.action is not Action.SURRENDER_FOR_AMENDMENT
    ):
        raise refused("pint_reason_misplaced", "a reason is given for an amendment only")


def _to(transaction: Transaction) -> TransactionParty:
    assert transaction.recipient is not None  # `_require_form`
    return transaction.recipient


def _issue(state: ChainState | None, transaction: Transaction, terms: Terms) -> ChainState:
    if state is not None:
        raise refused("pint_issued_twice", "ISSUE is the first transaction and never again")
    recipient = _to(transaction)
    if recipient.is_same(transaction.actor):
        raise refused("pint_recipient_same", "a carrier does not issue a bill to itself")
    holder = terms.consignee if terms.bill is Bill.STRAIGHT else terms.endorsee
    return ChainState(terms.bill, transaction.actor, recipient, recipient, holder)


def _by_possessor(state: ChainState, transaction: Transaction, terms: Terms) -> ChainState:
    """The state with the actor as possessor: by the record, or within the platform in control."""
    actor = transaction.actor
    if not terms.possession_traced:
        return replace(state, possessor=actor)
    if actor.platform != state.possessor.platform:
        raise refused("pint_not_in_control", "another platform has control of the bill")
    if actor.is_same(state.possessor):
        return state
    if terms.possession_recorded:
        raise refused("pint_not_possessor", "only the possessor may do this")
    if actor.is_same(state.carrier):
        raise refused("pint_not_possessor", "the carrier possesses a bill by surrender only")
    _require_straight_possessor(state, actor, terms)
    return replace(state, possessor=actor)


def _require_straight_possessor(state: ChainState, party: TransactionParty, terms: Terms) -> None:
    """A straight bill passes between its shipper, its consignee and the bank it is pledged to."""
    if state.bill is not Bill.STRAIGHT or party.is_same(state.shipper):
        return
    if not (_is_holder(state, party) or terms.is_bank(party)):
        raise refused("pint_straight_stranger", "a straight bill does not go to third parties")


def _is_holder(state: ChainState, party: TransactionParty) -> bool:
    holder = state.holder
    return holder is not None and holder.is_same(party)


def _transfer(state: ChainState, transaction: Transaction, terms: Terms) -> ChainState:
    held, recipient = _by_possessor(state, transaction, terms), _to(transaction)
    moved = recipient.platform != held.possessor.platform
    if recipient.is_same(state.carrier) or (recipient.is_same(held.possessor) and not moved):
        raise refused("pint_recipient_same", "possession goes to another, to the carrier never")
    _require_straight_possessor(state, recipient, terms)
    return replace(held, possessor=recipient)


def _endorse(state: ChainState, transaction: Transaction, terms: Terms) -> ChainState:
    if state.bill in {Bill.STRAIGHT, Bill.NAMED}:
        raise refused("pint_not_negotiable", f"a {state.bill.value} bill is not endorsed on")
    held = _by_possessor(state, transaction, terms)
    if state.holder is not None and not _is_holder(state, transaction.actor):
        raise refused("pint_not_holder", "only the titleholder may endorse")
    recipient = transaction.recipient
    if recipient is not None and (
        recipient.is_same(transaction.actor) or recipient.is_same(state.carrier)
    ):
        raise refused("pint_recipient_same", "a bill is endorsed to another party")
    return replace(held, bill=ENDORSED[transaction.action], holder=recipient)


def _surrender(state: ChainState, transaction: Transaction, terms: Terms) -> ChainState:
    held = _by_possessor(state, transaction, terms)
    actor, recipient = transaction.actor, _to(transaction)
    asks_for_change = transaction.action is Action.SURRENDER_FOR_AMENDMENT
    by_shipper = actor.is_same(state.shipper) and (asks_for_change or state.bill is Bill.STRAIGHT)
    bearer = state.holder is None and state.bill is not Bill.STRAIGHT
    if not (by_shipper or bearer or _is_holder(state, actor)):
        raise refused("pint_not_holder", "only the titleholder may claim the goods")
    if not is_for_carrier(state, recipient, terms):
        raise refused("pint_surrender_to_stranger", "a bill is surrendered to its own carrier")
    asked = Surrender(transaction.action, transaction.reason, actor)
    return replace(held, possessor=recipient, surrender=asked)


def is_for_carrier(state: ChainState, party: TransactionParty, terms: Terms) -> bool:
    """Whether `party` is the issuing carrier, the bill's issuing party, or a known representative.

    That a party calls itself a representative (`representedParty`) proves nothing.
    """
    if party.is_same(state.carrier) or terms.represents_carrier(party):
        return True
    issuing = terms.issuing_party
    return issuing is not None and bool(issuing.codes) and issuing.is_same(party)


def _answer(state: ChainState, transaction: Transaction, terms: Terms) -> ChainState:
    asked = state.surrender
    assert asked is not None  # `apply`
    actor, recipient = transaction.actor, _to(transaction)
    in_control = actor.platform == state.possessor.platform
    if not (in_control and is_for_carrier(state, actor, terms)):
        raise refused("pint_not_carrier", "only the carrier that was asked answers")
    same_place = recipient.platform == asked.by.platform
    if not (recipient.is_same(asked.by) and same_place):
        raise refused("pint_bad_recipient", "the answer goes to who surrendered")
    if transaction.action is Action.SREJ:
        return replace(state, possessor=asked.by, surrender=None)
    return replace(state, ended=ENDING[asked.action, asked.reason])


_EFFECTS: Mapping[Action, Callable[[ChainState, Transaction, Terms], ChainState]] = (
    MappingProxyType(
        {
            Action.TRANSFER: _transfer,
            Action.SIGN: _by_possessor,
            **dict.fromkeys(ENDORSEMENTS, _endorse),
            **dict.fromkeys(SURRENDERS, _surrender),
            **dict.fromkeys(_ANSWERS, _answer),
        }
    )
)
