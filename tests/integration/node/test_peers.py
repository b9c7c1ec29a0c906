"""Calls between two real nodes (R12): signed, addressed, once."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web

from node.client import PeerClient
from node.clock import ShiftedClock
from node.http.helpers import json_response, peer
from node.http.routes import Auth, Route
from protocols.digest import sha256
from protocols.http_signature import Call, sign_request
from schemas.errors import MalformedError, RefusedError, TooLargeError, UnavailableError
from tests.support.network import Made, Member, did_of, make_network, running_network

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from node.runtime import Node


class Greeter:
    """Answers peers with who they are; notes what the trust hook would hear."""

    name = "trust"

    def __init__(self, node: Node) -> None:
        self.node = node
        self.seen: list[tuple[str, int, bytes]] = []

    def routes(self) -> list[Route]:
        return [
            Route("POST", "/greet", self.greet, Auth.PEER, "Who is calling", "test"),
            Route("GET", "/large", self.large, Auth.PEER, "Too much", "test"),
        ]

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def ready(self) -> str | None:
        return None

    def seen_members(self, did: str, version: int, digest: bytes) -> None:
        self.seen.append((did, version, digest))

    async def greet(self, request: web.Request) -> web.Response:
        return json_response({"peer": peer(request), "size": len(await request.read())})

    async def large(self, request: web.Request) -> web.Response:
        return web.Response(body=bytes(100_000))


@pytest.fixture
def made(tmp_path: Path) -> Made:
    small = {"limits": {"max_answer": 65536}}
    return make_network(tmp_path, {"alpha": Member(settings=small), "beta": Member()})


@pytest.fixture
async def nodes(made: Made) -> AsyncIterator[dict[str, Node]]:
    async with running_network(made, services=[("trust", Greeter)]) as running:
        yield running


def signed(sender: Node, receiver: Node, body: bytes, **changes: Any) -> dict[str, str]:
    members = sender.members.current
    assert members is not None
    authority = receiver.local_url.removeprefix("http://")
    values: dict[str, Any] = {
        "to": receiver.did,
        "members": members,
        "created": sender.clock.now(),
        "nonce": "n" * 20,
        "signer": sender.keys.signer("exchange"),
        "lifetime": timedelta(seconds=60),
    } | changes
    return sign_request(Call("POST", authority, "/greet", "", sha256(body)), **values)


async def post(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/greet", data=body, headers=headers) as response,
    ):
        return response.status, await response.json(content_type=None)


async def test_r12_a_signed_call_is_answered_and_both_show_their_list(
    nodes: dict[str, Node], made: Made
) -> None:
    alpha, beta = nodes["alpha"], nodes["beta"]
    answer = await alpha.client.call(beta.did, "POST", "/greet?a=%20b&c", b"hello")
    assert answer.status == 200, answer.body
    assert answer.body == b'{"peer":"did:web:alpha.example","size":5}'
    held = (made.members.version, made.members.digest)
    assert beta.trust.seen == [(alpha.did, *held)]
    assert alpha.trust.seen == [(beta.did, *held)]


async def test_r12_an_unsigned_call_is_refused(nodes: dict[str, Node]) -> None:
    status, body = await post(nodes["beta"].local_url, b"", {})
    assert (status, body["code"]) == (401, "http_signature_missing")


async def test_r12_a_replayed_call_is_refused(nodes: dict[str, Node]) -> None:
    alpha, beta = nodes["alpha"], nodes["beta"]
    headers = signed(alpha, beta, b"x")
    assert (await post(beta.local_url, b"x", headers))[0] == 200
    status, body = await post(beta.local_url, b"x", headers)
    assert (status, body["code"]) == (401, "nonce_replayed")


async def test_r12_a_replay_is_refused_after_a_restart(made: Made) -> None:
    services = [("trust", Greeter)]
    async with running_network(made, services=services) as nodes:
        headers = signed(nodes["alpha"], nodes["beta"], b"x")
        assert (await post(nodes["beta"].local_url, b"x", headers))[0] == 200
    async with running_network(made, services=services) as nodes:
        status, body = await post(nodes["beta"].local_url, b"x", headers)
    assert (status, body["code"]) == (401, "nonce_replayed")


@pytest.mark.parametrize(
    ("changes", "body", "code"),
    [
        ({"to": did_of("gamma")}, b"x", "http_signature_other_addressee"),
        ({}, b"y", "http_signature_other_body"),
    ],
)
async def test_r12_a_call_for_another_or_with_another_body_is_refused(
    nodes: dict[str, Node], changes: dict[str, Any], body: bytes, code: str
) -> None:
    alpha, beta = nodes["alpha"], nodes["beta"]
    status, answer = await post(beta.local_url, body, signed(alpha, beta, b"x", **changes))
    assert (status, answer["code"]) == (401, code)


async def test_r1_a_key_for_something_else_signs_no_call(nodes: dict[str, Node]) -> None:
    alpha, beta = nodes["alpha"], nodes["beta"]
    headers = signed(alpha, beta, b"x", signer=alpha.keys.signer("credential"))
    status, body = await post(beta.local_url, b"x", headers)
    assert (status, body["code"]) == (401, "http_signature_unknown_key")


async def test_a_clock_that_is_far_off_is_refused(nodes: dict[str, Node]) -> None:
    alpha, beta = nodes["alpha"], nodes["beta"]
    headers = signed(alpha, beta, b"x", created=ShiftedClock(-600).now())
    status, body = await post(beta.local_url, b"x", headers)
    assert (status, body["code"]) == (401, "http_signature_expired")


async def test_r7_an_unlisted_node_is_not_called(nodes: dict[str, Node]) -> None:
    with pytest.raises(RefusedError, match="peer_unlisted"):
        await nodes["alpha"].client.call(did_of("stranger"), "GET", "/greet")


async def test_r13_a_peer_that_is_off_is_unavailable_never_a_refusal(made: Made) -> None:
    async with running_network(
        Made({"alpha": made.homes["alpha"]}, made.members), services=[("trust", Greeter)]
    ) as nodes:
        with pytest.raises(UnavailableError, match="peer_unreachable"):
            await nodes["alpha"].client.call(did_of("beta"), "POST", "/greet")


async def test_an_answer_is_read_only_up_to_its_cap(nodes: dict[str, Node]) -> None:
    with pytest.raises(TooLargeError, match="answer_too_large"):
        await nodes["alpha"].client.call(did_of("beta"), "GET", "/large")


async def test_only_web_addresses_are_called(nodes: dict[str, Node]) -> None:
    client: PeerClient = nodes["alpha"].client
    for address in ("file:///etc/passwd", "beta.example", "http://"):
        with pytest.raises(MalformedError, match="address_bad"):
            await client.open_call("GET", address)
    answer = await client.open_call("GET", nodes["beta"].local_url + "/healthz")
    assert answer.status == 200
