"""T1 to T8 of the project's reference on trade documents over real nodes and a chain.

UK ETDA 2023 s.2(2), MLETR 10-12. The same of the contract alone is in tests/unit/evm/test_law.py,
of the log arbiter in tests/integration/title and tests/unit/title/test_law.py.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from node.title.evm_keys import holder
from node.title.making import Order
from protocols.evm import title_proof as evm_title_proof
from protocols.evm.keys import joint_address
from protocols.evm.title import EvmOperation, sign_jointly
from protocols.evm.title_text import to_text
from protocols.title.machine import Ending, Kind, State
from schemas.errors import ConflictError, ForbiddenError, TradeError
from tests.integration.evm.evm_title_network import (
    CARRIER,
    World,
    bill,
    eventually,
    is_final,
    operation,
    seen,
    titled,
)
from tests.integration.evm.test_titles_on_chain import agrees_with_contract, on_embedded
from tests.support.network import did_of

if TYPE_CHECKING:
    from pathlib import Path

    from node.runtime import Node


async def outcome(node: Node, text: str) -> str:
    """`final`, or the code with which the contract refuses what was signed elsewhere."""
    try:
        answer: dict[str, Any] = await node.title.relay(None, text)
    except TradeError as error:
        return error.code
    return str(answer["outcome"])


async def test_t1_to_t8_hold_for_titles_on_a_chain_at_every_node(tmp_path: Path) -> None:
    async with on_embedded(tmp_path) as (world, _):
        nhl = world.nodes[CARRIER]
        title = await titled(nhl)
        await _one_winner_and_no_old_key(world, title)
        await _proven_offline_and_a_copy_is_none(world, title)
        await _amended_in_sight_of_all(world, title)
        paper = await titled(nhl, "PAPER-1", endorsee=None)
        await _on_paper_for_good(world, paper)
        await _joint_holders(world, await titled(nhl, "JOINT-1", endorsee=None))


async def _one_winner_and_no_old_key(world: World, title: bytes) -> None:
    nhl, rotterdam = world.nodes[CARRIER], world.nodes["nl-port"]
    state = (await nhl.title.require(title)).state
    rivals = [
        await operation(world, state, Kind.TRANSFER, "exp-a", to) for to in ("bank", "financier-2")
    ]
    # T1: one of two concurrent transfers wins, and every node names the same holder.
    told = [await outcome(nhl, rivals[0]), await outcome(rotterdam, rivals[1])]
    assert told == ["final", "title_seq_conflict"]
    for node in (nhl, rotterdam):
        assert (await seen(node, title, 2)).state.possessor.did == did_of("bank")
    # T3: the key that had it can neither surrender nor pass it on again.
    state = (await nhl.title.require(title)).state
    for kind, to in ((Kind.SURRENDER_FOR_DELIVERY, None), (Kind.TRANSFER, "financier-2")):
        old = await operation(world, state, kind, "exp-a", to)
        assert await outcome(nhl, old) == "title_not_possessor"
    # T7: whoever reads everything that a node shows of it still controls nothing.
    with pytest.raises(ForbiddenError) as error:
        await world.nodes["sg-port"].title.operate(title, Order(Kind.TRANSFER, did_of("imp-a")))
    assert error.value.code == "title_key_not_held"


async def _proven_offline_and_a_copy_is_none(world: World, title: bytes) -> None:
    rotterdam = world.nodes["nl-port"]
    held, members = await rotterdam.title.require(title), rotterdam.members.current
    assert members is not None
    # T2: the file alone, with the blocks' hashes, shows who is in control.
    proof = evm_title_proof.read_proof(held.proof.encode())
    proven = evm_title_proof.verify_proof(
        proof, entry=world.entry, members=members, vouch=lambda _: None
    )
    assert proven.state.possessor is not None
    assert proven.state.possessor.did == did_of("bank")
    key = holder(rotterdam, did_of("bank"), title)
    assert proven.state.possessor.key == held.state.possessor.key
    assert key.address.hex() in str(proven.operations[-1][1]).lower()
    # T4: the same bill gets no second title.
    document = await world.nodes[CARRIER].title.show(title)
    with pytest.raises(ConflictError):
        await bill_again(world, bytes.fromhex(document["document"]))


async def bill_again(world: World, document: bytes) -> None:
    """Try to give a titled bill another title."""
    from node.title.making import IssueOrder

    await world.nodes[CARRIER].title.issue(IssueOrder(document, did_of("exp-a"), arbiter="evm"))


async def _end(world: World, title: bytes, who: str, ending: Ending, seq: int) -> None:
    nhl = world.nodes[CARRIER]
    await world.nodes[who].title.operate(title, Order(Kind.SURRENDER_FOR_AMENDMENT))
    await seen(nhl, title, seq + 1)
    await nhl.title.operate(title, Order(Kind.ACCEPT_SURRENDER))
    answer = await nhl.title.operate(title, Order(Kind.END, ending=ending))
    assert answer["outcome"] == "final"


async def _amended_in_sight_of_all(world: World, title: bytes) -> None:
    from node.title.making import IssueOrder

    nhl, rotterdam = world.nodes[CARRIER], world.nodes["nl-port"]
    await _end(world, title, "nl-port", Ending.AMENDED, 2)
    # T5: the new title names the old one, the old one says that it was amended.
    document = await bill(nhl, "AMENDED-1")
    order = IssueOrder(document, did_of("bank"), did_of("bank"), replaces=title, arbiter="evm")
    made = bytes.fromhex((await nhl.title.issue(order))["title"])
    await eventually(lambda: is_final(nhl, made))
    assert (await seen(rotterdam, made, 1)).state.replaces == title
    assert (await seen(rotterdam, title, 5)).state.ending is Ending.AMENDED


async def _on_paper_for_good(world: World, title: bytes) -> None:
    nhl = world.nodes[CARRIER]
    await _end(world, title, CARRIER, Ending.PAPER, 1)
    state = (await nhl.title.require(title)).state
    assert (state.state, state.possessor, state.ending) == (State.ENDED, None, Ending.PAPER)
    # T6: neither its last holder nor the carrier brings it back.
    again = await operation(world, state, Kind.TRANSFER, "exp-a", "bank")
    assert await outcome(nhl, again) == "title_ended"
    with pytest.raises(ConflictError) as error:
        await nhl.title.operate(title, Order(Kind.REJECT_SURRENDER))
    assert error.value.code == "title_ended"
    await agrees_with_contract(world, nhl, title)


async def _joint_holders(world: World, title: bytes) -> None:
    """T8: both owners together are one party; one of them alone is nobody."""
    nhl, host = world.nodes[CARRIER], world.nodes["nl-port"]
    owners = [holder(host, did_of(name), title) for name in ("bank", "imp-a")]
    both = joint_address(tuple(sorted(one.address for one in owners)))
    state = (await nhl.title.require(title)).state
    given = await operation(world, state, Kind.TRANSFER, "exp-a", None, recipient=both)
    assert await outcome(nhl, given) == "final"
    state = (await nhl.title.require(title)).state
    alone = await operation(world, state, Kind.TRANSFER, "bank", "financier-2")
    assert await outcome(nhl, alone) == "title_not_possessor"
    onward = EvmOperation(
        title=title,
        seq=state.seq,
        kind=Kind.TRANSFER,
        sender=both,
        recipient=holder(nhl, did_of("exp-a"), title).address,
        entry=bytes(32),
        deadline=int(time.time()) + 3600,
    )
    members = nhl.members.current
    assert members is not None
    domain = world.entry.registry(members.network).domain
    assert await outcome(nhl, to_text(sign_jointly(onward, domain, tuple(owners)))) == "final"
    await agrees_with_contract(world, nhl, title)
