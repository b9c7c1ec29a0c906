"""Lenient access never raises and never guesses."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import fields

NODE: dict[str, Any] = {
    "text": "a",
    "empty": "",
    "yes": True,
    "count": 3,
    "whole": 4.0,
    "half": 0.5,
    "price": "1.50",
    "list": ["a", 1, {"x": "y"}, ""],
    "weight": {"value": "2", "unit": "TNE"},
}


def test_a_pointer_escapes_names() -> None:
    assert fields.pointer("a/b", 0, "m~n") == "/a~1b/0/m~0n"
    assert fields.pointer() == ""


def test_members_are_found_by_path_or_are_none() -> None:
    assert fields.member(NODE, "list", 2, "x") == "y"
    assert fields.member(NODE, "list", 9) is None
    assert fields.member(NODE, "text", "x") is None
    assert fields.member(NODE, 0) is None
    assert fields.member(NODE) is NODE


def test_each_kind_is_returned_only_as_that_kind() -> None:
    assert fields.text(NODE, "text") == "a"
    assert fields.text(NODE, "empty") is None
    assert fields.text(NODE, "count") is None
    assert fields.flag(NODE, "yes") is True
    assert fields.flag(NODE, "text") is None
    assert fields.integer(NODE, "count") == 3
    assert fields.integer(NODE, "whole") == 4
    assert fields.integer(NODE, "half") is None
    assert fields.integer(NODE, "yes") is None
    assert fields.texts(NODE, "list") == ("a",)
    assert fields.texts(NODE, "text") == ()
    assert list(fields.objects(NODE, "list")) == [("/list/2", {"x": "y"})]
    assert list(fields.objects(NODE, "text")) == []


def test_decimals_are_exact() -> None:
    assert fields.decimal(NODE, "price") == Decimal("1.50")
    assert fields.decimal(NODE, "half") == Decimal("0.5")
    assert fields.decimal(NODE, "yes") is None
    assert fields.decimal(NODE, "text") is None
    assert fields.decimal({"a": "1e9"}, "a") is None
    assert fields.decimal({"a": "٣"}, "a") is None


def test_weights_are_converted_to_kilograms() -> None:
    assert fields.weight_in_kilograms(NODE, "weight") == 2000
    assert fields.weight_in_kilograms({"value": "1", "unit": "H87"}) is None
    assert fields.weight_in_kilograms({"unit": "KGM"}) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-11-18T09:00:00Z", datetime(2026, 11, 18, 9, tzinfo=UTC)),
        ("2026-11-18t09:00:00.5+08:00", datetime(2026, 11, 18, 1, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-11-18T09:00:00", None),
        ("2026-13-18T09:00:00Z", None),
        ("0001-01-01T00:00:00+01:00", None),
        ("2026-11-18", None),
        (None, None),
    ],
)
def test_instants_need_a_zone_and_must_exist(value: str | None, expected: datetime | None) -> None:
    assert fields.instant(value) == expected


def test_a_date_counts_from_its_first_to_its_last_moment() -> None:
    assert fields.beginning("2026-11-18") == datetime(2026, 11, 18, tzinfo=UTC)
    assert fields.end("2026-11-18") == datetime(2026, 11, 18, 23, 59, 59, 999_000, tzinfo=UTC)
    assert fields.end("2026-11-18T09:00:00Z") == datetime(2026, 11, 18, 9, tzinfo=UTC)
    assert fields.beginning("2026-02-30") is None
    assert fields.end(None) is None


def test_walking_names_array_elements_by_their_array() -> None:
    node: dict[str, Any] = {"a": [{"b": 1}], "c/d": {"b": None}, "b": [2]}
    assert list(fields.walk(node, {"b"})) == [
        ("/a/0/b", "b", 1),
        ("/c~1d/b", "b", None),
        ("/b", "b", [2]),
        ("/b/0", "b", 2),
    ]
    assert list(fields.walk(node, {"a"})) == [("/a", "a", [{"b": 1}]), ("/a/0", "a", {"b": 1})]
    assert list(fields.walk(7, {"a"})) == []
    assert [place for place, _, _ in fields.walk([1, {"a": 2}])] == ["/0", "/1", "/1/a"]


@given(st.text(max_size=40))
def test_no_text_makes_a_date_raise(value: str) -> None:
    fields.beginning(value)
    fields.end(value)
