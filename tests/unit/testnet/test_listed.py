"""A node that nobody answers for at its listed address is named; a kept relay answers for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from aiohttp import web

from node.http.listening import Listening
from testnet import listed
from testnet.nursery import Beside, Nursery
from testnet.ports import free_ports
from tests.support.made_network import founded

if TYPE_CHECKING:
    from pathlib import Path

    from protocols.member_list import MemberList


def at(port: int) -> MemberList:
    """A list of one node, at that port."""
    members = founded().members
    return replace(members, nodes=(replace(members.nodes[0], endpoint=f"http://127.0.0.1:{port}"),))


async def running(port: int, did: str) -> Listening:
    """What a node answers when it is asked who it is."""

    async def ready(_request: web.Request) -> web.Response:
        return web.Response()

    async def who(_request: web.Request) -> web.Response:
        return web.json_response({"id": did})

    app = web.Application()
    app.router.add_get("/readyz", ready)
    app.router.add_get("/.well-known/did.json", who)
    return await Listening.start(web.AppRunner(app, access_log=None), port)


async def test_a_listed_address_where_nobody_or_another_node_answers_is_named() -> None:
    (port,) = free_ports(1)
    members = at(port)
    (node,) = members.nodes
    assert await listed.silent(members, deadline=0) == [f"{node.did} at {node.endpoint}"]
    for did, wanted in (
        (node.did, []),
        ("did:web:another.example", [f"{node.did} at {node.endpoint}"]),
    ):
        listening = await running(port, did)
        assert await listed.silent(members, deadline=0 if wanted else 60) == wanted
        await listening.close()


async def test_the_nursery_keeps_a_relay_before_a_node_until_it_ends_itself(tmp_path: Path) -> None:
    nursery = Nursery.start(
        lambda: None, lambda _home: 0, Beside(["/bin/sleep", "60"], tmp_path / "beside.log")
    )
    public, hidden = free_ports(2)
    members = at(public)
    (node,) = members.nodes
    listening = await running(hidden, node.did)
    try:
        assert await listed.silent(members, deadline=0) != []
        nursery.forward(public, hidden, tmp_path / "relay.log")
        assert await listed.silent(members, deadline=60) == []
    finally:
        nursery.close()
        await listening.close()
    assert await listed.silent(members, deadline=0) != []
