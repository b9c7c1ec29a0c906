"""Partners that fail in both ways, lie, or answer rubbish."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from node.runtime import Node
from protocols.seams import Answer
from schemas.errors import UnavailableError
from tests.integration.log.log_network import (
    SERVICES,
    UNTIL,
    append,
    eventually,
    made,
    verified,
)
from tests.support.network import running_network


class Faulty:
    """Wraps a node's client; `fault` decides per call what becomes of it."""

    def __init__(self, node: Node, fault: Callable[[str, str, int], str | Answer | None]) -> None:
        self._call, self._fault = node.client.call, fault
        self.calls: Counter[str] = Counter()
        node.client.call = self.call

    async def call(self, did: str, method: str, path: str, *rest: Any, **more: Any) -> Answer:
        self.calls[did] += 1
        what = self._fault(did, path, self.calls[did])
        if isinstance(what, Answer):
            return what
        if what == "not applied":
            raise UnavailableError("peer_unreachable", "lost on the way there")
        answer = await self._call(did, method, path, *rest, **more)
        if what == "applied":
            raise UnavailableError("peer_unreachable", "lost on the way back")
        return answer


async def test_lost_questions_and_lost_answers_cost_only_time(tmp_path: Path):
    faults = {"did:web:w1.example": "applied", "did:web:w2.example": "not applied"}

    def fault(did: str, path: str, count: int) -> str | None:
        return faults.get(did) if "add-checkpoint" in path and count <= 4 else None

    network = made(tmp_path)
    async with running_network(network, services=SERVICES) as nodes:
        rail = nodes["rail"]
        Faulty(rail, fault)
        await nodes["w4"].stop()
        receipt = await rail.log.wait_for(await append(rail, b"one"), UNTIL)
        assert receipt.witnessed
        assert set(verified(rail, receipt).witness_times) == {"w1", "w2", "w3"}


RUBBISH = [
    Answer(200, b""),
    Answer(200, b"\xff\xfe\n"),
    Answer(200, "\u2014 w3.example/witness/1 AAAAAAAAAAAA\n".encode()),
    Answer(200, b'{"statement":"x","checkpoint":"y"}'),
    Answer(409, b"9000000000000000000\n"),
    Answer(409, b"0\n"),
    Answer(409, b"many\n"),
    Answer(404, b""),
    Answer(500, b""),
]


@pytest.mark.parametrize("answer", RUBBISH)
async def test_one_lying_witness_neither_stops_nor_seals_a_log(tmp_path: Path, answer: Answer):
    def fault(did: str, _path: str, _count: int) -> Answer | None:
        return answer if did == "did:web:w3.example" else None

    network = made(tmp_path)
    async with running_network(network, services=SERVICES) as nodes:
        rail = nodes["rail"]
        faulty = Faulty(rail, fault)
        for entry in (b"one", b"two"):
            receipt = await rail.log.wait_for(await append(rail, entry), UNTIL)
            assert receipt.witnessed
            assert set(verified(rail, receipt).witness_times) == {"w1", "w2", "w4"}
        assert rail.log.ready() is None
        assert faulty.calls["did:web:w3.example"] < 60


async def test_a_new_member_list_may_bring_the_first_witnesses(tmp_path: Path):
    network = made(tmp_path)
    alone = made(tmp_path / "alone", witnesses=())
    async with running_network(network, services=SERVICES) as nodes:
        rail = nodes["rail"]
        rail.members.replace(alone.members)
        receipt = await rail.log.wait_for(await append(rail, b"one"), UNTIL)
        assert not receipt.witnessed
        rail.members.replace(network.members)
        await asyncio.sleep(0)
        assert (await rail.log.wait_for(receipt.leaf_hash, UNTIL)).witnessed


async def test_r16_a_log_under_an_intolerant_policy_signs_nothing(tmp_path: Path):
    from dataclasses import replace

    from protocols.log import note
    from protocols.log import policy as log_policy
    from protocols.log.policy import threshold_policy

    network = made(tmp_path)
    (entry,) = [log for log in network.members.logs if log.origin == "rail.example/log/1"]
    witnesses = [(item.key, "") for item in log_policy.parse(entry.policy).witnesses.values()]
    bad = replace(entry, policy=threshold_policy(note.parse_vkey(entry.vkey), witnesses, 2))
    weak = replace(network.members, logs=(bad,))
    async with running_network(network, services=SERVICES) as nodes:
        rail = nodes["rail"]
        rail.members.replace(weak)
        leaf = await append(rail, b"one")
        await eventually(lambda: asyncio.sleep(0, rail.log.ready()))
        assert "policy_intolerant" in rail.log.ready()
        assert await rail.log.wait_for(leaf, 1.0) is None
