"""SPS JSON of the CHED dialect: the shared cases, what they say, and what of a form is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.edits import DROP, edited
from schemas.errors import MalformedError
from schemas.sps import ched
from schemas.sps.status import Status
from tests.shared import shared_path

FOLDER = "defra_sps_json"
LINE = "/spsConsignment/includedSpsConsignmentItem/0/includedSpsTradeLineItem/0"


def case(name: str) -> bytes:
    return shared_path(f"vectors/documents/{FOLDER}/{name}").read_bytes()


def small(**edits: Any) -> bytes:
    places = {place.replace("__", "/"): value for place, value in edits.items()}
    return json.dumps(edited(json.loads(case("chedp_ehc_minimum.json")), places)).encode()


def broken(data: bytes) -> list[tuple[str, str]]:
    return [(one.rule, one.pointer) for one in ched.examine(data)[1]]


def test_every_shared_case_gets_the_verdict_of_the_index() -> None:
    index = json.loads(shared_path("vectors/documents/INDEX.json").read_text())
    cases = [each for each in index if each["file"].startswith(f"{FOLDER}/")]
    assert len(cases) == 6
    for each in cases:
        data = case(each["file"].partition("/")[2])
        assert ched.recognises(json.loads(data))
        assert bool(ched.examine(data)[1]) is (each["expected"] == "invalid"), each["file"]


def test_as_many_faults_are_found_as_by_the_published_schema() -> None:
    assert len(broken(case("chedd_ehc_complete.json"))) == 8
    assert len(broken(case("chedppSpsCertificateIntegration.json"))) == 21


def test_what_a_ched_says_and_its_status_by_its_own_table() -> None:
    fields, _ = ched.examine(case("chedp_ehc_minimum.json"))
    assert (fields["number"], fields["hs"]) == ("NZL2020/PPCS2/121580", ["070999"])
    assert fields["netKg"] == "1678.52"
    assert fields["facts"]["status"] is Status.DRAFT
    assert ched.examine(small(__spsExchangedDocument__statusCode__value="64"))[0]["facts"][
        "status"
    ] is Status.CANCELLED  # fmt: skip


@pytest.mark.parametrize(
    ("edits", "rule", "place"),
    [
        ({"/spsExchangedDocument": DROP}, "SCH-001", ""),
        ({"/spsExchangedDocument": 1}, "SCH-002", "/spsExchangedDocument"),
        ({"/spsExchangedDocument/name": []}, "SCH-007", "/spsExchangedDocument/name"),
        (
            {"/spsExchangedDocument/issueDateTime/dateTime/value": "yesterday"},
            "SCH-008",
            "/spsExchangedDocument/issueDateTime/dateTime/value",
        ),
        ({f"{LINE}/sequenceNumeric/value": True}, "SCH-002", f"{LINE}/sequenceNumeric/value"),
        ({f"{LINE}/sequenceNumeric": DROP}, "SCH-001", LINE),
    ],
)
def test_a_fault_of_the_form_is_told_with_its_place(
    edits: dict[str, Any], rule: str, place: str
) -> None:
    assert (rule, place) in broken(small(**edits))


def test_weights_are_summed_only_where_every_line_says_one() -> None:
    unsaid = {f"{LINE}/netWeightMeasure": {"unitCode": "KGM", "value": "1"}}
    assert ched.examine(small(**unsaid))[0]["netKg"] is None
    assert ched.examine(b'{"spsConsignment": {}}')[0]["netKg"] is None


def test_what_is_no_object_is_refused() -> None:
    with pytest.raises(MalformedError):
        ched.examine(b"[]")
