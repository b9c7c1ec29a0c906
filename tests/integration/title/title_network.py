"""Real nodes for titles: a carrier with the registry, four witnesses, hosted traders."""

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
from node.keystore import KeyStore
from node.log.service import LogService
from node.operator import OperatorClient
from node.title.making import IssueOrder as TitleOrder
from node.title.registry_service import RegistryService
from node.title.service import TitleService
from protocols.member_list import ListedKey, PartyEntry
from protocols.members import policies
from protocols.title.machine import Kind, Operation, Party
from protocols.title.operation import sign_operation
from testnet.story.documents import build, load_story
from tests.support.network import Member, did_of, make_network, running_network

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

    from node.runtime import Node
    from protocols.member_list import MemberListDraft
    from protocols.title.machine import TitleState
    from tests.support.network import Made

CARRIER = "nhl"
WITNESSES = ("cn-port", "sg-port", "nl-port", "kz-rail")
TRADERS = {"exp-a": "nhl", "bank": "nl-port", "imp-a": "nl-port", "financier-2": "sg-port"}
SERVICES = (
    ("documents", DocumentService),
    ("exchange", ExchangeService),
    ("log", LogService),
    ("title", TitleService),
    ("registry", RegistryService),
)
PURPOSES = ("credential", "exchange", "log", "title", "registry", "registry-witness")
FAST = {
    "title": {"batch_interval": 0.02},
    "log": {"checkpoint_interval": 0.2},
    "exchange": {"retry_base": 0.05, "poll_interval": 0.2},
}
UNTIL = 90.0


def made(
    folder: Path,
    *,
    witnesses: tuple[str, ...] = WITNESSES,
    successor: str | None = None,
    platforms: Mapping[str, str] | None = None,
) -> Made:
    """Homes, keys and the founding list; every trader's title key lies at its host.

    successor: a witness that is listed with a registry of its own, to be handed over to, or the
               carrier itself with fewer witnesses
    platforms: names of members that are platforms, with their codes
    """
    codes = {did_of(name): code for name, code in (platforms or {}).items()}

    def change(draft: MemberListDraft, keys: Mapping[str, KeyStore]) -> MemberListDraft:
        start = datetime.now(UTC) - timedelta(days=1)
        parties = []
        for name, host in TRADERS.items():
            signer = keys[host].create_party(name, did_of(name))
            listed = ListedKey(signer.public(), "title", did_of(name), start)
            parties.append(PartyEntry(did_of(name), name, did_of(host), (listed,)))
        nodes = tuple(replace(one, platform=codes.get(one.did)) for one in draft.nodes)
        draft = replace(draft, parties=tuple(parties), nodes=nodes)
        dids = [did_of(name) for name in witnesses]
        draft = draft.with_registry(policies.registry_of(draft, did_of(CARRIER), dids))
        if successor is None:
            return draft
        others = [did_of(CARRIER), *dids] if successor != CARRIER else dids[:3]
        return draft.with_registry(policies.registry_of(draft, did_of(successor), others))

    purposes = (*PURPOSES, "platform") if codes else PURPOSES
    member = Member(purposes=purposes, settings=FAST)
    carrier = replace(member, roles=("carrier",), country="SG")
    nodes = {CARRIER: carrier, **dict.fromkeys(WITNESSES, member)}
    return make_network(folder, nodes, change=change)


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[dict[str, Node]]:
    """The whole network, started."""
    async with running_network(made(folder), services=SERVICES) as nodes:
        yield nodes


def operator(node: Node) -> OperatorClient:
    """The node's operator."""
    return OperatorClient(node.local_url, node.token)


async def bill(node: Node, reference: str = "", consignment: str = "A") -> bytes:
    """Issue the story's bill of lading, under another reference if one is given; its digest."""
    story = build(load_story(), consignment, "bill-of-lading", datetime.now(UTC))
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
    """A bill with a final title; the title's id."""
    document = await bill(node, reference)
    named = did_of(endorsee) if endorsee else None
    answer = await node.title.issue(TitleOrder(document, did_of(holder), named))
    title = bytes.fromhex(answer["title"])
    await eventually(lambda: is_final(node, title))
    return title


async def is_final(node: Node, title: bytes) -> bool:
    """Whether the node knows a final state and nothing is open."""
    return bool((await node.title.show(title))["final"])


def party(node: Node, name: str) -> Party:
    """A trader as an operation names it."""
    entry = node.members.current.party(did_of(name))
    return Party(entry.did, entry.keys[0].public.thumbprint())


def operation(
    node: Node, state: TitleState, kind: Kind, who: str, to: str | None, **changes: Any
) -> str:
    """An operation signed by the trader's own key, wherever it is then handed in."""
    host = node.home.path.parent / TRADERS[who]
    signer = KeyStore(host / "keys", did_of(TRADERS[who])).parties()[did_of(who)]
    members = node.members.current
    registry = members.registries[0]
    from protocols.title.registry import arbiter_of

    plain = Operation(
        network=members.network,
        arbiter=arbiter_of(registry).id,
        title=state.title,
        seq=state.seq,
        kind=kind,
        sender=party(node, who),
        recipient=party(node, to) if to else None,
        entry=bytes(32),
        deadline=datetime.now(UTC) + timedelta(hours=1),
    )
    return sign_operation(replace(plain, **changes), signer)


async def eventually(look: Callable[[], Awaitable[Any]], seconds: float = UNTIL) -> Any:
    """The first true value that `look` gives; fails after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = await look()
        if found:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("it did not happen in time")
