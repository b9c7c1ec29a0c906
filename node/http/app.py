"""The application: routes of all services behind one guard.

For every request: an id, the cap and the deadline of its route, the caller's identity, then the
handler; whatever is refused becomes a problem document. A mistake of ours is a 500 without
detail, its traceback goes to the log. aiohttp's own idle time (3630 s) is cut to seconds, which
drops connections that trickle headers.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import web

from node.http import listening
from node.http.idempotency import IdempotencyKeys
from node.http.peer_auth import PeerGuard, require_operator
from node.http.problems import fault, http_problem, problem
from node.http.protocol import Connection
from node.http.routes import ANY, CODE, PEER, REQUEST_ID, ROUTE, TRACE, Auth
from schemas.errors import TradeError, UnavailableError

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Awaitable, Callable, Iterable

    from node.http.routes import Handler, Route
    from node.runtime import Node

_BACKLOG = 128
_ANY_BYTES = "application/octet-stream"
_TRACE = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Application:
    """The aiohttp application of one node."""

    def __init__(self, node: Node, routes: Iterable[Route]) -> None:
        """`routes` are all services' routes; two with one method and path are a mistake."""
        self._node = node
        self._peers = PeerGuard(node)
        self._keys = IdempotencyKeys(node)
        self._runner: web.AppRunner | None = None
        self._listening: asyncio.Server | None = None
        cap = node.settings.limits.max_body
        self._app = web.Application(middlewares=[self._middleware], client_max_size=cap)
        for route in routes:
            self._app.router.add_route(route.method, route.path, partial(self._serve, route))

    async def listen(self, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Serves on the bound socket until `close`, with TLS where a context is given."""
        self._runner = web.AppRunner(
            self._app, access_log=None, handle_signals=False, shutdown_timeout=2.0
        )
        await self._runner.setup()
        loop, server = asyncio.get_running_loop(), self._runner.server
        assert server is not None
        options: dict[str, Any] = {
            "access_log": None,
            "auto_decompress": False,
            "keepalive_timeout": self._node.settings.http.keepalive,
            "lingering_time": 1.0,
        }
        connection = partial(Connection, server, loop=loop, **options)
        self._listening = await loop.create_server(
            connection, sock=listener, backlog=_BACKLOG, ssl=tls
        )

    async def close(self) -> None:
        """Stops listening, after answering what is under way for at most two seconds."""
        if self._listening is not None:
            await listening.end(self._listening)
            self._listening = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @web.middleware
    async def _middleware(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        begun = time.perf_counter()
        request[REQUEST_ID] = secrets.token_hex(8)
        response = await self._guarded(request, handler)
        if not response.prepared:
            response.headers["Px-Request"] = request[REQUEST_ID]
            response.headers["Server"] = "pratique"
            response.headers["X-Content-Type-Options"] = "nosniff"
            self._say_members(request, response)
        self._node.telemetry.request(request, response.status, time.perf_counter() - begun)
        return response

    async def _guarded(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Outermost loop: nothing leaves it but an answer."""
        try:
            return await handler(request)
        except TradeError as error:
            return _refused(request, error)
        except web.HTTPException as error:
            return error if error.status < 400 else _refused(request, error)
        except (web.RequestPayloadError, ConnectionResetError):
            # The body broke off or is not framed as HTTP says; whoever sent it may be gone.
            return _refused(request, web.HTTPBadRequest())
        except TimeoutError:
            late = UnavailableError("deadline_exceeded", "the request took too long")
            response = _refused(request, late)
            response.force_close()
            return response
        except Exception:
            # The one place for it: our mistake; the traceback goes to the log.
            self._node.telemetry.log.exception("http.fault", request=request[REQUEST_ID])
            return _refused(request, None)

    async def _serve(self, route: Route, request: web.Request) -> web.StreamResponse:
        deadline = route.deadline or self._node.settings.limits.handler_deadline
        request[ROUTE] = route
        self._take_trace(request)
        cap = min(route.max_body, self._node.settings.limits.max_body)
        capped = request.clone(client_max_size=cap)
        capped[ROUTE] = route
        try:
            async with asyncio.timeout(deadline):
                return await self._admitted(route, capped, cap)
        finally:
            # The clone has its own state; the log line is written from the original.
            if PEER in capped:
                request[PEER] = capped[PEER]

    async def _admitted(self, route: Route, request: web.Request, cap: int) -> web.StreamResponse:
        length = request.content_length
        if length is not None and length > cap:
            raise web.HTTPRequestEntityTooLarge(cap, length)
        _require_readable(route, request)
        if route.auth is Auth.PEER:
            call = await self._peers.admit(request)
            request[PEER] = call.did
        elif route.auth is Auth.OPERATOR:
            require_operator(request, self._node.token)
            if route.method == "POST" and "Idempotency-Key" in request.headers:
                return await self._keys.serve(request, route.handler)
        return await route.handler(request)

    def _take_trace(self, request: web.Request) -> None:
        """W3C traceparent: logged and at hand for calls that follow from this one."""
        trace = request.headers.get("traceparent", "")
        if _TRACE.fullmatch(trace):
            request[TRACE] = trace

    def _say_members(self, request: web.Request, response: web.StreamResponse) -> None:
        """Every answer to a peer tells which member list we hold (R4)."""
        route = request.get(ROUTE)
        members = self._node.members.current
        if route is not None and route.auth is Auth.PEER and members is not None:
            response.headers["Px-Members"] = f"{members.version};{members.digest.hex()}"


def _refused(request: web.Request, error: TradeError | web.HTTPException | None) -> web.Response:
    """What is refused, in the form of the route's standard; None is a mistake of ours."""
    if isinstance(error, TradeError):
        request[CODE] = error.code
    route = request.get(ROUTE)
    if route is not None and route.refusal is not None:
        answer: web.Response = route.refusal(request, error)
        return answer
    if error is None:
        return fault(request[REQUEST_ID])
    if isinstance(error, TradeError):
        return problem(error, request)
    return http_problem(error, request)


def _require_readable(route: Route, request: web.Request) -> None:
    """A body is in a declared media type and not compressed; whoever names no type is believed."""
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise web.HTTPUnsupportedMediaType
    if route.request is None or not request.body_exists or "Content-Type" not in request.headers:
        return
    if ANY not in route.request and request.content_type not in {*route.request, _ANY_BYTES}:
        raise web.HTTPUnsupportedMediaType


def serve_only_operator(routes: Iterable[Route]) -> list[Route]:
    """The routes of a node that is opened for one command and does not listen to peers."""
    return [route for route in routes if route.auth is not Auth.PEER]


__all__ = ["Application", "Handler", "serve_only_operator"]
