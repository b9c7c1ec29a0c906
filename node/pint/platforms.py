"""Whose signatures count and who has an account here, by the member list now in force (R6, R7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from node.pint import rows
from node.pint.rows import Account
from node.title import partners
from protocols.members.trust import Freshness
from protocols.pint.parties import MAX_NAME, is_did
from protocols.pint.platforms import Keyring, MemberKeyring
from protocols.pint.registries import registry_uris
from schemas.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

    from node.runtime import Node
    from protocols.members.trust import MemberList
    from protocols.pint.parties import IdentifyingCode, TransactionParty
    from protocols.pint.platforms import Signatory

MAX_KEPT = 10_000


class Listed(Keyring):
    """What one version of the member list says to a platform, worked out once.

    Look-ups build certificates and keys anew, which a bill of many hops asks for again and again.
    """

    def __init__(self, members: MemberList) -> None:
        """Reads nothing before it is asked."""
        self.members = members
        self._keyring = MemberKeyring(members)
        self._platforms: dict[str, Signatory | None] = {}
        self._carriers: dict[str, Signatory | None] = {}
        self._registries: Mapping[str, bytes] | None = None

    @override
    def platform(self, code: str) -> Signatory | None:
        """The platform of that code."""
        if code not in self._platforms:
            _make_room(self._platforms)
            self._platforms[code] = self._keyring.platform(code)
        return self._platforms[code]

    @override
    def carrier(self, issuer: TransactionParty) -> Signatory | None:
        """The carrier that acts in ISSUE."""
        did = issuer.did or ""
        if did not in self._carriers:
            _make_room(self._carriers)
            self._carriers[did] = self._keyring.carrier(issuer)
        return self._carriers[did]

    @property
    def registries(self) -> Mapping[str, bytes]:
        """Base URIs that mean an arbiter of this network."""
        if self._registries is None:
            self._registries = registry_uris(self.members)
        return self._registries


def _make_room(kept: dict[str, Signatory | None]) -> None:
    # Names come from strangers; what they ask for is not kept without bound.
    if len(kept) >= MAX_KEPT:
        kept.clear()


_newest: dict[bytes, Listed] = {}


def listed(node: Node) -> Listed:
    """The member list in force, for platforms. Reading serves seven days beyond its end, titles do
    not: raises UnavailableError `member_list_missing`, `pint_list_expired` (R6)."""
    members = partners.members_of(node)
    if members.freshness(node.clock.now()) is not Freshness.FRESH:
        raise UnavailableError("pint_list_expired", "the member list has expired")
    known = _newest.get(members.digest)
    if known is None or known.members is not members:
        if len(_newest) >= 16:
            _newest.clear()
        known = _newest[members.digest] = Listed(members)
    return known


def keyring(node: Node) -> Keyring:
    """The keys of platforms and carriers; raises as `listed`."""
    return listed(node)


def account_of(conn: Connection, node: Node, codes: Iterable[IdentifyingCode]) -> Account | None:
    """The one active account at this node that the codes name, or None (R20).

    By DID: this node itself, and parties that the member list says are hosted here. By any other
    code: what the operator added (`pratique ebl account`). Codes of different parties name nobody.
    """
    asked = list(codes)
    members = partners.members_of(node)
    found = rows.accounts_named(conn, asked)
    found += [
        account
        for code in asked
        if is_did(code) and (account := _member(members, node.did, code.code)) is not None
    ]
    names = {one.did or one.name for one in found}
    if len(names) != 1 or not all(one.active for one in found):
        return None
    return found[-1]


def _member(members: MemberList, host: str, did: str) -> Account | None:
    party = members.party(did)
    if party is not None and party.host == host:
        return Account(party.name.strip()[:MAX_NAME].strip(), did)
    node = members.node(did)
    if node is not None and did == host:
        return Account(node.name.strip()[:MAX_NAME].strip(), did)
    return None
