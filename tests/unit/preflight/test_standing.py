"""What a destination tells as of a moment, without a node."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from protocols import balance
from protocols.aeo import Answer, Query, Reason
from protocols.balance import Part, Quantity
from protocols.preflight import standing
from protocols.preflight.standing import Standing, moved, of_balance, of_operator, of_title
from protocols.preflight.verdicts import Line, read_line
from protocols.release.decision import Condition, Decision, State
from protocols.release.decision import Outcome as Release
from schemas.catalogue import explain
from schemas.errors import MalformedError, RefusedError
from schemas.findings import Outcome
from tests.support.made_network import NOW, A, B, founded, signer

PASSED, FAILED, UNKNOWN = Outcome.PASSED, Outcome.FAILED, Outcome.INDETERMINATE
MEMBERS = founded().members
KEY = signer(f"{B}#credential-1")
UCR = "6CN91370784MA0DEMQ00FA261118"
BILL = "ab" * 32
LINE = Line("PRE-80", "cd" * 32, PASSED, "certificate-of-origin N-1", blocking=False)
SAID = Standing(B, UCR, NOW, (LINE,))


def register(left: int | None) -> balance.Answer:
    empty = balance.Answer("00" * 32, A, bytes(32), NOW)
    if left is None:
        return empty
    return replace(empty, seq=1, whole=part(None, 160, left))


def part(line: int | None, of: int, left: int, unit: str = "H87") -> Part:
    return Part(line, Quantity(Decimal(of), unit), Decimal(left), Decimal(of - left), Decimal(0))


@pytest.mark.parametrize(
    ("answer", "outcome", "code"),
    [
        (register(160), PASSED, ""),
        (register(60), UNKNOWN, "preflight_balance_partly"),
        (register(0), FAILED, "balance_used"),
        (register(None), UNKNOWN, "balance_unknown"),
        (None, UNKNOWN, "balance_unknown"),
    ],
)
def test_r23_a_balance_is_whole_partly_used_used_up_or_not_known(
    answer: balance.Answer | None, outcome: Outcome, code: str
) -> None:
    (line,) = of_balance("cd" * 32, "certificate-of-origin N-1", answer)
    assert (line.outcome, line.code, line.blocking) == (outcome, code, False)
    assert not code or explain(code) is not None
    # Nobody learns how much is left who may not ask the register itself.
    assert "60" not in str(line.to_json("en"))


def by_line(*lines: Part, whole: Part | None = None) -> balance.Answer:
    empty = balance.Answer("00" * 32, A, bytes(32), NOW)
    return replace(empty, seq=1, whole=whole, lines=lines)


def told(answer: balance.Answer) -> dict[str, tuple[Outcome, str]]:
    lines = of_balance("cd" * 32, "certificate-of-origin N-1", answer)
    assert not any(word in str(line.to_json("en")) for line in lines for word in ("437", "13"))
    return {line.subject[64:]: (line.outcome, line.code) for line in lines}


WHOLE, PARTLY, USED_UP = (
    (PASSED, ""), (UNKNOWN, "preflight_balance_partly"), (FAILED, "balance_used"),
)  # fmt: skip


def test_r23_a_balance_is_told_by_line_where_lines_differ_and_never_how_much() -> None:
    kilograms, pieces = part(1, 500, 500), part(2, 60, 60)
    assert told(by_line(kilograms, pieces)) == {"": WHOLE}
    used = by_line(part(1, 500, 437), part(2, 60, 0))
    assert told(used) == {"": PARTLY, "#1": PARTLY, "#2": USED_UP}
    assert told(by_line(part(1, 500, 0), part(2, 60, 0))) == {"": USED_UP}
    alike = by_line(part(1, 100, 13), part(2, 100, 100), whole=part(None, 200, 113))
    assert told(alike) == {"": PARTLY, "#1": PARTLY, "#2": WHOLE}
    about = of_balance("cd" * 32, "certificate-of-origin N-1", used)[2].about
    assert about == "certificate-of-origin N-1, line 2"


def test_a_line_that_is_no_longer_told_apart_moved_as_its_proof_did() -> None:
    digest = "cd" * 32
    before = of_balance(digest, "N-1", by_line(part(1, 500, 500), part(2, 60, 0)))
    now = of_balance(digest, "N-1", by_line(part(1, 500, 0), part(2, 60, 0)))
    changed = {each.subject[64:]: (each.before, each.after) for each in moved(before, now)}
    assert changed == {"": (UNKNOWN, FAILED), "#1": (PASSED, FAILED)}
    # Told alike then, apart now: the proof as a whole is what moved.
    assert [each.subject for each in moved(now, before)] == [digest]


def test_of_too_many_lines_goods_lines_are_left_out_first(monkeypatch: pytest.MonkeyPatch) -> None:
    proof = of_balance("cd" * 32, "N-1", by_line(part(1, 500, 500), part(2, 60, 0)))
    lane = replace(LINE, id="PRE-81", subject="AEOCN1")
    assert standing.ordered([lane, *reversed(proof)]) == (*proof, lane)
    monkeypatch.setattr(standing, "MAX_LINES", 2)
    assert standing.ordered([*proof, lane]) == (proof[0], lane)


def test_an_operator_has_the_lane_or_the_first_reason_why_not() -> None:
    query = Query(NOW.date(), NOW, "NL")
    good = of_operator(Answer("AEOCN1", query, True, "ACTIVE", (), ()))
    assert (good.subject, good.outcome, good.about) == ("AEOCN1", PASSED, "AEO ACTIVE")
    for code, told in (("AEO_SUSPENDED", "aeo_suspended"), ("GAP_SEQ_3", "aeo_gap")):
        reasons = (Reason("AEO-004", code), Reason("AEO-006", "OTHER"))
        line = of_operator(Answer("AEOCN1", query, False, "", reasons, ()))
        assert (line.outcome, line.code, line.about) == (FAILED, told, "NORMAL")
        assert explain(line.code) is not None


def decision(state: State, code: str = "") -> Decision:
    found = Condition("REL-020", state, code, "B-1: LIVE, a bank", (BILL,))
    return Decision(Release.HOLD, "BOX", UCR, NOW, "NL", "NL-1", "00" * 32, (found,))


@pytest.mark.parametrize(
    ("state", "outcome"),
    [(State.MET, PASSED), (State.UNMET, FAILED), (State.UNKNOWN, UNKNOWN)],
)
def test_a_title_stands_as_the_release_condition_and_its_holder_is_not_told(
    state: State, outcome: Outcome
) -> None:
    line = of_title(decision(state, "title_not_surrendered"), [BILL])
    assert line is not None
    assert (line.id, line.subject, line.outcome) == ("PRE-82", "BOX", outcome)
    assert "bank" not in str(line.to_json("en"))
    assert of_title(decision(state), ["ef" * 32]) is None  # of a bill that the asker did not name
    assert of_title(decision(State.NOT_REQUIRED), [BILL]) is None
    assert of_title(replace(decision(state), conditions=()), [BILL]) is None


def test_a_statement_counts_from_its_node_about_its_consignment_and_for_its_moment() -> None:
    text = standing.sign(MEMBERS.network, SAID, KEY)
    found = standing.read(text, MEMBERS, B, UCR, NOW + timedelta(minutes=4))
    assert found == replace(SAID, text=text)
    wrong: list[tuple[str, str, Any]] = [
        (text, A, NOW),
        (text, B, NOW + timedelta(minutes=6)),
        (standing.sign(bytes(32), SAID, KEY), B, NOW),
        (standing.sign(MEMBERS.network, replace(SAID, consignment="other"), KEY), B, NOW),
        (standing.sign(MEMBERS.network, replace(SAID, node=A), KEY), B, NOW),
        (standing.sign(MEMBERS.network, SAID, signer(f"{B}#title-1")), B, NOW),
    ]
    for one, node, at in wrong:
        with pytest.raises(RefusedError) as caught:
            standing.read(one, MEMBERS, node, UCR, at)
        assert caught.value.code == "standing_untrusted"


def test_a_statement_cannot_block_or_speak_of_anything_else() -> None:
    for line in (replace(LINE, blocking=True), replace(LINE, id="PRE-10")):
        text = standing.sign(MEMBERS.network, replace(SAID, lines=(line,)), KEY)
        with pytest.raises(MalformedError) as caught:
            standing.read(text, MEMBERS, B, UCR, NOW)
        assert caught.value.code == "standing_malformed"


def test_what_moved_since_is_told_and_what_nobody_foretold_is_no_difference() -> None:
    used = replace(LINE, outcome=FAILED, code="balance_used")
    new = replace(LINE, id="PRE-82", subject="BOX")
    assert moved([LINE], [LINE, new]) == ()
    [one] = moved([LINE], [used, new])
    assert (one.cause, one.before, one.after) == ("preflight_moved", PASSED, FAILED)
    [gone] = moved([LINE], [])
    assert gone.after is None
    assert one.to_json("zh")["title"]


def test_a_paper_that_is_not_there_is_told_and_its_coming_is_no_difference() -> None:
    line = standing.of_missing(bytes.fromhex(BILL))
    assert (line.id, line.outcome, line.blocking) == ("PRE-83", UNKNOWN, False)
    assert explain(line.code) is not None
    assert explain(line.id) is not None
    assert moved([line], []) == moved([line], [line]) == ()
    said = replace(SAID, lines=(LINE, line, standing.of_missing(bytes(32), "proof N-1")))
    text = standing.sign(MEMBERS.network, said, KEY)
    found = standing.read(text, MEMBERS, B, UCR, NOW)
    named = standing.with_names(found, {BILL: "bill-of-lading B-1", LINE.subject: "no"})
    assert [one.about for one in named.lines] == [LINE.about, "bill-of-lading B-1", "proof N-1"]
    assert named.text == text


def test_an_outcome_that_nobody_knows_is_indeterminate() -> None:
    assert read_line({**LINE.to_json(), "outcome": "FINE"}).outcome is UNKNOWN
    assert read_line(LINE.to_json()) == LINE
