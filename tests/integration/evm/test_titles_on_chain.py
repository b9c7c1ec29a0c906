"""The life of a bill whose title is on a chain, over three real nodes and the embedded chain."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from node.title.making import Order
from protocols.title import Ending, Kind
from testnet.devchain import DevChain
from tests.integration.evm.evm_title_network import (
    CARRIER,
    Chain,
    World,
    running,
    seen,
    titled,
)
from tests.support.network import did_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@asynccontextmanager
async def on_embedded(folder: Path) -> AsyncIterator[World]:
    chain = DevChain()
    await chain.start()
    try:
        urls = dict.fromkeys(("nhl", "sg-port", "nl-port"), chain.url)
        place = Chain(chain.settings.chain_id, "finalized", urls, chain.url)
        async with running(folder, place) as world:
            yield world
    finally:
        await chain.stop()


async def test_the_road_of_a_bill(tmp_path: Path) -> None:
    async with on_embedded(tmp_path) as world:
        nhl, rotterdam = world.nodes[CARRIER], world.nodes["nl-port"]
        title = await titled(nhl)
        for node in (nhl, rotterdam):
            held = await seen(node, title, 1)
            assert held.state.possessor.did == did_of("exp-a")
            assert held.state.holder.did == did_of("bank")
        answer = await nhl.title.operate(title, Order(Kind.TRANSFER, did_of("bank")))
        assert answer["outcome"] == "final"
        held = await seen(rotterdam, title, 2)
        assert held.state.possessor.did == did_of("bank")
