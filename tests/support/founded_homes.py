"""Homes made as `pratique init` makes them, on free ports, for nodes that run in the test."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from node.clock import SystemClock
from node.home import Home
from node.operator import OperatorClient
from node.settings import load
from node.trust import founding
from node.trust.founding import Founding
from protocols import times
from protocols.member_list import IssuerEntry, MemberList
from tests.support.running import UNHURRIED, free_port

if TYPE_CHECKING:
    from pathlib import Path

    from node.runtime import Node

FAST = {"members": {"check_interval": 0.5}, "exchange": {"retry_base": 0.05, "poll_interval": 0.2}}


def make(path: Path, name: str, country: str, *roles: str, **sections: Any) -> Home:
    """The home of `did:web:<name>.example`, in no network yet."""
    home = Home(path / name)
    table: dict[str, Any] = {
        "node": {
            "did": f"did:web:{name}.example",
            "name": name.title(),
            "country": country,
            "roles": list(roles),
        },
        "http": {"port": free_port()},
        **UNHURRIED,
    }
    for section, values in (FAST | sections).items():
        table[section] = table.get(section, {}) | values
    founding.set_up(home, table)
    return home


def found(home: Home, *rights: tuple[str, str], threshold: int = 1) -> MemberList:
    """Let the home found a test network; rights: (document type, country) of its own."""
    settings = load(home.settings_file)
    now = times.from_ms(SystemClock().now_ms())
    entries = tuple(IssuerEntry(settings.node.did, *right, now) for right in rights)
    plan = Founding("Test", True, now, now + timedelta(days=30), threshold, entries)
    from node.keystore import KeyStore

    return founding.found_alone(home, settings, KeyStore(home.keys, settings.node.did), plan)


def client(node: Node) -> OperatorClient:
    """The operator of a running node."""
    return OperatorClient(node.local_url, node.token)
