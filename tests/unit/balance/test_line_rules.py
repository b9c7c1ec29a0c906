"""What certificates say of lines, compared before a register is asked (COO-005, COO-016)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas import registry

COO = "preferential-certificate-of-origin"
BACK = "back-to-back-certificate-of-origin"


def found(document: dict[str, Any], rule: str) -> list[tuple[str, dict[str, Any]]]:
    """Where and with which values the rule complains; anything else is as it must be."""
    report = registry.examine(document["documentType"], json.dumps(document).encode())
    assert not [each for each in report.findings if each.rule.startswith("SCH")]
    return [(each.pointer, dict(each.values)) for each in report.findings if each.rule == rule]


def certificate(*measures: tuple[str, str], balance: dict[str, Any] | None) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(registry.example(COO))
    document["goods"] = lines(document, measures)
    document.pop("balance", None)
    return document | ({"balance": balance} if balance else {})


def lines(document: dict[str, Any], measures: Any) -> list[dict[str, Any]]:
    first = document["goods"][0]
    return [
        first | {"sequence": at, "quantity": {"value": value, "unit": unit}}
        for at, (value, unit) in enumerate(measures, 1)
    ]


def stated(value: str, unit: str = "KGM") -> dict[str, Any]:
    return {"register": "did:web:cn-cert.example", "quantity": {"value": value, "unit": unit}}


PATHS = {"balancePointer": "/balance/quantity/value", "linesPointer": "/goods"}


def test_a_stated_balance_is_compared_with_its_lines_and_both_are_shown() -> None:
    alike = [("30", "KGM"), ("70", "KGM")]
    assert found(certificate(*alike, balance=stated("100")), "COO-005") == []
    assert found(certificate(*alike, balance=stated("90")), "COO-005") == [
        ("/balance/quantity/value", {"balance": "90", "lines": "100", **PATHS})
    ]
    # Kilograms of what is counted in pieces: nothing to compare.
    assert found(certificate(("30", "H87"), balance=stated("90")), "COO-005") == []


def test_one_balance_over_lines_in_several_units_is_told_and_a_register_alone_is_not() -> None:
    mixed = [("30", "KGM"), ("70", "H87")]
    assert found(certificate(*mixed, balance=stated("100")), "COO-005") == [
        ("/balance/quantity", {"balance": "100 KGM", "lines": "30 KGM, 70 H87", **PATHS})
    ]
    register = {"register": "did:web:cn-cert.example"}
    assert found(certificate(*mixed, balance=register), "COO-005") == []
    assert found(certificate(*mixed, balance=None), "COO-005") == []


def back_to_back(*drawn: tuple[int, str, str, str], **more: Any) -> dict[str, Any]:
    """Drawn: line of the original, value, unit, the original's value."""
    document: dict[str, Any] = json.loads(registry.example(BACK))
    document["goods"] = lines(document, [(value, unit) for _, value, unit, _ in drawn])
    del document["backToBack"]["quantity"], document["backToBack"]["originalQuantity"]
    document["backToBack"]["lines"] = [
        {
            "line": line,
            "quantity": {"value": value, "unit": unit},
            "originalQuantity": {"value": whole, "unit": unit},
        }
        for line, value, unit, whole in drawn
    ]
    document["backToBack"] |= more
    return document


def test_what_is_drawn_by_line_stays_within_each_line_of_the_original() -> None:
    good = back_to_back((3, "20", "KGM", "500"), (7, "60", "H87", "60"))
    assert found(good, "COO-016") == found(good, "B2B-002") == []
    over = back_to_back((3, "20", "KGM", "500"), (7, "61", "H87", "60"))
    assert found(over, "COO-016") == [
        ("/backToBack/lines/1/quantity",
         {"quantity": "61", "original": "60",
          "originalPointer": "/backToBack/lines/1/originalQuantity"})
    ]  # fmt: skip
    twice = back_to_back((7, "40", "H87", "60"), (7, "40", "H87", "60"))
    assert found(twice, "COO-016") == [("/backToBack/lines/1/line", {"line": 7})]


def test_the_lines_add_up_to_what_is_drawn_unit_by_unit() -> None:
    document = back_to_back((1, "20", "KGM", "500"), (2, "60", "H87", "60"))
    document["goods"][1]["quantity"]["value"] = "59"
    assert found(document, "B2B-002") == [
        ("/backToBack/lines", {"drawn": "60", "lines": "59", "linesPointer": "/goods"})
    ]
    document["goods"][1]["quantity"]["unit"] = "TNE"
    assert found(document, "B2B-002") == [("/goods", {})]
    stated_too = {
        "quantity": {"value": "79", "unit": "KGM"},
        "originalQuantity": {"value": "560", "unit": "KGM"},
    }
    both = back_to_back((1, "20", "KGM", "500"), (2, "60", "KGM", "60"), **stated_too)
    assert [place for place, _ in found(both, "B2B-002")] == ["/backToBack/quantity/value"]


@pytest.mark.parametrize("kept", [("quantity",), ("originalQuantity",), ()])
def test_a_back_to_back_proof_says_what_it_draws_by_line_or_in_one(kept: tuple[str, ...]) -> None:
    document: dict[str, Any] = json.loads(registry.example(BACK))
    for name in {"quantity", "originalQuantity"} - set(kept):
        del document["backToBack"][name]
    report = registry.examine(BACK, json.dumps(document).encode())
    assert [each.rule for each in report.findings if each.rule.startswith("SCH")]
