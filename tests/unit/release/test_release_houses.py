"""Releases under house bills: their master bills decide at the terminal (R19, R21)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from protocols.release.conditions import Outcome, State
from protocols.release.facts import (
    DeliveryOrderFact,
    EventFact,
    ReleaseFacts,
    Standing,
    TitleFact,
    TransportFact,
)
from tests.unit.release.test_release import BILL, BOX, ORDER, at, codes, decision, document, story_a

FORWARDER = "did:web:nvocc.example"
HOUSE = replace(document("HBL-1", "bill-of-lading", FORWARDER, containers=(BOX,)))
MASTER = BILL
HELD = TransportFact(MASTER, "to-order", "sea", "Forwarder B.V.", ("091011",))
GIVEN_UP = TitleFact(HOUSE.digest, "ACCEPTED", "imp-a", True)


def house(*masters: str, **changes: Any) -> TransportFact:
    made = TransportFact(HOUSE, "to-order", "sea", "Polder Roots B.V.", ("091011",), masters)
    return replace(made, **changes)


def under(*masters: TransportFact, state: str = "ACCEPTED", **changes: Any) -> ReleaseFacts:
    """The whole story under a house bill that was given up; its masters of other consignments."""
    titles = [TitleFact(each.document.digest, state, "forwarder", True) for each in masters]
    given: dict[str, Any] = {
        "transport": (house("BL-1"),),
        "masters": masters,
        "titles": (GIVEN_UP, *titles),
    }
    return story_a(**given | changes)


def test_r19_a_house_bill_alone_releases_nothing() -> None:
    made = decision(under())
    assert made.outcome is Outcome.HOLD
    assert codes(made)["REL-022"] == "master_bill_not_held"
    condition = made.condition("REL-022")
    assert condition is not None
    assert (condition.state, condition.reason) == (State.UNKNOWN, "BL-1")
    # Nor does anything that its issuer signs.
    order = replace(ORDER, issuer=FORWARDER)
    ours = decision(under(delivery_orders=(DeliveryOrderFact(order, "Polder Roots B.V."),)))
    assert codes(ours)["REL-060"] == "delivery_order_not_from_carrier"


@pytest.mark.parametrize(
    ("state", "code"),
    [("LIVE", "title_not_surrendered"), ("SURRENDERED", "surrender_not_accepted"),
     ("ENDED AMENDED", "title_not_surrendered")],
)  # fmt: skip
def test_r19_while_the_master_is_live_the_goods_stay_though_the_house_bill_was_given_up(
    state: str, code: str
) -> None:
    made = decision(under(HELD, state=state))
    assert codes(made) == {"REL-022": code}
    condition = made.condition("REL-022")
    assert condition is not None
    assert condition.reason == f"BL-1: {state}, forwarder"
    assert condition.basis == (MASTER.digest,)


def test_r21_a_master_whose_state_is_not_final_settles_nothing() -> None:
    told = TitleFact(MASTER.digest, "ACCEPTED", "forwarder", False)
    made = decision(under(HELD, titles=(GIVEN_UP, told)))
    assert codes(made) == {"REL-022": "title_not_final"}
    assert codes(decision(under(HELD, titles=(GIVEN_UP,)))) == {"REL-022": "title_not_known"}


@pytest.mark.parametrize("kind", ["to-order", "waybill"])
def test_both_given_up_release_on_the_order_of_the_masters_carrier(kind: str) -> None:
    facts = under(replace(HELD, kind=kind))
    made = decision(facts)
    assert (made.outcome, codes(made)) == (Outcome.RELEASE, {})
    # It may as well be of the same consignment.
    same = replace(facts, transport=(*facts.transport, *facts.masters), masters=())
    order = DeliveryOrderFact(replace(ORDER, number="DO-2", digest="d2"), "Forwarder B.V.")
    both = replace(same, delivery_orders=(*same.delivery_orders, order))
    assert decision(both).outcome is Outcome.RELEASE


def test_the_house_bill_itself_has_to_be_given_up_too() -> None:
    facts = under(HELD)
    live = replace(GIVEN_UP, state="LIVE")
    assert codes(decision(replace(facts, titles=(live, *facts.titles[1:])))) == {
        "REL-020": "title_not_surrendered"
    }


def test_every_master_named_counts_and_every_document_under_its_number() -> None:
    second = replace(HELD, document=document("BL-2", "bill-of-lading", containers=(BOX,)))
    two = under(HELD, second, transport=(house("BL-1", "BL-2"),))
    assert decision(two).outcome is Outcome.RELEASE
    assert codes(decision(replace(two, masters=(HELD,)))) == {"REL-022": "master_bill_not_held"}
    # Somebody else's under the same number is not given up.
    other = document(
        "BL-1", "bill-of-lading", "did:web:other.example", digest="ee", containers=(BOX,)
    )
    twin = replace(HELD, document=other)
    assert (
        codes(decision(replace(under(HELD), masters=(HELD, twin))))["REL-022"] == "title_not_known"
    )
    # One that was taken back and issued again is not.
    gone = replace(twin, document=replace(other, standing=Standing.REVOKED))
    assert decision(replace(under(HELD), masters=(gone, HELD))).outcome is Outcome.RELEASE
    assert codes(decision(replace(under(HELD), masters=(gone,))))["REL-022"] == "document_revoked"


def test_a_master_has_to_be_good_now_and_cover_the_container() -> None:
    stale = replace(HELD, document=replace(MASTER, standing=Standing.STALE))
    assert codes(decision(under(stale))) == {"REL-022": "document_status_stale"}
    elsewhere = replace(HELD, document=replace(MASTER, containers=("NHLU0000001",)))
    assert codes(decision(under(elsewhere))) == {"REL-022": "master_bill_other_container"}


def test_a_house_bill_under_a_house_bill_needs_both_masters_and_a_circle_ends() -> None:
    middle = document("HBL-2", "bill-of-lading", "did:web:co.example", containers=(BOX,))
    between = TransportFact(middle, "to-order", "sea", "", ("091011",), ("BL-1",))
    facts = under(between, HELD, transport=(house("HBL-2"),))
    assert decision(facts).outcome is Outcome.RELEASE
    assert codes(decision(replace(facts, masters=(between,)))) == {
        "REL-022": "master_bill_not_held",
        "REL-060": "delivery_order_not_from_carrier",
    }
    circle = replace(between, masters=("HBL-1",))
    made = decision(under(circle, transport=(house("HBL-2"),)))
    # Each is given up, but nobody has the goods: no order counts.
    assert codes(made) == {"REL-060": "delivery_order_not_from_carrier"}


def test_who_is_named_in_a_house_waybill_is_identified_by_its_own_issuers_order() -> None:
    to_forwarder = DeliveryOrderFact(ORDER, "Forwarder B.V.")
    named = house("BL-1", kind="waybill")
    facts = under(HELD, transport=(named,), delivery_orders=(to_forwarder,))
    assert codes(decision(facts)) == {"REL-025": "consignee_not_identified"}
    own = replace(ORDER, number="DO-2", digest="d2", issuer=FORWARDER)
    told = DeliveryOrderFact(own, "Polder Roots B.V.")
    assert decision(replace(facts, delivery_orders=(to_forwarder, told))).outcome is Outcome.RELEASE


def test_who_issued_a_house_bill_may_still_hold_the_goods() -> None:
    paper = document("EV-1", "logistics-event", FORWARDER, 40, containers=(BOX,))
    hold = EventFact(paper, "HOLD", at(40), "unpaid")
    facts = under(HELD)
    made = decision(replace(facts, events=(*facts.events, hold)))
    assert codes(made) == {"REL-045": "hold_open"}


def test_a_bill_without_a_master_is_no_house_bill() -> None:
    condition = decision(story_a()).condition("REL-022")
    assert condition is not None
    assert condition.state is State.NOT_REQUIRED
