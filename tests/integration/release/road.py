"""The whole road of consignment A between real nodes, as far as the release needs it."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from node.documents.orders import IssueOrder
from node.operator import OperatorClient
from protocols.member_list import Agreement, IssuerEntry, ListedKey, PartyEntry
from protocols.members import policies
from schemas import registry
from testnet.story.documents import build, load_story
from tests.support.network import Member, did_of, make_network, running_network

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

    from node.keystore import KeyStore
    from node.runtime import Node
    from protocols.member_list import MemberListDraft
    from tests.support.network import Made

WITNESSES = ("cn-port", "sg-port", "nl-port", "kz-rail")
TRADERS = {
    "exp-a": "nhl",
    **dict.fromkeys(("bank", "imp-a", "forwarder-a", "haulier-a"), "nl-port"),
}
NAMES = {"imp-a": "Polder Roots B.V."}
PURPOSES = (
    "credential", "exchange", "log", "witness", "title", "release", "registry", "registry-witness"
)  # fmt: skip
FAST = {
    "title": {"batch_interval": 0.02},
    "log": {"checkpoint_interval": 0.05},
    "exchange": {"retry_base": 0.05, "poll_interval": 0.2},
}
UCR = "6CN91370784MA0DEMQ00FA261118"
BOX = "NHLU2631075"
TRADE = ("commercial-invoice", "packing-list", "dangerous-goods-declaration")
UNTIL = 30.0


def made(
    folder: Path,
    *,
    witnesses: tuple[str, ...] = WITNESSES,
    store: Callable[[str], str] = lambda _name: "",
) -> Made:
    """Homes, keys and the founding list of the road's seven nodes.

    store: the address of a node's store by its name; empty for the default
    """

    def change(draft: MemberListDraft, keys: Mapping[str, KeyStore]) -> MemberListDraft:
        start = datetime.now(UTC) - timedelta(days=1)
        types = tuple(registry.document_types())
        logs = tuple(log for node in draft.nodes if (log := policies.log_of(node)))
        draft = replace(
            draft,
            parties=tuple(_party(name, host, keys, start) for name, host in TRADERS.items()),
            issuers=tuple(
                IssuerEntry(did_of("cn-cert"), key, "CN", start)
                for key in types
                if "issuer" in registry.get(key).issuer_roles and key not in TRADE
            ),
            agreements=(
                Agreement("nl-cn", "NL", "CN", types, start),
                Agreement("sg-nl", "SG", "NL", types, start),
            ),
            logs=logs,
        )
        dids = [did_of(name) for name in witnesses]
        if dids:
            draft = policies.with_witnesses(draft, dids)
        return draft.with_registry(policies.registry_of(draft, did_of("nhl"), dids))

    member = Member(purposes=PURPOSES, settings=FAST)
    nodes = {
        "nhl": replace(member, roles=("carrier",)),
        "cn-cert": replace(member, roles=("issuer",)),
        "nl-customs": replace(member, roles=("customs", "plant-health"), country="NL"),
        "nl-port": replace(member, roles=("port", "terminal", "witness"), country="NL"),
        "cn-port": replace(member, roles=("port", "witness")),
        "sg-port": replace(member, roles=("port", "witness"), country="SG"),
        "kz-rail": replace(member, roles=("dry-port", "witness"), country="KZ"),
    }
    nodes = {
        name: replace(node, settings={**FAST, "store": {"url": store(name)}})
        for name, node in nodes.items()
    }
    return make_network(folder, nodes, change=change)


def _party(name: str, host: str, keys: Mapping[str, KeyStore], start: datetime) -> PartyEntry:
    signer = keys[host].create_party(name, did_of(name))
    listed = ListedKey(signer.public(), "title", did_of(name), start)
    return PartyEntry(did_of(name), NAMES.get(name, name), did_of(host), (listed,))


@asynccontextmanager
async def running(network: Made) -> AsyncIterator[dict[str, Node]]:
    """All nodes with all services."""
    async with running_network(network) as nodes:
        yield nodes


def operator(node: Node) -> OperatorClient:
    """The node's operator."""
    return OperatorClient(node.local_url, node.token)


async def issue(nodes: Mapping[str, Node], key: str, to: tuple[str, ...], **variation: Any) -> str:
    """Issue one document of A by its issuer, send it, and wait until it is verified; its digest."""
    story = build(load_story(), "A", key, datetime.now(UTC), **variation)
    issuer = nodes[story.issuer_actor]
    issued = await issuer.documents.issue(
        IssueOrder(
            payload=story.payload,
            type=story.document_type,
            consignment=story.consignment_ucr,
            export_country=story.export_country,
            import_country=story.import_country,
        )
    )
    digest = issued.document.digest.hex()
    await send(issuer, digest, *to)
    for name in to:
        await eventually(lambda name=name: verdict(nodes[name], digest))
    return digest


async def send(node: Node, digest: str, *to: str) -> None:
    """Send a held document."""
    if to:
        body = {"to": [did_of(name) for name in to]}
        await operator(node).apost(f"/v1/documents/{digest}/send", body)


async def verdict(node: Node, digest: str) -> str | None:
    """The verdict the node gave, or None."""
    from node.documents import documents

    stored = await node.store.read(documents.get, bytes.fromhex(digest))
    return stored.verdict if stored else None


async def decision(node: Node, box: str = BOX) -> dict[str, Any]:
    """The release decision, over HTTP."""
    return await operator(node).aget(f"/v1/releases/{box}", consignment=UCR)


async def operate(node: Node, title: str, kind: str, by: str, to: str | None = None) -> None:
    """One title operation, until it is final."""
    body = {"kind": kind, "by": did_of(by), **({"to": did_of(to)} if to else {})}
    await operator(node).apost(f"/v1/titles/{title}/operations", body)
    await eventually(lambda: final(node, title))


async def final(node: Node, title: str) -> bool:
    """Whether nothing about the title is open."""
    return bool((await operator(node).aget(f"/v1/titles/{title}"))["final"])


async def outcome_is(node: Node, outcome: str) -> dict[str, Any]:
    """Wait until the decision has that outcome."""
    last: dict[str, Any] = {}

    async def look() -> bool:
        last.update(await decision(node))
        return bool(last["outcome"] == outcome)

    try:
        await eventually(look)
    except AssertionError:
        raise AssertionError(last) from None
    return last


async def eventually(look: Callable[[], Awaitable[Any]], seconds: float = UNTIL) -> Any:
    """The first true value that `look` gives; fails after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = await look()
        if found:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("it did not happen in time")
