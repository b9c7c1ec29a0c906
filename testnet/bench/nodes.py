"""A few real nodes for measuring: homes with keys and stores, one list, log and witness services.

All run in this process, each with its own store, HTTP server and client, and speak over loopback.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from node import migrations
from node.home import Home
from node.keystore import KeyStore
from node.log.service import LogService
from node.log.witness_service import WitnessService
from node.runtime import Node
from node.settings import parse, render
from protocols import member_list
from protocols.member_list import ListedKey, MemberList, MemberListDraft, NodeEntry, Roots
from protocols.members import policies
from testnet.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping
    from pathlib import Path

    from node.runtime import Service

PURPOSES: Final = ("exchange", "log", "witness")
SERVICES: Final = (("log", LogService), ("witness", WitnessService))
LIFETIME: Final = timedelta(days=30)


def did(name: str) -> str:
    """`did:web:<name>.example`."""
    return f"did:web:{name}.example"


def make_home(
    path: Path,
    name: str,
    purposes: Iterable[str] = PURPOSES,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> Home:
    """A home with keys and a migrated store, on a free port; everything else as by default.

    settings: further sections
    """
    home = Home(path)
    home.create()
    chosen = parse(
        {
            "node": {"did": did(name), "roles": ["port"], "country": "CN"},
            "http": {"port": free_port()},
            "telemetry": {"log_level": "error"},
            **(settings or {}),
        }
    )
    home.settings_file.write_text(render(chosen))
    migrations.upgrade(home.store_url())
    keys = KeyStore(home.keys, did(name))
    for purpose in purposes:
        keys.create(purpose)
    return home


def found(homes: dict[str, Home], witnesses: tuple[str, ...]) -> MemberList:
    """The list of these homes, in which `witnesses` cosign every log but their own."""
    now = datetime.now(UTC)
    keys = {name: KeyStore(home.keys, did(name)) for name, home in homes.items()}
    root = next(iter(keys.values())).create("root")
    draft = MemberListDraft(
        name="Bench",
        test=True,
        issued_at=now - timedelta(days=1),
        expires=now + LIFETIME,
        roots=Roots(1, (root.public(),)),
        nodes=tuple(_entry(name, homes[name], keys[name], now) for name in homes),
    )
    logs = tuple(log for node in draft.nodes if (log := policies.log_of(node)))
    draft = policies.with_witnesses(replace(draft, logs=logs), [did(name) for name in witnesses])
    return member_list.open_founding(member_list.sign_list(draft.payload(), [root]), now=now)


def _entry(name: str, home: Home, keys: KeyStore, now: datetime) -> NodeEntry:
    from node.settings import load

    listed = tuple(
        ListedKey(keys.signer(purpose).public(), purpose, did(name), now - timedelta(days=1))
        for purpose in PURPOSES
    )
    endpoint = f"http://127.0.0.1:{load(home.settings_file).http.port}"
    return NodeEntry(did(name), name, ("port",), "CN", endpoint, listed)


@asynccontextmanager
async def running(
    home: Home,
    members: MemberList | None,
    services: Iterable[tuple[str, Callable[[Node], Service]]] = SERVICES,
) -> AsyncIterator[Node]:
    """The node of that home, started; stopped at the end. By default with log and witness."""
    from node.settings import load

    async with AsyncExitStack() as stack:
        stack.enter_context(home.lock())
        node = Node(home, load(home.settings_file))
        node.compose(services)
        if members is not None:
            node.members.replace(members)
        stack.push_async_callback(node.stop)
        await node.start()
        yield node
