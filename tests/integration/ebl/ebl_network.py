"""A carrier with the registry, a platform with a party, witnesses: real nodes for ISS and SUR."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson

from node.daemon import factories
from node.documents.orders import IssueOrder
from node.operator import OperatorClient
from protocols.member_list import ListedKey, PartyEntry
from protocols.members import policies
from testnet.story.documents import build, load_story
from tests.support.network import Member, did_of, make_network, running_network

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

    from node.keystore import KeyStore
    from node.runtime import Node
    from protocols.member_list import MemberListDraft
    from tests.support.network import Made

CARRIER, PLATFORM, ELSEWHERE = "nhl", "nl-port", "sg-port"
WITNESSES = ("cn-port", ELSEWHERE, PLATFORM)
TRADERS = {"exp-a": PLATFORM, "imp-a": PLATFORM, "buyer": ELSEWHERE, "shipper": CARRIER}
CODES = {PLATFORM: "NLPE", ELSEWHERE: "SGPE"}
PURPOSES = ("credential", "exchange", "log", "title", "registry", "registry-witness", "platform")
FAST: dict[str, Any] = {
    "title": {"batch_interval": 0.02},
    "log": {"checkpoint_interval": 0.2},
    "exchange": {"retry_base": 0.05, "poll_interval": 0.2},
    "ebl": {"retry_base": 0.05, "retry_cap": 0.2},
    "pint": {"retry_base": 0.05, "retry_cap": 0.2},
}
LEFT_OUT = {"switches", "vc_api", "evidence", "trace", "release", "anchor", "chain", "aeo"}
UNTIL = 90.0
REFERENCE = "NHLU20260001"


def made(folder: Path, *, codes: Mapping[str, str] = CODES, **settings: Mapping[str, Any]) -> Made:
    """Homes, keys and the founding list.

    codes: the platforms', by node; settings: by node, beside the fast ones
    """

    def change(draft: MemberListDraft, keys: Mapping[str, KeyStore]) -> MemberListDraft:
        start = datetime.now(UTC) - timedelta(days=1)
        parties = []
        for name, host in TRADERS.items():
            signer = keys[host].create_party(name, did_of(name))
            listed = ListedKey(signer.public(), "title", did_of(name), start)
            parties.append(PartyEntry(did_of(name), name, did_of(host), (listed,)))
        listed_codes = {did_of(name): code for name, code in codes.items()}
        nodes = tuple(replace(node, platform=listed_codes.get(node.did)) for node in draft.nodes)
        draft = replace(draft, parties=tuple(parties), nodes=nodes)
        dids = [did_of(name) for name in WITNESSES]
        return draft.with_registry(policies.registry_of(draft, did_of(CARRIER), dids))

    def member(name: str, **more: Any) -> Member:
        return Member(purposes=PURPOSES, settings=_merged(settings.get(name, {})), **more)

    nodes = {CARRIER: member(CARRIER, roles=("carrier",), country="SG")}
    roles = ("port", "pint-platform")
    nodes |= {name: member(name, roles=roles) for name in WITNESSES}
    return make_network(folder, nodes, change=change)


def _merged(more: Mapping[str, Any]) -> dict[str, Any]:
    return {
        section: FAST.get(section, {}) | dict(more.get(section, {}))
        for section in (*FAST, *(name for name in more if name not in FAST))
    }


@asynccontextmanager
async def running(network: Made) -> AsyncIterator[dict[str, Node]]:
    """The whole network, started."""
    services = [one for one in factories() if one[0] not in LEFT_OUT]
    async with running_network(network, services=services) as nodes:
        yield nodes


def operator(node: Node) -> OperatorClient:
    """The node's operator."""
    return OperatorClient(node.local_url, node.token)


def did_code(name: str) -> dict[str, str]:
    """The identifying code of a party by its DID."""
    return {"codeListProvider": "W3C", "codeListName": "DID", "partyCode": did_of(name)}


def bill(
    kind: str = "straight", reference: str = REFERENCE, to: str = "imp-a", **changes: Any
) -> dict[str, Any]:
    """The story's bill: straight to `to`, to order of `to`, or in blank."""
    payload = build(load_story(), "A", "bill-of-lading", datetime.now(UTC)).payload
    document: dict[str, Any] = orjson.loads(payload) | {"transportDocumentReference": reference}
    parties = document["documentParties"]
    named = {name: parties.pop(name, None) for name in ("endorsee", "consignee")}
    base = named["consignee"] or named["endorsee"]
    base = {key: value for key, value in base.items() if key != "isNotifyParty"}
    party = base | {"identifyingCodes": [did_code(to)]}
    document["isToOrder"] = kind != "straight"
    if kind == "straight":
        parties["consignee"] = party
    elif kind == "order":
        parties["endorsee"] = party
    return document | changes


async def issue_document(node: Node, document: Mapping[str, Any]) -> str:
    """Issue the bill as a document; its digest."""
    order = IssueOrder(payload=orjson.dumps(document), type="bill-of-lading")
    return (await node.documents.issue(order)).document.digest.hex()


def issue_to(name: str = "exp-a", platform: str = CODES[PLATFORM]) -> dict[str, Any]:
    """The first possessor."""
    return {"partyName": name, "sendToPlatform": platform, "identifyingCodes": [did_code(name)]}


async def put_up(node: Node, document: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Put a bill before the platform; how it stands at once."""
    digest = await issue_document(node, document)
    body = {"document": digest, "issueTo": issue_to()} | more
    found: dict[str, Any] = await operator(node).apost("/v1/ebl/issuances", body)
    return found


async def issuance(node: Node, reference: str = REFERENCE) -> dict[str, Any] | None:
    """The newest issuance of that reference."""
    found = await operator(node).aget("/v1/ebl/issuances", reference=reference)
    newest: dict[str, Any] | None = found["issuances"][0] if found["issuances"] else None
    return newest


async def reaches(node: Node, state: str, reference: str = REFERENCE) -> dict[str, Any]:
    """Wait until the issuance has that state."""
    last: dict[str, Any] = {}

    async def look() -> bool:
        last.update(await issuance(node, reference) or {})
        return last.get("state") == state

    await eventually(look, told=last)
    return last


async def surrender_reaches(node: Node, state: str, **only: str) -> dict[str, Any]:
    """Wait until the newest surrender has that state. only: side, where one node is both"""
    last: dict[str, Any] = {}

    async def look() -> bool:
        found = (await operator(node).aget("/v1/ebl/surrenders", **only))["surrenders"]
        last.update(found[-1] if found else {})
        return last.get("state") == state

    await eventually(look, told=last)
    return last


async def title_is(node: Node, title: str, state: str) -> dict[str, Any]:
    """Wait until the title is final in that state at the node."""
    last: dict[str, Any] = {}

    async def look() -> bool:
        held = await node.title.find(bytes.fromhex(title))
        last["state"] = held.state.state.value if held else None
        last["possessor"] = held.state.possessor.did if held and held.state.possessor else None
        return last["state"] == state

    await eventually(look, told=last)
    return last


async def eventually(
    look: Callable[[], Awaitable[Any]], seconds: float = UNTIL, told: object = None
) -> Any:
    """The first true value that `look` gives; fails after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = await look()
        if found:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"it did not happen in time: {told}")
