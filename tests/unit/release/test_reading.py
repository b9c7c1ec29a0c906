"""From views to facts: who said an event, and what kind a transport document is."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from protocols.release import reading
from schemas.view import View

NOW = datetime(2026, 11, 18, 9, 0, tzinfo=UTC)
DIGEST = b"\x01" * 32
NODES = {
    "did:web:nl-port.example": SimpleNamespace(country="NL", roles=("port",)),
    "did:web:nl-customs.example": SimpleNamespace(country="NL", roles=("customs",)),
    "did:web:cn-port.example": SimpleNamespace(country="CN", roles=("port", "terminal")),
    "did:web:nhl.example": SimpleNamespace(country="NL", roles=("carrier",)),
}
MEMBERS: Any = SimpleNamespace(node=NODES.get)


def held(named: str, issuer: str = "did:web:nl-port.example", **facts: Any) -> Any:
    claims = SimpleNamespace(document_type=named, number="N-1", issuer=issuer, valid_from=NOW)
    view = View(type=named, number="N-1", facts=facts)
    document = SimpleNamespace(claims=claims, view=view, digest=DIGEST)
    report = SimpleNamespace(checks=())
    return reading.Held(document, report, SimpleNamespace(value=document))


@pytest.mark.parametrize(
    ("issuer", "terminal", "holds"),
    [
        ("did:web:nl-port.example", True, True),
        ("did:web:nl-customs.example", False, True),
        ("did:web:cn-port.example", False, False),
        ("did:web:nhl.example", False, False),
        ("did:web:stranger.example", False, False),
    ],
)
def test_an_event_counts_by_who_said_it_and_where(issuer: str, terminal: bool, holds: bool) -> None:
    one = held(reading.EVENT, issuer, event="HOLD", occurredAt="2026-11-18T08:00:00Z", reason="x")
    fact = reading._event(one, MEMBERS, "NL")
    assert (fact.by_terminal, fact.may_hold) == (terminal, holds)
    assert (fact.event, fact.reason, fact.at) == ("HOLD", "x", NOW.replace(hour=8))


def test_an_event_is_never_later_than_its_signature_nor_without_a_moment() -> None:
    for text in ("2026-12-18T08:00:00Z", "soon"):
        assert reading._event(held(reading.EVENT, occurredAt=text), MEMBERS, "NL").at == NOW


@pytest.mark.parametrize(
    ("kind", "facts", "wanted"),
    [
        ("sea-waybill", {}, "waybill"),
        ("bill-of-lading", {"kind": "straight", "documentKind": "SWB"}, "waybill"),
        ("bill-of-lading", {"kind": "straight"}, "straight"),
        ("negotiable-multimodal-document", {"kind": "multimodal"}, "to-order"),
        ("negotiable-multimodal-document", {"toOrder": "TO_ORDER"}, "to-order"),
        ("negotiable-multimodal-document", {"toOrder": "STRAIGHT"}, "straight"),
        ("negotiable-multimodal-document", {"toOrder": "BLANK"}, "blank"),
        ("master-transport-document", {"kind": "multimodal", "negotiable": True}, "to-order"),
        ("master-transport-document", {"kind": "multimodal"}, "multimodal"),
    ],
)
def test_the_kind_of_transport_document_decides_about_surrender(
    kind: str, facts: dict[str, Any], wanted: str
) -> None:
    assert reading._transport(held(kind, **facts)).kind == wanted
