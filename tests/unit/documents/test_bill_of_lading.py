"""The bill of lading against the standard's own examples and its own words."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
import yaml

from schemas import profiles, registry
from tests.shared import shared_path
from tests.unit.documents.example_edits import DROP, edited, example, rules_of

PATH = "/v3/transport-documents/{transportDocumentReference}"
KEY = "bill-of-lading"


def _standard() -> dict[str, Any]:
    text = shared_path("standards/dcsa/ebl/EBL_v3.0.4.yaml").read_text(encoding="utf-8")
    return yaml.load(text, Loader=yaml.CSafeLoader)


def test_the_published_examples_have_no_error() -> None:
    answers = _standard()["paths"][PATH]["get"]["responses"]["200"]
    examples = answers["content"]["application/json"]["examples"]
    assert len(examples) == 3
    warnings = {}
    for name, one in examples.items():
        payload = json.dumps(one["value"]).encode()
        assert registry.detect(payload) == KEY
        examination = registry.examine(KEY, payload)
        assert examination.errors == ()
        warnings[name] = {finding.rule for finding in examination.findings}
    assert warnings["dgExample"] == {"BOL-001", "BOL-004", "BOL-008", "BOL-009"}
    assert "BOL-001" not in warnings["regularSTDExample"]


def test_the_profile_requires_what_the_standard_requires() -> None:
    schema = _standard()["components"]["schemas"]["TransportDocument"]
    profile = profiles.bundle(KEY)
    assert len(profile["required"]) == 19
    assert set(profile["required"]) == set(schema["required"])
    assert set(profile["properties"]) == set(schema["properties"])


def test_the_view_of_a_bill_to_order() -> None:
    view = registry.examine(KEY, registry.example(KEY)).view
    assert view.number == "NHLSHARTM261118A"
    assert view.containers == ("NHLU2631075",)
    assert (view.packages, view.gross_kg, view.net_kg) == (1890, Decimal(26460), Decimal(24570))
    assert view.hs == ("091011",)
    assert (view.port_of_loading, view.port_of_discharge) == ("CNSHA", "NLRTM")
    assert (view.export_country, view.import_country) == ("CN", "NL")
    assert view.consignment is None
    assert view.facts["status"] == "ISSUED"
    assert view.facts["kind"] == "to-order"
    assert view.facts["isToOrder"] is True
    assert view.facts["carrier"] == "NHLX"
    assert view.facts["seals"] == {"NHLU2631075": ["NHL263107"]}
    assert view.parties["endorsee"] == "Harbourlight Bank"
    assert view.parties["notifyParty"] == "Polder Roots B.V."
    assert view.references[0].type == "booking"


@pytest.mark.parametrize(
    ("edits", "kind"),
    [
        ({"/documentParties/endorsee": DROP}, "blank"),
        ({"/isToOrder": False, "/documentParties/endorsee": DROP}, "straight"),
        ({}, "to-order"),
    ],
)
def test_the_kind_follows_from_order_and_endorsee(edits: dict[str, Any], kind: str) -> None:
    payload = json.dumps(edited(example(KEY), edits)).encode()
    assert registry.examine(KEY, payload).view.facts["kind"] == kind


def test_weights_in_pounds_are_summed_in_kilograms() -> None:
    document = example(KEY)
    cargo = document["consignmentItems"][0]["cargoItems"]
    cargo.append(
        json.loads(json.dumps(cargo[0])) | {"cargoGrossWeight": {"value": 100, "unit": "LBR"}}
    )
    view = registry.examine(KEY, json.dumps(document).encode()).view
    assert view.gross_kg == Decimal("26505.359237")
    assert view.packages == 3780


def test_a_weight_missing_from_one_item_gives_no_sum() -> None:
    document = example(KEY)
    cargo = document["consignmentItems"][0]["cargoItems"]
    cargo.append({name: value for name, value in cargo[0].items() if name != "cargoNetWeight"})
    view = registry.examine(KEY, json.dumps(document).encode()).view
    assert view.net_kg is None
    assert view.gross_kg == 52920


def test_further_parties_and_references_are_in_the_view() -> None:
    edits = {
        "/shippingInstructionsReference": "SI-1",
        "/declaredValue": 12.5,
        "/declaredValueCurrency": "EUR",
        "/documentParties/notifyParties/-": {"partyName": "Second"},
        "/documentParties/notifyParties/0/partyName": "First",
    }
    view = registry.examine(KEY, json.dumps(edited(example(KEY), edits)).encode()).view
    assert view.parties["notifyParty"] == "First"
    assert view.parties["notifyParty2"] == "Second"
    assert view.references[-1].number == "SI-1"
    assert view.facts["declaredValue"] == "12.5"


def test_extended_hs_codes_win_over_the_deprecated_ones() -> None:
    edits = {"/consignmentItems/0/extendedHSCodes": ["121190991234"]}
    view = registry.examine(KEY, json.dumps(edited(example(KEY), edits)).encode()).view
    assert view.hs == ("121190",)


def test_a_draft_needs_no_date_of_shipment() -> None:
    edits = {"/transportDocumentStatus": "DRAFT", "/shippedOnBoardDate": DROP, "/issueDate": DROP}
    assert rules_of(KEY, edited(example(KEY), edits)) == {}


def test_an_issued_bill_without_any_date_of_shipment_is_refused() -> None:
    assert "BOL-003" in rules_of(KEY, edited(example(KEY), {"/shippedOnBoardDate": DROP}))


def test_exactly_one_form_of_place_and_contact_is_taken() -> None:
    both = {"/placeOfIssue/countryCode": "CN"}
    assert "SCH-009" in rules_of(KEY, edited(example(KEY), both))
    silent = {"/partyContactDetails/0/email": DROP}
    assert "SCH-009" in rules_of(KEY, edited(example(KEY), silent))
