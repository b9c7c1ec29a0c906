"""What a node says of a title and of its registry, as the tests of conflicts ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ledger.registry_witness import mirror_log
from node.title import rows
from schemas.errors import TradeError
from tests.integration.title.title_network import CARRIER, did_of
from tests.support.network import Made

if TYPE_CHECKING:
    from node.runtime import Node


async def relay(node: Node, title: bytes, text: str) -> dict[str, Any]:
    """What the node answers to a signed operation: the outcome, or the signed refusal."""
    try:
        return await node.title.relay(title, text)
    except TradeError as error:
        return {"outcome": "refused", "code": error.code, **error.context}


async def possessor_at(node: Node, title: bytes) -> str | None:
    held = await node.store.read(rows.find, title)
    if held is None or held.state.seq < 2 or held.state.possessor is None:
        return None
    return str(held.state.possessor.did)


def log_of(node: Node) -> str:
    if node.did == did_of(CARRIER):
        return "registry"
    return mirror_log(node.members.current.registries[0].origin)


def without(network: Made, name: str) -> Made:
    homes = {key: home for key, home in network.homes.items() if key != name}
    return Made(homes, network.members)
