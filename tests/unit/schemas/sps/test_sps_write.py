"""The certificate writer: canonical bytes out, the same facts back, nothing broken leaves."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import sps
from schemas.errors import MalformedError
from tests.shared import shared_path
from tests.support.ginger import ginger

words = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=12)


def without_derived(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: facts[name] for name in facts if name not in {"generation", "status"}}


def test_what_is_written_reads_back_as_the_same_facts() -> None:
    fields, findings = sps.examine(sps.write(ginger()))
    assert findings == ()
    assert without_derived(fields["facts"]) == ginger()


def test_writing_is_deterministic_and_stable() -> None:
    once = sps.write(ginger())
    assert once == sps.write(sps.examine(once)[0]["facts"])


def test_the_story_of_the_ginger_fits_its_certificate() -> None:
    story = json.loads(shared_path("story/story.json").read_bytes())
    consignment = story["consignments"][0]
    goods = consignment["goods"][0]
    fields = sps.examine(sps.write(ginger()))[0]
    assert fields["containers"] == consignment["containers"]
    assert fields["hs"] == [goods["hs"]]
    assert fields["packages"] == goods["pkgs"]
    assert fields["grossKg"] == str(goods["gross_kg"])
    assert fields["netKg"] == str(goods["net_kg"])


def test_the_shared_certificate_survives_a_rewriting() -> None:
    path = shared_path("vectors/documents/ephyto_xml/own/ok_pc.xml")
    facts = sps.examine(path.read_bytes())[0]["facts"]
    again, findings = sps.examine(sps.write(facts))
    assert again["facts"] == facts
    assert findings == ()


@given(words, words, st.lists(words, max_size=5), st.lists(words, max_size=3))
def test_any_words_survive(number: str, name: str, address: list[str], said: list[str]) -> None:
    facts = ginger(
        number=number,
        consignor={"name": name, **({"address": address} if address else {})},
        notes=[{"subject": "ADEDL", "content": word} for word in said] or ginger()["notes"],
    )
    assert without_derived(sps.examine(sps.write(facts))[0]["facts"]) == facts


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({"number": ""}, {"PHY-010"}),
        ({"lines": []}, {"PHY-031"}),
        ({"importCountry": "CN"}, {"PHY-021"}),
    ],
)
def test_a_certificate_that_breaks_a_rule_is_not_written(
    changes: dict[str, Any], rules: set[str]
) -> None:
    with pytest.raises(MalformedError) as caught:
        sps.write(ginger(**changes))
    assert caught.value.code == "sps_not_writable"
    assert {item.rule for item in caught.value.findings} == rules


@pytest.mark.parametrize(
    "changes", [{"number": "a\x00b"}, {"number": 7}, {"lines": ["ginger"]}, {"notes": 1}]
)
def test_data_of_the_wrong_kind_are_not_written(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedError) as caught:
        sps.write(ginger(**changes))
    assert caught.value.code == "sps_not_writable"


def test_little_is_enough() -> None:
    line = {
        "sequence": "1",
        "description": ["Ginger"],
        "origins": [{"country": "CN"}],
        "notes": [{"subject": "OPTND", "content": "10 cartons"}],
        "treatments": [{"typeCode": "ZZZ", "end": "2026-11-16"}, {"typeCode": "ZZZ"}],
    }
    facts = {
        "number": "1",
        "typeCode": "851",
        "statusCode": "70",
        "issuedAt": "2026-11-18T01:30:00.000Z",
        "place": "Qingdao",
        "exportCountry": "CN",
        "importCountry": "NL",
        "lines": [line],
    }
    fields, findings = sps.examine(sps.write(facts))
    assert {item.rule for item in findings} == {"PHY-037", "PHY-051"}
    assert fields["facts"]["lines"] == [line]
    assert b"Signatory" not in sps.write(facts | {"place": ""})
