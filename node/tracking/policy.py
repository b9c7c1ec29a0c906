"""Which control tracking registries count here, and who keeps one: the member list says (R7).

A member that is a platform or sequences a title registry keeps a register of records for bills of
any carrier, at `/ctr/v1`. Titles of this network have no register beside their arbiter (R19): their
chains name the arbiter's own base URI (`protocols.pint.registries`). So the chain's signed first
entry already says which of the two guards the bill, and it never changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.title.partners import members_of
from protocols.pint import registries
from protocols.pint.receiver import RegistryPolicy
from protocols.pint.tracking import parse_registry_uri
from schemas.errors import MalformedError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.runtime import Node
    from protocols.member_list import MemberList, NodeEntry

RECORDS_PATH = "/ctr/v1"
ROLE = "pint-platform"
MAX_KEPT = 16
#: By the digest of the list, of which alone it is made, and whether a registry is required.
_policies: dict[tuple[bytes, bool], RegistryPolicy] = {}


def keepers(members: MemberList) -> dict[str, NodeEntry]:
    """Base URI → the member that keeps that register of records; of each, its DID's home first."""
    sequencers = {entry.did for entry in members.registries}
    keeping = [one for one in members.nodes if ROLE in one.roles or one.did in sequencers]
    return {uri: one for one in keeping for uri in _uris(one, members)}


def _uris(keeper: NodeEntry, members: MemberList) -> Iterator[str]:
    for address in (registries.home_of(keeper.did), keeper.endpoint.rstrip("/")):
        uri = address + RECORDS_PATH
        try:
            parse_registry_uri(uri, test=members.test)
        except MalformedError:
            continue
        yield uri


def record_uri(members: MemberList, did: str) -> str:
    """The base URI of a member's register of records, as a chain's first entry is to name it.

    Raises RefusedError `tracking_registry_unlisted`.
    """
    found = [uri for uri, keeper in keepers(members).items() if keeper.did == did]
    if not found:
        raise RefusedError("tracking_registry_unlisted", f"{did} keeps no register")
    return found[0]


def registry_policy(node: Node) -> RegistryPolicy:
    """What `protocols.pint.checks` asks about the registry that a chain names.

    A chain that names none is refused unless `pint.registry_required` is off; then PINT-14 says
    that only the platforms' word stands against a second transfer.
    """
    members, required = members_of(node), node.settings.pint.registry_required
    known = _policies.get((members.digest, required))
    if known is None:
        if len(_policies) >= MAX_KEPT:
            _policies.clear()
        known = _policies[members.digest, required] = _policy(members, required=required)
    return known


def _policy(members: MemberList, *, required: bool) -> RegistryPolicy:
    native = registries.registry_uris(members)
    return RegistryPolicy(
        listed=frozenset({*keepers(members), *native}),
        required=required,
        test=members.test,
        arbiters=native,
        network=members.network,
    )


def keeper_of(members: MemberList, uri: str) -> NodeEntry:
    """The member that keeps the register of records behind a base URI.

    Raises RefusedError `tracking_registry_unlisted`; nothing is ever called by its address alone.
    """
    keeper = keepers(members).get(uri)
    if keeper is None:
        raise RefusedError("tracking_registry_unlisted", "no listed member keeps that register")
    return keeper
