"""A house bill and its master over real nodes: the terminal gives the goods out once (R19, R24)."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from node.documents.orders import IssueOrder
from node.store import events
from schemas.errors import RefusedError
from testnet.story.documents import build, load_story

if TYPE_CHECKING:
    from pathlib import Path

    from node.runtime import Node

road = importlib.import_module("tests.integration.release.road")
MASTER, ABOVE = "NHLMASTER1", "6CN91370784MA0DEMQ00FA261199"


async def _bill(nodes: dict[str, Node], consignment: str, **changes: Any) -> str:
    """The story's bill, changed, at the port; its digest."""
    story = build(load_story(), "A", "bill-of-lading", datetime.now(UTC))
    payload = orjson.dumps(orjson.loads(story.payload) | changes)
    order = IssueOrder(payload, "bill-of-lading", consignment)
    digest: str = (await nodes["nhl"].documents.issue(order)).document.digest.hex()
    await road.send(nodes["nhl"], digest, "nl-port", "nl-customs")
    for name in ("nl-port", "nl-customs"):
        await road.eventually(lambda name=name: road.verdict(nodes[name], digest))
    return digest


async def _title(nodes: dict[str, Node], document: str) -> str:
    body = {"document": document, "holder": road.did_of("imp-a"), "endorsee": road.did_of("imp-a")}
    title: str = (await road.operator(nodes["nhl"]).apost("/v1/titles", body))["title"]
    await road.eventually(lambda: road.final(nodes["nhl"], title))
    await road.eventually(lambda: _known(nodes["nl-port"], title))
    return title


async def _known(node: Node, title: str) -> bool:
    return await node.title.find(bytes.fromhex(title)) is not None


async def _given_up(nodes: dict[str, Node], title: str) -> None:
    await road.operate(nodes["nl-port"], title, "SURRENDER_FOR_DELIVERY", "imp-a")
    await road.operate(nodes["nhl"], title, "ACCEPT_SURRENDER", "nhl")


async def _others(nodes: dict[str, Node], house: str) -> None:
    """Everything else that the release of the box asks for."""
    phyto = await road.issue(nodes, "phytosanitary-certificate", ("nl-port", "nl-customs"))
    await road.issue(nodes, "arrival-notice", ("nl-port",))
    listed = await road.operator(nodes["nl-port"]).aget("/v1/documents", consignment=road.UCR)
    digests = {item["number"]: item["digest"] for item in listed["documents"]}
    assert {house, phyto} <= set(digests.values())
    for key in ("plant-health-decision", "customs-decision", "delivery-order"):
        await road.issue(nodes, key, ("nl-port",), digests=digests)


async def _condition_is(node: Node, code: str) -> None:
    async def look() -> bool:
        made = await road.decision(node)
        found = next(each for each in made["conditions"] if each["id"] == "REL-022")
        return bool(found["code"] == code)

    await road.eventually(look)


async def _cleared(node: Node) -> bool:
    return bool(await node.store.read(events.newest_of, "release-clear"))


async def test_r19_nobody_gets_the_goods_under_a_house_bill_while_the_master_lives(
    tmp_path: Path,
) -> None:
    async with road.running(road.made(tmp_path)) as nodes:
        port = nodes["nl-port"]
        house = await _bill(nodes, road.UCR, references=[{"type": "MB", "value": MASTER}])
        given = await _title(nodes, house)
        await _given_up(nodes, given)
        await _others(nodes, house)
        await _condition_is(port, "master_bill_not_held")
        # The master is of another consignment: its number leads to it.
        master = await _bill(nodes, ABOVE, transportDocumentReference=MASTER)
        title = await _title(nodes, master)
        await _condition_is(port, "title_not_surrendered")
        path = f"/v1/releases/{road.BOX}/sign"
        with pytest.raises(RefusedError, match="release_held"):
            await road.operator(port).apost(path, {"consignment": road.UCR})

        await _given_up(nodes, title)
        # What becomes of the master is told of the house bill's container, and nobody has to ask.
        await road.eventually(lambda: _cleared(port))
        await road.outcome_is(port, "RELEASE")
        order = await road.operator(port).apost(path, {"consignment": road.UCR})
        left = f"/v1/releases/{road.BOX}/gate-out"
        await road.operator(port).apost(left, {"order": order["digest"]})

        # What left under the house bill has left under the master, too.
        above = await road.operator(port).aget(f"/v1/releases/{road.BOX}", consignment=ABOVE)
        assert above["outcome"] == "DONE"
        with pytest.raises(RefusedError, match="release_held"):
            await road.operator(port).apost(path, {"consignment": ABOVE})
