"""A JSON-RPC server between client and chain that drops calls or changes answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

from node.http.listening import Listening


class Proxy:
    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.url = ""
        self.drop: Callable[[str], bool] = lambda _: False
        self.lie: Callable[[str, Any], Any] = lambda _method, result: result
        self.calls: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        method = json.loads(body)["method"]
        self.calls.append(method)
        if self.drop(method):
            assert request.transport is not None
            request.transport.abort()
            await asyncio.sleep(0)
            return web.Response()
        headers = {"Content-Type": "application/json"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.upstream, data=body, headers=headers) as response,
        ):
            told = json.loads(await response.read())
        if "result" in told:
            told["result"] = self.lie(method, told["result"])
        return web.json_response(told)


@asynccontextmanager
async def running_proxy(upstream: str) -> AsyncIterator[Proxy]:
    proxy = Proxy(upstream)
    application = web.Application()
    application.router.add_post("/", proxy.answer)
    listening = await Listening.start(web.AppRunner(application, access_log=None), 0)
    proxy.url = f"http://127.0.0.1:{listening.port}"
    try:
        yield proxy
    finally:
        await listening.close()
