"""The title machine by itself: who may do what, when, and what it changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from protocols.title.machine import (
    NO_HEAD,
    Bill,
    Ending,
    Kind,
    Operation,
    State,
    TitleState,
    apply,
    next_head,
    title_id,
)
from schemas.catalogue import explain
from schemas.errors import FAMILIES, TradeError
from tests.support.title_world import NOW, did, issue, operation, party

TITLE = issue().title


def issued(
    bill: Bill = Bill.TO_ORDER, to: str = "exp-a", holder: str | None = "bank"
) -> TitleState:
    return apply(None, replace(issue(to, holder, bill), digest=bytes(32)), NOW)


def step(
    state: TitleState | None, kind: Kind, who: str, to: str | None = None, **changes: object
) -> TitleState:
    made = operation(kind, TITLE, state.seq if state else 1, who, to)
    return apply(state, replace(made, digest=bytes([1] * 32), **changes), NOW)


def refused(
    state: TitleState | None, kind: Kind, who: str, to: str | None = None, **changes: object
) -> str:
    with pytest.raises(TradeError) as caught:
        step(state, kind, who, to, **changes)
    entry = explain(caught.value.code)
    assert entry is not None
    assert FAMILIES[entry.family] is type(caught.value)
    return caught.value.code


def walk(state: TitleState, *steps: tuple[Kind, str, str | None]) -> TitleState:
    for kind, who, to in steps:
        state = step(state, kind, who, to)
    return state


def surrendered(kind: Kind = Kind.SURRENDER_FOR_DELIVERY) -> TitleState:
    return walk(issued(), (Kind.TRANSFER, "exp-a", "bank"), (kind, "bank", None))


def test_issue_gives_possession_to_the_shipper_and_title_to_the_endorsee() -> None:
    state = issued()
    assert (state.seq, state.state, state.bill) == (1, State.LIVE, Bill.TO_ORDER)
    assert state.possessor == state.shipper == party("exp-a")
    assert state.holder == party("bank")
    assert state.issuer == party("nhl")
    assert state.head == next_head(NO_HEAD, bytes(32))


def test_a_title_is_issued_once() -> None:
    with pytest.raises(TradeError, match="title_exists"):
        apply(issued(), replace(issue(), digest=bytes(32)), NOW)


def test_a_carrier_does_not_issue_to_itself() -> None:
    with pytest.raises(TradeError, match="title_bad_recipient"):
        apply(None, issue(to="nhl"), NOW)


def test_nothing_moves_before_it_is_issued() -> None:
    assert refused(None, Kind.TRANSFER, "exp-a", "bank") == "title_never_issued"


def test_transfer_moves_possession_and_not_the_title() -> None:
    state = step(issued(), Kind.TRANSFER, "exp-a", "financier-2")
    assert state.possessor == party("financier-2")
    assert state.holder == party("bank")


def test_only_the_possessor_transfers() -> None:
    assert refused(issued(), Kind.TRANSFER, "bank", "imp-a") == "title_not_possessor"
    assert refused(issued(), Kind.TRANSFER, "nhl", "imp-a") == "title_not_possessor"


@pytest.mark.parametrize("to", ["exp-a", "nhl"])
def test_possession_goes_to_another_party_that_is_not_the_carrier(to: str) -> None:
    assert refused(issued(), Kind.TRANSFER, "exp-a", to) == "title_bad_recipient"


def test_an_operation_after_its_deadline_is_void() -> None:
    late = {"deadline": NOW - timedelta(milliseconds=1)}
    assert refused(issued(), Kind.TRANSFER, "exp-a", "bank", **late) == "title_operation_expired"
    assert step(issued(), Kind.TRANSFER, "exp-a", "bank", deadline=NOW).seq == 2


def test_an_operation_that_builds_on_a_passed_seq_loses() -> None:
    assert refused(issued(), Kind.TRANSFER, "exp-a", "bank", seq=0) == "title_seq_conflict"


@pytest.mark.parametrize("seq", [2, 3])
def test_an_operation_that_overtook_another_has_not_lost(seq: int) -> None:
    assert refused(issued(), Kind.TRANSFER, "exp-a", "bank", seq=seq) == "title_seq_ahead"


def test_endorsing_takes_possession_and_the_title_together() -> None:
    state = issued()
    assert refused(state, Kind.ENDORSE, "exp-a", "imp-a") == "title_not_holder"
    assert refused(state, Kind.ENDORSE, "bank", "imp-a") == "title_not_possessor"
    state = walk(state, (Kind.TRANSFER, "exp-a", "bank"), (Kind.ENDORSE, "bank", "imp-a"))
    assert (state.possessor, state.holder, state.bill) == (
        party("bank"),
        party("imp-a"),
        Bill.NAMED,
    )


def test_who_was_endorsed_in_full_does_not_endorse_on() -> None:
    state = walk(
        issued(),
        (Kind.TRANSFER, "exp-a", "bank"),
        (Kind.ENDORSE, "bank", "imp-a"),
        (Kind.TRANSFER, "bank", "imp-a"),
    )
    assert refused(state, Kind.ENDORSE, "imp-a", "financier-2") == "title_not_negotiable"


def test_who_was_endorsed_to_order_endorses_on() -> None:
    state = walk(
        issued(),
        (Kind.TRANSFER, "exp-a", "bank"),
        (Kind.ENDORSE_TO_ORDER, "bank", "imp-a"),
        (Kind.TRANSFER, "bank", "imp-a"),
        (Kind.BLANK_ENDORSE, "imp-a", None),
    )
    assert (state.bill, state.holder, state.possessor) == (Bill.BLANK, None, party("imp-a"))


def test_a_bill_is_endorsed_to_another_party_than_oneself_and_the_carrier() -> None:
    state = step(issued(), Kind.TRANSFER, "exp-a", "bank")
    assert refused(state, Kind.ENDORSE, "bank", "bank") == "title_bad_recipient"
    assert refused(state, Kind.ENDORSE, "bank", "nhl") == "title_bad_recipient"


@pytest.mark.parametrize("kind", [Kind.ENDORSE, Kind.ENDORSE_TO_ORDER, Kind.BLANK_ENDORSE])
def test_a_straight_bill_refuses_every_endorsement(kind: Kind) -> None:
    state = issued(Bill.STRAIGHT, holder="imp-a")
    to = None if kind is Kind.BLANK_ENDORSE else "bank"
    assert refused(state, kind, "exp-a", to) == "title_not_negotiable"


def test_a_straight_bill_is_surrendered_by_shipper_or_consignee_only() -> None:
    state = issued(Bill.STRAIGHT, holder="imp-a")
    surrender = Kind.SURRENDER_FOR_DELIVERY
    assert step(state, surrender, "exp-a").state is State.SURRENDERED
    at_bank = step(state, Kind.TRANSFER, "exp-a", "bank")
    assert refused(at_bank, surrender, "bank") == "title_not_holder"
    at_consignee = step(at_bank, Kind.TRANSFER, "bank", "imp-a")
    assert step(at_consignee, surrender, "imp-a").state is State.SURRENDERED


def test_a_blank_bill_is_surrendered_by_whoever_possesses_it() -> None:
    state = issued(Bill.BLANK, holder=None)
    state = step(state, Kind.TRANSFER, "exp-a", "financier-2")
    assert step(state, Kind.SURRENDER_FOR_DELIVERY, "financier-2").state is State.SURRENDERED


def test_an_order_bill_is_surrendered_for_delivery_by_the_titleholder_only() -> None:
    assert refused(issued(), Kind.SURRENDER_FOR_DELIVERY, "exp-a") == "title_not_holder"


def test_the_shipper_may_ask_for_an_amendment_while_it_holds_the_bill() -> None:
    state = step(issued(), Kind.SURRENDER_FOR_AMENDMENT, "exp-a")
    assert state.purpose is Kind.SURRENDER_FOR_AMENDMENT
    moved = step(issued(), Kind.TRANSFER, "exp-a", "financier-2")
    assert refused(moved, Kind.SURRENDER_FOR_AMENDMENT, "exp-a") == "title_not_possessor"
    assert refused(moved, Kind.SURRENDER_FOR_AMENDMENT, "financier-2") == "title_not_holder"


def test_a_surrender_goes_to_the_issuing_carrier_and_to_no_stranger() -> None:
    state = step(issued(), Kind.TRANSFER, "exp-a", "bank")
    assert refused(state, Kind.SURRENDER_FOR_DELIVERY, "bank", "imp-a") == "title_bad_recipient"
    given = step(state, Kind.SURRENDER_FOR_DELIVERY, "bank", "nhl")
    assert (given.possessor, given.surrendered_by) == (party("nhl"), party("bank"))


def test_a_surrendered_title_is_frozen() -> None:
    state = surrendered()
    assert refused(state, Kind.TRANSFER, "bank", "imp-a") == "title_state_forbids"
    assert refused(state, Kind.TRANSFER, "nhl", "imp-a") == "title_state_forbids"


def test_a_rejected_surrender_gives_possession_back() -> None:
    state = step(surrendered(), Kind.REJECT_SURRENDER, "nhl")
    assert (state.state, state.possessor, state.purpose) == (State.LIVE, party("bank"), None)
    assert state.surrendered_by is None


def test_only_the_carrier_answers_a_surrender() -> None:
    for kind in (Kind.ACCEPT_SURRENDER, Kind.REJECT_SURRENDER):
        assert refused(surrendered(), kind, "bank") == "title_not_issuer"


def test_a_carrier_answers_with_a_renewed_key() -> None:
    renewed = replace(party("nhl"), key="N" * 43)
    state = step(surrendered(), Kind.ACCEPT_SURRENDER, "nhl", sender=renewed)
    assert state.state is State.ACCEPTED


def test_an_accepted_title_only_ends() -> None:
    state = step(surrendered(), Kind.ACCEPT_SURRENDER, "nhl")
    assert refused(state, Kind.REJECT_SURRENDER, "nhl") == "title_state_forbids"
    assert refused(state, Kind.END, "bank") == "title_not_issuer"
    ended = step(state, Kind.END, "nhl")
    assert (ended.state, ended.possessor, ended.ending) == (State.ENDED, None, Ending.DELIVERED)


def test_an_ending_fits_its_surrender() -> None:
    delivery = step(surrendered(), Kind.ACCEPT_SURRENDER, "nhl")
    amended = {"ending": Ending.AMENDED}
    assert refused(delivery, Kind.END, "nhl", **amended) == "title_ending_mismatch"
    amendment = step(surrendered(Kind.SURRENDER_FOR_AMENDMENT), Kind.ACCEPT_SURRENDER, "nhl")
    assert refused(amendment, Kind.END, "nhl") == "title_ending_mismatch"
    assert step(amendment, Kind.END, "nhl", **amended).ending is Ending.AMENDED


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.ISSUE])
def test_an_ended_title_never_moves_again(kind: Kind) -> None:
    state = walk(surrendered(), (Kind.ACCEPT_SURRENDER, "nhl", None), (Kind.END, "nhl", None))
    for who in ("nhl", "bank", "exp-a"):
        assert refused(state, kind, who, "imp-a") == "title_ended"


def offered() -> TitleState:
    return step(issued(), Kind.OFFER, "exp-a", "bank")


def test_r20_an_offer_moves_nothing_until_it_is_accepted() -> None:
    state = offered()
    assert (state.state, state.possessor) == (State.OFFERED, party("exp-a"))
    assert refused(state, Kind.TRANSFER, "exp-a", "imp-a") == "title_state_forbids"
    assert refused(state, Kind.ACCEPT_OFFER, "imp-a") == "title_not_recipient"
    done = step(state, Kind.ACCEPT_OFFER, "bank")
    assert (done.state, done.possessor, done.offer) == (State.LIVE, party("bank"), None)


def test_r20_what_is_accepted_is_what_was_offered() -> None:
    code = refused(offered(), Kind.ACCEPT_OFFER, "bank", entry=b"x" * 32)
    assert code == "title_offer_other_entry"


def test_r20_an_open_offer_is_not_cancelled_but_an_expired_one_is() -> None:
    assert refused(offered(), Kind.CANCEL_OFFER, "exp-a") == "title_offer_open"
    later = NOW + timedelta(hours=1, milliseconds=1)
    cancel = operation(Kind.CANCEL_OFFER, TITLE, 2, "exp-a")
    assert apply(offered(), cancel, later).state is State.LIVE
    accept = operation(Kind.ACCEPT_OFFER, TITLE, 2, "bank")
    with pytest.raises(TradeError, match="title_offer_expired"):
        apply(offered(), accept, later)


def test_r20_a_declined_offer_leaves_the_title_where_it_was() -> None:
    assert refused(offered(), Kind.DECLINE_OFFER, "exp-a") == "title_not_recipient"
    state = step(offered(), Kind.DECLINE_OFFER, "bank")
    assert (state.state, state.possessor, state.offer) == (State.LIVE, party("exp-a"), None)


def test_an_offer_that_has_expired_already_is_refused() -> None:
    assert refused(issued(), Kind.OFFER, "exp-a", "bank", expires=NOW) == "title_offer_expired"


def test_a_new_title_names_the_one_it_replaces() -> None:
    amendment = step(surrendered(Kind.SURRENDER_FOR_AMENDMENT), Kind.ACCEPT_SURRENDER, "nhl")
    ended = step(amendment, Kind.END, "nhl", ending=Ending.AMENDED)
    made = issue(reference="NHLX0002", replaces=TITLE)
    assert apply(None, made, NOW, replaced=ended).replaces == TITLE


def test_a_title_that_did_not_end_for_a_successor_is_not_replaced() -> None:
    delivered = walk(surrendered(), (Kind.ACCEPT_SURRENDER, "nhl", None), (Kind.END, "nhl", None))
    made = issue(reference="NHLX0002", replaces=TITLE)
    for replaced in (None, issued(), delivered):
        with pytest.raises(TradeError, match="title_replaces_unended"):
            apply(None, made, NOW, replaced=replaced)


def test_another_carrier_does_not_replace_a_title() -> None:
    ended = replace(issued(), ending=Ending.PAPER, issuer=party("kz-rail"))
    made: Operation = issue(reference="NHLX0002", replaces=TITLE)
    with pytest.raises(TradeError, match="title_not_issuer"):
        apply(None, made, NOW, replaced=ended)


def test_r19_the_title_id_depends_on_every_part() -> None:
    parts = {
        "network": b"n" * 32,
        "arbiter": b"a" * 32,
        "carrier": did("nhl"),
        "reference": "NHLX0001",
        "manifest_digest": b"m" * 32,
        "salt": b"s" * 32,
    }
    ids = {title_id(**parts)}
    for name, value in parts.items():
        other = value + "x" if isinstance(value, str) else b"x" * 32
        ids.add(title_id(**(parts | {name: other})))
    assert len(ids) == len(parts) + 1
