"""R21 between running nodes: the roots end a lost sequencer, and its titles go on elsewhere."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from ledger import log
from node.cli.main import build
from node.evidence.service import ends_of
from node.keystore import KeyStore
from node.title import rows
from node.title.making import Order
from protocols.title import registry_freeze
from protocols.title.machine import Kind
from protocols.title.operation import read_manifest
from protocols.title.proof import read_proof, verify_proof
from protocols.title.registry import arbiter_of
from schemas.errors import TradeError
from tests.integration.title.conflicts import log_of
from tests.integration.title.title_network import (
    CARRIER,
    SERVICES,
    WITNESSES,
    did_of,
    eventually,
    made,
    operation,
    titled,
)
from tests.support.network import Made, running_network

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from node.runtime import Node

SUCCESSOR = "kz-rail"


async def registry(node: Node, *arguments: str) -> Result:
    """`pratique registry …` at a node."""
    whole = ["registry", arguments[0], "--home", str(node.home.path), *arguments[1:]]
    return await asyncio.to_thread(CliRunner(env={"COLUMNS": "250"}).invoke, build(whole), whole)


async def possessor(node: Node, title: bytes) -> str | None:
    held = await node.store.read(rows.find, title)
    return held.state.possessor.did if held and held.state.possessor else None


def without(network: Made, name: str) -> Made:
    return Made({key: home for key, home in network.homes.items() if key != name}, network.members)


def root_of(network: Made) -> Any:
    """The root key, as its holder would have it on a machine of its own."""
    held = KeyStore(network.homes[CARRIER].keys, did_of(CARRIER)).own()
    return next(one for one in held if "root" in one.kid)


async def hand_over(at: Node, network: Made, file: Path) -> registry_freeze.SignedFreeze:
    """Draft at a node, sign elsewhere, take in at the node."""
    drafted = await registry(at, "hand-over", "--to", did_of(SUCCESSOR), "-o", str(file), "--json")
    assert drafted.exit_code == 0, drafted.output
    assert json.loads(drafted.stdout)["inForce"] is False
    early = await registry(at, "take", str(file))
    assert isinstance(early.exception, TradeError)
    assert early.exception.code in {"freeze_threshold", "jws_malformed"}
    document = sign(file, network)
    taken = await registry(at, "take", str(file))
    assert taken.exit_code == 0, taken.output
    return document


def sign(file: Path, network: Made) -> registry_freeze.SignedFreeze:
    """Add the root's signature to a document's file."""
    document = registry_freeze.read(file.read_bytes()).signed_by([root_of(network)])
    file.write_bytes(document.to_bytes())
    return document


async def test_r21_titles_of_a_lost_registry_go_on_at_its_successor_by_a_signed_hand_over(
    tmp_path: Path,
) -> None:
    network = made(tmp_path, successor=SUCCESSOR)
    async with running_network(network, services=SERVICES) as nodes:
        title = await titled(nodes[CARRIER])
        order = Order(Kind.TRANSFER, did_of("bank"), did_of("exp-a"))
        await nodes[CARRIER].title.operate(title, order)
        await eventually(lambda: holds(nodes["nl-port"], title, "bank"))
        # A quorum needs not everybody; what is drafted below is what its drafter holds.
        for name in WITNESSES:
            await eventually(lambda name=name: mirrors(nodes[name], 6))
    async with running_network(without(network, CARRIER), services=SERVICES) as nodes:
        rotterdam, singapore = nodes["nl-port"], nodes["sg-port"]
        state = (await rotterdam.title.require(title)).state
        # Signed in good faith before anybody knew of the end.
        late = operation(rotterdam, state, Kind.TRANSFER, "bank", "financier-2")
        document = await hand_over(rotterdam, network, tmp_path / "end.json")
        assert document.freeze.at == 6
        answer = await eventually(lambda: moved(rotterdam, title))
        assert answer["state"]["possessor"]["did"] == did_of("imp-a")
        members = rotterdam.members.current
        new = next(one for one in members.registries if one.did == did_of(SUCCESSOR))
        assert answer["arbiter"] == arbiter_of(new).id.hex()
        await eventually(lambda: knows(singapore, document))
        with pytest.raises(TradeError, match="arbiter_frozen"):
            await singapore.title.relay(title, late)
        handed = await nodes[SUCCESSOR].registry.hand_in(late, 0)
        assert handed["problem"]["code"] == "arbiter_frozen"
        entries = await nodes[SUCCESSOR].store.read(log.read, 0, 6, log="registry")
        assert len(entries) == 6
        shown = await registry(rotterdam, "show")
        assert document.freeze.arbiter.id.hex() in shown.stdout
    # The old sequencer comes back, hears of its end, and takes nothing any more.
    async with running_network(network, services=SERVICES) as nodes:
        nhl = nodes[CARRIER]
        await eventually(lambda: knows(nhl, document))
        handed = await nhl.registry.hand_in(late, 0)
        assert handed["problem"]["code"] == "arbiter_frozen"
        await eventually(lambda: holds(nhl, title, "imp-a"))
        # A new bill gets its title at the registry that stands.
        fresh = await titled(nhl, "NHLX00009")
        assert (await nhl.title.require(fresh)).arbiter == arbiter_of(new).id


async def mirrors(witness: Node, size: int) -> bool:
    return bool(await witness.store.read(log.size, log=log_of(witness)) == size)


async def holds(node: Node, title: bytes, name: str) -> bool:
    await node.title.find(title, refresh=True)
    return await possessor(node, title) == did_of(name)


async def knows(node: Node, document: registry_freeze.SignedFreeze) -> bool:
    return document.freeze.arbiter.id in node.registry.freezes


async def moved(node: Node, title: bytes) -> Any:
    """The transfer from bank to imp-a, once the successor has taken over."""
    try:
        answer = await node.title.operate(title, Order(Kind.TRANSFER, did_of("imp-a")))
    except TradeError:
        answer = await node.title.show(title)  # it has not taken over yet
    return answer if answer.get("state", {}).get("seq") == 3 else None


async def test_r21_a_registry_changes_its_witnesses_by_a_planned_hand_over_to_itself(
    tmp_path: Path,
) -> None:
    network, file = made(tmp_path, successor=CARRIER), tmp_path / "end.json"
    async with running_network(network, services=SERVICES) as nodes:
        nhl = nodes[CARRIER]
        title = await titled(nhl)
        assert "stopped" in (await registry(nhl, "stop")).stdout
        order = Order(Kind.TRANSFER, did_of("bank"), did_of("exp-a"))
        answer = await nhl.title.operate(title, order)
        assert answer["code"] == "registry_stopped"
        old, new = (arbiter_of(one).id for one in nhl.members.current.registries)
        drafted = await registry(nhl, "freeze", "--arbiter", old.hex(), "-o", str(file))
        assert drafted.exit_code == 0, drafted.output
        signed = await registry(nhl, "sign", str(file), "--json")
        assert json.loads(signed.stdout)["inForce"] is True
        with pytest.raises(TradeError, match="arbiter_frozen"):
            await nhl.title.operate(title, order)
        drafted = await registry(
            nhl, "hand-over", "--arbiter", old.hex(), "--to", new.hex(), "-o", str(file)
        )
        assert drafted.exit_code == 0, drafted.output
        assert (await registry(nhl, "sign", str(file))).exit_code == 0

        async def goes_on() -> bool:
            return await possessor(nhl, title) == did_of("bank") or bool(await attempt(nhl, title))

        await eventually(goes_on)
        assert (await nhl.title.require(title)).arbiter == new
        await exported_with_its_end(nhl, title)
        shown = json.loads((await registry(nhl, "show", "--json")).stdout)
        assert shown["sequenced"]["origin"].endswith("/registry/2")
        assert shown["sequenced"]["predecessors"] == [old.hex()]


async def exported_with_its_end(node: Node, title: bytes) -> None:
    """What a bundle brings along leads offline to the registry that proves the title now."""
    held, bill = await node.store.read(rows.find, title), await node.store.read(rows.bill, title)
    (text,) = ends_of(node, [(held.proof.encode(), bill.issuance)])
    members = node.members.current
    known = registry_freeze.disclosed([text.decode()], members, registry_freeze.NO_FREEZES)
    issued_by = read_manifest(bill.issuance)[1].arbiter
    assert issued_by != held.arbiter
    judge = next(one for one in map(arbiter_of, members.registries) if one.id == held.arbiter)
    proven = verify_proof(read_proof(held.proof.encode()), arbiter=judge, members=members)
    turns = registry_freeze.require_turns([issued_by], held.arbiter, proven.log.size, known)
    assert [one.to_bytes() for one in turns] == [text]


async def attempt(node: Node, title: bytes) -> bool:
    """The transfer from exp-a to bank, if the registry takes it now."""
    try:
        order = Order(Kind.TRANSFER, did_of("bank"), did_of("exp-a"))
        return bool((await node.title.operate(title, order))["outcome"] == "final")
    except TradeError:
        return False
