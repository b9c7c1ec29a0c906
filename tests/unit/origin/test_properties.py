"""What must hold of every origin evaluation, whatever the bill of materials."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.findings import Outcome
from schemas.origin import certificates, evaluate, read, reproduce
from schemas.origin.amounts import Ratio, plain

ORDER = {Outcome.FAILED: 0, Outcome.INDETERMINATE: 1, Outcome.PASSED: 2}
HS = st.sampled_from(("850760", "850790", "854231", "720851", "610910", "390210"))
AMOUNTS = st.decimals("0.01", "5000", places=2)
STATUSES = st.sampled_from(list(Outcome))


@st.composite
def materials(draw: st.DrawFn) -> dict[str, Any]:
    """One material of any kind; `id` is set by the caller."""
    made: dict[str, Any] = {"hs": draw(HS), "value": plain(draw(AMOUNTS))}
    made["origin"] = draw(st.sampled_from(("originating", "non-originating", "undetermined")))
    made["from"] = draw(st.sampled_from(("CN", "KR", "VN", "US")))
    made["role"] = draw(
        st.sampled_from(("material", "material", "material", "indirect", "retail-packing"))
    )
    if made["role"] == "retail-packing":
        made["classifiedWithGood"] = draw(st.booleans())
    if made["origin"] == "originating" and draw(st.booleans()):
        digest = draw(st.text("0123456789abcdef", min_size=64, max_size=64))
        issuer = "did:web:issuer.example"
        made["certificate"] = {"issuer": issuer, "number": "X-1", "digest": digest}
    if made["origin"] != "originating" and draw(st.booleans()):
        amount = plain(draw(st.decimals("0.01", "50", places=2)))
        made["deductions"] = [
            {"kind": "waste", "amount": amount, "less": "0.01", "evidence": draw(st.booleans())}
        ]
    return made


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    """A question with up to six materials under a rule of up to three alternatives."""
    lines = draw(st.lists(materials(), min_size=1, max_size=6))
    for at, line in enumerate(lines):
        line["id"] = f"m{at}"
    good = {
        "hs": draw(HS),
        "producedIn": "CN",
        "fob": plain(draw(st.decimals("1", "9000", places=2))),
    }
    rules = st.sampled_from(("RVC40", "CC", "CTH", "CTSH", "WO", "CTH except from 85"))
    body: dict[str, Any] = {"on": "2026-11-08", "currency": "USD", "good": good, "materials": lines}
    body["rule"] = draw(st.lists(rules, min_size=1, max_size=3, unique=True))
    if draw(st.booleans()):
        body["costs"] = {"labour": plain(draw(AMOUNTS)), "profit": plain(draw(AMOUNTS))}
    if draw(st.booleans()):
        operation = {"name": draw(st.sampled_from(("assembling", "cutting", "packing")))}
        body["operations"] = [operation | {"simple": draw(st.booleans())}]
    return body


@st.composite
def asked(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Outcome]]:
    """A question with something said about each of its certificates."""
    body = draw(questions())
    return body, {each: draw(STATUSES) for each in certificates(read(body))}


def _percent(report: dict[str, Any], rule: str) -> list[str]:
    tests = report["origin"]["tests"]
    return [test["evidence"]["percent"] for test in tests if test["id"] == rule]


@given(asked())
def test_every_verdict_is_reproducible_from_its_own_report(
    case: tuple[dict[str, Any], dict[str, Outcome]],
) -> None:
    body, statuses = case
    written = json.dumps(evaluate(read(body), statuses).to_json())
    assert reproduce(json.loads(written)).outcome is Outcome.PASSED


@given(asked(), st.data())
def test_the_order_of_lines_changes_nothing(
    case: tuple[dict[str, Any], dict[str, Outcome]], data: st.DataObject
) -> None:
    body, statuses = case
    shuffled = body | {"materials": data.draw(st.permutations(body["materials"]))}
    one, other = (evaluate(read(each), statuses) for each in (body, shuffled))
    assert _decided(one.to_json()) == _decided(other.to_json())


def _decided(report: dict[str, Any]) -> object:
    origin = report["origin"]
    outcomes = [(test["id"], test["outcome"]) for test in origin["tests"]]
    said = [origin[name] for name in ("verdict", "criterion", "also", "annotations")]
    numbers = [_percent(report, rule) for rule in ("RCEP-021", "RCEP-030", "RCEP-031")]
    return outcomes, said, numbers, report.get("country", {}).get("country")


@given(asked(), st.sampled_from((Decimal("0.1"), Decimal(7), Decimal(1000))))
def test_the_scale_of_the_currency_changes_nothing(
    case: tuple[dict[str, Any], dict[str, Outcome]], factor: Decimal
) -> None:
    body, statuses = case
    one, other = evaluate(read(body), statuses), evaluate(read(_scaled(body, factor)), statuses)
    assert _decided(one.to_json()) == _decided(other.to_json())


def _scaled(body: dict[str, Any], factor: Decimal) -> dict[str, Any]:
    scaled = copy.deepcopy(body)
    places = [(scaled["good"], "fob")]
    for line in scaled["materials"]:
        places.append((line, "value"))
        for deduction in line.get("deductions", ()):
            places += [(deduction, "amount"), (deduction, "less")]
    places += [(scaled["costs"], name) for name in scaled.get("costs", ())]
    for owner, name in places:
        owner[name] = plain(Decimal(owner[name]) * factor)
    return scaled


@given(asked(), st.data())
def test_a_material_that_becomes_originating_never_lowers_anything(
    case: tuple[dict[str, Any], dict[str, Outcome]], data: st.DataObject
) -> None:
    body, statuses = case
    better = copy.deepcopy(body)
    at = data.draw(st.integers(0, len(better["materials"]) - 1))
    line = better["materials"][at]
    line |= {"origin": "originating", "from": "CN"}
    line.pop("certificate", None)
    before, after = (evaluate(read(each), statuses).to_json() for each in (body, better))
    assert ORDER[Outcome(after["origin"]["verdict"])] >= ORDER[Outcome(before["origin"]["verdict"])]
    for rule in ("RCEP-030", "RCEP-031"):
        shown = zip(_percent(before, rule), _percent(after, rule), strict=False)
        assert all(Decimal(one) <= Decimal(other) for one, other in shown)


@given(asked(), st.data())
def test_more_originating_value_never_lowers_the_regional_value(
    case: tuple[dict[str, Any], dict[str, Outcome]], data: st.DataObject
) -> None:
    body, statuses = case
    richer = copy.deepcopy(body)
    own = [line for line in richer["materials"] if line["origin"] == "originating"]
    if not own:
        own = [{"id": "new", "origin": "originating", "from": "CN", "hs": "854231", "value": "0"}]
        richer["materials"] += own
    line = data.draw(st.sampled_from(own))
    line.pop("certificate", None)
    line["from"] = "CN"
    line["value"] = plain(Decimal(line["value"]) + data.draw(AMOUNTS))
    before, after = (evaluate(read(each), statuses).to_json() for each in (body, richer))
    for rule in ("RCEP-030", "RCEP-031"):
        shown = zip(_percent(before, rule), _percent(after, rule), strict=False)
        assert all(Decimal(one) <= Decimal(other) for one, other in shown)


@given(asked(), st.data())
def test_a_certificate_found_good_never_worsens_and_found_bad_never_betters(
    case: tuple[dict[str, Any], dict[str, Outcome]], data: st.DataObject
) -> None:
    body, statuses = case
    if not statuses:
        return
    changed = data.draw(st.sampled_from(sorted(statuses)))
    verdicts = []
    for outcome in (Outcome.FAILED, Outcome.INDETERMINATE, Outcome.PASSED):
        answer = evaluate(read(body), statuses | {changed: outcome})
        assert answer.origin is not None
        verdicts.append(ORDER[answer.origin.outcome])
    assert verdicts == sorted(verdicts)


@settings(max_examples=200)
@given(
    st.lists(AMOUNTS, min_size=1, max_size=8),
    st.lists(AMOUNTS, max_size=8),
    st.lists(AMOUNTS, min_size=4, max_size=4),
)
def test_build_up_and_build_down_agree_when_the_accounts_balance(
    foreign: list[Decimal], own: list[Decimal], costs: list[Decimal]
) -> None:
    """VOM + costs + VNM = FOB: both formulas are the same number."""
    lines = [_line(at, "non-originating", value) for at, value in enumerate(foreign)]
    lines += [_line(len(lines) + at, "originating", value) for at, value in enumerate(own)]
    names = ("labour", "overhead", "profit", "other")
    body = {
        "on": "2026-11-08",
        "currency": "USD",
        "good": {"hs": "850760", "producedIn": "CN", "fob": plain(sum([*foreign, *own, *costs]))},
        "rule": ["RVC40"],
        "materials": lines,
        "costs": {name: plain(cost) for name, cost in zip(names, costs, strict=True)},
    }
    report = evaluate(read(body)).to_json()
    assert _percent(report, "RCEP-030") == _percent(report, "RCEP-031")
    assert "RCEP-032" not in {finding["rule"] for finding in report["findings"]}


def _line(at: int, origin: str, value: Decimal) -> dict[str, Any]:
    return {"id": f"m{at}", "origin": origin, "from": "CN", "hs": "854231", "value": plain(value)}


@given(st.decimals("0", "100000", places=6), st.decimals("0.000001", "100000", places=6))
def test_a_shown_percentage_never_looks_better_than_it_is(part: Decimal, whole: Decimal) -> None:
    ratio = Ratio(part, whole)
    assert ratio.reaches(Decimal(ratio.percent()))
