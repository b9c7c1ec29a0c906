"""Double spends on a real chain with reorgs: exactly one move per (title, seq), R19 and R21."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ledger import evm_title
from node.title import evm_keys, rows
from protocols.digest import sha256
from protocols.evm.calls import CONTROL, MOVED, Log, Moved, call, read_control, read_event
from protocols.evm.holder_keys import address_of
from protocols.evm.title import EvmOperation, sign_operation
from protocols.evm.title_text import to_text
from protocols.title.machine import Bill, Kind
from testnet.anvil import Anvil, find_anvil, running_anvil
from tests.integration.evm.evm_title_network import (
    CARRIER,
    PORTS,
    Chain,
    World,
    eventually,
    operation,
    running,
    seen,
)
from tests.support.cutter import Cutter
from tests.support.network import did_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from node.runtime import Node

TITLES = [sha256(b"bill %d" % number) for number in range(40)]
DEPTH = 3


@pytest.fixture(scope="module")
def program() -> Path:
    found = find_anvil()
    if found is None:
        reason = "anvil is not installed (npm i @foundry-rs/anvil, or PRATIQUE_ANVIL)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@asynccontextmanager
async def mining(anvil: Anvil) -> AsyncIterator[None]:
    """A block every twentieth of a second."""

    async def mine() -> None:
        while True:
            await anvil.mine()
            await asyncio.sleep(0.05)

    task = asyncio.create_task(mine())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def on_anvil(
    folder: Path, program: Path
) -> AsyncIterator[tuple[World, Anvil, dict[str, Cutter]]]:
    async with AsyncExitStack() as stack:
        flags = ("--base-fee", "0", "--gas-price", "0", "--no-mining")
        anvil = await stack.enter_async_context(running_anvil(program, *flags))
        wires = {
            name: await stack.enter_async_context(Cutter(anvil.port)) for name in (CARRIER, *PORTS)
        }
        urls = {name: wire.url for name, wire in wires.items()}
        place = Chain(31337, f"depth:{DEPTH}", urls, anvil.url, poll=0.2)
        started = await stack.enter_async_context(AsyncExitStack())
        await started.enter_async_context(mining(anvil))
        world = await stack.enter_async_context(running(folder, place))
        await started.aclose()
        yield world, anvil, wires


async def issue(world: World, title: bytes) -> str:
    """A signed ISSUE to exp-a."""
    nhl = world.nodes[CARRIER]
    holder, _ = evm_keys.state_holder(nhl, world.entry, did_of("exp-a"), title)
    signer = evm_keys.carrier(nhl)
    made = EvmOperation(
        title=title,
        seq=0,
        kind=Kind.ISSUE,
        sender=signer.address,
        recipient=holder.address,
        entry=sha256(title),
        deadline=int(time.time()) + 3600,
        bill=Bill.BLANK,
    )
    members = nhl.members.current
    assert members is not None
    domain = world.entry.registry(members.network).domain
    return to_text(sign_operation(made, domain, signer))


async def hand_in(node: Node, texts: Iterable[str]) -> None:
    """Without waiting for anything to be final."""
    await asyncio.gather(*(node.title.submitter.submit(text, wait=0) for text in texts))


async def seqs(node: Node) -> dict[bytes, int]:
    """What the node shows of the titles."""
    held = [await node.store.read(rows.find, title) for title in TITLES]
    return {each.title: each.state.seq for each in held if each is not None}


async def moves(world: World, anvil: Anvil) -> list[Moved]:
    """Every move in the chain as it stands now, final or not."""
    asked = {
        "address": "0x" + world.entry.contract.hex(),
        "fromBlock": "0x0",
        "topics": ["0x" + MOVED.hex()],
    }

    found = []
    for item in await anvil.ask("eth_getLogs", asked):
        topics = tuple(bytes.fromhex(topic[2:]) for topic in item["topics"])
        event = read_event(Log(world.entry.contract, topics, bytes.fromhex(item["data"][2:])))
        assert isinstance(event, Moved)
        found.append(event)
    return found


async def mined(anvil: Anvil, world: World, count: int) -> list[Moved]:
    """The moves once there are so many of them, mining block by block."""

    async def look() -> Any:
        await anvil.mine()
        found = await moves(world, anvil)
        return found if len(found) == count else None

    found: list[Moved] = await eventually(look)
    return found


async def relayed(node: Node, anvil: Anvil, texts: Iterable[str]) -> Any:
    """Waits until the chain's pool has every one of them, in however many batches."""
    digests = [node.title.submitter.read(text).digest for text in texts]

    async def look() -> Any:
        sent = [await node.store.read(evm_title.transaction_of, digest) for digest in digests]
        nonces = {entry.nonce if entry else None for entry in sent}
        pool = await anvil.ask("txpool_status")
        return None not in nonces and int(pool["pending"], 16) == len(nonces)

    return await eventually(look)


async def test_r19_double_spends_through_two_relayers_with_a_reorg_move_each_title_once(
    tmp_path: Path, program: Path
) -> None:
    async with on_anvil(tmp_path, program) as (world, anvil, wires):
        nhl, rotterdam = world.nodes[CARRIER], world.nodes["nl-port"]
        await hand_in(nhl, [await issue(world, title) for title in TITLES])

        async def issued() -> bool:
            await anvil.mine()
            return await seqs(nhl) == dict.fromkeys(TITLES, 1)

        await eventually(issued)
        states = [(await nhl.title.require(title)).state for title in TITLES]
        to_bank, to_financier = [
            [await operation(world, state, Kind.TRANSFER, "exp-a", to) for state in states]
            for to in ("bank", "financier-2")
        ]
        # First the carrier's relayer is quicker with every one of them.
        wires["nl-port"].cut()
        await hand_in(nhl, to_bank)
        await relayed(nhl, anvil, to_bank)
        await anvil.mine()
        before = await moves(world, anvil)
        assert len({(move.title, move.seq) for move in before}) == 80
        # A reorg takes it all back, and then the other relayer is quicker: the carrier is cut off
        # from the chain, and asks no peer to relay what it has open.
        wires[CARRIER].cut()
        await nhl.title.submitter.stop()
        await anvil.ask("anvil_reorg", 1, [])
        wires["nl-port"].join()
        await hand_in(rotterdam, to_financier)
        after = await mined(anvil, world, 80)
        assert {move.digest for move in after} != {move.digest for move in before}
        # Nothing of it was final, so nobody was shown anything.
        assert await seqs(nhl) == dict.fromkeys(TITLES, 1)
        wires[CARRIER].join()
        nhl.title.submitter.start()
        await _settled(world, anvil)
        assert await mined(anvil, world, 80) == after
        held = {move.title: move for move in after if move.seq == 2}
        for node in (nhl, rotterdam):
            await _agree(world, node, held)
        for title in TITLES:
            # Whose the key is, its host has told the carrier; who only relayed need not know.
            state = (await seen(nhl, title, 2)).state
            assert state.possessor.did == did_of("financier-2")
        lost = [await nhl.store.read(rows.submissions_of, title) for title in TITLES]
        codes = {each[-1].code for each in lost}
        assert codes == {"title_seq_conflict"}
        assert all(each[-1].refusal for each in lost)


async def _settled(world: World, anvil: Anvil) -> None:
    """Both nodes have everything final and nothing open."""

    async def look() -> bool:
        await anvil.mine()
        for name in (CARRIER, "nl-port"):
            node = world.nodes[name]
            if await seqs(node) != dict.fromkeys(TITLES, 2):
                return False
            if await node.store.read(rows.due, 2**53, 100):
                return False
        return True

    await eventually(look, 180)


async def _agree(world: World, node: Node, held: dict[bytes, Moved]) -> None:
    """Invariant 12: every node's own state is the contract's at the final block."""
    client = node.chain.client
    assert client is not None
    at = await client.final_number()
    for title, move in held.items():
        state = (await node.title.require(title)).state
        asked = call(CONTROL, title)
        row = read_control(await client.call(world.entry.contract, asked, at=at))
        assert (row.seq, row.head) == (state.seq, state.head)
        assert move.recipient == row.possessor
        assert state.possessor is not None
        assert address_of(state.possessor) == row.possessor
