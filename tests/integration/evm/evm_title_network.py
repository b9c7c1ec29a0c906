"""Nodes of one network whose bills live on a chain: a carrier, two ports, traders they host."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson

from node.anchor.service import AnchorService
from node.chain.service import ChainService
from node.documents.orders import IssueOrder
from node.documents.service import DocumentService
from node.exchange.service import ExchangeService
from node.log.service import LogService
from node.operator import OperatorClient
from node.title.evm_keys import ask_holder, holder
from node.title.making import IssueOrder as TitleOrder
from node.title.registry_service import RegistryService
from node.title.service import TitleService
from protocols.evm.title import EvmOperation, sign_operation
from protocols.evm.title_text import to_text
from protocols.member_list import ListedKey, PartyEntry
from protocols.members import policies
from testnet.story.documents import build, load_story
from tests.support.evm_network import client_of, deploy, issuing_key, with_arbiters
from tests.support.network import Member, did_of, make_network, running_network

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

    from node.keystore import KeyStore
    from node.runtime import Node
    from protocols.member_list import MemberListDraft
    from protocols.members.arbiters import ArbiterEntry
    from protocols.title.machine import Kind, TitleState
    from tests.support.network import Made

CARRIER = "nhl"
PORTS = ("sg-port", "nl-port")
TRADERS = {"exp-a": "nhl", "bank": "nl-port", "imp-a": "nl-port", "financier-2": "sg-port"}
SERVICES = (
    ("documents", DocumentService),
    ("exchange", ExchangeService),
    ("log", LogService),
    ("chain", ChainService),
    ("anchor", AnchorService),
    ("title", TitleService),
    ("registry", RegistryService),
)
PURPOSES = ("credential", "exchange", "log", "title", "registry", "registry-witness")
UNTIL = 90.0


@dataclass(frozen=True)
class Chain:
    """Where a chain is spoken to: one address for each node, so that each can be cut off.

    A node without an address has no chain of its own.
    """

    chain_id: int
    finality: str
    urls: Mapping[str, str]
    direct: str
    poll: float = 0.1


@dataclass(frozen=True)
class World:
    """The running nodes and their arbiter."""

    nodes: Mapping[str, Node]
    entry: ArbiterEntry


def made(folder: Path, chain: Chain) -> Made:
    """Homes, keys and the founding list; every trader's title key lies at its host."""

    def change(draft: MemberListDraft, keys: Mapping[str, KeyStore]) -> MemberListDraft:
        start = datetime.now(UTC) - timedelta(days=1)
        parties = []
        for name, host in TRADERS.items():
            signer = keys[host].create_party(name, did_of(name))
            listed = ListedKey(signer.public(), "title", did_of(name), start)
            parties.append(PartyEntry(did_of(name), name, did_of(host), (listed,)))
        draft = replace(draft, parties=tuple(parties))
        witnesses = [did_of(name) for name in PORTS]
        return draft.with_registry(policies.registry_of(draft, did_of(CARRIER), witnesses))

    def member(name: str, **more: Any) -> Member:
        settings = {
            "title": {"batch_interval": 0.02},
            "log": {"checkpoint_interval": 0.2},
            "exchange": {"retry_base": 0.05, "poll_interval": 0.2},
            "chain": {
                "urls": [chain.urls[name]] if name in chain.urls else [],
                "id": chain.chain_id,
                "finality": chain.finality,
                "fee": "zero",
                "poll_interval": chain.poll,
                "call_deadline": 30.0,
            },
        }
        return Member(purposes=PURPOSES, settings=settings, **more)

    nodes = {CARRIER: member(CARRIER, roles=("carrier",), country="SG")}
    return make_network(folder, nodes | {name: member(name) for name in PORTS}, change=change)


@asynccontextmanager
async def running(folder: Path, chain: Chain) -> AsyncIterator[World]:
    """The whole network, started, with a title registry on that chain."""
    network = made(folder, chain)
    client = client_of(chain.direct, chain.chain_id, chain.finality)
    try:
        keys = [issuing_key(network, CARRIER)]
        entry = await deploy(client, network.members.network, keys, chain.finality)
    finally:
        await client.close()
    network = with_arbiters(network, [entry])
    async with running_network(network, services=SERVICES) as nodes:
        yield World(nodes, entry)


def operator(node: Node) -> OperatorClient:
    """The node's operator."""
    return OperatorClient(node.local_url, node.token)


async def bill(node: Node, reference: str = "") -> bytes:
    """Issue the story's bill of lading, under another reference if one is given; its digest."""
    story = build(load_story(), "A", "bill-of-lading", datetime.now(UTC))
    payload = story.payload
    if reference:
        value = orjson.loads(payload)
        payload = orjson.dumps(value | {"transportDocumentReference": reference})
    issued = await node.documents.issue(IssueOrder(payload=payload, type=story.document_type))
    digest: bytes = issued.document.digest
    return digest


async def titled(
    node: Node, reference: str = "", holder: str = "exp-a", endorsee: str | None = "bank"
) -> bytes:
    """A bill with a final title on the chain; the title's id."""
    document = await bill(node, reference)
    named = did_of(endorsee) if endorsee else None
    order = TitleOrder(document, did_of(holder), named, arbiter="evm")
    answer = await node.title.issue(order)
    title = bytes.fromhex(answer["title"])
    await eventually(lambda: is_final(node, title))
    return title


async def is_final(node: Node, title: bytes) -> bool:
    """Whether the node knows a final state and nothing is open."""
    return bool((await node.title.show(title))["final"])


async def seen(node: Node, title: bytes, seq: int) -> Any:
    """The node's own row once it has that seq and knows who holds the title.

    The chain tells that it moved; whose the key is, the peer's news tells a moment later.
    """

    async def look() -> Any:
        held = await node.title.find(title)
        if held is None or held.state.seq != seq:
            return None
        possessor = held.state.possessor
        return held if possessor is None or possessor.did.startswith("did:web:") else None

    return await eventually(look)


async def eventually(look: Callable[[], Awaitable[Any]], seconds: float = UNTIL) -> Any:
    """The first true value that `look` gives; fails after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = await look()
        if found:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("it did not happen in time")


async def operation(
    world: World, state: TitleState, kind: Kind, who: str, to: str | None, **changes: Any
) -> str:
    """An operation signed by the trader's own key, wherever it is then handed in."""
    node = world.nodes[TRADERS[who]]
    recipient = None
    if to is not None:
        statement, _ = await ask_holder(node, world.entry, did_of(to), state.title)
        recipient = statement.address
    signer = holder(node, did_of(who), state.title)
    plain = EvmOperation(
        title=state.title,
        seq=state.seq,
        kind=kind,
        sender=signer.address,
        recipient=recipient,
        entry=bytes(32),
        deadline=int(time.time()) + 3600,
    )
    members = node.members.current
    assert members is not None
    domain = world.entry.registry(members.network).domain
    return to_text(sign_operation(replace(plain, **changes), domain, signer))
