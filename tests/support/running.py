"""Real nodes in this process: on a free loopback port, with their own home and store."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from node import migrations
from node.daemon import factories
from node.home import Home
from node.runtime import Node
from node.settings import load, parse, render
from testnet.ports import free_port

__all__ = ["free_port", "make_home", "running_node"]

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping
    from pathlib import Path

    from node.runtime import Service
    from protocols.seams import Clock


def make_home(
    path: Path, did: str = "did:web:node.example", settings: Mapping[str, Any] | None = None
) -> Home:
    """A home with settings, an exchange key and a migrated store, on a free port.

    settings: sections that override the test's own, as `node.settings.parse` takes them
    """
    home = Home(path)
    home.create()
    chosen: dict[str, Any] = {"node": {"did": did}, "http": {"port": free_port()}}
    for section, values in (settings or {}).items():
        chosen[section] = chosen.get(section, {}) | dict(values)
    parsed = parse(chosen)
    home.settings_file.write_text(render(parsed))
    migrations.upgrade(parsed.store.url or home.store_url())
    return home


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
