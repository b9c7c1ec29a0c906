"""Conditions on events: discharge, holds, freight, charges, pick-up right, AEO; partial release."""

from __future__ import annotations

import importlib
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from protocols.release.conditions import Decision, Outcome, State, decide
from protocols.release.facts import EventFact, ReleaseFacts, Standing
from protocols.release.rules import countries, rules_for

base = importlib.import_module("tests.unit.release.test_release")
links = importlib.import_module("tests.unit.release.test_pick_up")
PORT, STRANGER = "did:web:nl-port.example", "did:web:mallory.example"
DE = rules_for("DE", base.T0)


def event(name: str, number: str, minutes: int, **more: object) -> EventFact:
    issuer = more.pop("issuer", PORT)
    standing = more.pop("standing", Standing.GOOD)
    boxes = more.pop("containers", (base.BOX,))
    paper = base.document(
        number, "logistics-event", issuer, minutes, standing=standing, containers=boxes
    )
    here = issuer == PORT
    one = EventFact(paper, name, base.at(minutes), by_terminal=here, may_hold=here)
    return replace(one, **more)


def whole() -> ReleaseFacts:
    """Consignment A with everything that the strictest data ask for."""
    return base.story_a(
        events=(
            event("DISCHARGED", "EV-1", 5),
            event("CHARGES_SETTLED", "EV-2", 35),
            event("FREIGHT_CLEARED", "EV-3", 20, issuer=base.CARRIER),
        ),
        links=tuple(links.chain("nhl", "forwarder-a", "haulier-a")),
    )


def made(facts: ReleaseFacts, minutes: int = 60, when: datetime | None = None) -> Decision:
    return decide(facts, DE, when or base.at(minutes) + timedelta(hours=1))


def test_with_the_whole_event_set_the_strictest_data_release() -> None:
    found = made(whole())
    assert base.codes(found) == {}
    assert found.outcome is Outcome.RELEASE
    right = found.condition("REL-080")
    assert right is not None
    assert right.detail["name"] == "haulier-a"


@pytest.mark.parametrize(
    ("left_out", "condition", "code"),
    [
        ("DISCHARGED", "REL-035", "discharge_missing"),
        ("CHARGES_SETTLED", "REL-075", "charges_not_settled"),
        ("FREIGHT_CLEARED", "REL-055", "freight_not_cleared"),
    ],
)
def test_each_event_left_out_or_said_by_a_stranger_or_revoked_holds(
    left_out: str, condition: str, code: str
) -> None:
    facts = whole()
    rest = tuple(each for each in facts.events if each.event != left_out)
    told = next(each for each in facts.events if each.event == left_out)
    assert base.codes(made(replace(facts, events=rest))) == {condition: code}
    strange = event(left_out, "EV-9", 30, issuer=STRANGER)
    assert base.codes(made(replace(facts, events=(*rest, strange)))) == {condition: code}
    gone = replace(told, document=replace(told.document, standing=Standing.REVOKED))
    assert base.codes(made(replace(facts, events=(*rest, gone)))) == {condition: code}
    stale = replace(told, document=replace(told.document, standing=Standing.STALE))
    found = made(replace(facts, events=(*rest, stale)))
    assert base.codes(found) == {condition: "document_status_stale"}


def test_the_delivery_order_may_say_that_the_freight_is_settled() -> None:
    facts = whole()
    events = tuple(each for each in facts.events if each.event != "FREIGHT_CLEARED")
    order = replace(facts.delivery_orders[0], freight="CREDIT")
    assert made(replace(facts, events=events, delivery_orders=(order,))).outcome is Outcome.RELEASE


def test_no_link_is_a_missing_right_only_where_the_data_ask_for_one() -> None:
    facts = replace(whole(), links=())
    assert base.codes(made(facts)) == {"REL-080": "pick_up_right_missing"}
    assert base.decision(base.story_a()).condition("REL-080").state is State.NOT_REQUIRED
    begun = replace(base.story_a(), links=whole().links)
    broken = replace(begun, revoked_links=frozenset({begun.links[0].digest}))
    at = base.at(60) + timedelta(hours=1)
    nl = rules_for("NL", at)
    assert base.codes(decide(begun, nl, at)) == {}
    assert base.codes(decide(broken, nl, at)) == {"REL-080": "pick_up_right_revoked"}


def test_a_hold_blocks_with_its_reason_until_the_same_issuer_lifts_it() -> None:
    hold = event("HOLD", "H-1", 40, reason="seal broken")
    facts = replace(whole(), events=(*whole().events, hold))
    found = made(facts)
    assert base.codes(found) == {"REL-045": "hold_open"}
    assert "seal broken" in found.unmet[0].reason
    lift = event("LIFT", "L-1", 50, lifts=hold.document.digest)
    assert made(replace(facts, events=(*facts.events, lift))).outcome is Outcome.RELEASE
    for wrong in (
        event("LIFT", "L-1", 50, lifts=hold.document.digest, issuer=base.CARRIER),
        event("LIFT", "L-1", 50, lifts="00" * 32),
        event("LIFT", "L-1", 50, lifts=hold.document.digest, standing=Standing.REVOKED),
    ):
        assert made(replace(facts, events=(*facts.events, wrong))).outcome is Outcome.HOLD


def test_carriers_hold_and_strangers_do_not() -> None:
    for issuer, outcome in ((base.CARRIER, Outcome.HOLD), (STRANGER, Outcome.RELEASE)):
        hold = event("HOLD", "H-1", 40, issuer=issuer, reason="x")
        assert made(replace(whole(), events=(*whole().events, hold))).outcome is outcome


def test_a_hold_after_the_container_left_is_an_alert() -> None:
    late = event("HOLD", "H-1", 70, reason="x")
    facts = replace(whole(), events=(*whole().events, late), gate_out=base.at(65))
    found = made(facts)
    assert (found.outcome, found.alerts) == (Outcome.DONE, ("hold_after_gate_out",))
    assert found.condition("REL-045").state is State.MET


def test_release_is_partial_when_a_hold_is_of_one_container() -> None:
    other = "NHLU2631080"
    bill = replace(base.BILL, containers=(base.BOX, other))
    hold = event("HOLD", "H-1", 40, reason="x", containers=(other,))
    facts = base.story_a(
        transport=(replace(base.story_a().transport[0], document=bill),),
        titles=(replace(base.story_a().titles[0], document=bill.digest),),
        delivery_orders=(
            replace(
                base.story_a().delivery_orders[0],
                document=replace(base.ORDER, containers=(base.BOX, other)),
            ),
        ),
        events=(hold,),
    )
    assert base.decision(facts).outcome is Outcome.RELEASE
    assert base.codes(base.decision(replace(facts, container=other))) == {"REL-045": "hold_open"}


def test_a_withdrawn_phytosanitary_certificate_always_blocks_until_it_is_replaced() -> None:
    gone = replace(base.PHYTO, standing=Standing.REVOKED)
    bill = replace(base.story_a().transport[0], hs=("847130",))
    facts = base.story_a(transport=(bill,), plant_health=(), others=(gone,))
    assert base.codes(base.decision(facts)) == {"REL-040": "certificate_revoked"}
    second = base.document("PHY-2", "phytosanitary-certificate", minutes=9)
    replaced = replace(facts, others=(gone, second))
    assert base.decision(replaced).outcome is Outcome.RELEASE
    # Another certificate that was accepted does not outweigh one withdrawn after it.
    withdrawn = base.document(
        "PHY-3", "phytosanitary-certificate", minutes=9, standing=Standing.REVOKED
    )
    accepted = base.story_a(others=(base.PHYTO, withdrawn))
    assert base.codes(base.decision(accepted)) == {"REL-040": "certificate_revoked"}


def test_a_missing_preference_and_a_lost_aeo_benefit_are_told_and_never_block() -> None:
    for operators, state in (
        ((), State.NOT_REQUIRED),
        ((("AEOCN0123456789", False),), State.UNMET),
        ((("AEOCN0123456789", False), ("KRAEO0001", True)), State.MET),
    ):
        found = made(replace(whole(), operators=operators))
        assert found.outcome is Outcome.RELEASE
        assert found.condition("REL-095").state is state
        assert found.condition("REL-090").state is State.UNMET


def test_every_countrys_data_name_each_condition_once_in_their_order() -> None:
    for country in countries():
        sequence = rules_for(country, base.T0).sequence
        assert len(set(sequence)) == len(sequence) >= 15
        assert sequence[0] == "REL-000"
    sg, nl = rules_for("SG", base.T0).sequence, rules_for("NL", base.T0).sequence
    assert sg.index("REL-050") < sg.index("REL-040")
    assert nl.index("REL-040") < nl.index("REL-050")
