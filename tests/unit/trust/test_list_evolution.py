"""However a list evolves, a verifier never ends on one that the threshold before did not sign."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from protocols import member_list
from protocols.keys import SoftwareSigner
from protocols.member_list import MemberList, MemberListDraft, Roots
from schemas.errors import TradeError
from tests.support.made_network import NOW, A, founded, signer

MADE = founded()
ALL = tuple(signer(f"{A}#root-{number}") for number in range(1, 6))
SUBSETS = st.sets(st.sampled_from(range(5)), max_size=5)


class Evolution(RuleBasedStateMachine):
    """Roots write next versions, rightly and wrongly; a verifier is shown all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.chain: list[MemberList] = [MADE.members]
        self.roots: list[set[int]] = [{0, 1, 2}]
        self.held = MADE.members
        self.shown: list[bytes] = [MADE.members.signed]
        self.names = 0

    def draft(self, base: MemberList, roots: set[int], threshold: int) -> MemberListDraft:
        self.names += 1
        draft = MemberListDraft.after(
            base,
            issued_at=base.issued_at + timedelta(seconds=1),
            expires=NOW + timedelta(days=90),
        )
        keys = tuple(ALL[number].public() for number in sorted(roots))
        return replace(draft, name=f"Name {self.names}", roots=Roots(threshold, keys))

    def signers(self, numbers: set[int]) -> list[SoftwareSigner]:
        return [ALL[number] for number in sorted(numbers)]

    def show(self, signed: bytes) -> bool:
        self.shown.append(signed)
        try:
            self.held = member_list.open_chain([signed], self.held, NOW)
        except TradeError:
            return False
        return True

    @rule(by=SUBSETS, roots=SUBSETS.filter(bool), threshold=st.integers(1, 5))
    def somebody_signs_a_next_version(self, by: set[int], roots: set[int], threshold: int) -> None:
        base, threshold = self.chain[-1], min(threshold, len(roots))
        old, needed = self.roots[-1], base.roots.threshold
        draft = self.draft(base, roots, threshold)
        changed = draft.roots != base.roots
        enough = len(by & old) >= needed and (not changed or len(by & roots) >= threshold)
        if not by:
            return
        signed = member_list.sign_list(draft.payload(), self.signers(by))
        assert self.show(signed) is enough
        if enough:
            self.chain.append(self.held)
            self.roots.append(roots)

    @rule(back=st.integers(1, 5))
    def an_old_threshold_signs_another_version_of_the_past(self, back: int) -> None:
        at = max(len(self.chain) - 1 - back, 0)
        base, roots = self.chain[at], self.roots[at]
        draft = self.draft(base, roots, base.roots.threshold)
        before = self.held
        self.show(member_list.sign_list(draft.payload(), self.signers(roots)))
        assert self.held.digest == before.digest or len(self.chain) == 1
        if self.held is not before:
            self.chain.append(self.held)
            self.roots.append(roots)

    @rule(data=st.data())
    def anything_shown_before_is_shown_again(self, data: st.DataObject) -> None:
        before = self.held
        self.show(data.draw(st.sampled_from(self.shown)))
        assert self.held.digest == before.digest

    @rule()
    def a_version_is_left_out(self) -> None:
        base, roots = self.chain[-1], self.roots[-1]
        draft = self.draft(base, roots, base.roots.threshold)
        unseen = member_list.advance(
            base, member_list.sign_list(draft.payload(), self.signers(roots)), now=NOW
        )
        gap = self.draft(unseen, roots, base.roots.threshold)
        assert not self.show(member_list.sign_list(gap.payload(), self.signers(roots)))

    @invariant()
    def test_r4_what_is_held_is_the_chain_that_each_threshold_signed(self) -> None:
        assert self.held.digest == self.chain[-1].digest
        assert self.held.version == len(self.chain)


TestR4Evolution = Evolution.TestCase
TestR4Evolution.settings = settings(
    max_examples=25,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
