"""A hostile stretch of network: an HTTP relay before one node, which can alter what passes.

Untouched, it forwards every request byte for byte to the node behind it. Armed, it alters the first
message batch in which the tamper finds what it looks for, as somebody who owns the line could: the
signed document is changed and the transport digest (RFC 9530) is made to fit. It can alter the
answer to a batch, with the receipts in it, in the same way.

The one that attacks lives in the demo and ends with it. `serve` runs one that only forwards, beside
the nodes and as long as they: the node behind it is listed at the relay's address.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import TYPE_CHECKING

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from node.http.listening import Listening

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE = 20.0
MAX_BODY = 16 * 1024 * 1024
_HOP_HEADERS = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})


def serve(port: int, target_port: int) -> int:
    """Forwards from `port` to `target_port` until this process is ended."""
    asyncio.run(_forward_on(Relay(port, target_port)))
    return 0


async def _forward_on(relay: Relay) -> None:
    await relay.start()
    try:
        await asyncio.Event().wait()
    finally:
        await relay.stop()


class Relay:
    """Listens on `port` of the loopback address and forwards to `target_port`."""

    def __init__(self, port: int, target_port: int) -> None:
        self.port = port
        self.altered_requests = 0
        self.altered_answers = 0
        self.answers: list[int] = []
        self._target = f"http://127.0.0.1:{target_port}"
        self._tampers: dict[str, Callable[[bytes], bytes | None]] = {}
        self._listening: Listening | None = None
        self._session: ClientSession | None = None

    def arm_request(self, tamper: Callable[[bytes], bytes | None]) -> None:
        """Alters the next batch for which `tamper(body)` returns other bytes, once."""
        self._tampers["request"] = tamper

    def arm_answer(self, tamper: Callable[[bytes], bytes | None]) -> None:
        """Alters the next answer to a batch for which `tamper(body)` returns other bytes, once."""
        self._tampers["answer"] = tamper

    async def start(self) -> None:
        """Starts listening."""
        self._session = ClientSession(
            timeout=ClientTimeout(total=DEADLINE), auto_decompress=False, raise_for_status=False
        )
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self._forward)
        self._listening = await Listening.start(web.AppRunner(app, access_log=None), self.port)

    async def stop(self) -> None:
        """Stops listening and closes the connections to the node."""
        if self._listening is not None:
            await self._listening.close()
        if self._session is not None:
            await self._session.close()

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP_HEADERS}
        altered = self._alter("request", request, body)
        if altered is not None:
            body = altered
            digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
            headers["Content-Digest"] = f"sha-256=:{digest}:"
        assert self._session is not None
        try:
            async with self._session.request(
                request.method, self._target + request.raw_path, data=body, headers=headers
            ) as answer:
                content = await answer.read()
        except (ClientError, TimeoutError):
            return web.Response(status=502)
        if altered is not None:
            self.altered_requests += 1
            self.answers.append(answer.status)
        elif answer.status == 200:
            forged = self._alter("answer", request, content)
            self.altered_answers += forged is not None
            content = content if forged is None else forged
        kept = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP_HEADERS}
        return web.Response(status=answer.status, body=content, headers=kept)

    def _alter(self, side: str, request: web.Request, body: bytes) -> bytes | None:
        tamper = self._tampers.get(side)
        if tamper is None or request.path != "/px/1/messages" or request.method != "POST":
            return None
        altered = tamper(body)
        if altered is not None:
            del self._tampers[side]
        return altered
