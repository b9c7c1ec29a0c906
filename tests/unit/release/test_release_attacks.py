"""Ways to get a container out that must not work: each was tried and each holds."""

from __future__ import annotations

from dataclasses import replace

from protocols.release.conditions import Outcome
from protocols.release.facts import (
    CustomsFact,
    DeliveryOrderFact,
    PlantHealthFact,
    Standing,
    TitleFact,
    TransportFact,
)
from tests.unit.release.test_release import (
    ACCEPTED,
    BILL,
    BOX,
    CARRIER,
    CUSTOMS,
    NOTICE,
    ORDER,
    PHYTO,
    accepted,
    at,
    codes,
    decision,
    document,
    story_a,
)

OTHER_BOX = "NHLU2631080"
ROGUE = "did:web:rogue-line.example"


def test_r19_a_bill_with_two_titles_is_not_delivered_whoever_surrendered_first() -> None:
    titles = (
        TitleFact(BILL.digest, "ACCEPTED", "mallory", True, "aa"),
        TitleFact(BILL.digest, "LIVE", "bank", True, "bb"),
    )
    for both in (titles, titles[::-1]):
        made = decision(story_a(titles=both))
        assert codes(made) == {"REL-020": "title_conflict"}


def test_plant_healths_word_on_another_container_does_not_let_customs_go_first() -> None:
    other = replace(ACCEPTED, containers=(OTHER_BOX,))
    late = document("PHD-2", "plant-health-decision", CUSTOMS, 40)
    facts = story_a(plant_health=(accepted(paper=other), accepted(paper=late)))
    assert codes(decision(facts)) == {"REL-050": "customs_before_plant_health"}


def test_customs_that_released_while_plant_health_refused_releases_again() -> None:
    refused = document("PHD-2", "plant-health-decision", CUSTOMS, 25)
    again = document("PHD-3", "plant-health-decision", CUSTOMS, 40)
    facts = story_a(
        plant_health=(
            accepted(),
            PlantHealthFact(refused, False, (), refused.issued_at),
            accepted(paper=again),
        )
    )
    assert codes(decision(facts)) == {"REL-050": "customs_before_plant_health"}


def test_an_old_release_sent_again_after_a_hold_lifts_nothing() -> None:
    hold = document("CD-2", "customs-decision", CUSTOMS, 40)
    again = document("CD-3", "customs-decision", CUSTOMS, 50)
    facts = story_a(
        customs=(
            CustomsFact(hold, False, hold.issued_at),
            # Signed again, about the decision of before the hold.
            CustomsFact(again, True, at(30)),
        )
    )
    assert codes(decision(facts)) == {"REL-050": "customs_hold"}


def test_a_decision_on_another_container_releases_nothing() -> None:
    other = document("CD-9", "customs-decision", CUSTOMS, 30, containers=(OTHER_BOX,))
    facts = story_a(customs=(CustomsFact(other, True, other.issued_at),))
    assert codes(decision(facts)) == {"REL-050": "customs_release_missing"}


def rogue(consignee: str, bill_kind: str = "waybill") -> dict[str, object]:
    """Another listed carrier names the same container, and orders its delivery."""
    paper = document("RG-1", "bill-of-lading", ROGUE, 5, containers=(BOX,))
    order = document("RG-2", "delivery-order", ROGUE, 50, containers=(BOX,))
    good = story_a()
    return {
        "transport": (
            *good.transport,
            TransportFact(paper, bill_kind, "sea", consignee, ("091011",)),
        ),
        "delivery_orders": (*good.delivery_orders, DeliveryOrderFact(order, consignee)),
        "titles": (*good.titles, TitleFact(paper.digest, "ACCEPTED", consignee, True)),
    }


def test_a_carrier_that_never_had_the_container_does_not_say_who_gets_it() -> None:
    for kind in ("waybill", "to-order"):
        made = decision(story_a(**rogue("Mallory Trading", kind)))
        assert codes(made)["REL-060"] == "delivery_orders_disagree", kind
    made = decision(story_a(**rogue("polder  roots b.v.")))
    assert made.outcome is Outcome.RELEASE


def test_the_consignee_is_identified_by_an_order_that_counts() -> None:
    """REL-025 must not be met by one order and REL-060 by another one."""
    bill = TransportFact(BILL, "waybill", "sea", "Polder Roots B.V.", ("091011",))
    stranger = document("DO-9", "delivery-order", "did:web:stranger.example", 40)
    facts = story_a(
        transport=(bill,),
        titles=(),
        delivery_orders=(
            DeliveryOrderFact(ORDER, "Mallory Trading"),
            DeliveryOrderFact(stranger, "Polder Roots B.V."),
        ),
    )
    assert codes(decision(facts)) == {"REL-025": "consignee_not_identified"}


def test_goods_that_nobody_classified_are_not_free_of_controls() -> None:
    bill = TransportFact(BILL, "to-order", "sea", "Polder Roots B.V.", ())
    made = decision(story_a(transport=(bill,), plant_health=()))
    assert codes(made)["REL-040"] == "goods_not_classified"
    assert codes(made)["REL-070"] == "goods_not_classified"


def test_a_revoked_certificate_under_another_acceptance_still_blocks() -> None:
    revoked = replace(PHYTO, standing=Standing.REVOKED)
    made = decision(story_a(others=(revoked,)))
    assert codes(made) == {"REL-040": "certificate_revoked"}
    assert NOTICE.issuer == CARRIER
