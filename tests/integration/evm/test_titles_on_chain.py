"""The life of bills whose titles are on a chain, over three real nodes and the embedded chain."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Connection, update

from ledger import evm_title
from node.exchange.message import InboundMessage
from node.fsck import Context
from node.fsck.chain_titles import chain_titles
from node.title import rows
from node.title.following import TitleHandler
from node.title.freezing import Wish
from node.title.making import IssueOrder, Order
from node.title.news import CODE, MEDIA_TYPE, TYPE, check_news
from node.title.tables import titles
from protocols.evidence import reading
from protocols.evm import title_proof as evm_title_proof
from protocols.evm.calls import CONTROL, FREEZE, Act, call, read_control
from protocols.evm.holder_keys import address_of
from protocols.evm.keys import SoftwareEvmSigner
from protocols.fields import Fields
from protocols.members.arbiters import read_arbiter
from protocols.title.json_forms import state_bytes
from protocols.title.machine import Ending, Kind, State
from protocols.title.registry_freeze import NO_FREEZES
from schemas import strict_json
from schemas.errors import (
    ConflictError,
    ForbiddenError,
    MalformedError,
    RefusedError,
    UnavailableError,
)
from testnet.devchain import DevChain
from tests.integration.evm.evm_title_network import (
    CARRIER,
    PORTS,
    Chain,
    World,
    bill,
    eventually,
    is_final,
    operation,
    operator,
    running,
    seen,
    titled,
)
from tests.support.cutter import Cutter
from tests.support.evm_network import Deployer, client_of, govern
from tests.support.network import did_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from node.runtime import Node


@asynccontextmanager
async def on_embedded(
    folder: Path, without: str = ""
) -> AsyncIterator[tuple[World, dict[str, Cutter]]]:
    """The network with a wire to the chain for each node but one."""
    chain = DevChain()
    await chain.start()
    try:
        async with AsyncExitStack() as stack:
            port = int(chain.url.rpartition(":")[2])
            wires = {
                name: await stack.enter_async_context(Cutter(port))
                for name in (CARRIER, *PORTS)
                if name != without
            }
            urls = {name: wire.url for name, wire in wires.items()}
            place = Chain(chain.settings.chain_id, "finalized", urls, chain.url)
            world = await stack.enter_async_context(running(folder, place))
            yield world, wires
    finally:
        await chain.stop()


async def agrees_with_contract(world: World, node: Node, title: bytes) -> None:
    """Invariant 12: the node's own state is the contract's at the block it has read."""
    held = await node.title.require(title)
    client, entry = node.chain.client, world.entry
    assert client is not None
    asked = call(CONTROL, title)
    row = read_control(await client.call(entry.contract, asked, at=await client.final_number()))
    assert (row.state, row.seq, row.head) == (held.state.state, held.state.seq, held.state.head)
    live = held.state.possessor if row.possessor else None
    assert (address_of(live) if live else None) == row.possessor
    holder = held.state.holder
    assert (address_of(holder) if holder else None) == row.holder


STEPS = (
    (CARRIER, Order(Kind.TRANSFER, did_of("bank")), "bank"),
    ("nl-port", Order(Kind.ENDORSE_TO_ORDER, did_of("imp-a")), "bank"),
    ("nl-port", Order(Kind.OFFER, did_of("imp-a"), entry=bytes([7]) * 32), "bank"),
    ("nl-port", Order(Kind.ACCEPT_OFFER), "imp-a"),
    ("nl-port", Order(Kind.SURRENDER_FOR_DELIVERY), CARRIER),
    (CARRIER, Order(Kind.REJECT_SURRENDER), "imp-a"),
    ("nl-port", Order(Kind.BLANK_ENDORSE), "imp-a"),
    ("nl-port", Order(Kind.TRANSFER, did_of("financier-2")), "financier-2"),
    ("sg-port", Order(Kind.SURRENDER_FOR_DELIVERY), CARRIER),
    (CARRIER, Order(Kind.ACCEPT_SURRENDER), CARRIER),
    (CARRIER, Order(Kind.END), None),
)


async def test_the_whole_life_of_a_bill_is_the_same_at_every_node(tmp_path: Path) -> None:
    async with on_embedded(tmp_path) as (world, _):
        nodes = world.nodes
        title = await titled(nodes[CARRIER])
        hosts = {CARRIER, "nl-port"}
        for seq, (who, order, possessor) in enumerate(STEPS, start=2):
            answer = await nodes[who].title.operate(title, order)
            assert answer["outcome"] == "final", answer
            hosts |= {"sg-port"} if possessor == "financier-2" else set()
            for name in sorted(hosts):
                held = await seen(nodes[name], title, seq)
                found = held.state.possessor
                assert (found.did if found else None) == (did_of(possessor) if possessor else None)
        for name in sorted(hosts):
            await agrees_with_contract(world, nodes[name], title)
            held = await nodes[name].title.require(title)
            assert (held.state.state, held.state.ending) == (State.ENDED, Ending.DELIVERED)
        await _shown_and_proven(world, title)
        await _named_by_who_knows(world, title)
        await _kept_and_exported(world, title)


async def _named_by_who_knows(world: World, title: bytes) -> None:
    """Whoever is quicker on the chain tells the carrier of the title before it was told whose the
    carrier's address is: the carrier knows, and what it tells on names it."""
    carrier = world.nodes[CARRIER]
    whole = strict_json.loads_object(
        await carrier.store.read(carrier.title.follower.message, title)
    )
    proof = dict(Fields(whole, CODE).child("proof").members)
    told = strict_json.canonical(whole | {"proof": proof | {"keys": []}})
    members = carrier.members.current
    assert members is not None
    bare = Fields(strict_json.loads_object(told), CODE)
    with pytest.raises(RefusedError) as refused:
        check_news(bare, world.entry.id, members, lambda _: None)
    assert refused.value.code == "title_manifest_foreign"
    message = InboundMessage(
        sender=did_of("nl-port"),
        id="news",
        digest=bytes(32),
        type=TYPE,
        stream=None,
        seq=None,
        body=told,
        content_type=MEDIA_TYPE,
        manifest="",
        received_at=0,
        document=None,
        leaf=bytes(32),
    )
    news = await TitleHandler(carrier.title.follower).prepare(message)
    assert news.state.issuer.did == did_of(CARRIER)
    assert news.manifest is not None


async def _shown_and_proven(world: World, title: bytes) -> None:
    node = world.nodes["sg-port"]
    shown = await node.title.show(title)
    assert shown["final"]
    assert shown["registry"]["name"] == world.entry.name
    assert shown["registry"]["finalBlock"] >= shown["registry"]["block"]
    assert [step["kind"] for step in shown["history"]][-1] == "END"
    assert {step["from"]["did"] for step in shown["history"]} == {
        did_of(name) for name in (CARRIER, "exp-a", "bank", "imp-a", "financier-2")
    }
    held = await node.title.require(title)
    proof = evm_title_proof.read_proof(held.proof.encode())
    members = node.members.current
    assert members is not None
    seen_blocks: list[int] = []
    proven = evm_title_proof.verify_proof(
        proof,
        entry=world.entry,
        members=members,
        vouch=lambda header: seen_blocks.append(header.number),
    )
    assert proven.state == held.state
    assert len(seen_blocks) == len(STEPS) + 1
    with pytest.raises(RefusedError) as refused:
        # Without a chain of its own nobody has to believe blocks that no validators sealed.
        evm_title_proof.verify_proof(
            proof, entry=world.entry, members=members, vouch=evm_title_proof.no_voucher
        )
    assert refused.value.code == "evm_block_unsealed"


@dataclass(frozen=True)
class AnyBill:
    """Stands for the document of the bundle that the manifest is about."""

    digest: str = "00" * 32

    def is_bill_of(self, _manifest: object) -> bool:
        return True


async def _kept_and_exported(world: World, title: bytes) -> None:
    """fsck proves what is stored; so does a bundle's reader, up to who vouches for blocks."""
    node = world.nodes[CARRIER]
    members = node.members.current
    assert members is not None
    context = Context(node.home, node.keys, members)
    assert await node.store.read(lambda conn: list(chain_titles(conn, context))) == []
    assert context.examined == 1
    held = await node.title.require(title)
    bill_row = await node.store.read(rows.bill, title)
    assert bill_row is not None
    at, documents = datetime.now(UTC), [AnyBill()]
    told = reading.check_title(
        held.proof.encode(),
        bill_row.issuance,
        members,
        at,
        documents,
        NO_FREEZES,
    )
    assert told["state"] == "ENDED"
    assert int(told["unsealed"]) > 0
    await node.store.write(_spoil, title)
    found = await node.store.read(lambda conn: list(chain_titles(conn, context)))
    assert len(found) == 1
    assert "another state" in found[0]


def _spoil(conn: Connection, title: bytes) -> None:
    held = rows.find(conn, title)
    assert held is not None
    state = state_bytes(replace(held.state, ending=Ending.PAPER)).decode()
    conn.execute(update(titles).where(titles.c.title == title).values(state=state))


async def test_r19_of_two_transfers_through_two_relayers_one_counts_and_the_loser_is_told(
    tmp_path: Path,
) -> None:
    async with on_embedded(tmp_path) as (world, _):
        nhl, rotterdam = world.nodes[CARRIER], world.nodes["nl-port"]
        title = await titled(nhl)
        await seen(rotterdam, title, 1)
        state = (await nhl.title.require(title)).state
        one = await operation(world, state, Kind.TRANSFER, "exp-a", "bank")
        two = await operation(world, state, Kind.TRANSFER, "exp-a", "financier-2")
        # Both are handed in at both nodes: four times relayed, one of them counts.
        told: list[Any] = []
        for node, text in ((nhl, one), (rotterdam, two), (rotterdam, one), (nhl, two)):
            try:
                told.append((await node.title.relay(title, text))["outcome"])
            except ConflictError as error:
                told.append(error)
        won = [answer for answer in told if answer == "final"]
        lost = [answer for answer in told if isinstance(answer, ConflictError)]
        assert (len(won), len(lost)) == (2, 2)
        winner = (await nhl.title.show(title))["history"][-1]["digest"]
        assert {error.code for error in lost} == {"title_seq_conflict"}
        assert {error.context["winner"] for error in lost} == {winner}
        for node in (nhl, rotterdam):
            assert (await seen(node, title, 2)).state.possessor.did == did_of("bank")
            await agrees_with_contract(world, node, title)


async def test_r20_a_node_signs_for_nobody_whose_key_it_does_not_hold(tmp_path: Path) -> None:
    async with on_embedded(tmp_path) as (world, _):
        title = await titled(world.nodes[CARRIER])
        rotterdam = world.nodes["nl-port"]
        await seen(rotterdam, title, 1)
        with pytest.raises(ForbiddenError) as refused:
            await rotterdam.title.operate(title, Order(Kind.TRANSFER, did_of("bank")))
        assert refused.value.code == "title_key_not_held"
        # A party of its own that is not in possession signs, and the contract says why not.
        with pytest.raises(ForbiddenError) as told:
            await rotterdam.title.operate(
                title, Order(Kind.TRANSFER, did_of("imp-a"), by=did_of("bank"))
            )
        assert told.value.code == "title_not_possessor"
        assert told.value.context["refusal"].startswith("{")


@pytest.mark.undecided
async def test_r21_a_node_cut_off_from_its_chain_halts_says_so_and_agrees_again(
    tmp_path: Path,
) -> None:
    async with on_embedded(tmp_path) as (world, wires):
        nhl, rotterdam = world.nodes[CARRIER], world.nodes["nl-port"]
        title = await titled(nhl)
        other = await titled(nhl, "ANOTHER-1", holder="bank")
        await seen(rotterdam, other, 1)
        wires["nl-port"].cut()

        async def unready() -> bool:
            return "title" in rotterdam.unready()

        await eventually(unready)
        assert "registry unreachable" in rotterdam.unready()["title"]
        answer = await rotterdam.title.operate(other, Order(Kind.TRANSFER, did_of("imp-a")))
        # Another member relays it; what that one then says is no final state here.
        assert (answer["outcome"], answer["code"]) == ("pending", "title_relayed_by_peer")
        await seen(nhl, other, 2)
        shown = await rotterdam.title.show(other, refresh=True)
        assert not shown["final"]
        assert shown["state"]["possessor"]["did"] == did_of("bank")
        told = shown["registry"]["told"]
        assert (told["final"], told["state"]["possessor"]["did"]) == (False, did_of("imp-a"))
        assert shown["registry"]["unreachable"] == "transfer pending – registry unreachable"
        # The others go on.
        await nhl.title.operate(title, Order(Kind.TRANSFER, did_of("financier-2")))
        await seen(world.nodes["sg-port"], title, 2)
        wires["nl-port"].join()
        for node in (nhl, rotterdam):
            assert (await seen(node, other, 2)).state.possessor.did == did_of("imp-a")
            await agrees_with_contract(world, node, other)

        async def ready() -> bool:
            return "title" not in rotterdam.unready()

        await eventually(ready)
        assert (await seen(rotterdam, title, 2)).state.possessor.did == did_of("financier-2")


@pytest.mark.undecided
async def test_r21_a_node_without_a_chain_has_peers_relay_and_believes_no_word_of_theirs(
    tmp_path: Path,
) -> None:
    async with on_embedded(tmp_path, without="sg-port") as (world, _):
        nhl, singapore = world.nodes[CARRIER], world.nodes["sg-port"]
        title = await titled(nhl)
        state = (await nhl.title.require(title)).state
        text = await operation(world, state, Kind.TRANSFER, "exp-a", "financier-2")
        answer = await singapore.title.relay(title, text)
        assert (answer["outcome"], answer["code"]) == ("pending", "title_relayed_by_peer")
        assert (await seen(nhl, title, 2)).state.possessor.did == did_of("financier-2")
        shown = await singapore.title.show(title, refresh=True)
        assert (shown["state"], shown["final"]) == (None, False)
        told = shown["registry"]["told"]
        assert told["by"] in {did_of(CARRIER), did_of("nl-port")}
        assert told["state"]["possessor"]["did"] == did_of("financier-2")
        # What the contract would refuse is paid for by nobody.
        before = await nhl.chain.show()
        late = await operation(world, state, Kind.TRANSFER, "exp-a", "bank")
        answer = await singapore.title.relay(title, late)
        assert (answer["outcome"], answer["code"]) == ("pending", "registry_unreachable")
        assert (await nhl.chain.show())["transactions"] == before["transactions"]
        with pytest.raises(UnavailableError):
            # Nothing issued here would ever be seen to be final.
            await singapore.title.issue(IssueOrder(bytes(32), did_of("bank"), arbiter="evm"))


async def test_the_operator_chooses_the_arbiter_and_sees_how_it_stands(tmp_path: Path) -> None:
    async with on_embedded(tmp_path) as (world, _):
        nhl = world.nodes[CARRIER]
        document = await bill(nhl)

        def talk() -> tuple[dict[str, Any], dict[str, Any]]:
            body = {
                "document": document.hex(),
                "holder": did_of("exp-a"),
                "endorsee": did_of("bank"),
                "arbiter": world.entry.name,
            }
            client = operator(nhl)
            return client.post("/v1/titles", body), client.get("/v1/arbiters")

        issued, listed = await asyncio.to_thread(talk)
        assert issued["arbiter"] == world.entry.id.hex()
        kinds = {item["kind"]: item for item in listed["arbiters"]}
        assert set(kinds) == {"evm", "log"}
        assert kinds["evm"]["reachable"]
        assert set(listed["keys"]) == {"governor", "issuing"}
        await eventually(lambda: is_final(nhl, bytes.fromhex(issued["title"])))
        with pytest.raises(ConflictError):
            await titled(nhl)


async def test_an_operator_deploys_a_registry_and_governors_list_a_carrier(tmp_path: Path) -> None:
    async with on_embedded(tmp_path) as (world, _):
        nhl, singapore = world.nodes[CARRIER], world.nodes["sg-port"]

        def deploy() -> tuple[dict[str, Any], list[str], str]:
            keys = [operator(node).get("/v1/arbiters")["keys"] for node in (nhl, singapore)]
            governors = [each["governor"] for each in keys]
            body = {"name": "new", "governors": governors, "threshold": 2, "delay": 0}
            return operator(nhl).post("/v1/arbiters", body), governors, keys[0]["issuing"]

        made, governors, issuing = await asyncio.to_thread(deploy)
        assert made["final"]
        assert len(set(governors)) == 2
        entry = read_arbiter(Fields(made["arbiter"], "member_list_malformed"))
        members = nhl.members.current
        assert members is not None
        for node in world.nodes.values():
            node.members.replace(replace(members, arbiters=(*members.arbiters, entry)))
        path = "/v1/arbiters/new/acts"

        def vote() -> tuple[int, int, bool]:
            wanted = {"kind": "list", "carrier": 1, "key": issuing, "step": "sign"}
            one = operator(nhl).post(path, wanted)
            two = operator(singapore).post(path, one | {"step": "sign"})
            sent = operator(nhl).post(path, two | {"step": "send"})
            return len(one["signatures"]), len(two["signatures"]), sent["final"]

        assert await asyncio.to_thread(vote) == (1, 2, True)
        order = IssueOrder(await bill(nhl, "NEW-1"), did_of("exp-a"), did_of("bank"), arbiter="new")
        answer = await nhl.title.issue(order)
        assert (answer["outcome"], answer["arbiter"]) == ("final", entry.id.hex())
        with pytest.raises(MalformedError):
            await asyncio.to_thread(operator(nhl).post, path, {"kind": "delist", "step": "x"})


async def test_r21_a_registry_that_its_governors_froze_takes_no_operation(tmp_path: Path) -> None:
    async with on_embedded(tmp_path) as (world, wires):
        nhl, rotterdam = world.nodes[CARRIER], world.nodes["nl-port"]
        title = await titled(nhl)
        await seen(rotterdam, title, 1)
        members = nhl.members.current
        assert members is not None
        chain = nhl.chain.client
        assert chain is not None
        client = client_of(wires[CARRIER].url, chain.config.chain_id, "finalized")
        try:
            deployer = Deployer(client, SoftwareEvmSigner(bytes([3]) * 32))
            at = await client.latest() + 2
            freeze = Act(1, FREEZE, number=at, successor=bytes([1]) * 32)
            await govern(deployer, world.entry, members.network, freeze)
            for _ in range(2):
                await deployer.send(bytes([4]) * 20, b"")
        finally:
            await client.close()

        async def frozen() -> bool:
            told = await nhl.title.evm.standing(world.entry)
            return told["frozen"] == at

        await eventually(frozen)
        with pytest.raises(ConflictError) as refused:
            await nhl.title.operate(title, Order(Kind.TRANSFER, did_of("bank")))
        assert refused.value.code == "title_registry_frozen"
        # Who holds it stays to be seen.
        held = await nhl.title.require(title)
        assert (held.state.seq, held.state.possessor.did) == (1, did_of("exp-a"))


async def test_r21_what_a_chain_moved_after_its_signed_end_is_forgotten(tmp_path: Path) -> None:
    async with on_embedded(tmp_path) as (world, _):
        nhl, rotterdam = world.nodes[CARRIER], world.nodes["nl-port"]
        title = await titled(nhl)
        await nhl.title.operate(title, Order(Kind.TRANSFER, did_of("bank"), did_of("exp-a")))
        for node in (nhl, rotterdam):
            await seen(node, title, 2)
        first, second = await nhl.store.read(evm_title.moves_of, world.entry.id, title)
        assert first.block < second.block
        following, client = nhl.title.evm.following, nhl.title.evm.client()
        late = await following.news(world.entry, client, title)
        wish = Wish(world.entry.id, block=first.block, block_hash=first.block_hash)
        signed = await nhl.registry.freezing.sign(await nhl.registry.freezing.draft(wish))
        assert nhl.registry.freezing.is_complete(signed)
        for node in (nhl, rotterdam):
            held = await seen(node, title, 1)
            assert held.state.possessor.did == did_of("exp-a")
            kept = await node.store.read(evm_title.moves_of, world.entry.id, title)
            assert [move.seq for move in kept] == [1]
        # What was checked before the end came in and is to be learned after it.
        assert not await nhl.store.write(nhl.title.follower.learn, late)
        await nhl.store.write(evm_title.learned, world.entry.id, title, late.state.seq)
        assert (await nhl.title.find(title)).state.seq == 1
        assert await nhl.store.read(evm_title.behind, world.entry.id, rows.known_titles(), 9) == []
        with pytest.raises(RefusedError, match="arbiter_frozen"):
            await nhl.title.operate(title, Order(Kind.TRANSFER, did_of("bank"), did_of("exp-a")))
