"""One document for many legs whose title is on a chain: it moves and ends there as a bill does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.title.making import IssueOrder, Order
from protocols.title.machine import Ending, Kind, State
from tests.integration.evm.evm_title_network import CARRIER, seen
from tests.integration.evm.test_titles_on_chain import agrees_with_contract, on_embedded
from tests.integration.title.test_multimodal_titles import MASTER, issue
from tests.support.network import did_of

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_negotiable_multimodal_document_lives_on_a_chain(tmp_path: Path) -> None:
    async with on_embedded(tmp_path) as (world, _):
        carrier, bank = world.nodes[CARRIER], world.nodes["nl-port"]
        master = await issue(carrier, MASTER)
        order = IssueOrder(master, did_of("exp-a"), did_of("bank"), arbiter="evm")
        title = bytes.fromhex((await carrier.title.issue(order))["title"])
        await seen(carrier, title, 1)
        steps = (
            (carrier, Order(Kind.TRANSFER, did_of("bank"))),
            (bank, Order(Kind.ENDORSE, did_of("imp-a"))),
            (bank, Order(Kind.TRANSFER, did_of("imp-a"))),
            (bank, Order(Kind.SURRENDER_FOR_DELIVERY)),
            (carrier, Order(Kind.ACCEPT_SURRENDER)),
            (carrier, Order(Kind.END, ending=Ending.DELIVERED)),
        )
        for seq, (node, step) in enumerate(steps, start=2):
            await seen(node, title, seq - 1)
            answer = await node.title.operate(title, step)
            assert answer["outcome"] == "final", answer
        held = await seen(bank, title, 7)
        assert (held.state.state, held.state.ending) == (State.ENDED, Ending.DELIVERED)
        await agrees_with_contract(world, bank, title)
