"""What the views of our own types say."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas import registry
from schemas.view import View
from tests.unit.documents.example_edits import DROP, edited, example

UCR = "6CN91370784MA0DEMQ00FA261118"


def view_of(key: str, edits: dict[str, Any] | None = None) -> View:
    return registry.examine(key, json.dumps(edited(example(key), edits or {})).encode()).view


def test_the_members_that_all_our_types_share() -> None:
    view = view_of("arrival-notice")
    assert view.consignment == UCR
    assert view.issued_at == datetime(2026, 11, 15, tzinfo=UTC)
    assert (view.export_country, view.import_country) == ("CN", "NL")
    assert view.containers == ("NHLU2631075",)
    assert view.parties["carrier"] == "Northern Heron Lines"
    assert view.references[0].number == "NHLSHARTM261118A"
    assert view.port_of_discharge == "NLRTM"


def test_totals_win_and_lines_are_summed_without_them() -> None:
    assert view_of("certificate-of-origin").pointers["gross_kg"] == "/totals/grossWeight/value"
    view = view_of("certificate-of-origin", {"/totals": DROP})
    assert (view.packages, view.gross_kg, view.net_kg) == (1890, 26460, 24570)
    assert view.pointers["gross_kg"] == "/goods/0/grossWeight/value"


def test_a_sum_is_given_only_where_every_line_says_its_part() -> None:
    line = {"sequence": 2, "description": "More"}
    view = view_of("certificate-of-origin", {"/totals": DROP, "/goods/-": line})
    assert (view.packages, view.gross_kg) == (None, None)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("plant-health-decision", {"verdict": "ACCEPTED", "scope": "CONTAINER"}),
        ("customs-decision", {"verdict": "RELEASED", "declarationNumber": "26NL000396DEMO41"}),
        ("delivery-order", {"billOfLading": "NHLSHARTM261118A", "consignee": "Polder Roots B.V."}),
        ("release-order", {"gateGroup": "MDPX-GATE-A", "collector": "Dijk Road Haulage B.V."}),
        ("aeo-status", {"seq": 1, "status": "ACTIVE", "consent": True, "mraRefs": ["DEMO-CN-NL"]}),
        ("commercial-invoice", {"totalAmount": "33169.50", "currency": "USD", "incoterm": "FOB"}),
        ("rail-consignment-note", {"kind": "rail", "negotiable": False, "note": "SMGS"}),
        ("road-leg-note", {"kind": "road", "negotiable": False}),
        ("master-transport-document", {"kind": "multimodal", "negotiable": False}),
        ("quality-certificate", {"verdict": "PASS", "failedTests": []}),
        ("packing-list", {"marks": ["ANHE-26-1107 NO. 1-1890"]}),
        ("handover-note", {"damaged": []}),
        ("arrival-notice", {"imo": "9999993", "voyage": "031W"}),
    ],
)
def test_facts_of_a_type(key: str, expected: dict[str, Any]) -> None:
    facts = view_of(key).facts
    assert {name: facts.get(name) for name in expected} == expected
    assert None not in facts.values()


def test_decisions_pin_their_subjects_and_containers() -> None:
    view = view_of("plant-health-decision")
    assert view.containers == ("NHLU2631075",)
    assert view.references[0].type == "phytosanitary-certificate"
    assert len(view.references[0].digest) == 64


def test_a_decision_on_a_bill_names_it() -> None:
    bill = {"type": "bill-of-lading", "number": "B-1"}
    view = view_of("customs-decision", {"/scope": {"kind": "BILL", "billOfLading": bill}})
    assert view.facts["bill"] == "B-1"
    assert view.containers == ()


def test_a_release_order_is_valid_until_its_slot_ends() -> None:
    assert view_of("release-order").valid_until == datetime(2026, 11, 18, 11, tzinfo=UTC)


def test_a_delivery_order_is_valid_to_the_end_of_its_last_day() -> None:
    until = view_of("delivery-order").valid_until
    assert until == datetime(2026, 11, 25, 23, 59, 59, 999_000, tzinfo=UTC)


def test_inputs_of_a_preferential_certificate_are_facts_and_pinned() -> None:
    facts = view_of("preferential-certificate-of-origin").facts
    inputs = facts["inputs"]
    assert isinstance(inputs, list)
    assert [one["number"] for one in inputs if isinstance(one, dict)] == [
        "KR-2026-55107",
        "VN-2026-00918",
    ]
    assert facts["criteria"] == ["RVC"]


def test_dangerous_goods_are_facts() -> None:
    goods = view_of("dangerous-goods-declaration").facts["dangerousGoods"]
    assert isinstance(goods, list)
    assert isinstance(goods[0], dict)
    assert goods[0]["unNumber"] == "3480"


def test_damaged_containers_and_failed_tests_are_listed() -> None:
    hurt = {"/containers/1/condition": "DAMAGED", "/containers/1/remarks": "Hole"}
    assert view_of("handover-note", hurt).facts["damaged"] == ["SLRU7004664"]
    failed = {"/results/0/passed": False, "/verdict": "FAIL"}
    assert view_of("quality-certificate", failed).facts["failedTests"] == ["Moisture"]


def test_a_result_without_limits_is_taken_as_it_is_marked() -> None:
    unlimited = {"/results/0/maximum": DROP}
    payload = json.dumps(edited(example("quality-certificate"), unlimited)).encode()
    assert registry.examine("quality-certificate", payload).findings == ()


def test_goods_that_are_not_dangerous_are_no_declaration() -> None:
    payload = json.dumps({"goods": [{"sequence": 1}]}).encode()
    view = registry.examine("dangerous-goods-declaration", payload).view
    assert view.facts["dangerousGoods"] == []
