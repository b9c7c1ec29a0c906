"""A ship certificate on a day: windows, delegations, registers (IMO FAL.5/Circ.39/Rev.2)."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.catalogue import explain
from schemas.documents.ship_certificate import view
from schemas.documents.ship_certificate.standing import Delegation, next_window, standing
from tests.unit.documents.example_edits import DROP, edited, example

SOCIETY = "did:web:heron-class.example"
GRANTED = Delegation("SG", SOCIETY, frozenset({"IOPP"}), datetime(2019, 1, 1, tzinfo=UTC))
NOW = datetime(2026, 11, 18, tzinfo=UTC)


def codes(document: dict[str, Any], at: datetime = NOW, **known: Any) -> list[str]:
    return [finding.rule for finding in standing(document, at, **known)]


def ship(**edits: Any) -> dict[str, Any]:
    return edited(example("ship-certificate"), edits)


def test_a_certificate_in_order_has_nothing_against_it() -> None:
    register = {"SG-HCS-24-0815-7F3K"}
    assert codes(ship(), delegations=[GRANTED], known_numbers=register) == []


@pytest.mark.parametrize(
    ("at", "missed"),
    [
        (datetime(2027, 6, 14, 23, 59, 59, tzinfo=UTC), []),
        (datetime(2027, 6, 15, tzinfo=UTC), ["SHP-010"]),
        (datetime(2028, 6, 15, tzinfo=UTC), ["SHP-010", "SHP-010"]),
        (datetime(2029, 3, 15, tzinfo=UTC), ["SHP-013", "SHP-010", "SHP-010"]),
    ],
)
def test_a_window_is_missed_the_day_after_it_ends(at: datetime, missed: list[str]) -> None:
    assert codes(ship(), at) == missed


def test_a_withdrawn_organisation_certifies_nothing_any_more() -> None:
    withdrawn = dataclasses.replace(GRANTED, until=datetime(2026, 11, 1, tzinfo=UTC))
    (finding,) = standing(ship(), NOW, delegations=[withdrawn])
    assert finding.rule == "SHP-011"
    assert finding.message.endswith("any more")
    assert codes(ship(), datetime(2026, 10, 31, tzinfo=UTC), delegations=[withdrawn]) == []


@pytest.mark.parametrize(
    "change",
    [
        {"flag": "PA"},
        {"organisation": "did:web:other.example"},
        {"certificate_types": frozenset({"ILL"})},
        {"since": datetime(2024, 4, 1, tzinfo=UTC)},
    ],
)
def test_a_delegation_of_something_else_is_none(change: dict[str, Any]) -> None:
    (finding,) = standing(ship(), NOW, delegations=[dataclasses.replace(GRANTED, **change)])
    assert finding.rule == "SHP-011"
    assert finding.message.endswith("at the date of issue")


def test_a_flag_administration_needs_no_delegation() -> None:
    own = ship(**{"/onBehalfOf": "FLAG_ADMINISTRATION"})
    assert codes(own, delegations=[]) == []
    assert codes(ship(), delegations=[]) == ["SHP-011"]


def test_a_number_that_the_register_does_not_know_belongs_to_no_certificate() -> None:
    assert codes(ship(), known_numbers=set()) == ["SHP-012"]


def test_without_lists_nothing_is_said_about_them() -> None:
    assert codes(ship(**{"/issuer/did": DROP, "/trackingNumber": "1234567"})) == []


def test_the_view_tells_the_last_endorsement_and_the_next_window() -> None:
    facts = view(example("ship-certificate")).facts
    assert facts["lastEndorsement"] == "2026-04-11"
    window = {"kind": "ANNUAL", "from": "2026-12-14", "until": "2027-06-14"}
    assert facts["nextWindow"] == window
    assert next_window(ship(**{"/endorsements": []})) is None
    assert "lastEndorsement" not in view(ship(**{"/endorsements": []})).facts


def test_a_certificate_that_ends_on_a_leap_day_has_anniversaries() -> None:
    from tests.unit.documents.example_edits import rules_of

    leap = ship(
        **{
            "/validUntil": "2028-02-29",
            "/endorsements": [
                {"kind": "ANNUAL", "dueFrom": "2025-12-01", "dueUntil": "2026-05-01"}
            ],
        }
    )
    assert "SHP-008" not in rules_of("ship-certificate", leap)


@pytest.mark.parametrize("rule", ["SHP-010", "SHP-011", "SHP-012", "SHP-013"])
def test_every_finding_of_a_day_is_explained(rule: str) -> None:
    entry = explain(rule)
    assert entry is not None
    assert all((entry.en, entry.zh, entry.next, entry.next_zh, entry.source))
