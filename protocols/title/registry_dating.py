"""How a witness holds a registry's batches to the time (R22).

A batch carries its own time, so that it can be re-executed for ever. Nobody but its witnesses can
say that it was made then: a sequencer could date one back, to before a deadline or the end of a
key. A witness cosigns a batch that no quorum has cosigned yet only when

1. its time is close to the witness's own clock and no newer member list was due by then; or
2. so many witnesses have cosigned it close to its time that one of them is honest; or
3. judged now, under the newest list, its operations come to the same result: then nothing hangs
   on its time.

Otherwise the sequencer restates it: the log then shows that its operations are judged at a later
time. A witness that has cosigned the batch as it was refuses that, until a quorum has cosigned the
restatement. Two quorums share an honest witness, so never are both of them final; and of 3f + 1
witnesses either f + 1 have cosigned the batch, and the others follow by 2, or 2f + 1 have not.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from protocols import times
from protocols.member_list import MemberList
from protocols.title.machine import TitleState
from protocols.title.registry import (
    Execution,
    Registry,
    StateOf,
    Step,
    open_batch,
    restate,
)
from schemas.errors import RefusedError, TradeError

TOLERANCE_MS = 60_000
"""How far a batch's time may lie from a witness's clock."""
LIST_GRACE_MS = 600_000
"""How long after a newer member list was issued a sequencer may not know it yet."""


@dataclass(frozen=True, slots=True)
class Judge:
    """What a witness knows when it judges.

    newest:     the member list in force at the witness
    vouchers:   POSIX seconds at which other witnesses cosigned these entries
    liars:      how many witnesses may lie
    settled:    entries that a quorum has cosigned, or that a freeze has fixed
    binding:    the largest size that this witness has cosigned, or may have before it forgot
    """

    now_ms: int
    newest: MemberList
    vouchers: Collection[int] = ()
    liars: int = 0
    settled: int = 0
    binding: int = 0

    def judge(self, base: Registry, steps: Sequence[Step], state_of: StateOf) -> None:
        """Check batches that were re-executed on top of `base`.

        Raises RefusedError `registry_batch_stale`, `registry_batch_invalid` for a time to come,
        `registry_restatement_refused`.
        """
        changed: dict[bytes, TitleState | None] = {}

        def current(title: bytes) -> TitleState | None:
            return changed[title] if title in changed else state_of(title)

        before = base
        for at, step in enumerate(steps):
            if step.registry.size > self.settled:
                self._require_unbound(before, step)
                if at + 1 == len(steps) or not steps[at + 1].moment.restates:
                    self._require_timely(before, step, current)
            changed |= step.changes(before)
            before = step.registry

    def _require_unbound(self, before: Registry, step: Step) -> None:
        if step.moment.restates and before.size <= self.binding:
            raise RefusedError(
                "registry_restatement_refused", "this witness has cosigned what is restated"
            )

    def _require_timely(self, before: Registry, step: Step, state_of: StateOf) -> None:
        at_ms = step.moment.at_ms
        if at_ms > self.now_ms + TOLERANCE_MS:
            raise RefusedError("registry_batch_invalid", "its time lies in the future")
        if self._is_timely(step) or self._is_vouched(at_ms):
            return
        if not is_harmless(before, step, self.newest, self.now_ms, state_of):
            raise RefusedError(
                "registry_batch_stale", "judged now, its operations come to another result"
            )

    def _is_timely(self, step: Step) -> bool:
        at_ms, newest = step.moment.at_ms, self.newest
        if at_ms < self.now_ms - TOLERANCE_MS:
            return False
        due = times.to_ms(newest.issued_at) + LIST_GRACE_MS
        return step.moment.members_digest == newest.digest or at_ms <= due

    def _is_vouched(self, at_ms: int) -> bool:
        near = [one for one in self.vouchers if abs(one * 1000 - at_ms) <= TOLERANCE_MS + 1000]
        return len(near) > self.liars


def is_harmless(
    before: Registry, step: Step, newest: MemberList, now_ms: int, state_of: StateOf
) -> bool:
    """Whether the step comes to the same titles when it is judged at `now_ms` under `newest`."""
    if step.registry.arbiter != before.arbiter:
        return True  # a hand-over moves no title
    return root_at(before, step, newest, now_ms, state_of) == step.registry.titles.root


def root_at(
    before: Registry, step: Step, newest: MemberList, now_ms: int, state_of: StateOf
) -> bytes | None:
    """The state root that the step's operations would lead to then; None when titles may not
    move at all."""
    moment = open_batch(before, newest, now_ms, restates=step.moment.restates)
    try:
        if step.moment.restates:
            return restate(before, moment, newest, state_of).close()[0].state_root
        run = Execution(before, moment, newest, state_of)
        for done in step.applied:
            run.apply(done.signed.text)
    except TradeError:
        return None
    return run.close()[0].state_root
