"""The lane of an application: by the rules, the desk's circumstances and the dated policy."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from protocols import review
from protocols.review import Circumstances, Lane, policy_at
from schemas import registry
from schemas.catalogue import explain
from schemas.errors import RefusedError
from schemas.findings import Finding, Severity
from schemas.view import View

NOW = datetime(2026, 11, 18, tzinfo=UTC)
COO, PREFERENTIAL = "certificate-of-origin", "preferential-certificate-of-origin"
VIEW = registry.examine(COO, registry.example(COO)).view
LATE = b"\xff" * 32  # a digest that is never drawn as a sample
WARNING = Finding("DOC-006", Severity.WARNING, "/containers/0/number", "check digit")


def lane(
    key: str = COO,
    view: View = VIEW,
    *findings: Finding,
    around: Circumstances = Circumstances(),  # noqa: B008 frozen
    digest: bytes = LATE,
) -> tuple[Lane, list[str]]:
    told = review.review(key, view, findings, around, policy_at(NOW), digest)
    return told.lane, [each.rule for each in told.findings]


def test_what_is_in_order_needs_no_look() -> None:
    assert lane() == (Lane.AUTO, [])


def test_a_warning_wants_a_person_and_an_error_holds() -> None:
    assert lane(COO, VIEW, WARNING) == (Lane.MANUAL, ["DOC-006"])
    error = replace(WARNING, severity=Severity.ERROR)
    assert lane(COO, VIEW, error, WARNING) == (Lane.HOLD, ["DOC-006", "DOC-006"])


@pytest.mark.parametrize(
    ("around", "view", "rule"),
    [
        (Circumstances(number_used=True), VIEW, "REV-002"),
        (Circumstances(right_missing="no right"), VIEW, "REV-003"),
        (Circumstances(), replace(VIEW, number=""), "REV-001"),
    ],
)
def test_what_nobody_can_approve_away_holds(around: Circumstances, view: View, rule: str) -> None:
    assert lane(COO, view, around=around) == (Lane.HOLD, [rule])


def test_the_policy_says_what_is_looked_at_all_the_same() -> None:
    first = Circumstances(first_time=True)
    assert lane(COO, VIEW, around=first) == (Lane.AUTO, [])
    assert lane(PREFERENTIAL, VIEW, around=first) == (Lane.MANUAL, ["REV-010"])
    assert lane(PREFERENTIAL, VIEW, digest=bytes(32)) == (Lane.MANUAL, ["REV-012"])
    assert lane("veterinary-certificate") == (Lane.MANUAL, [])
    dear = Circumstances(amount=Decimal(600000))
    assert lane(PREFERENTIAL, VIEW, around=dear) == (Lane.MANUAL, ["REV-011"])
    assert lane(PREFERENTIAL, VIEW, around=Circumstances(amount=Decimal(1))) == (Lane.AUTO, [])
    assert policy_at(NOW).of("aeo-status").second


def test_the_amount_is_the_total_or_the_sum_of_the_fob_values() -> None:
    documents = [json.loads(registry.example(key)) for key in (PREFERENTIAL, COO)]
    assert [review.amount_of(each) for each in documents] == [Decimal(86400), None]
    for key in ("export-declaration", "commercial-invoice"):
        assert review.amount_of(json.loads(registry.example(key)))


def test_about_two_of_a_hundred_are_drawn_as_samples() -> None:
    drawn = sum(
        lane(PREFERENTIAL, VIEW, digest=n.to_bytes(2, "big") + bytes(30))[0] is Lane.MANUAL
        for n in range(0, 65536, 64)
    )
    assert drawn == 1024 * 2 // 100 + 1


def test_a_desks_own_policy_counts_and_a_broken_one_is_refused() -> None:
    data = json.loads(review.packaged())
    data["editions"][0]["default"]["auto"] = False
    own = policy_at(NOW, json.dumps(data).encode())
    assert not own.of(COO).auto
    assert own.digest != policy_at(NOW).digest
    for broken in (b"{", b"{}", b'{"editions": [{}]}'):
        with pytest.raises(RefusedError) as caught:
            policy_at(NOW, broken)
        assert caught.value.code == "review_policy_missing"
    with pytest.raises(RefusedError):
        policy_at(datetime(2020, 1, 1, tzinfo=UTC))


def test_every_finding_of_the_desk_is_explained() -> None:
    for code in ("001", "002", "003", "004", "005", "010", "011", "012"):
        entry = explain(f"REV-{code}")
        assert entry is not None
        assert all((entry.en, entry.zh, entry.next, entry.next_zh))
