"""Differences are named member by member, with both values and both places."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import registry
from schemas.consistency import MAX_DIFFERENCES, Change, compare_payloads, compare_views
from schemas.errors import MalformedError

BILL = registry.example("bill-of-lading")
GROSS = "/consignmentItems/0/cargoItems/0/cargoGrossWeight/value"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=6,
)


def test_an_altered_gross_weight_is_named_with_both_values() -> None:
    altered = BILL.replace(b"26460", b"29460")
    assert altered != BILL
    (difference,) = compare_payloads(BILL, altered)
    assert difference.pointer == GROSS
    assert (difference.left, difference.right) == (26460, 29460)
    assert difference.to_json() == {
        "pointer": GROSS,
        "change": "changed",
        "left": 26460,
        "right": 29460,
    }


def test_missing_members_and_elements_are_told_apart_from_null() -> None:
    found = compare_payloads(b'{"a":null,"b":[1,2]}', b'{"b":[1],"c":null}')
    assert [(one.pointer, one.change) for one in found] == [
        ("/a", Change.MISSING_RIGHT),
        ("/b/1", Change.MISSING_RIGHT),
        ("/c", Change.MISSING_LEFT),
    ]
    (longer,) = compare_payloads(b"[1]", b"[1,2]")
    assert longer.change is Change.MISSING_LEFT


def test_numbers_are_compared_by_value_and_never_with_booleans() -> None:
    assert compare_payloads(b'{"a":12000}', b'{"a":12000.0}') == ()
    assert len(compare_payloads(b'{"a":1}', b'{"a":true}')) == 1
    assert len(compare_payloads(b'{"a":{}}', b'{"a":[]}')) == 1


def test_the_list_of_differences_is_bounded() -> None:
    left, right = (json.dumps([n + k for n in range(500)]).encode() for k in (0, 1))
    assert len(compare_payloads(left, right)) == MAX_DIFFERENCES


def test_what_is_no_json_cannot_be_compared() -> None:
    with pytest.raises(MalformedError):
        compare_payloads(b"{", b"{}")


@given(VALUES)
def test_a_value_does_not_differ_from_itself(value: Any) -> None:
    payload = json.dumps(value).encode()
    assert compare_payloads(payload, payload) == ()


@given(VALUES, VALUES)
def test_differing_values_are_always_found(left: Any, right: Any) -> None:
    one, other = json.dumps(left, sort_keys=True), json.dumps(right, sort_keys=True)
    found = compare_payloads(one.encode(), other.encode())
    assert bool(found) == (one != other)


def test_documents_about_the_same_goods_agree_in_the_examples() -> None:
    keys = ("bill-of-lading", "packing-list", "certificate-of-origin", "phytosanitary-certificate")
    views = [registry.examine(key, registry.example(key)).view for key in keys]
    for one in views:
        for other in views:
            assert compare_views(one, other) == ()


def test_each_disagreement_shows_both_values_and_both_places() -> None:
    bill = registry.examine("bill-of-lading", BILL).view
    packed = registry.examine("packing-list", registry.example("packing-list")).view
    other = replace(
        packed,
        gross_kg=Decimal(29460),
        net_kg=Decimal(1),
        packages=1,
        containers=("NHLU4188222",),
        hs=("080510",),
        import_country="BE",
        port_of_discharge="BEANR",
        consignment="6CNX",
    )
    found = compare_views(replace(bill, consignment="6CNY"), other)
    assert [one.rule for one in found] == [
        "XDC-001",
        "XDC-002",
        "XDC-003",
        "XDC-006",
        "XDC-007",
        "XDC-008",
        "XDC-004",
        "XDC-005",
    ]
    assert found[0].values["left"] == "26460"
    assert found[0].values["right"] == "29460"
    assert found[0].values["leftPointer"] == GROSS
    assert found[0].values["rightPointer"] == "/totals/grossWeight/value"
    assert found[0].values["rightDocument"] == "packing-list ANHE-26-1107-P"
