"""A network, a sequencer or a witness that starts again, also from an old copy: R15."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from ledger import checkpoints, log, registry_store
from node.title import rows
from node.title.making import Order
from protocols.title.machine import Kind
from protocols.title.operation import read_operation
from protocols.title.registry import arbiter_of
from protocols.title.registry_wire import AddBatch
from schemas.errors import UnavailableError
from tests.integration.title.conflicts import log_of, possessor_at, relay, without
from tests.integration.title.title_network import (
    CARRIER,
    SERVICES,
    WITNESSES,
    TitleOrder,
    bill,
    did_of,
    eventually,
    made,
    operation,
    titled,
)
from tests.support.network import running_network
from tests.support.running import running_node

if TYPE_CHECKING:
    from pathlib import Path

    from node.runtime import Node


async def test_r15_a_restarted_network_goes_on_where_it_was(tmp_path: Path) -> None:
    network = made(tmp_path)
    async with running_network(network, services=SERVICES) as nodes:
        title = await titled(nodes[CARRIER])
    async with running_network(network, services=SERVICES) as nodes:
        nhl = nodes[CARRIER]
        await nhl.title.operate(title, Order(Kind.TRANSFER, did_of("bank"), did_of("exp-a")))

        async def moved() -> bool:
            return await possessor_at(nodes["nl-port"], title) == did_of("bank")

        await eventually(moved)
        sizes = [item.size for item in await nhl.store.read(_checkpoints)]
        assert sizes == sorted(set(sizes))


def _checkpoints(conn: Any) -> list[Any]:
    return list(checkpoints.all_of(conn, log="registry"))


async def test_r15_a_sequencer_restored_from_an_old_copy_recovers_from_its_witnesses(
    tmp_path: Path,
) -> None:
    network = made(tmp_path)
    home = network.homes[CARRIER]
    copy = tmp_path / "copy"
    async with running_network(network, services=SERVICES) as nodes:
        title = await titled(nodes[CARRIER])
    shutil.copytree(home.path, copy)
    async with running_network(network, services=SERVICES) as nodes:
        nhl = nodes[CARRIER]
        order = Order(Kind.TRANSFER, did_of("bank"), did_of("exp-a"))
        await nhl.title.operate(title, order)

        async def moved() -> bool:
            return await possessor_at(nodes["nl-port"], title) == did_of("bank")

        await eventually(moved)
    # The machine is lost; yesterday's copy takes its place, without the published tiles.
    shutil.rmtree(home.path)
    shutil.copytree(copy, home.path)
    async with running_network(network, services=SERVICES) as nodes:
        nhl = nodes[CARRIER]

        async def recovered() -> bool:
            shown = await nhl.title.show(title, refresh=True)
            return bool(shown["state"]["seq"] == 2)

        await eventually(recovered)
        # exp-a signs again what it had signed away: it has lost, and the winner is named.
        held = await nodes["sg-port"].title.require(title)
        late = operation(nhl, held.state, Kind.TRANSFER, "exp-a", "financier-2", seq=1)
        answer = await relay(nodes["sg-port"], title, late)
        assert answer["code"] == "title_seq_conflict"
        first = read_operation((await nhl.store.read(rows.texts, title))[1]).operation
        assert answer["winner"] == first.digest.hex()


@pytest.mark.undecided
async def test_r15_nothing_is_sequenced_until_enough_witnesses_have_confirmed(
    tmp_path: Path,
) -> None:
    network = made(tmp_path)

    def put(node: Node) -> None:
        node.members.replace(network.members)

    async with running_node(network.homes[CARRIER], services=SERVICES, prepare=put) as nhl:
        document = await bill(nhl)
        order = TitleOrder(document, did_of("exp-a"), did_of("bank"))
        answer = await nhl.title.issue(order)
        assert answer["outcome"] == "pending"
        assert answer["code"] == "registry_unconfirmed"
        assert await nhl.store.read(log.size, log="registry") == 0
        # Two of four intersect every quorum of three; but a quorum is needed to be final.
        others = without(network, CARRIER)
        async with running_network(others, services=SERVICES):

            async def final() -> bool:
                shown = await nhl.title.show(bytes.fromhex(answer["title"]))
                return bool(shown["final"])

            await eventually(final)
    assert len(WITNESSES) == 4


async def test_r15_a_witness_restored_from_an_old_copy_catches_up_before_it_cosigns(
    tmp_path: Path,
) -> None:
    network = made(tmp_path)
    home, copy = network.homes["cn-port"], tmp_path / "copy"
    async with running_network(network, services=SERVICES) as nodes:
        title = await titled(nodes[CARRIER])
    shutil.copytree(home.path, copy)
    async with running_network(network, services=SERVICES) as nodes:
        order = Order(Kind.TRANSFER, did_of("bank"), did_of("exp-a"))
        await nodes[CARRIER].title.operate(title, order)
        await eventually(lambda: possessor_at(nodes[CARRIER], title))
    shutil.rmtree(home.path)
    shutil.copytree(copy, home.path)

    def put(node: Node) -> None:
        node.members.replace(network.members)

    # Alone it knows nothing of what it has cosigned: it signs nothing.
    async with running_node(home, services=SERVICES, prepare=put) as witness:
        arbiter = arbiter_of(network.members.registries[0])
        request = AddBatch(0, f"{arbiter.origin}\n", ())
        with pytest.raises(UnavailableError, match="registry_unconfirmed"):
            await witness.registry.witnessing.add_batch(request)
    async with running_network(network, services=SERVICES) as nodes:
        witness = nodes["cn-port"]
        second = await titled(nodes[CARRIER], "NHLX00002")

        async def caught_up() -> bool:
            whole = await nodes[CARRIER].store.read(log.size, log="registry")
            return bool(await witness.store.read(log.size, log=log_of(witness)) == whole)

        await eventually(caught_up)
        found = await witness.store.read(registry_store.state_of, log_of(witness), second)
        assert found is not None
