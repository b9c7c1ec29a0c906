"""The register's rules: one platform holds a bill, and loses it by its own word alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.digest import sha256
from protocols.pint.tracking import PlatformRecord, RecordAction
from protocols.pint.tracking_state import Marks, Tracked, advance, mark, replay
from schemas.errors import TradeError
from tests.support import pint_world as w

EBL, ENTRY = b"\1" * 32, b"\2" * 32
A = RecordAction


class Register:
    """Records one after the other, each upon the head."""

    def __init__(self) -> None:
        self.state: Tracked | None = None
        self.made = 0

    def record(self, action: A, actor: str, **members: object) -> PlatformRecord:
        head = self.state.head if self.state else None
        plain = PlatformRecord(EBL, action, actor, w.NOW, previous=head)
        return replace(plain, **members)

    def say(self, action: A, actor: str, **members: object) -> bytes:
        return self.take(self.record(action, actor, **members))

    def take(self, record: PlatformRecord) -> bytes:
        self.made += 1
        record_id = sha256(self.made.to_bytes(8, "big"))
        self.state = advance(self.state, record_id, record, "REGI")
        return record_id

    @property
    def holder(self) -> str:
        assert self.state is not None
        return self.state.control.holder


def opened() -> tuple[Register, bytes]:
    register = Register()
    return register, register.say(A.INTEND, "HOME", receiver="AWAY", last=ENTRY)


def refusal(register: Register, action: A, actor: str, **members: object) -> str:
    before = register.state
    with pytest.raises(TradeError) as caught:
        register.say(action, actor, **members)
    assert register.state == before
    return caught.value.code


def test_a_bill_passes_by_intent_and_acceptance_and_ends_by_surrender() -> None:
    register, intent = opened()
    assert register.holder == "HOME"
    register.say(A.ACCEPTED, "AWAY", answers=intent, last=ENTRY)
    assert register.holder == "AWAY"
    register.say(A.SURRENDERED, "AWAY")
    assert register.state is not None
    assert register.state.control.ended
    for action in A:
        made = {"answers": intent, "receiver": "FARR", "last": ENTRY}
        assert refusal(register, action, "AWAY", **made) == "tracking_ended"


def test_only_the_receiver_that_the_intent_names_accepts_and_only_its_entry() -> None:
    register, intent = opened()
    told = {"answers": intent, "last": ENTRY}
    assert refusal(register, A.ACCEPTED, "FARR", **told) == "tracking_not_receiver"
    assert refusal(register, A.ACCEPTED, "HOME", **told) == "tracking_not_receiver"
    other = {"answers": intent, "last": b"\3" * 32}
    assert refusal(register, A.ACCEPTED, "AWAY", **other) == "tracking_other_entry"
    unknown = {"answers": b"\4" * 32, "last": ENTRY}
    assert refusal(register, A.ACCEPTED, "AWAY", **unknown) == "tracking_no_intent"


def test_while_a_transfer_is_open_no_second_one_begins_and_nothing_is_surrendered() -> None:
    register, _ = opened()
    second = {"receiver": "FARR", "last": ENTRY}
    assert refusal(register, A.INTEND, "HOME", **second) == "tracking_intent_open"
    assert refusal(register, A.INTEND, "AWAY", **second) == "tracking_not_holder"
    assert refusal(register, A.SURRENDERED, "HOME") == "tracking_intent_open"
    assert refusal(register, A.SURRENDERED, "AWAY") == "tracking_not_holder"


def test_a_cancelled_transfer_is_accepted_by_nobody() -> None:
    register, intent = opened()
    assert refusal(register, A.CANCEL, "FARR", answers=intent) == "tracking_not_holder"
    register.say(A.CANCEL, "HOME", answers=intent)
    late = {"answers": intent, "last": ENTRY}
    assert refusal(register, A.ACCEPTED, "AWAY", **late) == "tracking_no_intent"
    again = register.say(A.INTEND, "HOME", receiver="AWAY", last=ENTRY)
    register.say(A.CANCEL, "AWAY", answers=again)
    assert register.holder == "HOME"


def test_a_record_upon_another_head_conflicts_and_tells_the_head() -> None:
    register, intent = opened()
    for previous in (None, b"\5" * 32):
        stale = register.record(A.CANCEL, "HOME", answers=intent, previous=previous)
        with pytest.raises(TradeError, match="pint_record_conflict") as caught:
            register.take(stale)
        assert caught.value.context["head"] == intent.hex()


def test_the_first_record_is_a_transfer_to_another_platform_or_the_surrender() -> None:
    assert refusal(Register(), A.DISPUTE, "HOME", answers=EBL) == "tracking_opening_missing"
    same = {"receiver": "HOME", "last": ENTRY}
    assert refusal(Register(), A.INTEND, "HOME", **same) == "tracking_receiver_same"
    register = Register()
    register.say(A.SURRENDERED, "HOME")
    assert register.state is not None
    assert register.state.control.ended
    started, _ = opened()
    assert refusal(started, A.CANCEL, "HOME", ebl=ENTRY) == "tracking_other_bill"


def test_one_takes_back_ones_own_newest_transfer_record_and_no_other() -> None:
    register, intent = opened()
    assert refusal(register, A.RETRACT, "AWAY", answers=intent) == "tracking_not_retractable"
    register.say(A.RETRACT, "HOME", answers=intent)
    assert register.state is not None
    assert register.state.control.intent is None
    again = register.say(A.INTEND, "HOME", receiver="AWAY", last=ENTRY)
    accepted = register.say(A.ACCEPTED, "AWAY", answers=again, last=ENTRY)
    assert refusal(register, A.RETRACT, "HOME", answers=again) == "tracking_not_retractable"
    register.say(A.RETRACT, "AWAY", answers=accepted)
    assert (register.holder, register.state.control.intent is not None) == ("HOME", True)


def disputed() -> tuple[Register, bytes, bytes]:
    """AWAY holds the bill, HOME disputes that it ever gave it away."""
    register, intent = opened()
    accepted = register.say(A.ACCEPTED, "AWAY", answers=intent, last=ENTRY)
    return register, intent, register.say(A.DISPUTE, "HOME", answers=accepted)


def test_while_a_dispute_is_open_nothing_moves() -> None:
    register, _, dispute = disputed()
    onward = {"receiver": "FARR", "last": ENTRY}
    for action in (A.INTEND, A.SURRENDERED, A.DISPUTE, A.RETRACT):
        made = {"answers": dispute, **onward}
        assert refusal(register, action, "AWAY", **made) == "tracking_disputed"
    register.say(A.RESOLVED, "HOME", answers=dispute)
    register.say(A.INTEND, "AWAY", **onward)


def test_a_dispute_is_opened_by_a_platform_of_the_chain_about_a_record_of_the_bill() -> None:
    register, intent = opened()
    assert refusal(register, A.DISPUTE, "FARR", answers=intent) == "tracking_not_a_party"
    assert refusal(register, A.DISPUTE, "AWAY", answers=EBL) == "tracking_other_bill"
    assert refusal(register, A.RESOLVED, "AWAY", answers=intent) == "tracking_not_disputed"


def test_a_dispute_ends_as_things_stand_by_who_opened_it_or_the_register() -> None:
    for actor in ("HOME", "REGI"):
        register, _, dispute = disputed()
        register.say(A.RESOLVED, actor, answers=dispute)
        assert register.holder == "AWAY"
    register, _, dispute = disputed()
    assert refusal(register, A.RESOLVED, "AWAY", answers=dispute) == "tracking_resolution_not_yours"


def test_nobody_loses_a_bill_in_a_dispute_but_by_its_own_word() -> None:
    for actor in ("HOME", "REGI", "FARR"):
        register, intent, dispute = disputed()
        back = {"answers": dispute, "canonical": intent}
        code = refusal(register, A.RESOLVED, actor, **back)
        assert code == "tracking_resolution_not_yours"
    register, intent, dispute = disputed()
    assert refusal(register, A.RESOLVED, "AWAY", answers=dispute, canonical=EBL) == (
        "tracking_other_bill"
    )
    register.say(A.RESOLVED, "AWAY", answers=dispute, canonical=intent)
    assert register.holder == "HOME"
    assert replay([]) is None


PLATFORMS = ("HOME", "AWAY", "FARR", "REGI")


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(A),
            st.sampled_from(PLATFORMS),
            st.sampled_from(PLATFORMS),
            st.integers(0, 30),
        ),
        max_size=40,
    )
)
def test_r19_a_bill_never_leaves_a_platform_but_by_its_own_and_the_receivers_word(
    acts: Iterable[tuple[A, str, str, int]],
) -> None:
    register, ids = Register(), [EBL]
    for action, actor, other, pick in acts:
        before = register.state
        answers = ids[-1 - pick % len(ids)] if pick % 3 else ids[-1]
        made = {"receiver": other, "last": ENTRY, "answers": answers}
        if action is A.RESOLVED and pick % 2:
            made["canonical"] = ids[pick % len(ids)]
        try:
            ids.append(register.say(action, actor, **made))
        except TradeError:
            assert register.state == before
            continue
        after = register.state
        assert after is not None
        if before is None:
            assert after.control.holder == actor
            continue
        assert not before.control.ended
        if before.control.holder == after.control.holder:
            continue
        if action is A.ACCEPTED:
            intent = before.control.intent
            assert intent is not None
            assert (actor, after.control.holder) == (intent.receiver, intent.receiver)
            assert before.records[intent.record].actor == before.control.holder
        else:
            # Given back by the platform that would have had it.
            assert action in (A.RETRACT, A.RESOLVED)
            assert actor == before.control.holder


def test_about_a_title_only_disputes_are_recorded_and_they_move_nothing() -> None:
    def said(action: A, actor: str, **members: object) -> PlatformRecord:
        plain = PlatformRecord(EBL, action, actor, w.NOW, answers=ENTRY)
        return replace(plain, **members)

    def code(marks: Marks, record: PlatformRecord) -> str:
        with pytest.raises(TradeError) as caught:
            mark(marks, b"\6" * 32, record, frozenset({"HOME", "AWAY"}), "REGI")
        return caught.value.code

    none, first = Marks(), b"\7" * 32
    assert code(none, said(A.INTEND, "HOME")) == "tracking_native_title"
    assert code(none, said(A.DISPUTE, "FARR")) == "tracking_not_a_party"
    assert code(none, said(A.DISPUTE, "HOME", previous=EBL)) == "pint_record_conflict"
    assert code(none, said(A.RESOLVED, "HOME")) == "tracking_not_disputed"
    marks = mark(none, first, said(A.DISPUTE, "HOME"), frozenset({"HOME"}), "REGI")
    assert code(marks, said(A.DISPUTE, "AWAY", previous=first)) == "tracking_disputed"
    closing = said(A.RESOLVED, "AWAY", previous=first, answers=first)
    assert code(marks, closing) == "tracking_resolution_not_yours"
    closed = mark(marks, b"\x08" * 32, replace(closing, actor="REGI"), frozenset(), "REGI")
    assert (closed.dispute, closed.count) == (None, 2)
    full = replace(closed, count=1000)
    again = said(A.DISPUTE, "HOME", previous=b"\x08" * 32)
    assert code(full, again) == "tracking_full"


def test_a_bill_has_only_so_many_records() -> None:
    register, intent = opened()
    assert register.state is not None
    register.state = replace(register.state, count=1000)
    assert refusal(register, A.CANCEL, "HOME", answers=intent) == "tracking_full"
