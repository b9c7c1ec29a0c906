"""The release decision: every condition, the country data and the shared release cases."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.release import rules as release_rules
from protocols.release.conditions import Decision, OrderAction, Outcome, State, decide, reconsider
from protocols.release.facts import (
    CustomsFact,
    DeliveryOrderFact,
    DocumentFact,
    EventFact,
    PlantHealthFact,
    ReleaseFacts,
    Standing,
    TitleFact,
    TransportFact,
)
from protocols.release.rules import rules_for
from schemas.catalogue import explain
from schemas.errors import RefusedError
from tests.shared import shared_path

if TYPE_CHECKING:
    from collections.abc import Iterator

T0 = datetime(2026, 11, 18, 8, 0, tzinfo=UTC)
BOX = "NHLU2631075"
CARRIER = "did:web:nhl.example"
CUSTOMS = "did:web:nl-customs.example"


def document(
    number: str, kind: str, issuer: str = CARRIER, minutes: int = 0, **fields: object
) -> DocumentFact:
    base = DocumentFact(
        digest=number.encode().hex().ljust(64, "0")[:64],
        type=kind,
        number=number,
        issuer=issuer,
        issued_at=T0 + timedelta(minutes=minutes),
        standing=Standing.GOOD,
    )
    return replace(base, **fields)


BILL = document("BL-1", "bill-of-lading", containers=(BOX,))
PHYTO = document("PHY-1", "phytosanitary-certificate", "did:web:cn-cert.example", 1)
ACCEPTED = document("PHD-1", "plant-health-decision", CUSTOMS, 20)
CLEARED = document("CD-1", "customs-decision", CUSTOMS, 30)
ORDER = document("DO-1", "delivery-order", CARRIER, 25, containers=(BOX,))
NOTICE = document("AN-1", "arrival-notice", CARRIER, 10)


def at(minutes: int) -> datetime:
    return T0 + timedelta(minutes=minutes)


def accepted(certificate: DocumentFact = PHYTO, paper: DocumentFact = ACCEPTED) -> PlantHealthFact:
    return PlantHealthFact(paper, True, (certificate.digest,), paper.issued_at)


def story_a(**changes: object) -> ReleaseFacts:
    """Consignment A, complete: ginger to Rotterdam."""
    facts = ReleaseFacts(
        container=BOX,
        consignment="6CN91370784MA0DEMQ00FA261118",
        transport=(TransportFact(BILL, "to-order", "sea", "Polder Roots B.V.", ("091011",)),),
        titles=(TitleFact(BILL.digest, "ACCEPTED", "imp-a", True),),
        arrival_notices=(NOTICE,),
        delivery_orders=(DeliveryOrderFact(ORDER, "Polder Roots B.V."),),
        plant_health=(accepted(),),
        customs=(CustomsFact(CLEARED, True, CLEARED.issued_at),),
        others=(PHYTO,),
    )
    return replace(facts, **changes)


def decision(facts: ReleaseFacts, country: str = "NL", minutes: int = 60) -> Decision:
    return decide(facts, rules_for(country, at(minutes)), at(minutes))


def codes(made: Decision) -> dict[str, str]:
    return {condition.id: condition.code for condition in made.unmet}


def test_a_complete_set_releases_and_lists_every_condition() -> None:
    made = decision(story_a())
    assert made.outcome is Outcome.RELEASE
    assert [each.id for each in made.conditions] == list(rules_for("NL", T0).sequence)
    assert {each.id for each in made.conditions} == {
        *("REL-000", "REL-010", "REL-020", "REL-022", "REL-025", "REL-030", "REL-035", "REL-040"),
        "REL-045",
        *("REL-050", "REL-055", "REL-060", "REL-065", "REL-070", "REL-075", "REL-080", "REL-090"),
        "REL-095",
    }
    assert set(made.basis) >= {each.digest for each in (BILL, PHYTO, ACCEPTED, CLEARED, ORDER)}


def test_nothing_held_lists_all_unmet_conditions_at_once() -> None:
    made = decision(ReleaseFacts(container=BOX, consignment="X"))
    assert made.outcome is Outcome.HOLD
    assert codes(made) == {
        "REL-010": "transport_document_missing",
        "REL-020": "transport_document_missing",
        "REL-040": "plant_health_missing",
        "REL-050": "customs_release_missing",
        "REL-060": "delivery_order_missing",
    }


def test_missing_certificate_of_origin_is_told_and_never_blocks() -> None:
    made = decision(story_a())
    told = made.condition("REL-090")
    assert told is not None
    assert (told.state, told.code, told.blocks) == (State.UNMET, "origin_not_proven", False)
    proof = document("COO-1", "certificate-of-origin")
    told = decision(story_a(others=(PHYTO, proof))).condition("REL-090")
    assert told is not None
    assert told.state is State.MET


def test_r21_a_surrender_that_is_not_final_releases_nothing() -> None:
    facts = story_a(titles=(TitleFact(BILL.digest, "ACCEPTED", "imp-a", False),))
    assert codes(decision(facts)) == {"REL-020": "title_not_final"}


@pytest.mark.parametrize(
    ("state", "code"),
    [("LIVE", "title_not_surrendered"), ("SURRENDERED", "surrender_not_accepted")],
)
def test_a_title_not_surrendered_or_not_accepted_blocks(state: str, code: str) -> None:
    facts = story_a(titles=(TitleFact(BILL.digest, state, "bank", True),))
    made = decision(facts)
    assert codes(made) == {"REL-020": code}
    assert made.unmet[0].detail["holder"] == "bank"


def test_a_title_nobody_knows_is_unknown_and_blocks() -> None:
    made = decision(story_a(titles=()))
    assert codes(made) == {"REL-020": "title_not_known"}
    assert made.unmet[0].state is State.UNKNOWN


def test_r6_release_has_no_grace_after_the_member_list_expired() -> None:
    assert codes(decision(story_a(members_fresh=False))) == {"REL-000": "member_list_not_fresh"}


def test_r25_a_historical_report_is_refused() -> None:
    with pytest.raises(RefusedError) as caught:
        decision(story_a(historical=True))
    assert caught.value.code == "historical_report"


def test_r25_stale_status_is_an_unmet_condition_and_says_so() -> None:
    stale = replace(PHYTO, standing=Standing.STALE, why="16 minutes old")
    made = decision(story_a(others=(stale,)))
    assert codes(made) == {"REL-040": "document_status_stale"}
    assert made.unmet[0].state is State.UNMET
    assert "16 minutes old" in made.unmet[0].reason


@pytest.mark.parametrize(
    ("standing", "code"),
    [
        (Standing.REVOKED, "document_revoked"),
        (Standing.SUSPENDED, "document_suspended"),
        (Standing.INVALID, "document_invalid"),
        (Standing.UNKNOWN, "document_unknown"),
    ],
)
def test_a_transport_document_that_no_longer_stands_blocks(standing: Standing, code: str) -> None:
    bill = replace(BILL, standing=standing)
    facts = story_a(transport=(TransportFact(bill, "to-order", "sea", "", ("091011",)),))
    assert codes(decision(facts)) == {"REL-010": code}


def test_revoked_phytosanitary_certificate_holds_until_its_replacement_is_accepted() -> None:
    revoked = replace(PHYTO, standing=Standing.REVOKED)
    made = decision(story_a(others=(revoked,)))
    assert codes(made) == {"REL-040": "certificate_revoked"}
    second = document("PHY-1/2", "phytosanitary-certificate", PHYTO.issuer, 40)
    assert decision(story_a(others=(revoked, second))).outcome is Outcome.HOLD
    again = document("PHD-2", "plant-health-decision", CUSTOMS, 50)
    made = decision(
        story_a(others=(revoked, second), plant_health=(accepted(), accepted(second, again)))
    )
    assert made.outcome is Outcome.RELEASE


def test_an_acceptance_whose_certificate_is_not_held_is_unknown() -> None:
    assert codes(decision(story_a(others=()))) == {"REL-040": "certificate_not_held"}


def test_every_certificate_of_an_acceptance_must_stand() -> None:
    second = document("PHY-2", "phytosanitary-certificate", standing=Standing.REVOKED)
    both = PlantHealthFact(ACCEPTED, True, (PHYTO.digest, second.digest), ACCEPTED.issued_at)
    facts = story_a(plant_health=(both,), others=(PHYTO, second))
    assert codes(decision(facts)) == {"REL-040": "certificate_revoked"}
    none = PlantHealthFact(ACCEPTED, True, (), ACCEPTED.issued_at)
    assert codes(decision(story_a(plant_health=(none,)))) == {"REL-040": "certificate_not_held"}


def test_a_refusal_by_plant_health_blocks_even_where_no_certificate_is_asked_for() -> None:
    refused = PlantHealthFact(
        document("PHD-9", "plant-health-decision", CUSTOMS, 50), False, (), at(50)
    )
    assert codes(decision(story_a(plant_health=(accepted(), refused)))) == {
        "REL-040": "plant_health_refused"
    }


def test_a_suspended_acceptance_does_not_count() -> None:
    paper = replace(ACCEPTED, standing=Standing.SUSPENDED)
    assert codes(decision(story_a(plant_health=(accepted(PHYTO, paper),)))) == {
        "REL-040": "document_suspended"
    }


def test_plant_health_comes_before_customs_where_the_data_say_so() -> None:
    early = replace(CLEARED, issued_at=at(5))
    facts = story_a(customs=(CustomsFact(early, True, at(5)),))
    assert codes(decision(facts)) == {"REL-050": "customs_before_plant_health"}
    assert "REL-050" not in codes(decision(facts, "SG"))


def test_a_hold_is_last_event_wins_and_a_later_release_lifts_it() -> None:
    hold = CustomsFact(document("CD-2", "customs-decision", CUSTOMS, 35), False, at(35))
    lift = CustomsFact(document("CD-3", "customs-decision", CUSTOMS, 40), True, at(40))
    first = CustomsFact(CLEARED, True, at(30))
    assert codes(decision(story_a(customs=(hold, first)))) == {"REL-050": "customs_hold"}
    assert decision(story_a(customs=(lift, hold, first))).outcome is Outcome.RELEASE


def test_release_and_hold_at_the_same_moment_hold() -> None:
    hold = CustomsFact(document("CD-2", "customs-decision", CUSTOMS, 30), False, at(30))
    assert codes(decision(story_a(customs=(hold, CustomsFact(CLEARED, True, at(30)))))) == {
        "REL-050": "customs_hold"
    }


def test_a_hold_counts_even_when_its_status_is_stale_and_a_stale_release_does_not() -> None:
    stale = replace(CLEARED, standing=Standing.STALE)
    assert codes(decision(story_a(customs=(CustomsFact(stale, True, at(30)),)))) == {
        "REL-050": "document_status_stale"
    }
    hold = document("CD-2", "customs-decision", CUSTOMS, 35, standing=Standing.STALE)
    facts = story_a(customs=(CustomsFact(CLEARED, True, at(30)), CustomsFact(hold, False, at(35))))
    assert codes(decision(facts)) == {"REL-050": "customs_hold"}


def test_delivery_order_of_a_listed_agent_counts_and_an_expired_one_does_not() -> None:
    agent = replace(ORDER, issuer="did:web:agent.example")
    facts = story_a(delivery_orders=(DeliveryOrderFact(agent, ""),))
    assert codes(decision(facts)) == {"REL-060": "delivery_order_not_from_carrier"}
    facts = replace(facts, agents=frozenset({"did:web:agent.example"}))
    assert decision(facts).outcome is Outcome.RELEASE
    facts = story_a(delivery_orders=(DeliveryOrderFact(ORDER, "", at(59)),))
    assert codes(decision(facts)) == {"REL-060": "delivery_order_expired"}


def test_a_revoked_delivery_order_is_named() -> None:
    revoked = replace(ORDER, standing=Standing.REVOKED)
    facts = story_a(delivery_orders=(DeliveryOrderFact(revoked, ""),))
    assert codes(decision(facts)) == {"REL-060": "document_revoked"}


def test_a_waybill_goes_to_the_named_consignee_where_the_data_say_so() -> None:
    bill = TransportFact(BILL, "waybill", "sea", "Tanjong Energy  Stores", ("850760",))
    danger = document("DG-1", "dangerous-goods-declaration")
    facts = story_a(
        transport=(bill,),
        titles=(),
        plant_health=(),
        others=(danger,),
        delivery_orders=(DeliveryOrderFact(ORDER, "tanjong energy stores"),),
    )
    made = decision(facts, "SG")
    assert made.outcome is Outcome.RELEASE
    facts = replace(facts, delivery_orders=(DeliveryOrderFact(ORDER, "Somebody Else"),))
    assert codes(decision(facts, "SG")) == {"REL-025": "consignee_not_identified"}
    assert codes(decision(replace(facts, others=()), "SG"))["REL-070"] == "certificate_missing"
    nameless = replace(facts, transport=(replace(bill, consignee=""),))
    assert codes(decision(nameless, "SG")) == {"REL-025": "consignee_not_named"}


def test_whether_a_straight_bill_is_surrendered_stands_in_the_data() -> None:
    bill = TransportFact(BILL, "straight", "sea", "Polder Roots B.V.", ("091011",))
    facts = story_a(transport=(bill,), titles=())
    assert codes(decision(facts, "NL")) == {"REL-020": "title_not_known"}
    assert decision(facts, "CN").outcome is Outcome.RELEASE


def test_rail_needs_the_handover_and_no_delivery_order() -> None:
    note = document("7001", "rail-consignment-note", "did:web:cn-rail.example")
    handover = document("HO-1", "handover-note", "did:web:cn-rail.example", 5)
    facts = ReleaseFacts(
        container="SLRU7004514",
        consignment="C",
        transport=(TransportFact(note, "rail", "rail", "Alatau Kun TOO", ("854143",)),),
        customs=(CustomsFact(CLEARED, True, at(30)),),
    )
    assert codes(decision(facts, "KZ")) == {"REL-065": "handover_missing"}
    assert decision(replace(facts, handovers=(handover,)), "KZ").outcome is Outcome.RELEASE


def test_customs_may_be_left_out_by_the_data() -> None:
    rules = replace(rules_for("NL", T0), customs=False)
    made = decide(story_a(customs=()), rules, at(60))
    assert made.outcome is Outcome.RELEASE


def test_release_rules_are_dated_and_cited_by_digest() -> None:
    rules = rules_for("NL", T0)
    assert len(rules.digest) == 64
    assert decision(story_a()).to_json()["rules"]["digest"] == rules.digest
    for country, day in (("XX", T0), ("NL", datetime(2001, 1, 1, tzinfo=UTC)), ("../NL", T0)):
        with pytest.raises(RefusedError) as caught:
            rules_for(country, day)
        assert caught.value.code == "release_rules_missing"


def test_an_edition_ends_on_its_day(monkeypatch: pytest.MonkeyPatch) -> None:
    data, digest = release_rules._read("NL") or ({}, "")
    old = {**data["editions"][0], "until": "2026-06-01", "edition": "old"}
    new = {**data["editions"][0], "from": "2026-06-01", "edition": "new"}
    monkeypatch.setattr(release_rules, "_read", lambda country: ({"editions": [old, new]}, digest))
    assert rules_for("NL", datetime(2026, 5, 31, 23, tzinfo=UTC)).edition == "old"
    assert rules_for("NL", datetime(2026, 6, 1, tzinfo=UTC)).edition == "new"


def test_every_code_a_decision_can_give_is_explained_in_both_languages() -> None:
    made = decision(ReleaseFacts(container=BOX, consignment="X", gate_out=at(1)))
    for condition in made.conditions:
        assert explain(condition.id) is not None
        for lang in ("en", "zh"):
            told = condition.to_json(lang)
            assert told["title"]
            if condition.state in (State.UNMET, State.UNKNOWN):
                assert told["next"]
    assert made.to_json("zh")["outcome"] == "DONE"


def test_r24_a_hold_voids_an_unused_order_and_keeps_a_used_one() -> None:
    held = decision(story_a(others=(replace(PHYTO, standing=Standing.REVOKED),)))
    assert reconsider(held, used=False) is OrderAction.VOID
    assert reconsider(held, used=True) is OrderAction.KEEP
    assert reconsider(decision(story_a()), used=False) is OrderAction.KEEP


@given(
    drop=st.sets(
        st.sampled_from(
            ["transport", "titles", "arrival_notices", "delivery_orders", "plant_health", "customs"]
        )
    )
)
def test_dropping_any_required_fact_never_releases(drop: set[str]) -> None:
    made = decision(story_a(**dict.fromkeys(drop, ())))
    assert (made.outcome is Outcome.RELEASE) == (not drop)


# --- the shared cases -------------------------------------------------------------------------

MISSING = {
    "BL_SURRENDER": ("REL-020", "title_not_surrendered"),
    "DO": ("REL-060", "delivery_order_missing"),
    "DO_FROM_CARRIER_OR_AGENT": ("REL-060", "delivery_order_not_from_carrier"),
}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def facts_of(given: dict) -> ReleaseFacts:
    """A shared case as facts."""
    box = given["container"]
    early = moment("2025-03-24T07:00")
    boxes = tuple(given.get("bl_containers", (box,)))
    carrier = given.get("carrier", CARRIER)
    bill = replace(BILL, issuer=carrier, issued_at=early, containers=boxes)
    order = replace(
        ORDER,
        issuer=given.get("do_signed_by", carrier),
        issued_at=early,
        containers=tuple(given.get("do_containers", boxes)),
    )
    kind = "to-order" if given["to_order"] else "waybill"
    state = "ACCEPTED" if given["surrendered"] else "LIVE"
    events = given.get("customs_events", [["2025-03-24T09:00", given["customs"]]])
    left = given.get("gate_out")
    return ReleaseFacts(
        container=box,
        consignment="case",
        transport=(
            # Quarantine is not required in any of them: goods without plant-health control.
            TransportFact(bill, kind, "sea", "Consignee", ("847130",)),
        ),
        titles=(TitleFact(bill.digest, state, given["holder"], True),),
        delivery_orders=(DeliveryOrderFact(order, "Consignee", freight=given["freight"]),),
        arrival_notices=(NOTICE,),
        events=tuple(events_of(given)),
        customs=tuple(
            CustomsFact(replace(CLEARED, issued_at=moment(when)), what == "RELEASED", moment(when))
            for when, what in events
        ),
        gate_out=moment(left) if left else None,
        used_orders=frozenset({order.digest} if given.get("second_request") else ()),
    )


def events_of(given: dict) -> Iterator[EventFact]:
    """Discharge, port dues and terminal holds of a shared case."""
    early = moment("2025-03-24T06:30")
    told = [("DISCHARGED", given["discharged"]), ("CHARGES_SETTLED", given["port_dues"] == "PAID")]
    told += [("HOLD", True) for _ in given["terminal_hold"]]
    for number, (name, happened) in enumerate(told):
        if happened:
            paper = document(f"EV-{number}", "logistics-event", "did:web:nl-port.example")
            yield EventFact(
                replace(paper, issued_at=early), name, early, by_terminal=True, may_hold=True
            )


def test_the_shared_release_cases_give_their_verdicts() -> None:
    cases = json.loads(shared_path("vectors/documents/release_cases.json").read_text())["cases"]
    assert len(cases) == 7
    # The strictest data; the cases know no delegated pick-up right.
    rules = replace(rules_for("DE", T0), pick_up=frozenset())
    for case in cases:
        expect = case["expect"]
        made = decide(facts_of(case["given"]), rules, moment("2025-03-25T08:00"))
        wanted = {True: Outcome.RELEASE, "DONE": Outcome.DONE}.get(expect["release"])
        if wanted is not None:
            assert made.outcome is wanted, case["id"]
        else:
            assert made.outcome is not Outcome.RELEASE, case["id"]
        assert codes(made).items() >= {MISSING[each] for each in expect.get("missing", ())}
        if "reason" in expect:
            assert expect["reason"] == "DO_ALREADY_USED"
            assert codes(made)["REL-060"] == "delivery_order_used"
        if "alert" in expect:
            assert [each.upper() for each in made.alerts] == [expect["alert"]]
        if "who" in expect:
            assert made.unmet[0].detail["holder"] == expect["who"]
