"""The story's documents: valid, consistent with the script and with each other."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from schemas import cross, registry
from schemas.consistency import compare_payloads
from schemas.errors import NotFoundError
from testnet.story.documents import build, load_story, planned, to_bytes
from testnet.story.scene import Scene
from testnet.story.trade import back_to_back_certificate
from tests.shared import shared_path

NOW = datetime(2026, 11, 18, 9, 0, 0, 123_456, tzinfo=UTC)
STORY = load_story()
ALL = [(one, plan.key) for one in "ABC" for plan in planned(STORY, one)]


def test_the_script_carried_is_the_script_shared() -> None:
    shared = json.loads(shared_path("story/story.json").read_text(encoding="utf-8"))
    assert shared == STORY


@pytest.mark.parametrize(("consignment", "key"), ALL)
def test_every_document_examines_without_error(consignment: str, key: str) -> None:
    document = build(STORY, consignment, key, NOW)
    examination = registry.examine(document.document_type, document.payload)
    assert examination.errors == ()
    assert {one.rule for one in examination.findings} <= {"ORD-003"}
    assert document.number == examination.view.number
    assert registry.detect(document.payload, document.media_type) == document.document_type
    ucr = examination.view.consignment
    assert ucr in (None, document.consignment_ucr) or document.document_type == "aeo-status"


def test_what_goes_on_from_b_draws_on_its_certificate() -> None:
    original = registry.examine(
        "preferential-certificate-of-origin", build(STORY, "B", "coo-rcep", NOW).payload
    ).view
    scene = Scene(STORY, next(one for one in STORY["consignments"] if one["id"] == "B"), NOW)
    for pieces in (scene.consignment["back_to_back"][which] for which in ("first", "second")):
        asked = {"number": f"SG-B2B-{pieces}", "pieces": pieces, "original": "ab" * 32}
        payload = to_bytes(back_to_back_certificate(scene, asked))
        examination = registry.examine("back-to-back-certificate-of-origin", payload)
        assert examination.findings == ()
        assert json.loads(payload)["backToBack"]["number"] == original.number


@pytest.mark.parametrize("year", [2024, 2027, 2028])
def test_documents_are_valid_whatever_the_day(year: int) -> None:
    for day in ((2, 28), (3, 1), (12, 31)):
        moment = datetime(year, *day, 23, 59, 59, 999_000, tzinfo=UTC)
        for consignment, key in ALL:
            document = build(STORY, consignment, key, moment)
            assert registry.examine(document.document_type, document.payload).acceptable, key


@pytest.mark.parametrize("consignment", ["A", "B", "C"])
def test_the_documents_of_a_consignment_agree_with_each_other(consignment: str) -> None:
    papers = []
    for plan in planned(STORY, consignment):
        document = build(STORY, consignment, plan.key, NOW)
        # Input certificates tell of other goods.
        if not plan.variation:
            said = cross.statement(document.document_type, document.payload)
            papers.append(cross.Paper(said))
    assert cross.examine(papers) == ()


def test_bill_a_carries_the_weights_the_faults_alter() -> None:
    bill = build(STORY, "A", "bill-of-lading", NOW).payload
    altered = bill.replace(b"26460", b"29460")
    assert [(one.left, one.right) for one in compare_payloads(bill, altered)] == [(26460, 29460)]


def test_the_bills_are_of_the_kinds_the_script_says() -> None:
    kinds = {}
    for consignment in "AB":
        document = build(STORY, consignment, "bill-of-lading", NOW)
        view = registry.examine(document.document_type, document.payload).view
        kinds[consignment] = (view.facts["kind"], view.facts["status"])
    assert kinds == {"A": ("to-order", "ISSUED"), "B": ("straight", "ISSUED")}


def test_the_same_moment_gives_the_same_bytes() -> None:
    for consignment, key in ALL:
        assert build(STORY, consignment, key, NOW) == build(STORY, consignment, key, NOW)


def test_the_issuers_are_those_of_the_script() -> None:
    issuers = {plan.key: plan.issuer_actor for plan in planned(STORY, "A")}
    assert issuers["phytosanitary-certificate"] == "cn-cert"
    assert issuers["bill-of-lading"] == "nhl"
    assert issuers["commercial-invoice"] == "nhl"  # the node of exp-a
    assert issuers["plant-health-decision"] == "nl-customs"
    assert issuers["release-order"] == "nl-port"
    nodes = {actor["id"]: actor for actor in STORY["actors"] if actor["kind"] == "node"}
    for consignment, key in ALL:
        document = build(STORY, consignment, key, NOW)
        roles = set(nodes[document.issuer_actor]["roles"])
        assert roles & set(registry.get(document.document_type).issuer_roles), key


def test_the_replacement_certificate_names_the_one_it_replaces() -> None:
    first = build(STORY, "A", "phytosanitary-certificate", NOW)
    second = build(STORY, "A", "phytosanitary-certificate", NOW, replaces=first.number)
    assert second.number == f"{first.number}/2"
    examination = registry.examine(second.document_type, second.payload)
    assert examination.errors == ()
    notes = examination.view.facts["notes"]
    assert {"subject": "ADRPN", "content": first.number} in notes


def test_the_decision_on_the_replacement_pins_it() -> None:
    digests = {"CN-PC-2026-004417/2": "cd" * 32}
    decision = build(
        STORY,
        "A",
        "plant-health-decision",
        NOW,
        certificate="CN-PC-2026-004417/2",
        digests=digests,
        revision=2,
    )
    view = registry.examine(decision.document_type, decision.payload).view
    assert view.references[0].digest == "cd" * 32
    assert view.number.endswith("-2")


def test_a_hold_states_its_reason() -> None:
    held = build(STORY, "A", "customs-decision", NOW, verdict="HOLD", reason="Scan the container")
    view = registry.examine(held.document_type, held.payload).view
    assert view.facts["verdict"] == "HOLD"
    assert view.facts["action"] == "4"
    assert registry.examine(held.document_type, held.payload).acceptable


def test_digests_of_bill_title_and_inputs_are_taken_from_the_variation() -> None:
    order = build(STORY, "A", "delivery-order", NOW, bill="aa" * 32, title="bb" * 32)
    facts = registry.examine(order.document_type, order.payload).view.facts
    assert (facts["billDigest"], facts["title"]) == ("aa" * 32, "bb" * 32)
    origin = build(STORY, "B", "coo-rcep", NOW, inputs={"KR-2026-55107": "cc" * 32})
    inputs = registry.examine(origin.document_type, origin.payload).view.facts["inputs"]
    assert inputs[0]["digest"] == "cc" * 32


def test_a_suspension_is_chained_to_the_grant() -> None:
    event = build(
        STORY, "B", "aeo-status", NOW, seq=2, status="SUSPENDED", prevHash="dd" * 32, reason="Audit"
    )
    examination = registry.examine(event.document_type, event.payload)
    assert examination.findings == ()
    assert examination.view.facts["seq"] == 2


def test_each_container_of_c_gets_its_own_order() -> None:
    order = build(STORY, "C", "release-order", NOW, container="SLRU7004664", keyThumbprint="A" * 43)
    examination = registry.examine(order.document_type, order.payload)
    assert examination.findings == ()
    assert examination.view.containers == ("SLRU7004664",)


def test_another_endorsee_can_be_named() -> None:
    other = build(STORY, "A", "bill-of-lading", NOW, endorsee="imp-a")
    view = registry.examine(other.document_type, other.payload).view
    assert view.parties["endorsee"] == "Polder Roots B.V."


def test_unknown_consignments_and_documents_are_named() -> None:
    with pytest.raises(NotFoundError) as caught:
        build(STORY, "A", "gate-pass", NOW)
    assert caught.value.code == "story_document_unknown"
    with pytest.raises(NotFoundError):
        planned(STORY, "Z")
