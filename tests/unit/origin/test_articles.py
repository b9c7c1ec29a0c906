"""Article by article: what is decided, what stays open, and which code says why."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from schemas.findings import Outcome
from schemas.origin import evaluate, examples, read
from schemas.origin.proofs import last_day

P, F, I = Outcome.PASSED, Outcome.FAILED, Outcome.INDETERMINATE  # noqa: E741 as the cases write them
K, V = "aa" * 32, "bb" * 32
GOOD = {K: P, V: P}
AT_SEA = {"clause": "f", "registeredIn": "CN", "flag": "CN", "zone": "high-seas"}
WHOLLY = "/good/whollyObtained"

# base, edits → rule, outcome, code ("" where passed)
CASES: list[tuple[str, dict[str, Any], str, Outcome, str]] = [
    # On 20.6(3)
    ("battery", {"/good/producedIn": "MM"}, "RCEP-001", I, "pair_unknown"),
    ("battery", {"/good/producedIn": "MM", "/importingParty": "CN"}, "RCEP-001", P, ""),
    ("battery", {"/on": "2021-12-31"}, "RCEP-001", F, "agreement_not_in_force"),
    ("battery", {"/on": "2022-01-01"}, "RCEP-001", P, ""),
    ("proof", {"/exportingParty": "US"}, "RCEP-100", F, "not_a_party"),
    ("proof", {"/exportingParty": "MM", "/importingParty": "TH"}, "RCEP-100", I, "pair_unknown"),
    ("proof", {"/exportingParty": "PH", "/on": "2026-06-02"}, "RCEP-100", P, ""),
    # On 3.3
    ("ginger", {f"{WHOLLY}/in": None}, "RCEP-010", I, "wholly_obtained_unknown"),
    ("ginger", {WHOLLY: {"clause": "i", "in": "CN"}}, "RCEP-010", I, "wholly_obtained_unknown"),
    ("ginger", {WHOLLY: {"clause": "i", "in": "CN", "onlyForRecovery": True}}, "RCEP-010", P, ""),
    (
        "ginger",
        {WHOLLY: {"clause": "i", "in": "CN", "onlyForRecovery": False}},
        "RCEP-010",
        F,
        "wholly_obtained_fact",
    ),
    ("ginger", {WHOLLY: AT_SEA}, "RCEP-010", P, ""),
    ("ginger", {WHOLLY: AT_SEA | {"clause": "g"}}, "RCEP-010", P, ""),
    ("ginger", {WHOLLY: AT_SEA | {"clause": "h"}}, "RCEP-010", P, ""),
    ("ginger", {WHOLLY: AT_SEA | {"flag": "PA"}}, "RCEP-010", F, "wholly_obtained_fact"),
    ("ginger", {WHOLLY: AT_SEA | {"registeredIn": "PA"}}, "RCEP-010", F, "wholly_obtained_fact"),
    ("ginger", {WHOLLY: {"clause": "f"}}, "RCEP-010", I, "wholly_obtained_unknown"),
    ("ginger", {WHOLLY: {"clause": "h"}}, "RCEP-010", I, "wholly_obtained_unknown"),
    (
        "ginger",
        {WHOLLY: AT_SEA | {"zone": "territorial-sea"}},
        "RCEP-010",
        F,
        "wholly_obtained_fact",
    ),
    (
        "ginger",
        {WHOLLY: AT_SEA | {"clause": "g", "zone": "exclusive-economic-zone"}},
        "RCEP-010",
        F,
        "wholly_obtained_fact",
    ),
    (
        "ginger",
        {WHOLLY: AT_SEA | {"zone": "exclusive-economic-zone"}},
        "RCEP-010",
        I,
        "wholly_obtained_unknown",
    ),
    (
        "ginger",
        {WHOLLY: AT_SEA | {"zone": "exclusive-economic-zone", "rights": False}},
        "RCEP-010",
        F,
        "wholly_obtained_fact",
    ),
    (
        "ginger",
        {WHOLLY: AT_SEA | {"zone": "exclusive-economic-zone", "rights": True}},
        "RCEP-010",
        P,
        "",
    ),
    ("steel", {WHOLLY: {"clause": "a", "in": "MY"}}, "RCEP-010", F, "other_materials_used"),
    # On 3.2(b), Annex 3A
    ("battery", {"/materials": []}, "RCEP-011", I, "no_materials_stated"),
    ("battery", {"/good/hsEdition": "HS2012"}, "RCEP-012", I, "hs_edition_differs"),
    ("battery", {"/rulesEdition": None}, "RCEP-012", I, "product_rule_unknown"),
    ("battery", {"/on": "2021-12-31"}, "RCEP-012", I, "product_rule_unknown"),
    (
        "battery",
        {"/good/hs": "940360", "/rulesEdition": "rcep-hs2012"},
        "RCEP-012",
        I,
        "hs_edition_differs",
    ),
    # headnotes 5 to 7, 3.7
    ("trousers", {"/materials/0/hs": None}, "RCEP-020", F, "classification_unchanged"),
    ("trousers", {"/materials/0/hs": None}, "RCEP-021", F, "tolerance_exceeded"),
    ("trousers", {"/materials/0/hs": None}, "RCEP-022", I, "tolerance_unknown"),
    ("trousers", {"/materials/1/hs": None}, "RCEP-020", I, "material_not_classified"),
    ("trousers", {"/rule": ["CC except from 52"]}, "RCEP-022", F, "tolerance_exceeded"),
    ("trousers", {"/good/weightKg": None}, "RCEP-022", I, "whole_not_stated"),
    ("trousers", {"/materials/1/weightKg": None}, "RCEP-022", I, "tolerance_unknown"),
    ("trousers", {"/materials/1/weightKg": "10"}, "RCEP-022", P, ""),
    ("trousers", {"/materials/1/value": "20.000001"}, "RCEP-021", F, "tolerance_exceeded"),
    # On 3.5
    ("steel", {"/good/fob": None}, "RCEP-030", I, "whole_not_stated"),
    ("steel", {"/good/fob": None}, "RCEP-031", I, "whole_not_stated"),
    ("steel", {"/materials/0/value": None}, "RCEP-030", I, "value_not_stated"),
    ("steel", {"/materials/1/value": None}, "RCEP-031", I, "value_not_stated"),
    ("steel", {"/good/fob": "991.666666"}, "RCEP-030", F, "regional_value_too_low"),
    ("steel", {"/good/fob": "991.666667"}, "RCEP-030", P, ""),
    (
        "steel",
        {"/materials/0/deductions/0/amount": "9999"},
        "RCEP-030",
        F,
        "regional_value_too_low",
    ),
    ("steel", {"/materials/0/valueBasis": "CIF"}, "RCEP-033", P, ""),
    # On 3.6
    ("battery", {"/operations": [{"name": "cutting"}]}, "RCEP-060", I, "simple_not_stated"),
    ("battery", {"/operations": [{"name": "cutting", "simple": False}]}, "RCEP-060", P, ""),
    (
        "battery",
        {"/operations": [{"name": "slaughtering"}]},
        "RCEP-060",
        F,
        "minimal_operations_only",
    ),
    # A listed step is that step, however it is written; among other words it is not passed over.
    ("battery", {"/operations": [{"name": "Packaging"}]}, "RCEP-060", F, "minimal_operations_only"),
    (
        "battery",
        {"/operations": [{"name": "Printing labels"}]},
        "RCEP-060",
        F,
        "minimal_operations_only",
    ),
    ("battery", {"/operations": [{"name": "hand-sorting"}]}, "RCEP-060", I, "simple_not_stated"),
    (
        "battery",
        {"/operations": [{"name": "hand sorting", "simple": True}]},
        "RCEP-060",
        F,
        "minimal_operations_only",
    ),
    ("battery", {"/operations": [{"name": "laser cutting", "simple": False}]}, "RCEP-060", P, ""),
    ("battery", {"/operations": [{"name": "vacuum packing"}]}, "RCEP-060", I, "simple_not_stated"),
    ("battery", {"/operations": None}, "RCEP-060", I, "operations_not_stated"),
    ("polymer", {"/operations": None}, "RCEP-040", I, "operations_not_stated"),
    ("polymer", {"/operations": [{"name": "cooking"}]}, "RCEP-040", F, "no_chemical_reaction"),
    ("polymer", {"/operations/0/change": None}, "RCEP-040", I, "reaction_not_described"),
    # On 3.15
    ("proof", {"/route": []}, "RCEP-080", P, ""),
    ("proof", {"/route/0/operations": ["splitting"]}, "RCEP-080", I, "logistics_not_named"),
    ("proof", {"/route/0/operations": ["painting"]}, "RCEP-080", F, "processed_on_the_way"),
    ("proof", {"/route/0/customsControl": None}, "RCEP-081", I, "customs_control_not_stated"),
    # On 3.16 to 3.18, 3.21
    ("proof", {"/proof/shipped": None}, "RCEP-102", P, ""),
    ("proof", {"/proof/shipped": "2025-11-30"}, "RCEP-102", P, ""),
    ("proof", {"/proof/shipped": "2024-11-30"}, "RCEP-104", P, ""),
    ("proof", {"/proof/issuedRetroactively": None}, "RCEP-104", I, "retroactive_mark_missing"),
    ("proof", {"/proof/copyIssued": "2025-11-29"}, "RCEP-105", F, "copy_out_of_time"),
    (
        "proof",
        {"/on": "2026-12-01", "/proof/lateCause": "flood"},
        "RCEP-102",
        I,
        "proof_late_with_cause",
    ),
    ("declaration", {"/proof/approvedExporter": None}, "RCEP-106", I, "approved_exporter_unknown"),
    (
        "declaration",
        {"/proof/approvedExporter": {"code": "A"}},
        "RCEP-106",
        I,
        "approved_exporter_unknown",
    ),
    (
        "declaration",
        {"/proof/approvedExporter/code": None},
        "RCEP-106",
        F,
        "approved_exporter_code_missing",
    ),
    (
        "declaration",
        {"/proof/approvedExporter/until": "2026-02-28"},
        "RCEP-106",
        F,
        "approved_exporter_not_active",
    ),
    ("declaration", {"/proof/issued": "2023-12-31"}, "RCEP-106", F, "approved_exporter_not_active"),
    (
        "declaration",
        {
            "/proof/approvedExporter/chapters": ["09"],
            "/good": {"hs": "850760", "producedIn": "TH"},
        },
        "RCEP-106",
        F,
        "approved_exporter_other_goods",
    ),
    (
        "declaration",
        {"/proof/declaredBy": "importer"},
        "RCEP-101",
        F,
        "declaration_type_not_implemented",
    ),
    (
        "declaration",
        {"/proof/declaredBy": "importer", "/importingParty": "JP"},
        "RCEP-101",
        I,
        "declaration_type_unknown",
    ),
    (
        "declaration",
        {
            "/proof/declaredBy": "importer",
            "/importingParty": "JP",
            "/proof/importingPartyImplements": True,
        },
        "RCEP-101",
        P,
        "",
    ),
    ("declaration", {"/proof/declaredBy": "producer"}, "RCEP-101", I, "declaration_type_unknown"),
    (
        "declaration",
        {
            "/proof/declaredBy": "producer",
            "/proof/importingPartyImplements": True,
            "/proof/exportingPartyImplements": True,
        },
        "RCEP-101",
        P,
        "",
    ),
    (
        "declaration",
        {
            "/proof/declaredBy": "producer",
            "/proof/importingPartyImplements": True,
            "/proof/exportingPartyImplements": False,
        },
        "RCEP-101",
        F,
        "declaration_type_not_implemented",
    ),
    # On 3.19
    (
        "transit",
        {"/proof/backToBack/original/backToBack": True},
        "RCEP-110",
        I,
        "original_is_back_to_back",
    ),
    ("transit", {"/proof/backToBack/original/digest": K}, "RCEP-110", P, ""),
    (
        "transit",
        {"/proof/backToBack/original/digest": "cc" * 32},
        "RCEP-110",
        I,
        "origin_basis_unknown",
    ),
    ("transit", {"/proof/backToBack/original/issued": None}, "RCEP-111", I, "original_not_named"),
    ("transit", {"/proof/backToBack/validUntil": "2026-01-11"}, "RCEP-111", F, "outlives_original"),
    ("transit", {"/proof/backToBack/validUntil": "2026-01-04"}, "RCEP-102", F, "proof_expired"),
    ("transit", {"/on": "2026-01-10"}, "RCEP-102", P, ""),
    ("transit", {"/on": "2026-01-11"}, "RCEP-102", F, "proof_expired"),
    ("transit", {"/proof/issued": "2025-01-09"}, "RCEP-111", F, "original_not_valid_then"),
    ("transit", {"/proof/backToBack/quantity": None}, "RCEP-112", I, "quantity_not_stated"),
    ("transit", {"/proof/backToBack/unit": "KGM"}, "RCEP-112", I, "units_differ"),
    (
        "transit",
        {"/proof/backToBack/operations": ["labelling"]},
        "RCEP-113",
        I,
        "labelling_law_not_stated",
    ),
    (
        "transit",
        {
            "/proof/backToBack/operations": ["labelling"],
            "/proof/backToBack/labellingRequired": True,
        },
        "RCEP-113",
        P,
        "",
    ),
    (
        "transit",
        {
            "/proof/backToBack/operations": ["labelling"],
            "/proof/backToBack/labellingRequired": False,
        },
        "RCEP-113",
        F,
        "labelling_not_required",
    ),
    ("transit", {"/proof/backToBack/issuedBy": "US"}, "RCEP-114", F, "not_a_party"),
    ("transit", {"/proof/backToBack/issuedBy": "TH"}, "RCEP-114", F, "not_an_intermediate_party"),
    # On 3.22(3)
    ("proof", {"/proof": {"kind": "waived"}}, "RCEP-107", I, "customs_value_not_stated"),
    (
        "proof",
        {"/proof": {"kind": "waived", "customsValue": "200"}},
        "RCEP-107",
        I,
        "series_not_stated",
    ),
    (
        "proof",
        {"/proof": {"kind": "waived", "customsValue": "200", "series": True}},
        "RCEP-107",
        F,
        "series_of_consignments",
    ),
    (
        "proof",
        {"/proof": {"kind": "waived", "customsValue": "1", "series": False}, "/currency": "CNY"},
        "RCEP-107",
        I,
        "customs_value_not_stated",
    ),
    # On 2.6
    ("pepper", {"/tariff": {}}, "RCEP-121", I, "appendix_unknown"),
    (
        "pepper",
        {"/tariff": {"appendix": True}, "/good/fob": None},
        "RCEP-121",
        I,
        "value_not_stated",
    ),
    ("pepper", {"/tariff": {"appendix": True}, "/good/fob": "75"}, "RCEP-121", P, ""),
    (
        "pepper",
        {"/tariff": {"appendix": True}, "/good/fob": "74.99"},
        "RCEP-121",
        F,
        "domestic_value_too_low",
    ),
    ("pepper", {"/tariff": {}, "/importingParty": "AU"}, "RCEP-121", P, ""),
    ("pepper", {"/materials/0/value": None}, "RCEP-120", I, "contributions_unknown"),
]


def _outcome(case: dict[str, Any], rule: str) -> list[tuple[Outcome, str]]:
    answer = evaluate(read(case), GOOD)
    found = [*answer.checks]
    if answer.origin is not None:
        found += [*answer.origin.tried.tests, *answer.origin.counted.checks]
    if answer.country is not None:
        found += answer.country.checks
    return [(check.outcome, check.code) for check in found if check.id == rule]


@pytest.mark.parametrize(("base", "edits", "rule", "outcome", "code"), CASES)
def test_what_an_article_decides(
    base: str, edits: dict[str, Any], rule: str, outcome: Outcome, code: str
) -> None:
    assert (outcome, code) in _outcome(examples.edited(base, edits), rule)


COUNTRIES: list[tuple[str, dict[str, Any], str | None]] = [
    ("pepper", {}, "VN"),
    ("pepper", {"/operations/0/simple": False}, "SG"),
    ("pepper", {"/operations": None}, "VN"),
    ("pepper", {"/tariff": {"appendix": True}}, "SG"),
    ("pepper", {"/tariff": {"appendix": True, "domesticValue": "19"}}, "VN"),
    ("pepper", {"/tariff": {"appendix": False, "contributions": {"SG": "61", "VN": "60"}}}, "SG"),
    ("pepper", {"/tariff": {"appendix": False, "contributions": {"JP": "60", "VN": "60"}}}, None),
    ("pepper", {"/tariff": {"appendix": True}, "/good/fob": None}, None),
    ("ginger", {}, "CN"),
    ("battery", {"/tariff": {}}, "CN"),
]


@pytest.mark.parametrize(("base", "edits", "country"), COUNTRIES)
def test_the_rcep_country_of_origin(base: str, edits: dict[str, Any], country: str | None) -> None:
    answer = evaluate(read(examples.edited(base, edits)), GOOD)
    assert answer.country is not None
    assert answer.country.country == country


def test_the_importers_choices_name_rates_and_what_must_be_proven() -> None:
    rates = {"CN": "5", "KR": "3.5", "VN": "8", "AU": "9"}
    edits = {"/importingParty": "TH", "/tariff": {"appendix": False, "rates": rates}}
    battery = evaluate(read(examples.edited("battery", edits)), GOOD)
    assert battery.country is not None
    told = battery.country.options
    assert (told["rate"], told["2.6(6)(a)"], told["2.6(6)(b)"]) == ("5", "8", "9")
    shift = evaluate(read(examples.edited("battery", edits | {"/criterion": "CTC"})), GOOD)
    assert shift.country is not None
    assert (shift.country.options["2.6(6)(a)"], shift.country.options["2.6(6)(b)"]) == (None, "9")


def test_cumulation_ends_with_what_is_no_party_or_not_in_force() -> None:
    for edits, counts in (
        ({"/materials/0/from": "US"}, "non-originating"),
        ({"/materials/0/from": "PH", "/on": "2023-06-01"}, "non-originating"),
        ({"/materials/0/from": "PH", "/on": "2023-06-02"}, "originating"),
        ({"/materials/0/from": "MM", "/good/producedIn": "VN"}, "unknown"),
        ({"/cumulation": False}, "non-originating"),
        ({"/good/producedIn": "US"}, "non-originating"),
    ):
        report = evaluate(read(examples.edited("battery", edits)), GOOD).to_json()
        assert report["origin"]["materials"][0]["counts"] == counts, edits


def test_the_exporter_chooses_the_rule_and_else_the_first_that_shows_values() -> None:
    by_default = evaluate(read(examples.edited("battery", {})), GOOD).origin
    chosen = evaluate(read(examples.edited("battery", {"/criterion": "CTC"})), GOOD).origin
    assert by_default is not None
    assert chosen is not None
    assert (by_default.criterion, by_default.also) == ("RVC", ("CTC",))
    assert (chosen.criterion, chosen.also) == ("CTC", ("RVC",))


def test_transport_packing_never_counts_and_set_aside_lines_say_so() -> None:
    edits = {"/materials/0/role": "transport-packing", "/costs": None, "/rule": ["WO"]}
    report = evaluate(read(examples.edited("steel", edits))).to_json()
    assert report["origin"]["criterion"] == "PE"
    assert report["origin"]["materials"][0]["setAside"] == "PE, CTC, RVC"


def test_a_year_ends_on_its_anniversary_or_the_day_before() -> None:
    day = date(2025, 3, 17)
    assert last_day(day, 1, anniversary=True) == date(2026, 3, 17)
    assert last_day(day, 1, anniversary=False) == date(2026, 3, 16)
    assert last_day(date(2024, 2, 29), 1, anniversary=True) == date(2025, 2, 28)
