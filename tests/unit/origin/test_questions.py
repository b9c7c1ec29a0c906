"""Questions that are refused, and reports that are bound to what they rest on."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import MalformedError, RefusedError, TradeError
from schemas.findings import Outcome
from schemas.origin import (
    basis_lost,
    certificates,
    document,
    evaluate,
    examples,
    read,
    read_statuses,
    reproduce,
)

P, F, I = Outcome.PASSED, Outcome.FAILED, Outcome.INDETERMINATE  # noqa: E741 as the cases write them
K, V = "aa" * 32, "bb" * 32
GOOD = {K: P, V: P}
BASES = (
    "battery",
    "trousers",
    "ginger",
    "steel",
    "proof",
    "declaration",
    "transit",
    "pepper",
    "polymer",
)

MALFORMED: list[tuple[str, dict[str, Any], str]] = [
    ("battery", {"/materials/0/hs": "8507"}, "/materials/0/hs"),
    ("battery", {"/materials/0/hs": 850760}, "/materials/0/hs"),
    ("battery", {"/materials/0/value": 1.5}, "/materials/0/value"),
    ("battery", {"/materials/0/value": "-1"}, "/materials/0/value"),
    ("battery", {"/materials/0/value": True}, "/materials/0/value"),
    ("battery", {"/materials/0/valeu": "1"}, "/materials/0/valeu"),
    ("battery", {"/materials/0/from": None}, "/materials/0/from"),
    ("battery", {"/materials/0/origin": "O"}, "/materials/0/origin"),
    ("battery", {"/materials/0/id": "housing"}, "/materials"),
    (
        "battery",
        {"/materials/2/certificate": {"issuer": "x", "number": "1", "digest": K}},
        "/materials/2/certificate",
    ),
    ("battery", {"/materials": {}}, "/materials"),
    ("battery", {"/materials": ["cells"]}, "/materials/0"),
    ("battery", {"/currency": None}, "/currency"),
    ("battery", {"/cumulation": "yes"}, "/cumulation"),
    ("battery", {"/good": None}, "/good"),
    ("battery", {"/good": []}, "/good"),
    ("battery", {"/good/fob": "0"}, "/good/fob"),
    ("trousers", {"/good/weightKg": "0"}, "/good/weightKg"),
    ("battery", {"/good/producedIn": None}, "/good/producedIn"),
    ("battery", {"/on": "2026-02-30"}, "/on"),
    ("battery", {"/on": "yesterday"}, "/on"),
    ("battery", {"/on": None}, "/on"),
    ("battery", {"/rule": ["CTX"]}, ""),
    ("battery", {"/rule": []}, "/rule"),
    ("battery", {"/rule": [1]}, "/rule/0"),
    ("battery", {"/rule": ["CC except from 123"]}, ""),
    ("battery", {"/criterion": "X"}, "/criterion"),
    ("battery", {"/agreement": "CPTPP"}, "/agreement"),
    ("battery", {"/tariff": {"rates": {"Korea": "1"}}}, "/tariff/rates/Korea"),
    ("steel", {"/materials/0/deductions/0/amount": None}, "/materials/0/deductions/0/amount"),
    ("proof", {"/proof": None, "/route": None}, ""),
    ("proof", {"/proof/issued": None}, "/proof/issued"),
    ("proof", {"/proof/kind": "back-to-back"}, "/proof/backToBack"),
    ("transit", {"/proof/backToBack/original": None}, "/proof/backToBack/original"),
    (
        "transit",
        {"/proof/backToBack/earlier/0/quantity": None},
        "/proof/backToBack/earlier/0/quantity",
    ),
    (
        "declaration",
        {"/proof/approvedExporter/history/0/from": None},
        "/proof/approvedExporter/history/0/from",
    ),
]


@pytest.mark.parametrize(("base", "edits", "pointer"), MALFORMED)
def test_a_question_that_is_not_as_it_must_be_is_refused_at_its_place(
    base: str, edits: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(MalformedError) as caught:
        read(examples.edited(base, edits))
    assert (caught.value.code, caught.value.pointer) == ("origin_question_malformed", pointer)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(
        ("9999-12-31", "0001-01-01", "999999999999999.999999", "0", "CN", "KR", "850760")
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def _places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every member and element."""
    items: list[tuple[Any, Any]] = []
    if isinstance(node, dict):
        items = list(node.items())
    elif isinstance(node, list):
        items = list(enumerate(node))
    return [
        place for key, value in items for place in [(*path, key), *_places(value, (*path, key))]
    ]


@given(st.data())
def test_no_question_ends_otherwise_than_answered_or_refused(data: st.DataObject) -> None:
    base = data.draw(st.sampled_from(BASES))
    body = examples.edited(base, {})
    *path, last = data.draw(st.sampled_from(_places(body)))
    node = body
    for part in path:
        node = node[part]
    node[last] = data.draw(JSON)
    try:
        answer = evaluate(read(body), {K: data.draw(st.sampled_from(list(Outcome)))})
    except TradeError as error:
        refused = error.code
    else:
        refused = ""
        assert reproduce(json.loads(json.dumps(answer.to_json()))).outcome is P
    assert refused in {"", "origin_question_malformed", "origin_rules_unknown"}


def test_an_unknown_edition_of_rules_is_refused() -> None:
    question = read(examples.edited("battery", {"/rulesEdition": "another"}))
    with pytest.raises(RefusedError, match="origin_rules_unknown"):
        evaluate(question)


def test_too_many_certificates_are_refused() -> None:
    body = examples.edited("battery", {})
    line = body["materials"][0]
    named = line["certificate"]
    body["materials"] = [
        line | {"id": f"m{at}", "certificate": named | {"digest": f"{at:064x}"}}
        for at in range(1001)
    ]
    with pytest.raises(MalformedError, match="1000 certificates"):
        evaluate(read(body))


def test_a_report_is_bound_to_its_question_its_statuses_and_its_data() -> None:
    report = evaluate(read(examples.edited("battery", {})), GOOD).to_json()
    assert reproduce(report).outcome is P
    assert reproduce(report | {"verdict": "FAILED"}).outcome is F
    assert reproduce(report | {"statuses": {K: "FAILED", V: "PASSED"}}).outcome is F
    assert reproduce(report | {"data": []}).outcome is F
    other = [report["data"][0] | {"sha256": K}]
    assert reproduce(report | {"data": other}).outcome is I
    edition = report["question"] | {"rulesEdition": "another"}
    assert reproduce(report | {"question": edition}).outcome is I
    for broken in (
        {"format": "another"},
        {"question": None},
        {"statuses": []},
        {"statuses": {"x": "PASSED"}},
    ):
        with pytest.raises(TradeError, match="origin_question_malformed"):
            reproduce(report | broken)
    assert basis_lost(report, {K: F, V: I}) == (K,)
    with pytest.raises(TradeError):
        read_statuses({K: "GOOD"}, "/statuses")


def test_the_document_of_an_evaluation_says_what_its_report_says() -> None:
    evaluation = evaluate(read(examples.edited("battery", {})), GOOD)
    issuer = {"name": "A desk", "country": "CN", "did": "did:web:desk.example"}
    one, other = (document.payload(evaluation, date(2026, 11, 8), issuer) for _ in range(2))
    assert one == other
    proof = evaluate(read(examples.edited("transit", {})))
    assert b'"criterion"' not in document.payload(proof, date(2026, 11, 8), issuer, "6CNX")


def test_every_certificate_of_a_question_is_named_once() -> None:
    body = examples.edited("transit", {"/proof/backToBack/original/digest": K, "/proof/digest": V})
    assert certificates(read(body)) == (V, K)
