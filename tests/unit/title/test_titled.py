"""Which documents carry title, how, and on what basis (`schemas.titled`)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from protocols.title.machine import Bill
from schemas import registry, titled
from schemas.errors import RefusedError
from schemas.titled import LegalBasis
from tests.unit.documents.example_edits import DROP, edited, example, rules_of

MASTER = titled.NEGOTIABLE_MULTIMODAL


def kind(key: str, *, endorsee: bool = True, **edits: Any) -> Bill:
    payload = json.dumps(edited(example(key), edits)).encode()
    return Bill(titled.kind_of(key, payload, endorsee=endorsee))


def refusal(key: str, *, endorsee: bool = True, **edits: Any) -> str:
    with pytest.raises(RefusedError) as error:
        kind(key, endorsee=endorsee, **edits)
    return error.value.code


@pytest.mark.parametrize(
    ("said", "basis"),
    [
        ("Contract: multimodal rules of the corridor, 2026", LegalBasis.CONTRACT),
        ("Law: CN-MC-2025", LegalBasis.NATIONAL_LAW),
        ("law:Civil Code, art. 914", LegalBasis.NATIONAL_LAW),
        ("United Nations Convention on Negotiable Cargo Documents", LegalBasis.UN_CONVENTION),
        ("UN Convention on Negotiable Cargo Documents, 2025", LegalBasis.UN_CONVENTION),
        ("Contract:", None),
        ("Law: ", None),
        ("custom of the trade", None),
        ("the United Nations Convention on something else", None),
        (DROP, None),
    ],
)
def test_a_legal_basis_is_a_contract_a_law_or_the_convention(
    said: Any, basis: LegalBasis | None
) -> None:
    document = edited(example(MASTER), {"/legalBasis": said})
    assert titled.legal_basis(document) is basis
    if basis is None:
        assert refusal(MASTER, **{"/legalBasis": said}) == "title_no_legal_basis"
    elif said is not DROP:
        assert "NMD-004" not in rules_of(MASTER, document)


@pytest.mark.parametrize(
    ("word", "endorsee", "expected"),
    [
        ("STRAIGHT", True, Bill.STRAIGHT),
        ("TO_ORDER", True, Bill.TO_ORDER),
        ("BLANK", False, Bill.BLANK),
        ("STRAIGHT", False, None),
        ("TO_ORDER", False, None),
        ("BLANK", True, None),
        ("ANY", True, None),
        (DROP, True, None),
    ],
)
def test_a_master_passes_as_its_order_says_and_as_the_issue_names(
    word: Any, endorsee: bool, expected: Bill | None
) -> None:
    edits = {"/toOrder": word}
    if expected is None:
        assert refusal(MASTER, endorsee=endorsee, **edits) == "title_not_a_bill"
    else:
        assert kind(MASTER, endorsee=endorsee, **edits) is expected


def test_a_bill_of_lading_passes_by_dcsa_and_a_waybill_under_its_name_does_not() -> None:
    bill = titled.BILL_OF_LADING
    assert kind(bill, **{"/isToOrder": True}) is Bill.TO_ORDER
    assert kind(bill, endorsee=False, **{"/isToOrder": True}) is Bill.BLANK
    assert kind(bill, **{"/isToOrder": False}) is Bill.STRAIGHT
    for edits in (
        {"/transportDocumentStatus": "DRAFT"},
        {"/transportDocumentTypeCode": "SWB"},
    ):
        assert refusal(bill, **edits) == "title_not_a_bill"
    assert refusal(bill, endorsee=False, **{"/isToOrder": False}) == "title_not_a_bill"


def test_not_negotiable_master_has_no_basis() -> None:
    assert refusal(MASTER, **{"/negotiable": False}) == "title_no_legal_basis"


@pytest.mark.parametrize("key", sorted(set(registry.document_types()) - set(titled.TYPES)))
def test_no_other_type_ever_carries_title(key: str) -> None:
    with pytest.raises(RefusedError) as error:
        titled.kind_of(key, b"", endorsee=True)
    assert error.value.code == "title_document_not_negotiable"
