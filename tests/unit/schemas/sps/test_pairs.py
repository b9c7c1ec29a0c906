"""Certificates beside those that came before them (PHY-012, PHY-061, PHY-080)."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.sps.pairs import pair_findings


def facts(number: str = "1", country: str = "CN", **more: Any) -> dict[str, Any]:
    return {
        "number": number,
        "exportCountry": country,
        "status": "ISSUED",
        "typeCode": "851",
    } | more


def noted(**notes: str) -> list[dict[str, str]]:
    return [{"subject": subject, "content": said} for subject, said in notes.items()]


def rules(one: dict[str, Any], *held: dict[str, Any]) -> list[str]:
    return [each.rule for each in pair_findings(one, held)]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("ISSUED", "WITHDRAWN", []),
        ("WITHDRAWN", "ISSUED", ["PHY-012"]),
        ("WITHDRAWN", "WITHDRAWN", []),
        ("", "ISSUED", []),
    ],
)
def test_what_was_withdrawn_is_not_issued_again(
    before: str, after: str, expected: list[str]
) -> None:
    assert rules(facts(status=after), facts(status=before)) == expected


def test_a_number_is_one_authoritys_own() -> None:
    assert rules(facts(), facts(country="TH", status="WITHDRAWN")) == []


def test_a_re_export_has_its_original_beside_it_and_is_not_its_own() -> None:
    again = facts("2", "SG", typeCode="657", notes=noted(RPCRF="1", RPCCO="CN"))
    assert rules(again, facts("1")) == []
    assert rules(again, facts("3")) == ["PHY-061"]
    assert rules(again, facts("1", "TH")) == ["PHY-061"]
    assert rules(again | {"number": "1"}, facts("3")) == ["PHY-061"]
    assert rules(facts("2", typeCode="657"), facts("3")) == []


def test_only_one_of_replaced_and_replacing_is_in_force() -> None:
    newer = facts("2", notes=noted(ADRPN="1"))
    assert rules(newer, facts("1")) == ["PHY-080"]
    assert rules(newer, facts("1", status="WITHDRAWN")) == []
    assert rules(newer, facts("1", "TH")) == []
    assert rules(newer, facts("3")) == []
