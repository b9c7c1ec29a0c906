"""Titles of this network through the register: what they show is what their operations did."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from node.title.making import Order
from node.tracking.service import TrackingService
from protocols.pint.tracking import PlatformRecord, RecordAction
from protocols.title.machine import Kind
from schemas.errors import TradeError
from tests.integration.title import title_network as titles
from tests.integration.title.title_network import CARRIER, did_of, eventually
from tests.support.network import running_network

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from node.runtime import Node

CODES = {"nhl": "HOME", "nl-port": "AWAY", "sg-port": "FARR"}
SERVICES = (*titles.SERVICES, ("tracking", TrackingService))


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[dict[str, Node]]:
    """The title network; three of its members are platforms."""
    made = titles.made(folder, platforms=CODES)
    async with running_network(made, services=SERVICES) as nodes:
        yield nodes


async def asked(node: Node, ebl: bytes) -> dict[str, Any]:
    """What anybody is answered about a bill."""
    answer = await node.client.open_call("GET", f"{node.local_url}/ctr/v1/bills/{ebl.hex()}")
    assert answer.status == 200
    shown: dict[str, Any] = orjson.loads(answer.body)
    return shown


def record(node: Node, ebl: bytes, action: RecordAction, **members: Any) -> str:
    """A record signed by the node as a platform."""
    code = CODES[node.did.removeprefix("did:web:").removesuffix(".example")]
    plain = PlatformRecord(ebl, action, code, node.clock.now(), **members)
    return plain.sign(node.keys.signer("platform"))


async def checksum(node: Node, title: bytes) -> bytes:
    from node.title import rows

    bill = await node.store.read(rows.bill, title)
    assert bill is not None
    return bill.checksum


async def code_of(awaitable: Any) -> str:
    with pytest.raises(TradeError) as caught:
        await awaitable
    return caught.value.code


async def test_r19_a_title_is_shown_from_its_operations_and_has_no_second_register(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as nodes:
        nhl = nodes[CARRIER]
        title = await titles.titled(nhl)
        ebl = await checksum(nhl, title)
        issued = await asked(nhl, ebl)
        assert (issued["source"], issued["holder"], issued["records"]) == ("title", "HOME", [])
        await nhl.title.operate(title, Order(Kind.TRANSFER, to=did_of("bank")))
        shown = await asked(nhl, ebl)
        (moved,) = shown["records"]
        assert (shown["holder"], moved["action"]) == ("AWAY", "TRANSFER ACCEPTED")
        assert (moved["actor"], moved["receiver"]) == ("HOME", "AWAY")
        history = (await nhl.title.show(title))["history"]
        assert moved["operation"]["digest"] == history[-1]["digest"]
        assert "did:" not in orjson.dumps(shown).decode()
        intent = record(nhl, ebl, RecordAction.INTEND, receiver="FARR", last=bytes(32))
        assert await code_of(nhl.tracking.record(intent)) == "tracking_native_title"


async def test_a_disputed_title_does_not_move_until_the_dispute_is_resolved(tmp_path: Path) -> None:
    async with running(tmp_path) as nodes:
        nhl, rotterdam = nodes[CARRIER], nodes["nl-port"]
        title = await titles.titled(nhl)
        ebl = await checksum(nhl, title)
        stranger = record(nodes["sg-port"], ebl, RecordAction.DISPUTE, answers=bytes(32))
        assert await code_of(nhl.tracking.record(stranger)) == "tracking_not_a_party"
        text = record(nhl, ebl, RecordAction.DISPUTE, answers=bytes(32))
        opened, _ = await nhl.tracking.record(text)
        move = Order(Kind.TRANSFER, to=did_of("bank"))
        assert await code_of(nhl.title.operate(title, move)) == "tracking_disputed"
        # Nor by another door: signed by the holder's own key and handed in elsewhere.
        state = (await nhl.title.find(title)).state
        signed = titles.operation(nhl, state, Kind.TRANSFER, "exp-a", "bank")
        answer = await nhl.registry.hand_in(signed, 0)
        assert answer["problem"]["code"] == "tracking_disputed"
        assert (await asked(nhl, ebl))["dispute"]["by"] == "HOME"
        # A restart forgets nothing.
        await nhl.tracking.start()
        assert nhl.tracking.is_disputed(title)
        dispute = opened.record.id
        closing = record(nhl, ebl, RecordAction.RESOLVED, answers=dispute, previous=dispute)
        await nhl.tracking.record(closing)
        await nhl.title.operate(title, move)
        held = await eventually(lambda: rotterdam.title.find(title))
        assert held is not None
        assert (await asked(nhl, ebl))["holder"] == "AWAY"
