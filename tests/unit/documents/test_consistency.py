"""Differences are named member by member, with both values and both places."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import registry
from schemas.consistency import MAX_DIFFERENCES, Change, compare_payloads
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
