"""Consignment B of the story: battery packs that stand on a Korean and a Vietnamese input."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.findings import Outcome
from schemas.origin import basis_lost, evaluate, read
from tests.shared import shared_path

KR, VN = "a" * 64, "b" * 64
GOOD = {KR: Outcome.PASSED, VN: Outcome.PASSED}


def story() -> dict[str, Any]:
    data = json.loads(shared_path("story/story.json").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = []
    _collect(data, found)
    assert len(found) == 1
    return found[0]


def _collect(node: Any, found: list[dict[str, Any]]) -> None:
    if isinstance(node, dict):
        if "rvc" in node and "if_KR_input_certificate_revoked" in node["rvc"]:
            found.append(node["rvc"])
        for value in node.values():
            _collect(value, found)
    elif isinstance(node, list):
        for value in node:
            _collect(value, found)


def question(told: dict[str, Any], *, cumulation: bool = True) -> dict[str, Any]:
    digests = {"KR": KR, "VN": VN}
    materials = []
    for part in told["inputs"]:
        line = {"id": part["part"], "hs": part["hs"], "value": str(part["value"])}
        line["from"] = part["origin"]
        line["origin"] = "originating" if part["coo"] else "non-originating"
        if part["coo"]:
            line["certificate"] = {
                "issuer": f"did:web:{part['origin'].lower()}.example",
                "number": part["coo"],
                "digest": digests[part["origin"]],
            }
        materials.append(line)
    return {
        "on": "2026-11-08",
        "currency": "USD",
        "cumulation": cumulation,
        "exportingParty": "CN",
        "importingParty": "SG",
        "good": {
            "hs": "850760",
            "hsEdition": "HS2022",
            "producedIn": "CN",
            "fob": str(told["fob"]),
        },
        "rulesEdition": "demonstration-hs2022",
        "materials": materials,
        "operations": [{"name": "assembling", "simple": False}],
    }


def _test(report: dict[str, Any], rule: str) -> dict[str, Any]:
    found: dict[str, Any] = next(test for test in report["tests"] if test["id"] == rule)
    return found


@pytest.mark.parametrize(
    ("statuses", "cumulation", "member", "shift"),
    [
        (GOOD, False, "without_cumulation", "FAILED"),
        (GOOD, True, "with_cumulation", "PASSED"),
        (GOOD | {KR: Outcome.FAILED}, True, "if_KR_input_certificate_revoked", "FAILED"),
    ],
)
def test_the_storys_numbers_come_out(
    statuses: dict[str, Outcome], cumulation: bool, member: str, shift: str
) -> None:
    told = story()
    report = evaluate(read(question(told, cumulation=cumulation)), statuses).to_json()
    origin = report["origin"]
    percent = _test(origin, "RCEP-030")["evidence"]["percent"]
    assert float(percent) == float(told[member]["rvc"])
    assert _test(origin, "RCEP-020")["outcome"] == shift
    assert origin["verdict"] == ("PASSED" if shift == "PASSED" else "FAILED")
    assert origin["rule"]["demonstration"] is True


def test_the_report_shows_what_the_good_would_be_alone() -> None:
    report = evaluate(read(question(story())), GOOD).to_json()
    alone = report["origin"]["withoutCumulation"]
    assert alone["verdict"] == "FAILED"
    assert _test(alone, "RCEP-030")["evidence"]["percent"] == "22.5"
    assert report["origin"]["annotations"] == ["ACU"]
    assert report["country"]["country"] == "CN"
    assert {each["number"] for each in report["standsOn"]} == {"KR-2026-55107", "VN-2026-00918"}


def test_an_undecided_certificate_leaves_the_verdict_open_with_both_cases_shown() -> None:
    report = evaluate(read(question(story())), {VN: Outcome.PASSED}).to_json()
    assert report["verdict"] == report["origin"]["verdict"] == "INDETERMINATE"
    assert report["origin"]["criterion"] is None
    assert report["origin"]["atBest"]["verdict"] == "PASSED"
    open_checks = [each for each in report["origin"]["treatments"] if each["id"] == "RCEP-051"]
    assert {each["outcome"] for each in open_checks} == {"INDETERMINATE", "PASSED"}


def test_r25_a_revoked_input_flags_what_stands_on_it_and_changes_no_report() -> None:
    report = evaluate(read(question(story())), GOOD).to_json()
    kept = json.dumps(report)
    assert basis_lost(report, GOOD) == ()
    assert basis_lost(report, GOOD | {KR: Outcome.FAILED}) == (KR,)
    assert basis_lost(report, GOOD | {KR: Outcome.INDETERMINATE}) == ()
    assert json.dumps(report) == kept
