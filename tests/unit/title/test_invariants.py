"""Random histories of many titles: the invariants of a title registry hold after every step.

Numbered as in the project's ledger reference: 1 singularity, 2 seq, 3 authority, 4 replay,
5 foreign signatures, 6 ending is absorbing, 7 refusals change nothing, 8 batch = sequence,
9 one winner per (title, seq), 10 head, 11 de-listing, 12 projection. (11 has a test of its own.)
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from protocols.title.machine import (
    NO_HEAD,
    Bill,
    Ending,
    Kind,
    Operation,
    State,
    TitleState,
    next_head,
)
from protocols.title.operation import read_operation
from protocols.title.registry import MAX_OPERATIONS, execute
from schemas.errors import TradeError
from tests.support.title_world import (
    MEMBERS,
    NOW,
    TRADERS,
    World,
    issue,
    operation,
    party,
    signed,
)

ACTORS = ("nhl", *sorted(TRADERS))
TAKES_RECIPIENT = {Kind.TRANSFER, Kind.OFFER, Kind.ENDORSE, Kind.ENDORSE_TO_ORDER}
MOVES = sorted(kind for kind in Kind if kind is not Kind.ISSUE)
BILLS = st.sampled_from([Bill.STRAIGHT, Bill.TO_ORDER, Bill.BLANK])
CARRIER_KINDS = {Kind.ACCEPT_SURRENDER, Kind.REJECT_SURRENDER, Kind.END}


class Titles(RuleBasedStateMachine):
    """Three titles, five actors, every operation at any time, right or wrong."""

    @initialize(bills=st.lists(BILLS, min_size=3, max_size=3))
    def issue_titles(self, bills: list[Bill]) -> None:
        self.world = World()
        self.seen: list[str] = []
        self.moment = NOW
        self.titles = []
        for number, bill in enumerate(bills):
            holder = None if bill is Bill.BLANK else "bank"
            made = issue(holder=holder, bill=bill, reference=f"T{number}")
            self._accepted(signed(made))
            self.titles.append(made.title)

    def _accepted(self, *texts: str) -> None:
        self.world.run(*texts, at=self.moment)
        self.seen += texts

    def _made(self, kind: Kind, which: int, who: str, to: str, ending: Ending) -> Operation:
        title = self.titles[which]
        state = self.world.states[title]
        made = operation(kind, title, state.seq, who, to if kind in TAKES_RECIPIENT else None)
        expires = self.moment + timedelta(minutes=10) if kind is Kind.OFFER else None
        return replace(made, ending=ending if kind is Kind.END else None, expires=expires)

    @rule(
        kind=st.sampled_from(MOVES),
        which=st.integers(0, 2),
        who=st.sampled_from(ACTORS),
        to=st.sampled_from(ACTORS),
        ending=st.sampled_from(Ending),
    )
    def anybody_tries_anything(
        self, kind: Kind, which: int, who: str, to: str, ending: Ending
    ) -> None:
        made = self._made(kind, which, who, to, ending)
        state, registry = self.world.states[made.title], self.world.registry
        run = self.world.open(self.moment)
        try:
            after = run.apply(signed(made)).state
        except TradeError:
            # 7: a refusal leaves neither the batch nor the registry changed.
            assert run.state_of(made.title) == state
            assert not run.applied
            assert self.world.registry == registry
            return
        self._authorised(made, state)
        assert after.seq == state.seq + 1  # 2
        assert after.head == next_head(state.head, read_operation(signed(made)).operation.digest)
        self._accepted(signed(made))

    def _authorised(self, made: Operation, before: TitleState) -> None:
        """3: only the possessor moves; only the issuer answers and ends; only the offeree takes."""
        if made.kind in CARRIER_KINDS:
            assert made.sender == before.issuer
        elif made.kind in {Kind.ACCEPT_OFFER, Kind.DECLINE_OFFER}:
            assert before.offer is not None
            assert made.sender == before.offer.recipient
        else:
            assert made.sender == before.possessor
        assert before.state is not State.ENDED  # 6

    @rule(which=st.integers(0, 2), to=st.sampled_from(sorted(TRADERS)))
    def the_possessor_transfers(self, which: int, to: str) -> None:
        state = self.world.states[self.titles[which]]
        who = next((name for name in ACTORS if party(name) == state.possessor), "nhl")
        self.anybody_tries_anything(Kind.TRANSFER, which, who, to, Ending.DELIVERED)

    @rule(which=st.integers(0, 2), kind=st.sampled_from(sorted(CARRIER_KINDS)))
    def the_carrier_answers(self, which: int, kind: Kind) -> None:
        purpose = self.world.states[self.titles[which]].purpose
        delivery = purpose is Kind.SURRENDER_FOR_DELIVERY
        ending = Ending.DELIVERED if delivery else Ending.PAPER
        self.anybody_tries_anything(kind, which, "nhl", "bank", ending)

    @rule(number=st.integers(0, 50))
    def an_earlier_operation_is_replayed(self, number: int) -> None:
        run = self.world.open(self.moment)
        with pytest.raises(TradeError, match=r"title_seq_conflict|title_exists"):  # 4
            run.apply(self.seen[number % len(self.seen)])

    @rule(which=st.integers(0, 2), who=st.sampled_from(ACTORS), by=st.sampled_from(ACTORS))
    def somebody_signs_for_another(self, which: int, who: str, by: str) -> None:
        made = self._made(Kind.TRANSFER, which, who, "imp-a", Ending.DELIVERED)
        own, foreign = signed(made), signed(replace(made, sender=party(by)), by)
        mixed = ".".join([*own.split(".")[:2], foreign.split(".")[2]])
        if who == by:
            return
        run = self.world.open(self.moment)
        with pytest.raises(TradeError, match="bad_signature"):  # 5
            run.apply(mixed)

    @rule(which=st.integers(0, 2), first=st.booleans())
    def two_operations_compete(self, which: int, first: bool) -> None:
        state = self.world.states[self.titles[which]]
        who = next((name for name in ACTORS if party(name) == state.possessor), None)
        if who in {None, "nhl"} or state.state is not State.LIVE:
            return
        others = [name for name in sorted(TRADERS) if name != who][:2]
        pair = [signed(self._made(Kind.TRANSFER, which, who, to, Ending.PAPER)) for to in others]
        winner, loser = pair if first else pair[::-1]
        run = self.world.open(self.moment)
        run.apply(winner)
        with pytest.raises(TradeError, match="title_seq_conflict"):  # 9
            run.apply(loser)
        self._accepted(winner)

    @rule(minutes=st.integers(1, 15))
    def time_passes(self, minutes: int) -> None:
        later = self.moment + timedelta(minutes=minutes)
        self.moment = min(later, NOW + timedelta(hours=23))

    @invariant()
    def exactly_one_party_is_in_control(self) -> None:
        for state in self.world.states.values():
            assert (state.possessor is None) == (state.state is State.ENDED)  # 1
            if state.state in {State.SURRENDERED, State.ACCEPTED}:
                assert state.possessor == state.issuer

    @invariant()
    def the_head_commits_to_every_operation(self) -> None:
        for title, texts in self.world.operations.items():
            head = NO_HEAD
            for text in texts:
                head = next_head(head, read_operation(text).operation.digest)
            assert head == self.world.states[title].head  # 10

    def teardown(self) -> None:
        """8, 12: whoever executes the log again, batch by batch or at once, sees the same."""
        if not hasattr(self, "world"):
            return
        again = execute(World().registry, self.world.entries, {MEMBERS.digest: MEMBERS}.get, {}.get)
        assert again.registry == self.world.registry
        assert again.changed == self.world.states
        if self.moment == NOW and len(self.seen) <= MAX_OPERATIONS:
            whole = World()
            whole.run(*self.seen)
            assert whole.registry.titles.root == self.world.registry.titles.root


Titles.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestTitles = Titles.TestCase
