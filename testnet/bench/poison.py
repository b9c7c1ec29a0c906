"""A poison graph and the requests of others: how long one of them waits meanwhile at worst.

A real HTTP server answers requests that verify a document, one after the other, while its process
has a graph canonicalised that cannot be done in any useful time. The library would hold the
interpreter for as long as it works, so every other request would wait for it.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from importlib.util import find_spec
from typing import TYPE_CHECKING

from aiohttp import ClientSession, web

from node.http.listening import Listening
from node.verification.canonicaliser import OVER_LIMIT, Canonicaliser
from node.verification.contexts import ContextStore
from protocols.digest import sha256
from schemas import strict_json
from schemas.errors import UnavailableError
from testnet.bench.measuring import Line, at_most

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas.strict_json import JsonValue

MAX_DELAY_MS = 100.0
_CONTEXT = "https://poison.example/v1"
_WORDS: JsonValue = {
    "@context": {
        "id": "@id",
        "member": "urn:example:member",
        "knows": {"@id": "urn:example:knows", "@type": "@id"},
    }
}
_NODES = 9
_PAUSE = 0.002
_QUIET_REQUESTS = 50


def measure(work: Callable[[], object]) -> list[Line]:
    """The longest wait of a request that does `work`, in milliseconds, during a poison graph.

    Nothing is measured, and no line comes, where the extra `rdf` is not installed.
    """
    if find_spec("pyoxigraph") is None:
        return []
    quiet, during = asyncio.run(_measured(work))
    what = "another request while a poison graph is canonicalised, at worst"
    return [
        Line("request", "a request that verifies a document, at worst", quiet, "ms"),
        at_most("poison", what, during, "ms", MAX_DELAY_MS),
    ]


def graph() -> dict[str, JsonValue]:
    """A complete graph of blank nodes: every permutation of them looks the same (RDFC-1.0 §7.1)."""
    names = [f"_:n{number}" for number in range(_NODES)]
    nodes: list[JsonValue] = [
        {"id": name, "knows": [other for other in names if other != name]} for name in names
    ]
    return {"@context": [_CONTEXT], "id": "urn:example:poison", "member": nodes}


async def _measured(work: Callable[[], object]) -> tuple[float, float]:
    contexts, body = ContextStore(), strict_json.canonical(_WORDS)
    contexts.add(body, _CONTEXT, sha256(body).hex())
    async with AsyncExitStack() as stack:
        canonicaliser = Canonicaliser()
        stack.push_async_callback(canonicaliser.close)
        session, url = await _served(stack, work)
        quiet = max([await _request(session, url) for _ in range(_QUIET_REQUESTS)])
        poisoned = asyncio.create_task(_poisoned(canonicaliser, contexts))
        waits = []
        while not poisoned.done():
            waits.append(await _request(session, url))
            await asyncio.sleep(_PAUSE)
        await poisoned
        return quiet, max(waits)


async def _poisoned(canonicaliser: Canonicaliser, contexts: ContextStore) -> None:
    """Has the graph canonicalised; AssertionError when that was possible."""
    try:
        await canonicaliser.canonicalise(graph(), digest="sha256", contexts=contexts)
    except UnavailableError as error:
        if error.code == OVER_LIMIT:
            return
        raise
    raise AssertionError("the graph is no poison: it was canonicalised")


async def _served(stack: AsyncExitStack, work: Callable[[], object]) -> tuple[ClientSession, str]:
    async def handle(_: web.Request) -> web.Response:
        work()
        return web.Response(text="done")

    app = web.Application()
    app.router.add_get("/", handle)
    listening = await Listening.start(web.AppRunner(app), 0)
    stack.push_async_callback(listening.close)
    session = await stack.enter_async_context(ClientSession())
    return session, f"http://127.0.0.1:{listening.port}/"


async def _request(session: ClientSession, url: str) -> float:
    """Milliseconds from asking to the whole answer."""
    begin = time.perf_counter()
    async with session.get(url) as answer:
        await answer.read()
    return (time.perf_counter() - begin) * 1000
