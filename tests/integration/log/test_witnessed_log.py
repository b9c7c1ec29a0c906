from __future__ import annotations

import asyncio
import shutil
import time
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp

from ledger import log
from node.log import partners
from node.runtime import Node
from protocols.log import checkpoint, merkle, note, witness_protocol
from protocols.log.witness_protocol import AddCheckpoint
from tests.integration.log.log_network import (
    SERVICES,
    UNTIL,
    WITNESSES,
    append,
    made,
    start,
    verified,
)
from tests.support.network import running_network


async def until(condition, seconds: float = UNTIL) -> None:
    end = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < end, "not in time"
        await asyncio.sleep(0.02)


async def test_a_leaf_is_witnessed_and_its_receipt_verifies_offline(tmp_path: Path):
    network = made(tmp_path)
    async with running_network(network, services=SERVICES) as nodes:
        rail = nodes["rail"]
        begun = int(time.time())
        leaf = await append(rail, b"one", b"two", b"three")
        receipt = await rail.log.wait_for(leaf, UNTIL)
        assert receipt is not None
        assert receipt.witnessed
        result = verified(rail, receipt)
        assert result.witnessed
        assert len(result.witness_times) >= 3
        assert begun <= result.witness_time <= time.time()
        assert len(receipt.text) < 2000
        again = await rail.log.receipt(leaf)
        assert again.size == receipt.size
        shown = await rail.log.show()
        assert shown["leaves"] == 3
        assert shown["fault"] is None
        assert rail.log.ready() is None
        for name in WITNESSES:
            await until(lambda name=name: _holds(nodes[name], rail.log.origin, 3))


async def _holds(witness: Node, origin: str, size: int) -> bool:
    held = await witness.witness.held(origin)
    return held is not None and held.size == size


async def test_many_writers_get_receipts_under_few_checkpoints(tmp_path: Path):
    network = made(tmp_path)
    async with running_network(network, services=SERVICES) as nodes:
        rail = nodes["rail"]
        begun = time.monotonic()
        leaves = await asyncio.gather(*(append(rail, str(n).encode()) for n in range(300)))
        receipts = await asyncio.gather(*(rail.log.wait_for(leaf, UNTIL) for leaf in leaves))
        assert all(verified(rail, receipt).witnessed for receipt in receipts)
        assert len({receipt.index for receipt in receipts}) == 300
        # A checkpoint in an interval, however long the writing took.
        took = time.monotonic() - begun
        interval = rail.settings.log.checkpoint_interval
        assert len({receipt.size for receipt in receipts}) < max(30, took / interval + 2)


async def test_without_a_policy_the_log_runs_unwitnessed(tmp_path: Path):
    network = made(tmp_path, witnesses=())
    async with running_network(network, services=SERVICES) as nodes:
        rail = nodes["rail"]
        receipt = await rail.log.wait_for(await append(rail, b"one"), UNTIL)
        assert not receipt.witnessed
        assert not verified(rail, receipt).witnessed


async def test_r17_unwitnessed_receipts_are_upgraded_when_the_witnesses_return(tmp_path: Path):
    network = made(tmp_path)
    async with AsyncExitStack() as stack:
        early = await start(stack, network, "rail", "w1", "w2")
        rail = early["rail"]
        leaf = await append(rail, b"one")
        await until(lambda: _signed(rail, leaf))
        receipt = await rail.log.wait_for(leaf, 1.5)
        assert not receipt.witnessed
        assert verified(rail, receipt).witness_time is None
        await start(stack, network, "w3")
        upgraded = await rail.log.wait_for(leaf, UNTIL)
        assert upgraded.witnessed
        assert verified(rail, upgraded).witnessed


async def test_r15_after_a_restart_nothing_is_signed_before_partners_confirm(tmp_path: Path):
    network = made(tmp_path)
    async with AsyncExitStack() as stack:
        await start(stack, network, *WITNESSES[:3])
        async with AsyncExitStack() as first:
            rail = (await start(first, network, "rail"))["rail"]
            await rail.log.wait_for(await append(rail, b"one"), UNTIL)
    async with AsyncExitStack() as stack:
        # One witness alone does not intersect every quorum of 3 of 4.
        nodes = await start(stack, network, "rail", "w1")
        rail = nodes["rail"]
        leaf = await append(rail, b"two")
        await asyncio.sleep(1.0)
        assert await rail.log.receipt(leaf) is None
        assert not rail.log.confirmed
        assert rail.log.ready() is None
        await start(stack, network, "w2")
        await until(lambda: _signed(rail, leaf))
        assert rail.log.confirmed
        await start(stack, network, "w3")
        assert (await rail.log.wait_for(leaf, UNTIL)).witnessed


async def _signed(node: Node, leaf: bytes) -> bool:
    return await node.log.receipt(leaf) is not None


async def test_r15_a_witness_that_lost_its_state_learns_it_from_the_others(tmp_path: Path):
    network = made(tmp_path)
    home = network.homes["w1"]
    async with AsyncExitStack() as stack:
        nodes = await start(stack, network, "rail", *WITNESSES[1:])
        async with AsyncExitStack() as first:
            empty = tmp_path / "empty"
            shutil.copytree(home.path, empty)
            await start(first, network, "w1")
            rail = nodes["rail"]
            await rail.log.wait_for(await append(rail, b"one", b"two"), UNTIL)
        shutil.rmtree(home.path)
        shutil.copytree(empty, home.path)
        w1 = (await start(stack, network, "w1"))["w1"]
        forked = merkle.Tree([merkle.leaf_hash(b"x")])
        head = checkpoint.Checkpoint(rail.log.origin, 1, forked.root())
        identity = rail.log.publisher.identity
        text = checkpoint.sign(head, identity.key, identity.sign).to_text()
        answer = await w1.witness.add_checkpoint(AddCheckpoint(0, (), text))
        assert answer.old_size == 2
        assert answer.cosignature is None


async def test_the_witness_answers_as_tlog_witness_says(tmp_path: Path):
    network = made(tmp_path, witnesses=("w1",))
    async with running_network(network, services=SERVICES) as nodes:
        rail = nodes["rail"]
        await rail.log.wait_for(await append(rail, b"one", b"two", b"three"), UNTIL)
        identity, tree = rail.log.publisher.identity, rail.log.publisher.tree
        head = checkpoint.Checkpoint(rail.log.origin, 3, tree.root())
        good = checkpoint.sign(head, identity.key, identity.sign).to_text()
        unknown = good.replace("rail.example/log/1", "nobody.example/log/1")
        unsigned = good.replace("\n3\n", "\n4\n")
        cases = [
            (AddCheckpoint(3, (), good).to_bytes(), 200),
            (AddCheckpoint(0, (), good).to_bytes(), 409),
            (AddCheckpoint(4, (), good).to_bytes(), 400),
            (AddCheckpoint(3, (bytes(32),), good).to_bytes(), 422),
            (AddCheckpoint(3, (), unknown).to_bytes(), 404),
            (AddCheckpoint(3, (), unsigned).to_bytes(), 403),
            (b"nonsense", 400),
        ]
        for body, status in cases:
            answer = await rail.client.call(
                "did:web:w1.example", "POST", "/witness/1/add-checkpoint", body
            )
            assert answer.status == status, body
            if status == 409:
                assert answer.headers["content-type"].startswith(witness_protocol.SIZE_MEDIA_TYPE)
                assert answer.body == b"3\n"
            if status == 200:
                (line,) = note.parse_signature_lines(answer.body.decode())
                assert line.name == "w1.example/witness/1"
        # Other systems' logs name whatever type they like: C2SP tlog-witness prescribes none.
        where = f"{nodes['w1'].endpoint}/witness/1/add-checkpoint"
        async with aiohttp.ClientSession() as other:
            for named in ("text/plain", "application/x-www-form-urlencoded"):
                headers = {"Content-Type": named}
                async with other.post(where, data=cases[0][0], headers=headers) as answered:
                    assert answered.status == 200


async def test_monitors_read_the_held_checkpoint_and_the_log_serves_tiles(tmp_path: Path):
    network = made(tmp_path, witnesses=("w1",))
    async with running_network(network, services=SERVICES) as nodes:
        rail, w1 = nodes["rail"], nodes["w1"]
        entries = [str(number).encode() for number in range(300)]
        leaf = await append(rail, *entries)
        await rail.log.wait_for(leaf, UNTIL)
        name = partners.origin_hash(rail.log.origin)
        held = await rail.client.call("did:web:w1.example", "GET", f"/witness/1/{name}/checkpoint")
        assert held.status == 200
        opened = checkpoint.open_checkpoint(held.body, rail.log.publisher.identity.key)
        assert opened.checkpoint.size == 300
        served = await w1.client.open_call("GET", f"{rail.endpoint}/log/checkpoint")
        assert served.headers["content-type"] == "text/plain; charset=utf-8"
        tile = await w1.client.open_call("GET", f"{rail.endpoint}/log/tile/0/000")
        part = await w1.client.open_call("GET", f"{rail.endpoint}/log/tile/0/001.p/44")
        hashes = tile.body + part.body
        tree = merkle.Tree([hashes[at : at + 32] for at in range(0, len(hashes), 32)])
        assert tree.root() == opened.checkpoint.root
        for path in ("0/002", "0/../../keys", "x"):
            answer = await w1.client.open_call("GET", f"{rail.endpoint}/log/tile/{path}")
            assert answer.status == 404
        proof = await w1.client.call("did:web:rail.example", "GET", f"/log/proof?leaf={leaf.hex()}")
        assert proof.body.startswith(b"c2sp.org/tlog-proof@v1\n")
        missing = await w1.client.call(
            "did:web:rail.example", "GET", f"/log/proof?leaf={'00' * 32}"
        )
        assert missing.status == 404
        closed = await w1.client.open_call("GET", f"{rail.endpoint}/log/entries")
        assert closed.status == 401
        assert await rail.store.read(log.size) == 300
