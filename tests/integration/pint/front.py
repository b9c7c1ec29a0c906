"""A hostile front of a real platform: it forwards, unless it is told what to do instead."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import aiohttp
from aiohttp import web

from node.http.listening import Listening
from protocols.pint import answers, signed
from schemas import strict_json
from testnet.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from node.runtime import Node
    from protocols.keys import Signer

    Fault = Callable[["Front", web.Request, bytes], Awaitable[web.StreamResponse]]


class Front:
    """What stands between a platform and all others. faults: what the next PINT calls meet."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.node: Node | None = None
        self.faults: deque[Fault] = deque()
        self.seen: list[tuple[str, str]] = []
        self.bodies: list[bytes] = []
        connector = aiohttp.TCPConnector(force_close=True)
        self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if not request.path.startswith("/v3/"):
            return await self.forward(request, body)
        self.seen.append((request.method, request.path.rpartition("/")[2]))
        if request.path == "/v3/envelopes":
            self.bodies.append(body)
        fault = self.faults.popleft() if self.faults else None
        return await (self.forward(request, body) if fault is None else fault(self, request, body))

    async def forward(self, request: web.Request, body: bytes) -> web.StreamResponse:
        if self.node is None:
            return web.Response(status=503)
        url = f"{self.node.local_url}{request.raw_path}"
        headers = {name: value for name, value in request.headers.items() if name != "Connection"}
        async with self._session.request(
            request.method, url, data=body or None, headers=headers
        ) as got:
            return web.Response(
                status=got.status, body=await got.read(), content_type=got.content_type
            )

    async def close(self) -> None:
        await self._session.close()


F = TypeVar("F", bound=Front)


@asynccontextmanager
async def front(kind: type[F] = Front) -> AsyncIterator[F]:
    """A front that listens; its node is set when it runs."""
    port = free_port()
    made = kind(port)
    application = web.Application(client_max_size=64 * 1024 * 1024)
    application.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
    listening = await Listening.start(runner, port)
    try:
        yield made
    finally:
        await listening.close()
        await made.close()


def _last_entry(body: bytes) -> str:
    chain: Any = strict_json.loads_object(body)["envelopeTransferChain"]
    return str(chain[-1])


def _said(finished: answers.FinishedResponse, signer: Signer) -> web.Response:
    body = answers.body_of(finished.sign(signer))
    return web.Response(status=finished.status, body=body, content_type="application/json")


async def lost(front: Front, request: web.Request, body: bytes) -> web.StreamResponse:
    """All is done as it should be, and the answer never comes."""
    await front.forward(request, body)
    assert request.transport is not None
    request.transport.abort()
    await asyncio.sleep(0)
    return web.Response(status=200)


async def broken(front: Front, request: web.Request, body: bytes) -> web.StreamResponse:
    """500 without a word of PINT."""
    return web.Response(status=500, text="out of order")


async def unsigned(front: Front, request: web.Request, body: bytes) -> web.StreamResponse:
    """A refusal that nobody signed."""
    return web.json_response({"httpMethod": "POST", "statusCode": 422}, status=422)


async def swallowed(front: Front, request: web.Request, body: bytes) -> web.StreamResponse:
    """204, and the document is gone."""
    return web.Response(status=204)


def says(make: Callable[[bytes], answers.FinishedResponse], signer: Signer) -> Fault:
    """A signed word over the envelope that came last, by that key; nothing reaches the node."""

    async def fault(front: Front, request: web.Request, body: bytes) -> web.StreamResponse:
        last = signed.checksum(_last_entry(front.bodies[-1]))
        return _said(make(last), signer)

    return fault
