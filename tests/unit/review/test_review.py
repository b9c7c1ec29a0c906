"""The lane of an application: by the rules, the desk's circumstances and the dated policy."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from protocols import review
from protocols.review import Circumstances, Lane, policy_at
from schemas import registry
from schemas.catalogue import explain
from schemas.errors import RefusedError
from schemas.findings import Finding, Severity
from schemas.view import View

if TYPE_CHECKING:
    from collections.abc import Callable

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


def own(change: Callable[[dict[str, Any]], object]) -> bytes:
    """The packaged policy as a desk would change it for its own."""
    data = json.loads(review.packaged())
    del data["binding"]
    change(data)
    return json.dumps(data).encode()


def test_a_desks_own_policy_counts() -> None:
    policy = policy_at(NOW, own(lambda data: data["editions"][0]["default"].update(auto=False)))
    assert not policy.of(COO).auto
    assert policy.digest != policy_at(NOW).digest
    with pytest.raises(RefusedError):
        policy_at(datetime(2020, 1, 1, tzinfo=UTC))


def test_r26_an_example_binds_nobody_and_an_own_policy_does_unless_it_says_so() -> None:
    assert not policy_at(NOW).binding
    assert policy_at(NOW, own(lambda _: None)).binding
    assert not policy_at(NOW, own(lambda data: data.update(binding=False))).binding


def test_r26_the_policy_says_how_many_persons_each_lane_and_act_needs() -> None:
    policy = policy_at(
        NOW, own(lambda data: data["editions"][0]["default"].update(acts={"revoke": 2}))
    )
    assert [policy.of(COO).persons(each) for each in (Lane.AUTO, Lane.MANUAL)] == [0, 1]
    assert policy.of("aeo-status").persons(Lane.MANUAL) == 2
    assert policy.of(COO).acts == {"revoke": 2}
    assert policy.of("aeo-status").acts == {}


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.update(binding="false"),
        lambda data: data.update(bindings=False),
        lambda data: data.pop("editions"),
        lambda data: data.update(editions=[{}]),
        lambda data: data["editions"][0].update(edition="two words"),
        lambda data: data["editions"][0].update(until="soon"),
        lambda data: data["editions"][0]["types"].update({"aeo-statis": {}}),
        lambda data: data["editions"][0]["default"].update(auto="no"),
        lambda data: data["editions"][0]["default"].update(warnings="maybe"),
        lambda data: data["editions"][0]["default"].update(sample=101),
        lambda data: data["editions"][0]["default"].update(amountOver=5),
        lambda data: data["editions"][0]["default"].update(secnd=True),
        lambda data: data["editions"][0]["default"].update(acts={"revoke": True}),
        lambda data: data["editions"][0]["default"].update(acts={"revok": 1}),
    ],
)
def test_r26_a_policy_with_a_fault_is_refused_and_never_read_as_less(
    change: Callable[[dict[str, Any]], object],
) -> None:
    with pytest.raises(RefusedError) as caught:
        policy_at(NOW, own(change))
    assert caught.value.code == "review_policy_missing"


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b'{"editions": [], "editions": []}'])
def test_r26_what_is_no_policy_is_refused(broken: bytes) -> None:
    with pytest.raises(RefusedError):
        policy_at(NOW, broken)


def test_what_the_signer_gave_back_is_looked_at() -> None:
    returned = Circumstances(returned="approval_expired")
    assert lane(COO, VIEW, around=returned) == (Lane.MANUAL, ["REV-006"])


def test_every_finding_of_the_desk_is_explained() -> None:
    for code in ("001", "002", "003", "004", "005", "006", "010", "011", "012"):
        entry = explain(f"REV-{code}")
        assert entry is not None
        assert all((entry.en, entry.zh, entry.next, entry.next_zh))
