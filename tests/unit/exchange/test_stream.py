"""The stream rules: any order of arrival gives one order of delivery (R10)."""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from protocols.digest import sha256
from protocols.exchange import stream
from protocols.exchange.problems import Problem
from protocols.exchange.stream import Arrival, Caps, PeerLoad, Place, StreamState
from tests.support.made_network import NOW


def chain(length, tag=b""):
    made, prev = [], None
    for seq in range(1, length + 1):
        digest = sha256(tag + str(seq).encode())
        made.append(Arrival(seq, prev, digest, digest, 10))
        prev = digest
    return made


NO_LOAD, CAPS = PeerLoad(), Caps()


def place(state, arrival, load=NO_LOAD, caps=CAPS, now=NOW):
    return stream.place(state, arrival, load=load, caps=caps, now=now)


@given(st.permutations(range(12)))
def test_any_order_of_arrival_releases_each_message_once_in_order(order):
    messages, state, released = chain(12), StreamState(), []
    for at in order:
        placed = place(state, messages[at])
        state = placed.state
        assert placed.problem is None
        if placed.place is Place.NEXT:
            released += [messages[at].seq, *placed.released]
        else:
            assert placed.place is Place.HELD
    assert released == list(range(1, 13))
    assert (state.last, state.head, dict(state.held), state.since) == (
        12,
        messages[-1].digest,
        {},
        None,
    )


def test_a_used_number_is_ruled_on_by_what_is_there():
    one, two = chain(2)
    state = place(place(StreamState(), one).state, two).state
    assert place(state, one).place is Place.BEHIND
    other = Arrival(1, None, b"other", b"other")
    void_of_one = Arrival(1, None, b"void", one.digest)
    assert stream.used_number(one.digest, None, other) is Problem.FORK
    assert stream.used_number(one.digest, None, void_of_one) is Problem.NOT_A_GAP
    assert stream.used_number(b"void", one.digest, one) is Problem.VOIDED
    assert stream.used_number(b"void", one.digest, other) is Problem.FORK


def test_a_held_number_is_ruled_on_in_the_same_way():
    _, _, three = chain(3)
    state = place(StreamState(), three).state
    assert place(state, Arrival(3, three.prev, b"x", b"x")).problem is Problem.FORK
    void = Arrival(3, three.prev, b"void", three.digest)
    assert place(state, void).problem is Problem.NOT_A_GAP
    with_void = place(StreamState(), void).state
    assert place(with_void, three).problem is Problem.VOIDED


def test_a_message_that_fits_neither_neighbour_is_a_fork():
    one, two, three = chain(3)
    state = place(StreamState(), one).state
    assert place(state, Arrival(2, b"?", b"x", b"x")).problem is Problem.FORK
    held = place(state, three).state
    other = Arrival(2, one.digest, b"x", b"x")
    assert place(held, other).problem is Problem.FORK
    assert place(held, two).released == (3,)
    far = place(state, Arrival(4, three.digest, b"4", b"4")).state
    wrong = Arrival(5, b"?", b"5", b"5")
    assert place(far, wrong).problem is Problem.FORK
    assert place(far, Arrival(3, two.digest, b"?", b"?")).problem is Problem.FORK


def test_a_void_takes_the_place_of_the_message_it_voids():
    one, two, three = chain(3)
    state = place(place(StreamState(), one).state, three).state
    void = Arrival(2, one.digest, b"void", two.digest)
    placed = place(state, void)
    assert (placed.place, placed.released, placed.state.head) == (Place.NEXT, (3,), three.digest)


def test_gaps_grow_only_within_the_caps():
    messages = chain(9)
    state = place(StreamState(), messages[2]).state
    late = NOW + timedelta(days=2)
    too_far = Problem.TOO_FAR_AHEAD
    assert place(state, messages[4], caps=Caps(count=1)).problem is too_far
    assert place(state, messages[4], PeerLoad(95), Caps(size=100)).problem is too_far
    assert place(state, messages[4], now=late).problem is too_far
    assert place(state, messages[4], PeerLoad(0, 9), Caps(streams=2)).problem is None
    assert place(StreamState(), messages[4], PeerLoad(0, 2), Caps(streams=2)).problem is too_far
    # Whatever the caps, what fills the gap is taken.
    assert place(state, messages[0], PeerLoad(999, 99), Caps(0, 0, 0), late).problem is None


def test_the_age_of_a_gap_starts_again_when_something_was_released():
    messages = chain(9)
    state = place(StreamState(), messages[1]).state
    state = place(state, messages[4]).state
    later = NOW + timedelta(hours=1)
    assert state.since == NOW
    state = place(state, messages[0], now=later).state
    assert (state.last, state.since) == (2, later)
    state = place(state, messages[2], now=later + timedelta(hours=1)).state
    assert (state.last, state.since) == (3, later)


def test_missing_names_the_gaps():
    messages = chain(9)
    state = StreamState()
    for at in (2, 3, 6):
        state = place(state, messages[at]).state
    assert stream.missing(state) == ((1, 2), (5, 6))
    assert stream.missing(StreamState()) == ()


class OneStream(RuleBasedStateMachine):
    """Honest messages, duplicates of numbers, forks and voids in any order."""

    def __init__(self):
        super().__init__()
        self.messages = chain(8)
        self.state = StreamState()
        self.taken = {}
        self.order = []

    @rule(at=st.integers(0, 7), lie=st.sampled_from(["", "", "fork", "void"]))
    def arrive(self, at, lie):
        honest = self.messages[at]
        digest = honest.digest if not lie else sha256(lie.encode() + bytes([at]))
        link = digest if lie != "void" else honest.digest
        arrival = Arrival(honest.seq, honest.prev, digest, link, 1)
        before = self.state
        placed = place(before, arrival, caps=Caps(count=3))
        self.state = placed.state
        if placed.place in (Place.NEXT, Place.HELD):
            assert honest.seq not in self.taken
            self.taken[honest.seq] = digest
            if placed.place is Place.NEXT:
                self.order += [honest.seq, *placed.released]
        else:
            assert placed.state is before

    @invariant()
    def what_counts_is_unbroken(self):
        assert self.order == list(range(1, self.state.last + 1))

    @invariant()
    def nothing_is_both_held_and_released(self):
        assert all(seq > self.state.last + 1 for seq in self.state.held)
        assert isinstance(self.state.held, MappingProxyType)
        assert bool(self.state.held) == (self.state.since is not None)

    @precondition(lambda self: self.state.last)
    @invariant()
    def the_head_is_what_was_taken_last(self):
        last = self.messages[self.state.last - 1]
        taken = self.taken[self.state.last]
        assert self.state.head in {last.digest, taken}


TestOneStream = OneStream.TestCase
