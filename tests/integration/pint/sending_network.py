"""Three platforms of one network: the carrier's own, a port exchange's, a trading port's."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson

from node.documents.orders import IssueOrder
from node.documents.service import DocumentService
from node.exchange.service import ExchangeService
from node.log.service import LogService
from node.log.witness_service import WitnessService
from node.pint.disputing import DisputeService
from node.pint.preparing import Move
from node.pint.sending import SendingService
from node.pint.service import PintService
from node.title.making import IssueOrder as TitleOrder
from node.title.registry_service import RegistryService
from node.title.service import TitleService
from node.tracking.service import TrackingService
from protocols.member_list import ListedKey, PartyEntry
from protocols.members import policies
from protocols.members.anchors import AnchorEntry
from protocols.pint.words import Action
from testnet.story.documents import build, load_story
from tests.support.network import Member, did_of, make_network, running_network

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from node.keystore import KeyStore
    from node.runtime import Node
    from protocols.member_list import MemberListDraft
    from protocols.seams import Clock
    from tests.support.network import Made

CARRIER = "nhl"
PLATFORMS = {"nhl": "NHLX", "nl-port": "MDPX", "sg-port": "STPX"}
WITNESSES = ("nl-port", "sg-port")
TRADERS = {
    "exp-a": "nhl",
    "bank": "nl-port",
    "imp-a": "nl-port",
    "financier-2": "sg-port",
    "imp-b": "sg-port",
}
SERVICES = (
    ("documents", DocumentService),
    ("exchange", ExchangeService),
    ("log", LogService),
    ("title", TitleService),
    ("registry", RegistryService),
    ("tracking", TrackingService),
    ("pint", PintService),
    ("disputes", DisputeService),
    ("sending", SendingService),
)
PURPOSES = ("credential", "exchange", "log", "title", "registry", "registry-witness", "platform")
UNTIL = 60.0


def made(
    folder: Path,
    *,
    pint: Mapping[str, Any] | None = None,
    anchors: Sequence[AnchorEntry] = (),
    fronts: Mapping[str, str] | None = None,
    banks: Sequence[str] = (),
    witnessed: bool = False,
) -> Made:
    """Homes, keys and the founding list.

    pint: settings; anchors: platforms without a node; fronts: node → the address that the list
    names for it, where something else stands in front of it; banks: nodes with that role too;
    witnessed: the nodes' own logs are witnessed, as who keeps a register of records needs it
    """
    settings = {
        "title": {"batch_interval": 0.02},
        "log": {"checkpoint_interval": 0.2},
        "exchange": {"retry_base": 0.05, "poll_interval": 0.2},
        "pint": {"retry_base": 0.05, "retry_cap": 0.2, **(pint or {})},
    }

    def change(draft: MemberListDraft, keys: Mapping[str, KeyStore]) -> MemberListDraft:
        start = datetime.now(UTC) - timedelta(days=1)
        parties = []
        for name, host in TRADERS.items():
            signer = keys[host].create_party(name, did_of(name))
            listed = ListedKey(signer.public(), "title", did_of(name), start)
            parties.append(PartyEntry(did_of(name), name, did_of(host), (listed,)))
        codes = {did_of(name): code for name, code in PLATFORMS.items()}
        nodes = tuple(replace(node, platform=codes.get(node.did)) for node in draft.nodes)
        draft = replace(draft, parties=tuple(parties), nodes=nodes, anchors=tuple(anchors))
        if witnessed:
            logs = tuple(log for one in nodes if (log := policies.log_of(one)) is not None)
            draft = policies.with_witnesses(replace(draft, logs=logs), list(codes))
        dids = [did_of(name) for name in WITNESSES]
        return draft.with_registry(policies.registry_of(draft, did_of(CARRIER), dids))

    purposes = (*PURPOSES, "witness") if witnessed else PURPOSES
    member = Member(purposes=purposes, settings=settings)
    platform = replace(member, roles=("pint-platform",))
    carrier = replace(member, roles=("carrier", "pint-platform"), country="SG")
    nodes = {CARRIER: carrier} | {
        name: platform if name in PLATFORMS else member for name in WITNESSES
    }
    for name in banks:
        nodes[name] = replace(nodes[name], roles=(*nodes[name].roles, "bank"))
    for name, url in (fronts or {}).items():
        nodes[name] = replace(nodes[name], settings={**settings, "http": {"public_url": url}})
    return make_network(folder, nodes, change=change)


@asynccontextmanager
async def running(
    folder: Path, clock: Clock | None = None, **settings: Any
) -> AsyncIterator[dict[str, Node]]:
    """The whole network, started."""
    services = SERVICES
    if settings.get("witnessed"):
        services = (*SERVICES[:3], ("witness", WitnessService), *SERVICES[3:])
    async with running_network(made(folder, **settings), clock=clock, services=services) as nodes:
        yield nodes


async def bill(node: Node, reference: str = "", consignment: str = "A", **changes: Any) -> bytes:
    """Issue the story's bill of lading; its digest. changes: members of the document."""
    story = build(load_story(), consignment, "bill-of-lading", datetime.now(UTC))
    value = orjson.loads(story.payload) | changes
    if reference:
        value["transportDocumentReference"] = reference
    order = IssueOrder(payload=orjson.dumps(value), type=story.document_type)
    digest: bytes = (await node.documents.issue(order)).document.digest
    return digest


async def titled(
    node: Node,
    reference: str = "",
    holder: str = "exp-a",
    endorsee: str | None = "bank",
    consignment: str = "A",
    **changes: Any,
) -> bytes:
    """A bill with a final title; the title's id."""
    document = await bill(node, reference, consignment, **changes)
    named = did_of(endorsee) if endorsee else None
    answer = await node.title.issue(TitleOrder(document, did_of(holder), named))
    title = bytes.fromhex(answer["title"])
    await eventually(lambda: _final(node, title))
    return title


async def _final(node: Node, title: bytes) -> bool:
    return bool((await node.title.show(title))["final"])


async def move(
    node: Node, title: bytes, action: Action, to: str | None = None, **more: Any
) -> dict[str, Any]:
    """Order a deed; what the node answers."""
    wait = more.pop("wait", UNTIL)
    order = Move(title, action, did_of(to) if to else None, **more)
    answer: dict[str, Any] = await node.sending.move(order, wait=wait)
    return answer


async def possessor(node: Node, title: bytes) -> str | None:
    """Who possesses the bill, as the node knows it."""
    held = await node.title.find(title)
    if held is None or held.state.possessor is None:
        return None
    return str(held.state.possessor.did)


async def eventually(look: Callable[[], Awaitable[Any]], seconds: float = UNTIL) -> Any:
    """The first true value that `look` gives; fails after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = await look()
        if found:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("it did not happen in time")
