"""An exit file's history, executed again without its batches, comes to the very same state."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from node.title.exit_file import execute
from protocols.title.machine import Bill, Ending, Kind
from protocols.title.operation import read_operation
from schemas.errors import TradeError
from tests.support.title_world import NOW, World, issue, operation, signed

HOUR = timedelta(hours=1)


def replayed(world: World, title: bytes) -> object:
    return execute([read_operation(text).operation for text in world.operations[title]])


def test_every_kind_of_operation_is_executed_again_in_its_time() -> None:
    world, made = World(), issue(holder=None, bill=Bill.BLANK)
    title = made.title
    world.run(signed(made))
    world.go(Kind.TRANSFER, title, "exp-a", "bank")
    world.go(Kind.BLANK_ENDORSE, title, "bank")
    offered = operation(Kind.OFFER, title, 3, "bank", "imp-a")
    assert offered.expires is not None
    world.run(signed(offered))
    late = offered.expires + timedelta(seconds=1)
    cancelled = replace(operation(Kind.CANCEL_OFFER, title, 4, "bank"), deadline=late + HOUR)
    world.run(signed(cancelled), at=late)
    again = replace(
        operation(Kind.OFFER, title, 5, "bank", "imp-a"),
        deadline=late + HOUR,
        expires=late + HOUR,
    )
    world.run(signed(again), at=late)
    taken = replace(operation(Kind.ACCEPT_OFFER, title, 6, "imp-a"), deadline=late + 9 * HOUR)
    world.run(signed(taken), at=late)
    for kind, who in ((Kind.SURRENDER_FOR_AMENDMENT, "imp-a"), (Kind.ACCEPT_SURRENDER, "nhl")):
        step = operation(kind, title, world.states[title].seq, who)
        world.run(signed(replace(step, deadline=late + HOUR)), at=late)
    end = replace(operation(Kind.END, title, 9, "nhl"), ending=Ending.AMENDED)
    world.run(signed(replace(end, deadline=late + HOUR)), at=late)
    assert replayed(world, title) == world.states[title]
    anew = replace(issue(reference="NHLX0001-2", replaces=title), deadline=late + HOUR)
    world.run(signed(anew), at=late)
    assert replayed(world, anew.title) == world.states[anew.title]


def test_a_history_with_a_step_left_out_or_twice_is_not_executed() -> None:
    world, made = World(), issue(holder=None, bill=Bill.BLANK)
    world.run(signed(made))
    world.go(Kind.TRANSFER, made.title, "exp-a", "bank")
    world.go(Kind.TRANSFER, made.title, "bank", "imp-a")
    whole = [read_operation(text).operation for text in world.operations[made.title]]
    assert whole[0].deadline > NOW
    for wrong in ([whole[0], whole[2]], [*whole, whole[2]], whole[1:]):
        with pytest.raises(TradeError):
            execute(wrong)
