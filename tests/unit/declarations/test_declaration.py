"""Declarations drawn from the papers of one data set, without a node."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from protocols import declaration
from protocols.declaration import EXPORT, IMPORT, Filing, Source
from schemas import registry, strict_json
from schemas.errors import RefusedError

ISSUER = {"name": "Anhe Fresh Produce Co., Ltd.", "country": "CN", "did": "did:web:exp-a.example"}
FILED = Filing(EXPORT, "CN-EX-1", "CN2225", "10", date(2026, 10, 14), ISSUER)
GINGER = ("commercial-invoice", "packing-list", "bill-of-lading", "certificate-of-origin")


def source(key: str, **more: Any) -> Source:
    document = json.loads(registry.example(key)) | more
    number = document.get("number") or document["transportDocumentReference"]
    return Source(key, number, key.encode().hex()[:16].ljust(64, "0"), document)


def papers(*keys: str) -> list[Source]:
    return [source(key) for key in keys or GINGER]


@pytest.mark.parametrize("filing", [FILED, replace(FILED, type=IMPORT, office="NL000510")])
def test_what_is_drawn_satisfies_its_profile_and_rules(filing: Filing) -> None:
    drawn = declaration.draw(papers(), filing)
    examination = registry.examine(filing.type, strict_json.canonical(drawn.document))
    assert examination.errors == ()
    assert drawn.document["transport"] == {
        "mode": "1",
        "vessel": {"name": "NORTHERN HERON"},
        "voyage": "031W",
        "portOfLoading": "CNSHA",
        "portOfDischarge": "NLRTM",
        "departureDate": "2026-10-15",
    }
    assert examination.view.facts["dataSet"] == drawn.data_set


def test_the_data_set_does_not_depend_on_the_order_of_the_papers() -> None:
    one, other = papers(), papers()[::-1]
    assert declaration.data_set(one) == declaration.data_set(other)
    assert declaration.draw(one, FILED).document == declaration.draw(other, FILED).document
    assert declaration.data_set(one[1:]) != declaration.data_set(one)


def test_what_no_paper_says_is_named_and_nothing_is_made_up() -> None:
    with pytest.raises(RefusedError) as caught:
        declaration.draw(papers("packing-list"), FILED)
    assert caught.value.code == "declaration_data_missing"
    assert {"transport", "invoice", "goods"} <= set(caught.value.detail.split(", "))
    with pytest.raises(RefusedError) as nothing:
        declaration.draw([], FILED)
    assert "parties/exporter" in nothing.value.detail


def test_a_line_takes_from_the_next_paper_what_the_invoice_leaves_out() -> None:
    invoice = source("commercial-invoice")
    del invoice.document["goods"][0]["originCountry"]
    drawn = declaration.draw([invoice, *papers(*GINGER[1:])], FILED)
    taken = {place: digest for place, digest, _ in drawn.origins}
    assert taken["/goods/0/originCountry"] == source("packing-list").digest
    assert taken["/goods/0/marks"] == source("packing-list").digest


def test_a_preference_rests_on_a_proof_of_the_data_set() -> None:
    claimed = replace(FILED, type=IMPORT, office="NL000510", preference=True, counterpart="CN-EX-1")
    with pytest.raises(RefusedError) as caught:
        declaration.draw(papers(), claimed)
    assert "a proof of origin" in caught.value.detail
    proof = source("preferential-certificate-of-origin")
    drawn = declaration.draw([*papers(), proof], claimed)
    (line,) = drawn.document["goods"]
    assert line["preference"]["agreement"] == "RCEP"
    assert drawn.document["exportDeclaration"] == {"type": EXPORT, "number": "CN-EX-1"}


def test_carriage_by_rail_is_of_mode_two_and_a_master_counts_by_its_last_leg() -> None:
    rest = [source("commercial-invoice")]
    note = declaration.draw([*rest, source("rail-consignment-note")], FILED).document
    assert note["transport"] == {"mode": "2", "portOfDischarge": "KZALA"}
    master = declaration.draw([*rest, source("master-transport-document")], FILED).document
    assert master["transport"]["mode"] == "2"
