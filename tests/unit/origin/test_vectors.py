"""The worked RCEP cases of the shared vectors, each with the verdict its articles give."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from schemas.findings import Outcome
from tests.shared import ROOT
from tests.support import rcep_cases

if TYPE_CHECKING:
    from schemas.findings import Check
    from schemas.origin import Evaluation

#: Cases whose verdict hangs on how a silent or open article is read, with that article.
READINGS = {
    "R07": "3.5(1): build-up counts though the cost statement does not close (3.5(2))",
    "R21": "2.6(2): minimal operations must be shown, so (4) names the country",
    "R23": "3.5(5), closing sentence",
    "R29": "3.5(5)(c): waste is deducted from a domestic price",
    "P01": "3.16(6): the anniversary still counts; the agreement does not say",
    "P03": "3.15(1)(b)(i): which operations are logistics is an open list",
    "P13": "3.16(2): each Party implements declarations for itself",
    "P15": "3.19(1)(d): repacking is named here and not in 3.15",
    "T03": "2.6(4): the Party, the exporting one included",
}


def _cases(*prefixes: str) -> list[Any]:
    try:
        found = rcep_cases.cases()
    except pytest.skip.Exception:
        return []
    return [
        pytest.param(case, id=f"{case['id']} {case['topic']}")
        for case in found
        if case["id"][0] in prefixes
    ]


def _all_checks(answer: Evaluation) -> list[Check]:
    return [*answer.checks, *(answer.origin.tried.tests if answer.origin else ())]


def _percent(answer: Evaluation, rule: str) -> Decimal:
    assert answer.origin is not None
    test = next(test for test in answer.origin.tried.tests if test.id == rule)
    return Decimal(test.evidence["percent"])


@pytest.mark.parametrize("case", _cases("R"))
def test_origin_case(case: dict[str, Any]) -> None:
    answer, expect = rcep_cases.answer(case), case["expect"]
    origin = answer.origin
    assert origin is not None
    wanted = Outcome.PASSED if expect["originating"] else Outcome.FAILED
    assert origin.outcome is wanted, answer.to_json()
    assert origin.criterion == expect.get("criterion")
    if "also" in expect:
        assert list(origin.also) == expect["also"]
    assert list(origin.annotations) == expect.get("annotations", [])
    if "rvc_down" in expect:
        assert _percent(answer, "RCEP-030") == Decimal(expect["rvc_down"])
    if "rvc_up" in expect:
        assert _percent(answer, "RCEP-031") == Decimal(expect["rvc_up"])
    assert (answer.country.country if answer.country else None) == expect.get("country")
    codes = {finding.values.get("code", "").upper() for finding in answer.findings} - {""}
    assert codes == ({case["warning"]} if "warning" in case else set())


@pytest.mark.parametrize("case", _cases("P"))
def test_proof_case(case: dict[str, Any]) -> None:
    answer, expect = rcep_cases.answer(case), case["expect"]
    assert answer.verdict is (Outcome.PASSED if expect["valid"] else Outcome.FAILED)
    if "reason" in expect:
        assert expect["reason"].lower() in {check.code for check in _all_checks(answer)}
    if "expires" in expect:
        assert answer.proof is not None
        assert str(answer.proof.expires) == expect["expires"]


@pytest.mark.parametrize("case", _cases("T"))
def test_tariff_differential_case(case: dict[str, Any]) -> None:
    answer = rcep_cases.answer(case)
    assert answer.verdict is Outcome.PASSED
    assert answer.country is not None
    assert answer.country.country == case["expect"]["country"]


def test_every_case_is_run_and_readings_name_real_cases() -> None:
    ids = [case["id"] for case in rcep_cases.cases()]
    assert len(ids) == len(set(ids)) == len(_cases("R", "P", "T"))
    assert set(READINGS) <= set(ids)


def test_the_documentation_says_how_open_articles_are_read() -> None:
    page = (ROOT / "docs/origin.md").read_text(encoding="utf-8")
    table = page.partition("## How open points are read")[2]
    for case, reading in READINGS.items():
        article = reading.split(":")[0].split(",")[0].split("(")[0]
        rows = [row for row in table.splitlines() if row.startswith(f"| {article}")]
        assert any(case in row for row in rows), case
