"""What a member list may not say at once: one thing twice, or of one who is no member (R1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocols.members import reading
from schemas.errors import MalformedError

if TYPE_CHECKING:
    from datetime import datetime

    from protocols.members.entries import ListedKey, LogEntry, NodeEntry, PartyEntry
    from protocols.members.trust import MemberList


def require_consistent(opened: MemberList) -> None:
    """One DID, platform, key id, key and origin each; keys serve one purpose (R1).

    Raises MalformedError `member_list_malformed`.
    """
    owners: tuple[NodeEntry | PartyEntry, ...] = (*opened.nodes, *opened.parties)
    keys = [key for owner in owners for key in owner.keys]
    different = reading.require_different
    different((owner.did for owner in owners), "a member", "/nodes")
    different((node.platform for node in opened.nodes if node.platform), "a platform", "/nodes")
    different((key.kid for key in keys), "a key id", "/nodes")
    roots = [key.thumbprint() for key in opened.roots.keys]
    different((*(key.public.thumbprint() for key in keys), *roots), "a key", "/nodes")
    different((f"{log.origin} {log.epoch}" for log in opened.logs), "a log", "/logs")
    _require_one_log(opened.logs)
    different((entry.origin for entry in opened.registries), "a registry", "/registries")
    different((entry.id for entry in opened.algorithms), "an algorithm", "/algorithms")
    different((entry.name for entry in opened.arbiters), "an arbiter", "/arbiters")
    different((entry.id.hex() for entry in opened.arbiters), "an arbiter", "/arbiters")
    contracts = opened.anchor_contracts
    different((entry.name for entry in contracts), "a contract", "/anchorContracts")
    different((entry.place.id.hex() for entry in contracts), "a contract", "/anchorContracts")
    members = {node.did for node in opened.nodes}
    named = (
        *((party.host, "/parties") for party in opened.parties),
        *((entry.did, "/issuers") for entry in opened.issuers),
        *((log.did, "/logs") for log in opened.logs),
        *((entry.did, "/registries") for entry in opened.registries),
    )
    for did, pointer in named:
        if did not in members:
            raise MalformedError(reading.CODE, f"{did} is not a member", pointer=pointer)
    for key in keys:
        _require_compromise(key, opened.issued_at)


def _require_one_log(logs: tuple[LogEntry, ...]) -> None:
    """The epochs of one origin are of one node and key: an origin never gets another (R16)."""
    first: dict[str, LogEntry] = {}
    for entry in logs:
        known = first.setdefault(entry.origin, entry)
        if (known.did, known.vkey) != (entry.did, entry.vkey):
            raise MalformedError(reading.CODE, f"{entry.origin} has two keys", pointer="/logs")


def _require_compromise(key: ListedKey, issued_at: datetime) -> None:
    since, announced = key.compromised_from, key.compromise_announced
    if since is not None and announced is not None and not since <= announced <= issued_at:
        raise MalformedError(
            reading.CODE, f"{key.kid}: a compromise is announced after it began and by the list"
        )
