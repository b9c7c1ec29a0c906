"""Code lists: complete against the shared extracts, exact in spelling."""

from __future__ import annotations

import json

import pytest

from schemas import code_lists
from tests.shared import shared_path

EXTRACTS = {
    "country": "iso3166_alpha2",
    "currency": "iso4217",
    "unit": "rec20_unit",
    "package": "rec21_package_type",
    "transport-mode": "rec19_transport_mode",
    "document": "untdid1001_document",
    "party-role": "untdid3035_party_role",
    "reference": "untdid1153_reference",
    "document-status": "untdid1373_doc_status",
    "government-action": "gov_action_9417",
    "dangerous-goods-regulation": "dg_regulation",
    "equipment": "untdid8053_equipment",
    "message-function": "untdid1225_message_function",
    "process": "process_type_7187",
    "carriage-condition": "untdid4065_contract_carriage",
    "seal-party": "seal_party_9303",
    "seal-condition": "seal_condition_4517",
    "equipment-fullness": "full_empty_8169",
    "date-format": "date_format_2379",
}


@pytest.mark.parametrize("list_id", sorted(EXTRACTS))
def test_carries_exactly_the_codes_of_the_standard(list_id: str) -> None:
    path = shared_path(f"vectors/documents/codelists/{EXTRACTS[list_id]}.json")
    assert set(code_lists.codes(list_id)) == set(json.loads(path.read_bytes())["codes"])


@pytest.mark.parametrize(
    ("list_id", "code", "known"),
    [
        ("country", "CN", True),
        ("country", "cn", False),
        ("country", "UK", False),
        ("currency", "CNY", True),
        ("unit", "KGM", True),
        ("unit", "KG", False),
        ("package", "CT", True),
        ("package", "CTN", False),
        ("transport-mode", "1", True),
        ("transport-mode", 1, False),
        ("document", "851", True),
        ("incoterm", "FOB", True),
    ],
)
def test_knows_a_code_only_in_its_exact_spelling(list_id: str, code: object, known: bool) -> None:
    assert code_lists.contains(list_id, code) is known


def test_every_shared_list_is_carried() -> None:
    """Incoterms are carried as the chamber's eleven rules, which D23B's extract is not."""
    folder = shared_path("vectors/documents/codelists")
    assert {path.stem for path in folder.glob("*.json")} == {*EXTRACTS.values(), "incoterms_4053"}
    extract = json.loads((folder / "incoterms_4053.json").read_bytes())["codes"]
    assert set(code_lists.codes("incoterm")) - set(extract) == {"DPU"}
    assert set(extract) - set(code_lists.codes("incoterm")) == {"1", "2"}


def test_carries_the_eleven_rules_of_incoterms_2020_and_all_lists() -> None:
    rules = "EXW FCA CPT CIP DAP DPU DDP FAS FOB CFR CIF"
    assert set(code_lists.codes("incoterm")) == set(rules.split())
    assert set(code_lists.LISTS) == {*EXTRACTS, "incoterm"}


def test_gives_names() -> None:
    assert code_lists.name("package", "CT") == "Carton"
    assert code_lists.name("package", "??") is None


def test_an_unknown_list_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="no code list colour"):
        code_lists.contains("colour", "red")


@pytest.mark.parametrize(
    ("code", "known"),
    [
        ("CNSHA", True),
        ("NLRTM", True),
        ("XXABC", False),
        ("CNSH1", False),
        ("cnsha", False),
        (7, False),
    ],
)
def test_place_codes_are_checked_by_form_and_country(code: object, known: bool) -> None:
    assert code_lists.is_locode(code) is known


@pytest.mark.parametrize(
    ("code", "known"),
    [("091011", True), ("980000", False), ("000000", False), ("09101100", False), (91011, False)],
)
def test_commodity_codes_are_checked_by_form(code: object, known: bool) -> None:
    assert code_lists.is_hs6(code) is known
