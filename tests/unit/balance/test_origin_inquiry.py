"""Requests for verification and their days (RCEP 3.24), refused preference (3.25)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from protocols import origin_inquiry
from protocols.fields import Fields
from protocols.origin_inquiry import ANSWERS, Course, Kind, Stage, read_inquiry, read_said
from schemas import strict_json
from schemas.errors import MalformedError
from tests.support.made_network import NOW

GOOD = {"id": "1", "kind": "verification", "certificate": "ab" * 32, "reasons": ["weights"]}
DAY = timedelta(days=1)


def fields(body: dict[str, Any]) -> Fields:
    return Fields(body, origin_inquiry.CODE)


@pytest.mark.parametrize("more", [{}, {"days": 30, "declaration": "D-1"}])
def test_an_inquiry_is_read_as_it_was_written(more: dict[str, Any]) -> None:
    made = read_inquiry(fields(GOOD | more))
    assert (made.kind, made.days) == (Kind.VERIFICATION, more.get("days", 90))
    body = strict_json.loads_object(origin_inquiry.body("ask", "1", made.to_json()))["ask"]
    assert isinstance(body, dict)
    assert read_inquiry(fields(body)) == made
    assert read_inquiry(fields(GOOD), "2").id == "2"


@pytest.mark.parametrize(
    "more",
    [{"kind": "rumour"}, {"reasons": []}, {"days": 29}, {"days": 91}, {"certificate": "ab"}],
)
def test_a_bad_inquiry_is_malformed(more: dict[str, Any]) -> None:
    with pytest.raises(MalformedError) as error:
        read_inquiry(fields(GOOD | more))
    assert error.value.code == "inquiry_malformed"


def test_an_answer_is_one_of_those_there_are() -> None:
    body = {"outcome": "CORRECTED", "text": "reissued", "replacement": "ab"}
    assert read_said(fields(body), ANSWERS).to_json() == body
    del body["replacement"]
    assert read_said(fields(body), ANSWERS).to_json() == body
    with pytest.raises(MalformedError):
        read_said(fields(body | {"outcome": "PREFERENCE_DENIED"}), ANSWERS)


def test_the_days_run_from_receipt_and_from_the_answer() -> None:
    assert Course(30).stage(NOW + 400 * DAY) is Stage.SENT
    received = Course(30, NOW)
    assert received.stage(NOW + 30 * DAY) is Stage.RECEIVED
    assert received.stage(NOW + 30 * DAY + timedelta(seconds=1)) is Stage.OVERDUE
    answered = Course(30, NOW, NOW + DAY)
    assert answered.stage(NOW + 400 * DAY) is Stage.ANSWERED
    assert answered.determination_due == NOW + 181 * DAY
    told = Course(30, NOW, NOW + DAY, NOW + 2 * DAY).to_json(NOW)
    assert told["stage"] == "DETERMINED"
    assert set(told) == {
        "stage", "receivedAt", "answerDue", "answeredAt", "determinationDue", "determinedAt",
    }  # fmt: skip
    assert received.determination_due is None
