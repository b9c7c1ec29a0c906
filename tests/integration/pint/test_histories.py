"""Random histories over three platforms, against a model: nothing is ever held twice.

Several histories run side by side on one network whose platforms stand behind hostile fronts. After
every step: what was refused has changed nothing durable at any of the three; the registry, the
carrier and every node say what the model says; at the end, and at times in between, the history is
proven by its exit file alone. The whole time somebody looks whether two platforms hold one title.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from protocols.pint.words import Action
from schemas.errors import TradeError
from tests.integration.pint.history_hands import HANDS, Hand, Theft
from tests.integration.pint.history_model import (
    AMENDMENT,
    DELIVERY,
    HOSTS,
    ITS_LAW,
    OTHER_LAW,
    PARTICULAR,
    Deed,
    everything,
)
from tests.integration.pint.history_world import FAULTS, World, world
from tests.integration.pint.sending_network import did_of

if TYPE_CHECKING:
    from pathlib import Path

    from protocols.title.machine import TitleState
    from tests.integration.pint.history_world import Held

ALL = everything()
#: How often each action is drawn among those that are possible.
LIKELY = {Action.TRANSFER: 8, DELIVERY: 1, AMENDMENT: 2, Action.SREJ: 5, Action.SACC: 2}
OFTEN, ACROSS = 3, 0.7
SEED, LANES, STEPS = 7, 3, 10
HANDS_AT_ONCE = 3
#: What gives possession away; of two at once only one can be.
AWAY = frozenset({Action.TRANSFER, DELIVERY, AMENDMENT})
#: An offer that was declined stays in the title's history, and its manifest where it went.
HISTORY = ("titles", "title_history", "title_bills", "registry_operations")
#: Whoever sends what was accepted, whatever stands around it, is told that it was.
SAME_ENTRY = frozenset({"replayed", "signed_again", "other_document"})


def is_after(state: TitleState, deed: Deed) -> bool:
    """Whether that deed was the last."""
    if deed.action is Action.TRANSFER:
        possessor = state.possessor
        return possessor is not None and possessor.did == did_of(deed.to or "")
    return state.purpose is not None and state.purpose.value == deed.action.value


class History:
    """One bill after the other; what it does follows from its seed and from who wins its races."""

    def __init__(self, there: World, seed: int, lane: int) -> None:
        self.there, self.lane = there, lane
        self.rng = random.Random(f"{seed}/{lane}")
        self.bills: list[Held] = []
        self.told: list[str] = []
        self.hands: list[Hand] = []

    async def run(self, steps: int) -> None:
        await self.issue()
        for _ in range(steps):
            await self.step()
        for held in self.bills:
            await self.there.exits(held)

    @property
    def held(self) -> Held:
        return self.bills[-1]

    async def step(self) -> None:
        paper = self.held.paper
        if paper.over:
            await self.hostile()
            await self.vain()
            await self.issue()
            return
        await self.rng.choices((self.deed, self.race, self.vain, self.hostile), (5, 1, 2, 3))[0]()

    async def issue(self) -> None:
        rng, before = self.rng, self.bills[-1] if self.bills else None
        kind = rng.choice(("straight", "to-order", "blank"))
        law = OTHER_LAW if rng.random() < 0.3 else ITS_LAW
        holder = rng.choice(("exp-a", "exp-a", "bank")) if kind != "straight" else "exp-a"
        asked = before.paper.asked if before else None
        replaced = before if asked is not None and asked.action is AMENDMENT else None
        reference = f"NHL{self.lane}{len(self.bills):04}"
        if replaced is not None and before is not None and rng.random() < 0.5:
            reference = before.reference
        self.say(f"issue {reference} {kind} to {holder} under {law}")
        held = await self.there.issue(reference, kind, holder=holder, law=law, replaces=replaced)
        self.bills.append(held)
        await self.there.agrees(held)

    async def deed(self) -> None:
        """Something that is allowed comes about, whatever the network does to it."""
        held, paper = self.held, self.held.paper
        possible = [one for one in ALL if paper.allows(one)]
        actions = sorted({one.action for one in possible})
        action = self.rng.choices(actions, [LIKELY.get(one, 1) for one in actions])[0]
        deeds = [one for one in possible if one.action is action]
        across = [one for one in deeds if HOSTS[one.to or one.actor] != HOSTS[one.actor]]
        deed = self.rng.choice(across if across and self.rng.random() < ACROSS else deeds)
        faults = self.rng.choices(FAULTS, k=self.rng.choice((0, 0, 1, 2)))
        self.say(f"{deed}; met by {[one.__name__ for one in faults]}")
        plan = [front.plans[held.reference] for front in self.there.before.values()]
        for one in plan:
            one.extend(faults)
        answer = await self.there.do(held, deed)
        for one in plan:
            one.clear()
        self.say(f"  {answer['outcome']} {answer['state']} {answer.get('responseCode', '')}")
        held.paper = paper.after(deed)
        await self.there.agrees(held)
        if held.paper.over:
            await self.there.end(held)
            await self.there.agrees(held)
        if self.rng.random() < 1 / OFTEN:
            await self.there.exits(held)

    async def race(self) -> None:
        """Of two ways to give the bill away in one moment exactly one comes about."""
        held, paper = self.held, self.held.paper
        away = [
            one for one in ALL if paper.allows(one) and one.action in AWAY and one.reason is None
        ]
        if len(away) < 2:
            return
        both = self.rng.sample(away, 2)
        self.say(f"at once: {both[0]}, {both[1]}")
        answers = await asyncio.gather(
            *(self.there.do(held, deed) for deed in both), return_exceptions=True
        )
        for one in answers:
            if isinstance(one, BaseException) and not isinstance(one, TradeError):
                raise one
        state = await self.there.still(held)
        (won,) = [one for one in both if is_after(state, one)]
        self.say(f"  {won}")
        held.paper = paper.after(won)
        await self.there.agrees(held)

    async def vain(self) -> None:
        """Something that is not allowed changes nothing anywhere."""
        held, paper = self.held, self.held.paper
        deed = self.rng.choice([one for one in ALL if not paper.allows(one)])
        self.say(f"in vain: {deed}")
        before = await self.before()
        try:
            answer = await self.there.do(held, deed)
            # An order that was carried out before is answered as it was then.
            self.say(f"  {answer['outcome']} {answer['state']} {answer.get('code', '')}")
        except TradeError as error:
            self.say(f"  {error.code}")
        await self.unchanged(before, but=HISTORY if self.is_declined(deed) else ())

    def is_declined(self, deed: Deed) -> bool:
        """Whether the other platform's law is all that stands against it: offered and declined."""
        paper = self.held.paper
        return (
            paper.law != ITS_LAW
            and deed.action is Action.TRANSFER
            and deed.actor == paper.possessor
            and HOSTS[deed.to or ""] == PARTICULAR != HOSTS[deed.actor]
        )

    async def hostile(self) -> None:
        """Envelopes that somebody forged, cut or kept change nothing anywhere."""
        before = await self.before()
        for _ in range(HANDS_AT_ONCE):
            if not self.hands:
                self.hands = self.rng.sample(HANDS, len(HANDS))
            await self.post(self.hands.pop())
        await self.unchanged(before)

    async def post(self, hand: Hand) -> None:
        others = [body for one in self.bills[:-1] for body in self.there.carried(one)]
        theft = Theft(self.there, self.held, self.rng, others[-1] if others else None)
        posted = hand(theft) if theft.bodies else None
        if posted is None:
            return
        status, word = await self.there.post(*posted)
        self.say(f"hostile: {hand.__name__} to {posted[0]}: {status} {word}")
        assert (status, word) in {
            (200, "DUPE"), (409, "DISE"), (422, "BENV"), (422, "BSIG"), (400, "")
        }  # fmt: skip
        assert word != "DUPE" or hand.__name__ in SAME_ENTRY

    async def before(self) -> dict[str, Any]:
        await self.there.still(self.held)
        return await self.there.snapshot(self.held)

    async def unchanged(self, before: dict[str, Any], but: tuple[str, ...] = ()) -> None:
        await self.there.agrees(self.held)
        after = await self.there.snapshot(self.held)
        for name, tables in after.items():
            for table, rows in tables.items():
                assert table in but or rows == before[name][table], f"{name} {table}"

    def say(self, what: str) -> None:
        self.told.append(what)


async def histories(folder: Path, seed: int, lanes: int, steps: int) -> list[History]:
    both: list[str] = []
    async with world(folder) as there:
        made = [History(there, seed, lane) for lane in range(lanes)]
        watching = asyncio.create_task(there.watch(both))
        try:
            for_all = await asyncio.gather(
                *(one.run(steps) for one in made), return_exceptions=True
            )
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        for one, error in zip(made, for_all, strict=True):
            if error is not None:
                told = "\n".join(one.told)
                raise AssertionError(f"seed {seed}, history {one.lane}:\n{told}") from error
    assert not both, f"seed {seed}: {both[0]}"
    return made


async def test_no_random_history_over_three_platforms_holds_a_title_twice(tmp_path: Path) -> None:
    await histories(tmp_path, seed=SEED, lanes=LANES, steps=STEPS)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("number", range(3))
async def test_no_random_history_holds_a_title_twice_in_the_long_run(
    tmp_path: Path, number: int
) -> None:
    await histories(tmp_path, seed=random.SystemRandom().randrange(2**32), lanes=4, steps=60)
