"""What transactions may do, by the standard's words and in step with our own title machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.pint import rules, words
from protocols.pint.parties import DocumentParty, RepresentedParty, TransactionParty
from protocols.pint.refusal import EnvelopeRefusedError
from protocols.pint.rules import ChainState, Terms
from protocols.pint.transactions import Transaction
from protocols.pint.words import Action, LinkAction, Reason, Response
from protocols.title import machine as title
from protocols.title.machine import Bill, Ending, Kind
from schemas.catalogue import explain
from schemas.errors import TradeError
from tests.support import pint_world as w

ISSUE = w.act(Action.ISSUE, w.CARRIER, w.SHIPPER)
CONSIGNEE = w.party("imp-a")
BANK = w.party("bank")
STRANGER = w.party("trader-x")


def terms(kind: str = "blank", **changes: Any) -> Terms:
    made = rules.terms_of(w.bill(kind))
    return replace(made, **changes)


def run(given_terms: Terms, *transactions: Transaction) -> ChainState:
    state = None
    for transaction in transactions:
        state = rules.apply(state, transaction, transaction.actor.platform, given_terms)
    assert state is not None
    return state


def refused(given_terms: Terms, *transactions: Transaction) -> str:
    """The code with which the last transaction is refused; all before it pass."""
    if len(transactions) > 1:
        run(given_terms, *transactions[:-1])
    with pytest.raises(EnvelopeRefusedError) as raised:
        run(given_terms, *transactions)
    assert raised.value.response is Response.BENV
    assert explain(raised.value.code) is not None, raised.value.code
    return raised.value.code


def transfer(actor: TransactionParty, recipient: TransactionParty) -> Transaction:
    return w.act(Action.TRANSFER, actor, recipient)


def delivery(actor: TransactionParty, to: TransactionParty = w.CARRIER) -> Transaction:
    return w.act(Action.SURRENDER_FOR_DELIVERY, actor, to)


def amendment(actor: TransactionParty, reason: Reason | None = None) -> Transaction:
    return w.act(Action.SURRENDER_FOR_AMENDMENT, actor, w.CARRIER, reason=reason)


def answer(action: Action, to: TransactionParty, by: TransactionParty = w.CARRIER) -> Transaction:
    return w.act(action, by, to)


# Kinds of bills.


def test_the_kind_follows_from_order_and_endorsee() -> None:
    assert terms("straight").bill is Bill.STRAIGHT
    assert terms("order").bill is Bill.TO_ORDER
    assert terms("blank").bill is Bill.BLANK
    assert rules.terms_of({}).bill is Bill.STRAIGHT


def test_a_straight_bill_goes_to_shipper_consignee_and_bank_only() -> None:
    straight = terms("straight")
    held = run(straight, ISSUE, transfer(w.SHIPPER, CONSIGNEE))
    assert held.possessor == CONSIGNEE
    assert run(straight, ISSUE, transfer(w.SHIPPER, CONSIGNEE), transfer(CONSIGNEE, w.SHIPPER))
    assert refused(straight, ISSUE, transfer(w.SHIPPER, BANK)) == "pint_straight_stranger"
    pledged = replace(straight, is_bank=lambda party: party.is_same(BANK))
    assert run(pledged, ISSUE, transfer(w.SHIPPER, BANK), transfer(BANK, CONSIGNEE))
    # A stranger that came into possession unrecorded does nothing with it.
    assert refused(straight, ISSUE, transfer(STRANGER, CONSIGNEE)) == "pint_straight_stranger"


@pytest.mark.parametrize("action", sorted(words.ENDORSEMENTS))
def test_a_straight_bill_is_never_endorsed(action: Action) -> None:
    recipient = None if action is Action.BLANK_ENDORSE else CONSIGNEE
    endorse = w.act(action, w.SHIPPER, recipient)
    assert refused(terms("straight"), ISSUE, endorse) == "pint_not_negotiable"


def test_a_bill_endorsed_in_full_is_not_endorsed_on() -> None:
    endorse = w.act(Action.ENDORSE, w.SHIPPER, BANK)
    state = run(terms("order"), ISSUE, endorse, transfer(w.SHIPPER, BANK))
    assert (state.bill, state.holder, state.possessor) == (Bill.NAMED, BANK, BANK)
    onward = w.act(Action.ENDORSE_TO_ORDER, BANK, CONSIGNEE)
    code = refused(terms("order"), ISSUE, endorse, transfer(w.SHIPPER, BANK), onward)
    assert code == "pint_not_negotiable"


def test_endorsing_takes_possession_and_the_title() -> None:
    endorse = w.act(Action.ENDORSE_TO_ORDER, w.SHIPPER, BANK)
    moved = transfer(w.SHIPPER, CONSIGNEE)
    back = w.act(Action.ENDORSE_TO_ORDER, CONSIGNEE, STRANGER)
    assert refused(terms("order"), ISSUE, endorse, moved, back) == "pint_not_holder"
    early = w.act(Action.ENDORSE_TO_ORDER, w.party("bank", "AWAY"), STRANGER)
    assert refused(terms("order"), ISSUE, endorse, early) == "pint_not_in_control"
    blank = w.act(Action.BLANK_ENDORSE, w.SHIPPER)
    state = run(terms("order"), ISSUE, blank)
    assert (state.bill, state.holder) == (Bill.BLANK, None)


# Forms.


def test_issue_is_first_and_once() -> None:
    blank = terms()
    assert refused(blank, transfer(w.SHIPPER, BANK)) == "pint_issue_first"
    assert refused(blank, ISSUE, ISSUE) == "pint_issued_twice"
    to_itself = w.act(Action.ISSUE, w.CARRIER, w.CARRIER)
    assert refused(blank, to_itself) == "pint_recipient_same"
    with pytest.raises(EnvelopeRefusedError, match="pint_issue_first"):
        rules.replay((), blank)


def test_actor_recipient_and_reason_fit_the_action() -> None:
    blank = terms()
    with pytest.raises(EnvelopeRefusedError, match="pint_actor_elsewhere"):
        rules.apply(None, ISSUE, "AWAY", blank)
    bare = replace(transfer(w.SHIPPER, BANK), recipient=None)
    assert refused(blank, ISSUE, bare) == "pint_recipient_missing"
    signs = w.act(Action.SIGN, w.SHIPPER, BANK)
    assert refused(blank, ISSUE, signs) == "pint_recipient_unexpected"
    reasoned = replace(delivery(w.SHIPPER), reason=Reason.COD)
    assert refused(blank, ISSUE, reasoned) == "pint_reason_misplaced"


def test_possession_goes_to_another_party_and_never_to_the_carrier() -> None:
    blank = terms()
    assert refused(blank, ISSUE, transfer(w.SHIPPER, w.SHIPPER)) == "pint_recipient_same"
    assert refused(blank, ISSUE, transfer(w.SHIPPER, w.CARRIER)) == "pint_recipient_same"
    endorse = w.act(Action.ENDORSE, w.SHIPPER, w.SHIPPER)
    assert refused(blank, ISSUE, endorse) == "pint_recipient_same"
    # The same party on another platform is another place.
    there = replace(w.SHIPPER, platform="AWAY")
    assert run(blank, ISSUE, transfer(w.SHIPPER, there)).possessor == there


def test_within_a_platform_possession_may_pass_unrecorded_but_not_under_a_registry() -> None:
    blank = terms()
    state = run(blank, ISSUE, w.act(Action.SIGN, BANK))
    assert state.possessor == BANK
    strict = terms(possession_recorded=True)
    assert refused(strict, ISSUE, w.act(Action.SIGN, BANK)) == "pint_not_possessor"
    assert refused(blank, ISSUE, w.act(Action.SIGN, w.CARRIER)) == "pint_not_possessor"
    far = w.act(Action.SIGN, w.party("bank", "AWAY"))
    assert refused(blank, ISSUE, far) == "pint_not_in_control"


# Surrender.


def test_only_who_may_claim_surrenders_for_delivery() -> None:
    order = terms("order", endorsee=DocumentParty("bank", BANK.codes))
    assert refused(order, ISSUE, delivery(w.SHIPPER)) == "pint_not_holder"
    assert run(order, ISSUE, transfer(w.SHIPPER, BANK), delivery(BANK)).possessor == w.CARRIER
    assert run(terms("straight"), ISSUE, delivery(w.SHIPPER)).surrender is not None
    consigned = (ISSUE, transfer(w.SHIPPER, CONSIGNEE), delivery(CONSIGNEE))
    assert run(terms("straight"), *consigned).surrender is not None
    assert run(terms("blank"), ISSUE, delivery(STRANGER)).surrender is not None
    pledged = terms("straight", is_bank=lambda party: party.is_same(BANK))
    banked = (ISSUE, transfer(w.SHIPPER, BANK), delivery(BANK))
    assert refused(pledged, *banked) == "pint_not_holder"
    # The shipper in possession may always ask for a correction.
    assert run(order, ISSUE, amendment(w.SHIPPER)).surrender is not None


def test_a_surrender_to_a_stranger_is_refused() -> None:
    blank = terms()
    assert refused(blank, ISSUE, delivery(w.SHIPPER, STRANGER)) == "pint_surrender_to_stranger"
    # That somebody calls itself the carrier's representative proves nothing.
    carrier = RepresentedParty("nhl", w.CARRIER.codes)
    agent = replace(STRANGER, represented=carrier)
    assert refused(blank, ISSUE, delivery(w.SHIPPER, agent)) == "pint_surrender_to_stranger"
    known = terms(represents_carrier=lambda party: party.is_same(agent))
    assert run(known, ISSUE, delivery(w.SHIPPER, agent)).possessor == agent
    issuing = terms(issuing_party=DocumentParty("agent", STRANGER.codes))
    assert run(issuing, ISSUE, delivery(w.SHIPPER, STRANGER)).possessor == STRANGER
    named_only = terms(issuing_party=DocumentParty(STRANGER.name))
    assert refused(named_only, ISSUE, delivery(w.SHIPPER, STRANGER)) == "pint_surrender_to_stranger"


def test_a_surrendered_bill_waits_for_the_carriers_answer() -> None:
    blank, asked = terms(), (ISSUE, delivery(w.SHIPPER))
    assert refused(blank, *asked, transfer(w.SHIPPER, BANK)) == "pint_surrendered"
    assert refused(blank, *asked, answer(Action.SACC, BANK)) == "pint_bad_recipient"
    assert refused(blank, *asked, answer(Action.SACC, w.SHIPPER, STRANGER)) == "pint_not_carrier"
    elsewhere = replace(w.CARRIER, platform="AWAY")
    assert refused(blank, *asked, answer(Action.SACC, w.SHIPPER, elsewhere)) == "pint_not_carrier"
    assert refused(blank, ISSUE, answer(Action.SACC, w.SHIPPER)) == "pint_not_surrendered"


def test_a_rejected_surrender_gives_the_bill_back() -> None:
    state = run(terms(), ISSUE, delivery(w.SHIPPER), answer(Action.SREJ, w.SHIPPER))
    assert (state.possessor, state.surrender, state.ended) == (w.SHIPPER, None, None)
    assert run(
        terms(),
        ISSUE,
        delivery(w.SHIPPER),
        answer(Action.SREJ, w.SHIPPER),
        transfer(w.SHIPPER, BANK),
    )


@pytest.mark.parametrize("reason", [None, *Reason])
def test_after_sacc_nothing_is_possible(reason: Reason | None) -> None:
    accepted = (ISSUE, amendment(w.SHIPPER, reason), answer(Action.SACC, w.SHIPPER))
    state = run(terms(), *accepted)
    assert state.ended is (Ending.PAPER if reason is Reason.SWTP else Ending.AMENDED)
    for after in (transfer(w.SHIPPER, BANK), ISSUE, answer(Action.SREJ, w.SHIPPER)):
        assert refused(terms(), *accepted, after) == "pint_after_sacc"
    delivered = run(terms(), ISSUE, delivery(w.SHIPPER), answer(Action.SACC, w.SHIPPER))
    assert delivered.ended is Ending.DELIVERED


# Words.


def test_the_vocabularies_map_onto_each_other() -> None:
    assert set(words.TO_LINK) == set(Action)
    assert set(words.FROM_LINK) == set(LinkAction)
    assert all(words.TO_LINK[action] is link for link, action in words.FROM_LINK.items())
    assert words.TO_LINK[Action.SACC] is LinkAction.SURRENDERED
    assert words.TO_LINK[Action.SREJ] is None
    assert all(words.FROM_ANSWER[words.TO_ANSWER[action]] is action for action in words.TO_ANSWER)
    assert all(words.FROM_REQUEST[code] is action for action, code in words.TO_REQUEST.items())
    assert set(words.HTTP_STATUS) == set(Response)
    assert set(Response) == words.ACCEPTED | words.REJECTED | words.UNFINISHED
    assert not words.ACCEPTED & words.REJECTED
    assert words.RETRIABLE <= words.REJECTED
    assert {Response.INCD, Response.MDOC} == words.NEVER_AT_START


def test_the_vocabularies_map_onto_the_title_machine() -> None:
    assert set(words.TO_TITLE) == set(Action)
    assert set(words.FROM_TITLE) == set(Kind)
    for action, kind in words.TO_TITLE.items():
        assert kind is None or words.FROM_TITLE[kind] is action
    assert words.FROM_TITLE[Kind.ACCEPT_OFFER] is Action.TRANSFER


# Both machines say the same where every transfer of possession is recorded.

NAMES = ("nhl", "exp-a", "imp-a", "bank")
MOVES = st.lists(
    st.tuples(
        st.sampled_from([one for one in Action if one is not Action.ISSUE]),
        st.sampled_from(NAMES),
        st.sampled_from(NAMES),
    ),
    max_size=12,
)


def _titled(name: str) -> title.Party:
    return title.Party(w.party(name).codes[0].code, name)


def _operation(kind: Kind, seq: int, actor: str, to: str | None, **more: Any) -> title.Operation:
    recipient = None if to is None else _titled(to)
    none = bytes(32)
    sender, late = _titled(actor), w.NOW + timedelta(days=1)
    return title.Operation(none, none, none, seq, kind, sender, recipient, none, late, **more)


def _issued(kind: str) -> title.TitleState:
    bill = rules.terms_of(w.bill(kind)).bill
    holder = {"straight": _titled("imp-a"), "order": _titled("exp-a"), "blank": None}[kind]
    issuance = title.Issuance(bill, holder)
    return title.apply(None, _operation(Kind.ISSUE, 0, "nhl", "exp-a", issuance=issuance), w.NOW)


def _step(state: title.TitleState, action: Action, actor: str, to: str) -> title.TitleState | None:
    """What the title machine makes of the transaction; None where it refuses."""
    kind = words.TO_TITLE[action]
    if kind is None:
        signed = state.possessor == _titled(actor) and state.state is title.State.LIVE
        return state if signed else None
    recipient = None if action is Action.BLANK_ENDORSE else to
    try:
        return title.apply(state, _operation(kind, state.seq, actor, recipient), w.NOW)
    except TradeError:
        return None


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["straight", "order", "blank"]), MOVES)
def test_chain_rules_and_title_machine_agree(kind: str, moves: Iterable[Any]) -> None:
    given_terms = terms(kind, possession_recorded=True, is_bank=lambda party: True)
    state, ours = run(given_terms, ISSUE), _issued(kind)
    for action, actor, to in moves:
        recipient = None if action in words.WITHOUT_RECIPIENT else w.party(to)
        if action in {Action.SACC, Action.SREJ}:
            # The title machine answers without naming to whom; the chain names who asked.
            recipient = state.surrender.by if state.surrender else w.party(to)
        transaction = w.act(action, w.party(actor), recipient)
        expected = None if ours.state is title.State.ACCEPTED else _step(ours, action, actor, to)
        try:
            after = rules.apply(state, transaction, "HOME", given_terms)
        except EnvelopeRefusedError:
            assert expected is None, transaction
            continue
        assert expected is not None, transaction
        state, ours = after, expected
        assert ours.possessor == _titled(state.possessor.name)
        assert ours.bill is state.bill
        holder = state.holder
        assert (holder is None) == (ours.holder is None)
        assert (state.ended is not None) == (ours.state is title.State.ACCEPTED)
