"""What a chain refuses for a reason that may change is undecided until the deadline (R13)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.title import refusals, rows, submitting
from protocols.evm.calls import Refused
from protocols.evm.proof import EventProof
from protocols.evm.refusal import EvmRefusal, may_yet_hold
from protocols.evm.title import REFUSALS, EvmOperation
from protocols.title.machine import Bill, Kind

DEADLINE = 1_000
ISSUE = EvmOperation(
    title=b"t" * 32,
    seq=0,
    kind=Kind.ISSUE,
    sender=b"s" * 20,
    recipient=b"r" * 20,
    entry=b"e" * 32,
    deadline=DEADLINE,
    bill=Bill.BLANK,
)
MAY_CHANGE = {"title_issuer_not_listed", "title_replaces_unended", "title_not_issuer"}
UNPROVEN = EventProof(b"", 0, (), 0)


def refusal(code: str, at: int) -> EvmRefusal:
    return EvmRefusal(b"a" * 32, Refused(ISSUE.title, b"d" * 32, code, 0), at, UNPROVEN)


@pytest.mark.parametrize("code", REFUSALS[1:])
def test_r13_an_issue_may_yet_hold_until_its_deadline_where_the_reason_may_change(
    code: str,
) -> None:
    assert may_yet_hold(refusal(code, DEADLINE), ISSUE) is (code in MAY_CHANGE)
    assert not may_yet_hold(refusal(code, DEADLINE + 1), ISSUE)


def test_other_operations_are_refused_for_good() -> None:
    end = replace(ISSUE, kind=Kind.END, seq=4, bill=None)
    assert not may_yet_hold(refusal("title_not_issuer", DEADLINE), end)


def test_a_registrys_signed_word_binds() -> None:
    assert not refusals.may_yet_hold("a.b.c", "whatever was refused")


def test_it_is_handed_in_again_later_and_later_and_right_after_its_deadline() -> None:
    pause, beyond = submitting.REFUSED_PAUSE_MS, submitting.BEYOND_MS
    deadline = 100 * pause
    held = rows.Submission(
        digest=b"", title=b"", seq=0, kind="ISSUE", text="", status="pending", code="c",
        refusal="{}", tries=1, created_at=0, again_at=pause,
    )  # fmt: skip
    now, moments = 0, []
    while now <= deadline:
        now = submitting.again_at(held, deadline, now)
        moments.append(now)
    assert moments[:4] == [pause, 2 * pause, 4 * pause, 8 * pause]
    assert (moments[-1], len(moments)) == (deadline + beyond, 8)
    # A chain whose clock is behind is asked once more.
    assert submitting.again_at(held, deadline, now) == now + pause
    assert held.rests(pause - 1)
    assert not held.rests(pause)
    assert not replace(held, refusal=None).rests(0)
    assert not replace(held, status="refused").rests(0)
