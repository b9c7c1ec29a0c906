"""Following partners' logs, comparing views, and a divided network, with real nodes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from ledger import followed, forks, log, tables
from node import fsck
from node.log import monitor, partners
from node.log.comparing import Comparer
from node.runtime import Node
from node.store import events
from node.trust.founding import founding_file
from protocols.digest import sha256
from protocols.log import checkpoint, fork_evidence, leaf
from protocols.log.checkpoint import Checkpoint
from protocols.log.leaf import LeafKind
from protocols.log.merkle import Tree, leaf_hash
from protocols.log.witness_protocol import AddCheckpoint
from protocols.seams import Answer
from schemas.errors import UnavailableError
from testnet import hostile_log
from tests.integration.log.entries import some_entries
from tests.integration.log.log_network import (
    SERVICES,
    UNTIL,
    WITNESSES,
    append,
    cosigned_by_all,
    eventually,
    made,
)
from tests.support.network import running_network
from tests.support.process import pratique

RAIL = "did:web:rail.example"
ORIGIN = "rail.example/log/1"


async def until(condition: Callable[[], Any], seconds: float = UNTIL) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "not in time"
        await asyncio.sleep(0.02)


@pytest.fixture(autouse=True)
def quiet_monitors(monkeypatch: pytest.MonkeyPatch) -> None:
    """What finds a fork here is what the test calls, not the witnesses' own comparing."""
    monkeypatch.setattr(monitor, "INTERVAL", 3600.0)


async def alarms(node: Node) -> list[str]:
    found = await node.store.read(events.after)
    return [event.detail["code"] for event in found if event.kind == "alarm"]


async def test_a_partners_checkpoint_becomes_a_leaf_once_in_an_interval(tmp_path: Path):
    network = made(tmp_path, others=("bank",))
    async with running_network(network, services=SERVICES) as nodes:
        rail, bank = nodes["rail"], nodes["bank"]
        await rail.log.wait_for(await append(rail, *some_entries(300)), UNTIL)
        for _ in range(2):
            await bank.witness.follower.turn()
        held = await bank.store.read(followed.state, ORIGIN)
        assert (held.size, held.witnessed, held.fault) == (300, True, None)
        ((size, hash_, text),) = await bank.store.read(followed.recorded, ORIGIN)
        assert size == 300
        entry = (await bank.store.read(log.find, hash_)).entry
        told = leaf.decode(entry)
        assert told.kind is LeafKind.FOREIGN_CHECKPOINT
        assert (told.subject, told.commit) == (followed.subject(ORIGIN), sha256(text.encode()))
        # Its entries were hashed again.
        progress = await bank.store.read(_audited)
        assert progress == [(300, 0)]
        # What is new within the interval is followed, and not yet a leaf.
        await rail.log.wait_for(await append(rail, *some_entries(301)[300:]), UNTIL)
        await bank.witness.follower.turn()
        assert (await bank.store.read(followed.state, ORIGIN)).size == 301
        assert len(await bank.store.read(followed.recorded, ORIGIN)) == 1
        assert await alarms(bank) == []
        await _fsck_reads_what_was_followed(bank)


async def _fsck_reads_what_was_followed(bank: Any) -> None:
    async def damages() -> list[str]:
        members = bank.members.current
        context = fsck.Context(bank.home, bank.keys, members, {members.digest: members})
        return (await bank.store.read(fsck.examine, context, "FSCK-08")).damages

    def change(conn: Any, column: Any, value: Any) -> Any:
        before = conn.execute(select(column).where(column.table.c.origin == ORIGIN)).scalar_one()
        where = update(column.table).where(column.table.c.origin == ORIGIN)
        conn.execute(where.values({column.name: value}))
        return before

    assert await damages() == []
    for column, value in (
        (tables.followed.c.root, bytes(32)),
        (tables.followed.c.note, "nothing"),
        (tables.foreign.c.size, 7),
        (tables.foreign.c.leaf, bytes(32)),
    ):
        before = await bank.store.write(change, column, value)
        assert len(await damages()) == 1, column
        await bank.store.write(change, column, before)


def _audited(conn: Any) -> list[tuple[int, int]]:
    from sqlalchemy import select

    from ledger.tables import audits

    query = select(audits.c.size, audits.c.faults).where(audits.c.origin == ORIGIN)
    return [(row.size, row.faults) for row in conn.execute(query)]


async def test_a_rewritten_log_is_noticed_by_who_follows_it(tmp_path: Path):
    network = made(tmp_path, others=("bank",))
    async with running_network(network, services=SERVICES) as nodes:
        rail, bank = nodes["rail"], nodes["bank"]
        await rail.log.wait_for(await append(rail, *some_entries(3)), UNTIL)
        await bank.witness.follower.turn()
        # The operator signs another history of the same size and shows it to the bank.
        publisher = rail.log.publisher
        trees = hostile_log.rewritten([publisher.tree.hash_at(0, at) for at in range(3)])
        key = publisher.identity.key
        heads = hostile_log.two_heads(key, publisher.identity.sign, trees)
        _lie(bank, "/log/checkpoint", heads.forged.encode())
        await bank.witness.follower.turn()
        assert await bank.store.read(forks.is_marked, RAIL)
        assert await alarms(bank) == ["log_equivocation"]
        (evidence,) = await bank.store.read(forks.evidence)
        assert evidence.prove(key).same_size
        newest = (await bank.store.read(log.read, 0, 100))[-1]
        assert leaf.decode(newest.entry).kind is LeafKind.EVIDENCE
        assert leaf.decode(newest.entry).commit == evidence.digest


async def test_a_log_that_proves_no_consistency_is_an_alarm_but_no_fork(tmp_path: Path):
    network = made(tmp_path, others=("bank",))
    async with running_network(network, services=SERVICES) as nodes:
        rail, bank = nodes["rail"], nodes["bank"]
        await rail.log.wait_for(await append(rail, *some_entries(3)), UNTIL)
        await bank.witness.follower.turn()
        await rail.log.wait_for(await append(rail, *some_entries(4)[3:]), UNTIL)
        _lie(bank, "/log/consistency", b"[]")
        for _ in range(2):
            await bank.witness.follower.turn()
        assert await alarms(bank) == ["log_inconsistent"]
        assert not await bank.store.read(forks.is_marked, RAIL)
        assert (await bank.store.read(followed.state, ORIGIN)).fault == "log_inconsistent"


def _lie(node: Node, path: str, body: bytes) -> None:
    """What this node asks rail for under `path` is answered with `body`."""
    call = node.client.call

    async def lying(did: str, method: str, asked: str, *rest: Any, **more: Any) -> Answer:
        if did == RAIL and asked.startswith(path):
            return Answer(200, body)
        return await call(did, method, asked, *rest, **more)

    node.client.call = lying


async def test_a_split_view_is_found_by_asking_partners_and_proven_offline(tmp_path: Path):
    network = made(tmp_path, others=("bank",))
    async with running_network(network, services=SERVICES) as nodes:
        rail, bank = nodes["rail"], nodes["bank"]
        await rail.log.wait_for(await append(rail, b"one", b"two", b"three"), UNTIL)
        before = await Comparer(bank.witness).compare()
        assert before["ok"]
        assert _of(before)["verdict"] == "same"
        replies = await hostile_log.show_both(rail, split=True)
        assert [reply.status for reply in replies] == [200] * 4
        done = await asyncio.to_thread(
            pratique, "log", "compare", "--home", network.homes["bank"].path, "--json"
        )
        assert done.returncode == 1, done.stderr
        found = json.loads(done.stdout)
        assert _of(found)["verdict"] == "split"
        assert not found["ok"]
        assert len({view["root"] for view in _of(found)["views"] if view["size"] == 4}) == 2
        assert await bank.store.read(forks.is_marked, RAIL)
        (file,) = bank.home.evidence.glob("fork-*.json")
        trust = founding_file(network.homes["w1"])
        shown = await asyncio.to_thread(pratique, "evidence", "verify", file, "--trust", trust)
        assert shown.returncode == 0, shown.stderr
        assert f"PROVEN: {RAIL}" in shown.stdout
        data = json.loads(file.read_bytes())
        data["notes"][1] = data["notes"][0]
        forged = tmp_path / "forged.json"
        forged.write_text(json.dumps(data, sort_keys=True, separators=(",", ":")))
        refused = await asyncio.to_thread(pratique, "evidence", "verify", forged, "--trust", trust)
        assert refused.returncode == 4
        assert "equivocation_not_proven" in refused.stderr


def _of(body: dict[str, Any]) -> dict[str, Any]:
    (found,) = [one for one in body["logs"] if one["origin"] == ORIGIN]
    return found


async def test_two_sizes_are_proven_a_fork_by_a_mirror_when_the_log_gives_no_proof(tmp_path: Path):
    network = made(tmp_path, others=("bank",))
    async with running_network(network, services=SERVICES) as nodes:
        rail, w1 = nodes["rail"], nodes["w1"]
        await rail.log.wait_for(await append(rail, *some_entries(7)), UNTIL)
        await cosigned_by_all(rail, 7)
        await rail.log.mirrors.turn()
        publisher = rail.log.publisher
        # To w3 alone it shows another history of five leaves; w1 mirrors the seven.
        other = Tree([leaf_hash(b"other %d" % at) for at in range(5)])
        identity = publisher.identity
        head = Checkpoint(ORIGIN, 5, other.root())
        text = checkpoint.sign(head, identity.key, identity.sign).to_text()
        from ledger import witness

        await nodes["w3"].store.write(witness.put_state, head, text, 0)
        _lie(w1, "/log/consistency", b"[]")
        found = await Comparer(w1.witness).compare(["did:web:w3.example"])
        assert _of(found)["verdict"] == "split"
        (evidence,) = await w1.store.read(forks.evidence)
        assert not evidence.prove(identity.key).same_size
        assert fork_evidence.parse(evidence.to_bytes()) == evidence


async def test_r15_a_witness_without_its_state_learns_the_size_from_the_log_itself(tmp_path: Path):
    network = made(tmp_path, witnesses=("w1",))
    async with running_network(network, services=SERVICES) as nodes:
        rail, w1 = nodes["rail"], nodes["w1"]
        identity = rail.log.publisher.identity
        await rail.log.wait_for(await append(rail, b"one", b"two"), UNTIL)
        await w1.store.write(_forget)
        w1.witness._confirmed.clear()
        forged = Tree([leaf_hash(b"x")])
        text = checkpoint.sign(
            Checkpoint(ORIGIN, 1, forged.root()), identity.key, identity.sign
        ).to_text()
        answer = await w1.witness.add_checkpoint(AddCheckpoint(0, (), text))
        assert (answer.cosignature, answer.old_size) == (None, 2)


def _forget(conn: Any) -> None:
    from sqlalchemy import delete

    from ledger.tables import witness_states

    conn.execute(delete(witness_states))


class Divided:
    """Cuts the network in two at each node's transport, until it is healed."""

    def __init__(self, nodes: dict[str, Node], minority: tuple[str, ...]) -> None:
        self.healed = False
        sides = {node.did: name in minority for name, node in nodes.items()}
        for node in nodes.values():
            self._cut(node, sides)

    def _cut(self, node: Node, sides: dict[str, bool]) -> None:
        call = node.client.call

        async def divided(did: str, *rest: Any, **more: Any) -> Answer:
            if not self.healed and sides[did] != sides[node.did]:
                raise UnavailableError("peer_unreachable", "the network is divided")
            return await call(did, *rest, **more)

        node.client.call = divided


async def test_a_minority_halts_and_says_so_and_after_healing_all_hold_the_same(tmp_path: Path):
    network = made(tmp_path)
    async with running_network(network, services=SERVICES) as nodes:
        rail, w2 = nodes["rail"], nodes["w2"]
        for node in (rail, w2):
            assert (await node.log.wait_for(await append(node, b"before"), UNTIL)).witnessed
        line = Divided(nodes, ("rail", "w1"))
        lonely, ours = await append(rail, b"minority"), await append(w2, b"majority")
        assert (await w2.log.wait_for(ours, UNTIL)).witnessed
        await until(lambda: rail.log.lacks_quorum)
        receipt = await rail.log.receipt(lonely)
        assert not receipt.witnessed
        assert "log_quorum_unreachable" in await _get(rail, "/readyz")
        assert "pratique_log_halted 1.0" in await _get(rail, "/metrics")
        shown = await asyncio.to_thread(
            pratique, "log", "show", "--home", network.homes["rail"].path
        )
        assert "halted: nothing new is witnessed" in shown.stdout, shown.stderr
        assert "pratique_log_halted 0.0" in await _get(w2, "/metrics")

        line.healed = True
        assert (await rail.log.wait_for(lonely, UNTIL)).witnessed
        await until(lambda: not rail.log.lacks_quorum)
        assert "log_quorum_unreachable" not in await _get(rail, "/readyz")
        for name in (*WITNESSES, "rail"):
            found = await Comparer(nodes[name].witness).compare()
            assert found["ok"], found
            assert found["unreachable"] == []
        await eventually(lambda: _all_hold_the_next(rail, nodes))
        assert partners.origin_hash(ORIGIN)


async def _all_hold_the_next(rail: Node, nodes: dict[str, Node]) -> bool:
    """Who was not needed for the quorum, as it rested from failing, is asked for the next one."""
    receipt = await rail.log.wait_for(await append(rail, b"after"), UNTIL)
    assert receipt.witnessed
    held = [await nodes[name].witness.held(ORIGIN) for name in WITNESSES]
    tree = rail.log.publisher.tree
    assert all(one.root == tree.root(one.size) for one in held)
    return all(one.size >= receipt.size for one in held)


async def _get(node: Node, path: str) -> str:
    answer = await node.client.open_call("GET", node.local_url + path)
    return answer.body.decode()
