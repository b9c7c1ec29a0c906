"""Release orders and the way from held documents to facts."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from protocols.credentials import credential
from protocols.member_list import IssuerEntry
from protocols.release import reading as release_reading
from protocols.release.conditions import Decision, Outcome, State, decide
from protocols.release.facts import Standing, TitleFact
from protocols.release.order import (
    Collector,
    OrderRequest,
    decision_digest,
    number_of,
    order_payload,
)
from protocols.release.reading import Held, read_facts, standing_of
from protocols.release.rules import rules_for
from protocols.verify import Case, examine_document, verify_document
from schemas import registry
from schemas.errors import RefusedError
from schemas.findings import Outcome as Verdict
from tests.support import evidence_world as world
from tests.support.title_world import NOW, did

RULES = rules_for("NL", NOW)


def decision(outcome: Outcome = Outcome.RELEASE) -> Decision:
    return Decision(
        outcome, world.BOX, world.UCR, NOW, "NL", RULES.edition, RULES.digest, conditions=()
    )


def request(minutes: int = 60) -> OrderRequest:
    collector = Collector("Polder Roots B.V.", did("imp-a"), "A" * 43)
    return OrderRequest("NLRTM-1", collector, NOW, timedelta(minutes=minutes))


def test_r24_an_order_names_one_gate_group_a_collectors_key_and_at_most_one_slot() -> None:
    payload = order_payload(decision(), RULES, request(), issuer="Maas Delta Port Exchange")
    examination = registry.examine("release-order", payload)
    assert examination.findings == ()
    said = json.loads(payload)
    assert said["gateGroup"] == "NLRTM-1"
    assert said["collector"]["keyThumbprint"] == "A" * 43
    assert said["conditionsDigest"] == decision_digest(decision()).hex()
    assert examination.view.containers == (world.BOX,)
    assert examination.view.valid_until == NOW + timedelta(hours=1)
    assert number_of(world.BOX, NOW) == said["number"]
    for minutes in (0, 121):
        with pytest.raises(RefusedError) as caught:
            order_payload(decision(), RULES, request(minutes), issuer="x")
        assert caught.value.code == "release_slot_too_long"


@pytest.mark.parametrize("outcome", [Outcome.HOLD, Outcome.DONE])
def test_an_order_is_made_of_a_release_only(outcome: Outcome) -> None:
    with pytest.raises(RefusedError) as caught:
        order_payload(decision(outcome), RULES, request(), issuer="x")
    assert caught.value.code == "release_held"


# --- reading ----------------------------------------------------------------------------------


def held(file: credential.DocumentFile, **changes: object) -> Held:
    """A document as a node holds it, verified now."""
    issuer = credential.open_file(file.to_bytes()).claims.issuer
    name = issuer.removeprefix("did:web:").removesuffix(".example")
    values = {"members": world.MEMBERS, "at": NOW, "status": world.status(name), **changes}
    historical = bool(values.pop("historical", False))
    report, verified = verify_document(file.to_bytes(), historical=historical, **values)
    case = Case(file.to_bytes(), values["members"], NOW)
    _, document = examine_document(case)
    assert document is not None
    return Held(document, report, verified)


def own(key: str, issuer: str, number: str, **members: object) -> Held:
    """A document of ours with the members its profile asks for."""
    body = {
        "documentType": key,
        "number": number,
        "issueDate": "2026-11-18",
        "consignment": world.UCR,
        "importCountry": "NL",
        "issuer": {"name": issuer, "country": "NL"},
        **members,
    }
    return held(world.issued(json.dumps(body).encode(), key, issuer))


def decided(key: str, number: str, verdict: str, at: str, **members: object) -> Held:
    return own(
        key,
        "nl-customs",
        number,
        decidedAt=at,
        verdict=verdict,
        scope={"kind": "CONSIGNMENT"},
        ruleVersion="demo-1",
        **members,
    )


def story() -> list[Held]:
    quality = held(world.issued())
    plant = decided(
        "plant-health-decision",
        "PH-1",
        "ACCEPTED",
        "2026-11-18T03:00:00Z",
        subjects=[
            {"type": "phytosanitary-certificate", "number": "P-1", "digest": "ab" * 32},
            {"type": "quality-certificate", "number": "Q-1", "digest": "cd" * 32},
        ],
    )
    customs = decided(
        "customs-decision", "CD-1", "RELEASED", "2026-11-18T09:00:00Z", action="1",
        declarationNumber="26NL1",
    )  # fmt: skip
    order = own(
        "delivery-order",
        "nhl",
        "DO-1",
        validUntil="2026-12-01",
        parties={"carrier": {"name": "NHL"}, "consignee": {"name": "Polder Roots B.V."}},
        billOfLading={"type": "bill-of-lading", "number": "NHLX0001"},
        containers=[{"number": world.BOX}],
        freight="PREPAID",
    )
    return [quality, plant, customs, order]


def test_documents_become_facts_by_their_views() -> None:
    papers = story()
    assert [standing_of(each) for each in papers] == [Standing.GOOD] * 4
    facts = read_facts(
        papers,
        container=world.BOX,
        consignment=world.UCR,
        members=world.MEMBERS,
        at=NOW,
        country="NL",
    )
    (plant,), (customs,), (order,) = facts.plant_health, facts.customs, facts.delivery_orders
    assert plant.accepted
    assert plant.certificates == ("ab" * 32,)
    assert customs.released
    assert customs.decided_at == world.ISSUED  # never later than it was signed
    assert order.consignee == "Polder Roots B.V."
    assert order.document.containers == (world.BOX,)
    assert [each.type for each in facts.others] == ["quality-certificate"]
    assert facts.members_fresh
    assert not facts.historical


def test_the_decisions_of_another_countrys_authorities_are_none_here() -> None:
    """An agreement may recognise them as documents; an export clearance is no import release."""
    facts = read_facts(
        story(),
        container=world.BOX,
        consignment=world.UCR,
        members=world.MEMBERS,
        at=NOW,
        country="SG",
    )
    assert (facts.plant_health, facts.customs) == ((), ())
    assert facts.delivery_orders


def test_r25_facts_from_a_historical_report_release_nothing() -> None:
    papers = [held(world.issued(), historical=True)]
    assert standing_of(papers[0]) is not Standing.GOOD
    facts = read_facts(
        papers,
        container=world.BOX,
        consignment=world.UCR,
        members=world.MEMBERS,
        at=NOW,
        country="NL",
    )
    with pytest.raises(RefusedError):
        decide(facts, RULES, NOW)


def test_standing_follows_the_report_and_good_needs_the_verified_value() -> None:
    file = world.issued()
    assert standing_of(held(file, status=world.status(revoked=(file,)))) is Standing.REVOKED
    assert standing_of(held(file, status=None)) is Standing.STALE
    expired = world.issued(valid_until=NOW - timedelta(minutes=30))
    assert standing_of(held(expired)) is Standing.INVALID
    nobody = replace(world.MEMBERS, nodes=())
    unknown = held(file, members=nobody)
    assert unknown.report.verdict is Verdict.INDETERMINATE
    assert standing_of(unknown) is Standing.UNKNOWN
    other = held(world.issued(world.quality("Q-2")))
    assert standing_of(Held(held(file).document, other.report, other.verified)) is not Standing.GOOD


def test_agents_are_those_to_whom_the_carrier_delegated_in_the_list() -> None:
    start = NOW - timedelta(days=1)
    rights = (
        IssuerEntry(did("nhl"), "delivery-order", "NL", start),
        IssuerEntry(did("nl-port"), "delivery-order", "NL", start, delegated_by=did("nhl")),
        IssuerEntry(did("sg-port"), "delivery-order", "NL", start, delegated_by=did("kz-rail")),
    )
    members = replace(world.MEMBERS, issuers=rights)
    assert release_reading.agents_of(members, {did("nhl")}, NOW) == {did("nl-port")}


@pytest.mark.parametrize(
    ("facts", "kind", "mode"),
    [
        ({"kind": "to-order"}, "to-order", "sea"),
        ({"kind": "straight", "documentKind": "SWB"}, "waybill", "sea"),
        ({"kind": "rail"}, "rail", "rail"),
        ({"kind": "multimodal", "legs": [{"mode": "3"}, {"mode": "2"}]}, "multimodal", "rail"),
        ({"kind": "multimodal", "legs": [{"mode": "1"}], "negotiable": True}, "to-order", "sea"),
        ({"kind": "multimodal", "legs": []}, "multimodal", "sea"),
    ],
)
def test_kind_and_mode_of_a_transport_document(
    facts: dict[str, object], kind: str, mode: str
) -> None:
    paper = held(world.issued())
    view = replace(paper.document.view, facts=facts, parties={"consignee": "X"})
    fact = release_reading._transport(replace(paper, document=replace(paper.document, view=view)))
    assert (fact.kind, fact.mode, fact.consignee) == (kind, mode, "X")


def test_a_decision_without_a_readable_moment_counts_from_its_signature() -> None:
    paper = held(world.issued())
    assert release_reading._decided_at(paper) == world.ISSUED


def test_the_whole_way_from_documents_to_a_decision() -> None:
    papers = story()
    facts = read_facts(
        papers,
        container=world.BOX,
        consignment=world.UCR,
        members=world.MEMBERS,
        at=NOW,
        country="NL",
        titles=(TitleFact("ef" * 32, "LIVE", "exp-a", True),),
    )
    made = decide(facts, RULES, NOW)
    assert made.outcome is Outcome.HOLD
    assert made.condition("REL-010").state is State.UNMET
