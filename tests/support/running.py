"""Real nodes in this process: on a free loopback port, with their own home and store."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from node import migrations
from node.daemon import factories
from node.home import Home
from node.runtime import Node
from node.settings import load, parse, render
from testnet.ports import free_port

__all__ = ["UNHURRIED", "caller", "free_port", "make_home", "running_node"]

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from node.runtime import Service
    from protocols.seams import Clock


#: How fast the machine is decides no test: requests may take their time here.
UNHURRIED: Final = MappingProxyType({"limits": {"handler_deadline": 30.0, "call_deadline": 30.0}})


def make_home(
    path: Path, did: str = "did:web:node.example", settings: Mapping[str, Any] | None = None
) -> Home:
    """A home with settings, an exchange key and a migrated store, on a free port.

    settings: sections that override the test's own, as `node.settings.parse` takes them
    """
    home = Home(path)
    home.create()
    chosen: dict[str, Any] = {"node": {"did": did}, "http": {"port": free_port()}, **UNHURRIED}
    for section, values in (settings or {}).items():
        chosen[section] = chosen.get(section, {}) | dict(values)
    parsed = parse(chosen)
    home.settings_file.write_text(render(parsed))
    if parsed.store.url:
        migrations.upgrade(parsed.store.url)
    else:
        home.database.write_bytes(_empty_store())
    return home


@cache
def _empty_store() -> bytes:
    """A migrated SQLite store: every home begins with the same, so it is made once."""
    with TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        home.create()
        migrations.upgrade(home.store_url())
        assert not list(home.database.parent.glob(f"{home.database.name}-*"))
        return home.database.read_bytes()


def caller() -> aiohttp.ClientSession:
    """A client that uses no connection twice: the node may be closing one that lay idle."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))


@asynccontextmanager
async def running_node(
    home: Home | Path,
    *,
    clock: Clock | None = None,
    services: Iterable[tuple[str, Callable[[Node], Service]]] | None = None,
    prepare: Callable[[Node], None] | None = None,
) -> AsyncIterator[Node]:
    """A started node that owns its home; stopped at the end of the block.

    services: what to compose instead of everything that exists
    prepare:  called with the composed node before it starts
    """
    place = home if isinstance(home, Home) else Home(home)
    with place.lock():
        node = Node(place, load(place.settings_file), clock=clock)
        node.compose(factories() if services is None else services)
        if prepare is not None:
            prepare(node)
        await node.start()
        try:
            yield node
        finally:
            await node.stop()
