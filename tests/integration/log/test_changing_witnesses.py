"""A change of witnesses counts only through the hand-over that both quorums have cosigned (R16)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger import hand_overs
from node.log import handing_over, receipts
from node.runtime import Node
from protocols.log import epochs as log_epochs
from protocols.member_list import MemberList, MemberListDraft
from protocols.members import policies
from protocols.verify.receipt_steps import verify_in_listed_log
from schemas.errors import RefusedError
from tests.integration.log.log_network import UNTIL, WITNESSES, append, made, start
from tests.support.network import Made, did_of

OLD, NEW = WITNESSES, ("w3", "w4", "w5", "w6")
ORIGIN = "rail.example/log/1"


async def until(condition: Callable[[], Any], seconds: float = UNTIL) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "not in time"
        await asyncio.sleep(0.02)


def changed(network: Made, witnesses: tuple[str, ...] = NEW) -> MemberList:
    """The next list, which names other witnesses for every log."""
    held = network.members
    draft = MemberListDraft.after(held, issued_at=held.issued_at, expires=held.expires)
    draft = policies.with_witnesses(draft, [did_of(name) for name in witnesses])
    return replace(held, logs=draft.logs)


def take(nodes: dict[str, Node], members: MemberList) -> None:
    for node in nodes.values():
        node.members.replace(members)


async def test_r16_new_witnesses_count_from_the_hand_over_on_and_not_before(tmp_path: Path):
    network = made(tmp_path, others=("w5", "w6"))
    async with AsyncExitStack() as stack:
        nodes = await start(stack, network, "rail", *OLD, "w5", "w6")
        rail, w1 = nodes["rail"], nodes["w1"]
        before = await rail.log.wait_for(await append(rail, b"before"), UNTIL)
        second = changed(network)
        assert [entry.epoch for entry in second.log_epochs(ORIGIN)] == [1, 2]
        take(nodes, second)
        await until(lambda: rail.members.current.log(ORIGIN).epoch == 2)
        (proven,) = await rail.store.read(hand_overs.all_of)
        after = await rail.log.wait_for(await append(rail, b"after"), UNTIL)
        assert before.witnessed
        assert after.witnessed
        assert before.size < proven.since < after.size

        told = rail.members.current
        assert told.log(ORIGIN).since == proven.since
        first = verify_in_listed_log(told, before.entry, before.text)
        later = verify_in_listed_log(told, after.entry, after.text)
        assert first.witnessed
        assert later.witnessed
        # Who does not know the hand-over goes on asking for the old quorum.
        assert verify_in_listed_log(second, before.entry, before.text).witnessed
        assert not verify_in_listed_log(second, after.entry, after.text).witnessed
        # What its receipt file brings along is enough for who has nothing but that list.
        carried = await rail.store.read(receipts.hand_overs_up_to, rail, after)
        alone = log_epochs.with_hand_overs(second, carried)
        assert verify_in_listed_log(alone, after.entry, after.text).witnessed
        assert await rail.store.read(receipts.hand_overs_up_to, rail, before) == ()
        # The hand-over's own receipt has the lines of both.
        receipt = await rail.log.receipt(log_epochs.merkle.leaf_hash(proven.entry))
        assert verify_in_listed_log(told, receipt.entry, receipt.text).witnessed

        # Another node believes the file for its signatures alone, and then the log's new epoch.
        assert w1.members.current.log(ORIGIN).epoch == 1
        answer = await w1.client.call(did_of("rail"), "GET", "/log/hand-overs")
        assert answer.status == 200
        learned = await handing_over.learn(w1, proven.to_bytes())
        assert learned == proven
        assert w1.members.current.log(ORIGIN).epoch == 2
        forged = replace(proven, size=proven.size - 1)
        with pytest.raises(RefusedError):
            await handing_over.learn(w1, forged.to_bytes())


async def test_r16_without_the_new_quorum_the_old_policy_holds(tmp_path: Path):
    network = made(tmp_path, others=("w5", "w6"))
    async with AsyncExitStack() as stack:
        nodes = await start(stack, network, "rail", *OLD)  # w5 and w6 are off
        rail = nodes["rail"]
        take(nodes, changed(network))
        receipt = await rail.log.wait_for(await append(rail, b"one"), UNTIL)
        assert receipt.witnessed
        await until(lambda: rail.log.handing_over.trouble == "log_quorum_unreachable")
        shown = await rail.log.show()
        assert shown["handOver"] == {"epoch": 2, "trouble": "log_quorum_unreachable"}
        assert rail.members.current.log(ORIGIN).epoch == 1
        assert rail.log.policy.voters(ORIGIN)
        # When they come, it is handed over without anybody doing anything.
        more = await start(stack, network, "w5", "w6")
        take(more, changed(network))
        await until(lambda: rail.members.current.log(ORIGIN).epoch == 2)


async def test_r16_the_hand_over_is_known_again_after_a_restart(tmp_path: Path):
    network = made(tmp_path, others=("w5", "w6"))
    second = changed(network)
    async with AsyncExitStack() as stack:
        nodes = await start(stack, network, *OLD, "w5", "w6")
        take(nodes, second)
        async with AsyncExitStack() as first:
            rail = (await start(first, network, "rail"))["rail"]
            await rail.log.wait_for(await append(rail, b"one"), UNTIL)
            rail.members.replace(second)
            await until(lambda: rail.members.current.log(ORIGIN).epoch == 2)
        rail = (await start(stack, replace(network, members=second), "rail"))["rail"]
        assert rail.members.current.log(ORIGIN).epoch == 2
        receipt = await rail.log.wait_for(await append(rail, b"two"), UNTIL)
        assert receipt.witnessed
        assert verify_in_listed_log(rail.members.current, receipt.entry, receipt.text).witnessed
