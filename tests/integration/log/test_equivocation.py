from __future__ import annotations

import asyncio
import json
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from ledger import forks
from node.exchange.service import ExchangeService
from node.log import monitor, partners
from node.log.audit import Auditor
from node.log.equivocation import EquivocationHandler
from node.runtime import Node
from node.store import events
from protocols.log import fork_evidence
from schemas.errors import NotFoundError, RefusedError
from testnet import hostile_log
from tests.integration.log.log_network import (
    SERVICES,
    UNTIL,
    WITNESSES,
    append,
    eventually,
    made,
    start,
)
from tests.support.network import running_network

RAIL = "did:web:rail.example"
WITH_EXCHANGE = (("exchange", ExchangeService), *SERVICES)


async def caught(nodes: dict[str, Node], names: tuple[str, ...], seconds: float = UNTIL) -> None:
    end = time.monotonic() + seconds
    while True:
        marked = [await nodes[name].store.read(forks.is_marked, RAIL) for name in names]
        if all(marked):
            return
        assert time.monotonic() < end, dict(zip(names, marked, strict=True))
        await asyncio.sleep(0.05)


async def alarms(node: Node) -> list[events.Event]:
    return [event for event in await node.store.read(events.after) if event.kind == "alarm"]


async def test_two_heads_are_caught_kept_told_and_cosigned_by_no_quorum(tmp_path: Path):
    network = made(tmp_path, others=("bank",))
    async with running_network(network, services=WITH_EXCHANGE) as nodes:
        rail = nodes["rail"]
        await rail.log.wait_for(await append(rail, b"one", b"two"), UNTIL)
        replies = await hostile_log.show_both(rail)
        assert {reply.status for reply in replies if reply.head == "honest"} == {200}
        assert {reply.status for reply in replies if reply.head == "forged"} == {422}
        everybody = (*WITNESSES, "bank")
        await caught(nodes, everybody)
        for name in everybody:
            node = nodes[name]
            (alarm,) = await alarms(node)
            assert (alarm.actor, alarm.detail["code"]) == (RAIL, "log_equivocation")
            file = node.home.evidence / alarm.detail["evidence"]
            evidence = fork_evidence.parse(file.read_bytes())
            entry = network.members.log("rail.example/log/1")
            assert evidence.prove(entry.vkey).same_size
            shown = await node.log.show()
            assert [item["did"] for item in shown["marked"]] == [RAIL]
        again = await hostile_log.show_both(rail)
        assert {reply.status for reply in again} == {422}


async def test_the_routes_are_described(tmp_path: Path):
    from openapi_spec_validator import validate

    network = made(tmp_path, witnesses=())
    async with running_network(network, services=SERVICES) as nodes:
        rail = nodes["rail"]
        answer = await rail.client.open_call("GET", f"{rail.local_url}/openapi.json")
        described = json.loads(answer.body)
        validate(described)
        assert {"/log/tile/{path}", "/v1/log/audit", "/v1/fsck"} <= set(described["paths"])


async def test_a_caught_node_restarts_and_logs_on_unwitnessed(tmp_path: Path):
    network = made(tmp_path)
    async with AsyncExitStack() as stack:
        nodes = await start(stack, network, *WITNESSES)
        async with AsyncExitStack() as first:
            rail = (await start(first, network, "rail"))["rail"]
            await rail.log.wait_for(await append(rail, b"one", b"two"), UNTIL)
            await hostile_log.show_both(rail)
            await caught(nodes, WITNESSES)
        rail = (await start(stack, network, "rail"))["rail"]
        leaf = await append(rail, b"three")
        await eventually(lambda: rail.log.receipt(leaf))
        assert not (await rail.log.wait_for(leaf, 2.0)).witnessed
        assert rail.log.ready() is None


class Gate:
    """Holds up every monitor's comparing while it is shut, and knows who has compared."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.open, self.busy = asyncio.Event(), 0
        self.compared: set[str] = set()
        compare = monitor.Monitor.compare
        self.open.set()

        async def held(one: monitor.Monitor, origin: str) -> None:
            await self.open.wait()
            self.busy += 1
            try:
                await compare(one, origin)
            finally:
                self.busy -= 1
            self.compared.add(one._service.node.did)

        patch.setattr(monitor.Monitor, "compare", held)


async def test_a_split_view_is_found_by_witnesses_comparing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(monitor, "INTERVAL", 0.1)
    gate, network = Gate(monkeypatch), made(tmp_path)
    async with running_network(network, services=SERVICES) as nodes:
        rail = nodes["rail"]
        await rail.log.wait_for(await append(rail, b"one", b"two", b"three"), UNTIL)

        async def all_compared() -> bool:
            return {nodes[name].did for name in WITNESSES} <= gate.compared and not gate.busy

        await eventually(all_compared)
        assert not [name for name in WITNESSES if await alarms(nodes[name])]
        # Nobody compares before everybody was shown one of the two.
        gate.open.clear()
        replies = await hostile_log.show_both(rail, split=True)
        assert [reply.status for reply in replies] == [200] * 4
        gate.open.set()
        await caught(nodes, WITNESSES)


async def test_announced_evidence_is_believed_for_the_logs_signatures_alone(tmp_path: Path):
    network = made(tmp_path)
    async with running_network(network, services=SERVICES) as nodes:
        rail, w1 = nodes["rail"], nodes["w1"]
        await append(rail, b"one")
        identity = rail.log.publisher.identity
        trees = hostile_log.continued([])
        heads = hostile_log.two_heads(identity.key, identity.sign, trees)
        handler = EquivocationHandler(w1.witness.accuser)
        good = fork_evidence.ForkEvidence(
            network.members.network, identity.origin, (heads.honest, heads.forged)
        )
        same = fork_evidence.ForkEvidence(good.network, good.origin, (heads.honest, heads.honest))
        other = fork_evidence.ForkEvidence(bytes(32), good.origin, good.notes)
        unlisted = fork_evidence.ForkEvidence(good.network, "x.example/log/1", good.notes)
        for bad in (same, other, unlisted):
            with pytest.raises(RefusedError) as error:
                await handler.prepare(Message(bad.to_bytes()))
            assert error.value.code == "equivocation_not_proven"
        prepared = await handler.prepare(Message(good.to_bytes()))
        await w1.store.write(handler.apply, None, prepared)
        await w1.store.write(handler.apply, None, prepared)
        assert len(await alarms(w1)) == 1
        shown = await operator_get(w1, "/v1/witness")
        assert [item["did"] for item in shown["marked"]] == [RAIL]


class Message:
    def __init__(self, body: bytes) -> None:
        self.body = body


async def operator_get(node: Node, path: str) -> Any:
    headers = {"Authorization": f"Bearer {node.token}"}
    answer = await node.client.open_call("GET", node.local_url + path, headers=headers)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


async def operator_post(node: Node, path: str, value: dict) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {node.token}", "Content-Type": "application/json"}
    answer = await node.client.open_call(
        "POST", node.local_url + path, json.dumps(value).encode(), headers=headers
    )
    return answer.status, json.loads(answer.body)


async def test_a_partners_log_is_audited_from_its_entries(tmp_path: Path):
    from tests.integration.log.entries import some_entries

    network = made(tmp_path)
    async with running_network(network, services=SERVICES) as nodes:
        rail, w1 = nodes["rail"], nodes["w1"]
        await rail.log.wait_for(await append(rail, *some_entries(600)), UNTIL)
        status, found = await operator_post(w1, "/v1/log/audit", {"origin": "rail.example/log/1"})
        assert status == 200
        assert found == {
            "origin": "rail.example/log/1",
            "verified": 600,
            "size": 600,
            "done": True,
            "witnessed": True,
            "ok": True,
            "faults": [],
        }
        await rail.log.wait_for(await append(rail, *some_entries(610)[600:]), UNTIL)
        auditor = Auditor(w1, w1.log)
        resumed = await auditor.advance("rail.example/log/1", genesis=False, budget=UNTIL)
        assert (resumed.verified, resumed.done, resumed.faults) == (610, True, [])
        with pytest.raises(NotFoundError):
            await auditor.advance("nobody.example/log/1", genesis=False, budget=1.0)
        status, own = await operator_post(rail, "/v1/log/audit", {"genesis": True})
        assert (status, own["ok"], own["verified"]) == (200, True, 610)
        status, _ = await operator_post(rail, "/v1/log/audit", {"origin": 5})
        assert status == 400


async def test_an_audit_finds_changed_and_missing_entries(tmp_path: Path):
    from sqlalchemy import delete, update

    from ledger.tables import leaves
    from tests.integration.log.entries import some_entries

    network = made(tmp_path, witnesses=("w1",))
    async with running_network(network, services=SERVICES) as nodes:
        rail, w1 = nodes["rail"], nodes["w1"]
        await rail.log.wait_for(await append(rail, *some_entries(20)), UNTIL)
        other = some_entries(21)[20]
        change = update(leaves).where(leaves.c.leaf_index == 7).values(entry=other)
        await rail.store.write(lambda conn: conn.execute(change) and None)
        own = await Auditor(rail, rail.log).advance(rail.log.origin, genesis=True, budget=UNTIL)
        assert len(own.faults) == 2
        theirs = await Auditor(w1, w1.log).advance(rail.log.origin, genesis=True, budget=UNTIL)
        assert theirs.faults == ["the entries do not give the signed root"]
        await rail.store.write(lambda conn: conn.execute(delete(leaves)) and None)
        gone = await Auditor(w1, w1.log).advance(rail.log.origin, genesis=False, budget=UNTIL)
        assert gone.faults == ["entry 0 is missing"]
        assert partners.origin_hash(rail.log.origin)
