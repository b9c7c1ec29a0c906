"""Several real nodes of one made-up network, in this process, each with its own home and port."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from node.keystore import KeyStore
from node.settings import load
from node.trust.founding import founding_file
from protocols import member_list
from protocols.member_list import ListedKey, MemberListDraft, NodeEntry, Roots
from tests.support.running import make_home, running_node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping
    from pathlib import Path

    from node.home import Home
    from node.runtime import Node, Service
    from protocols.member_list import MemberList
    from protocols.seams import Clock

PURPOSES = ("credential", "exchange", "log", "witness", "title", "release")


@dataclass(frozen=True)
class Member:
    """One node to be: its roles, country, key purposes and settings that are not default."""

    roles: tuple[str, ...] = ("port",)
    country: str = "CN"
    purposes: tuple[str, ...] = PURPOSES
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Made:
    """Homes by short name and the founding list that names them all."""

    homes: Mapping[str, Home]
    members: MemberList

    def did(self, name: str) -> str:
        """The DID of a member by its short name."""
        return did_of(name)


def did_of(name: str) -> str:
    """`did:web:<name>.example`."""
    return f"did:web:{name}.example"


def make_network(
    folder: Path,
    members: Mapping[str, Member],
    *,
    change: Callable[[MemberListDraft, Mapping[str, KeyStore]], MemberListDraft] | None = None,
    lifetime: timedelta = timedelta(days=90),
) -> Made:
    """Homes with keys and migrated stores below `folder`, and their founding member list.

    change: alters the draft before it is signed, for issuers, agreements, logs …
    """
    homes = {name: _home(folder, name, member) for name, member in members.items()}
    keys = {name: KeyStore(home.keys, did_of(name)) for name, home in homes.items()}
    for name, member in members.items():
        for purpose in member.purposes:
            keys[name].create(purpose)
    root = keys[next(iter(members))].create("root")
    now = datetime.now(UTC)
    start = now - timedelta(days=1)
    draft = MemberListDraft(
        name="A made network",
        test=True,
        issued_at=start,
        expires=now + lifetime,
        roots=Roots(1, (root.public(),)),
        nodes=tuple(
            _entry(name, member, keys[name], homes[name], start) for name, member in members.items()
        ),
    )
    if change is not None:
        draft = change(draft, keys)
    signed = member_list.sign_list(draft.payload(), [root])
    for home in homes.values():
        founding_file(home).write_bytes(member_list.write_export([signed]))
    return Made(homes, member_list.open_founding(signed, now=now))


@asynccontextmanager
async def running_network(
    made: Made,
    *,
    clock: Clock | None = None,
    services: Iterable[tuple[str, Callable[[Node], Service]]] | None = None,
) -> AsyncIterator[dict[str, Node]]:
    """All nodes of the network, started, by short name; the list is in force at each.

    services: what to compose instead of everything that exists
    """
    chosen = None if services is None else tuple(services)

    def put_in_force(node: Node) -> None:
        node.members.replace(made.members)

    async with AsyncExitStack() as stack:
        nodes: dict[str, Node] = {}
        for name, home in made.homes.items():
            nodes[name] = await stack.enter_async_context(
                running_node(
                    home,
                    clock=clock,
                    services=chosen,
                    prepare=None if chosen is None else put_in_force,
                )
            )
        yield nodes


def _home(folder: Path, name: str, member: Member) -> Home:
    settings = {key: dict(value) for key, value in member.settings.items()}
    node = {"name": name.title(), "country": member.country, "roles": list(member.roles)}
    settings["node"] = node | settings.get("node", {})
    return make_home(folder / name, did_of(name), settings)


def _entry(name: str, member: Member, keys: KeyStore, home: Home, start: datetime) -> NodeEntry:
    did, http = did_of(name), load(home.settings_file).http
    listed = tuple(
        ListedKey(keys.signer(purpose).public(), purpose, did, valid_from=start)
        for purpose in member.purposes
    )
    return NodeEntry(
        did,
        name.title(),
        country=member.country,
        roles=member.roles,
        endpoint=http.public_url or f"http://127.0.0.1:{http.port}",
        keys=listed,
    )
