"""Which member list was in force at a moment, and what is known of its keys today (R17, R25).

Versions are kept for ever. The one in force at a moment is the newest that was issued by then; its
keys, rights and agreements answer for that moment. One thing is taken from the newest list: which
keys were in foreign hands. A list could not know yet what was only told later, and whoever holds
such a key can write any date (R17).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from protocols.members.entries import ListedKey, NodeEntry, PartyEntry
from protocols.members.trust import MemberList

Owner = TypeVar("Owner", NodeEntry, PartyEntry)


def position(issued: Sequence[datetime], at: datetime) -> int:
    """How many of the versions with these times of issue, in order, had been issued at `at`."""
    return bisect_right(issued, at)


def in_force(versions: Sequence[MemberList], at: datetime) -> MemberList:
    """The list of a verified chain (version 1 first) that was in force at `at`, as judged today.

    Before the founding it is the founding list, of which CRED-12 says that it came later.
    """
    found = versions[max(position([one.issued_at for one in versions], at), 1) - 1]
    return as_known_by(found, versions[-1])


def as_known_by(earlier: MemberList, newest: MemberList) -> MemberList:
    """The earlier list with the compromises that `newest` tells of its keys (R17)."""
    if earlier is newest:
        return earlier
    nodes = tuple(_with_compromises(entry, newest) for entry in earlier.nodes)
    parties = tuple(_with_compromises(entry, newest) for entry in earlier.parties)
    if (nodes, parties) == (earlier.nodes, earlier.parties):
        return earlier
    return replace(earlier, nodes=nodes, parties=parties)


def _with_compromises(owner: Owner, newest: MemberList) -> Owner:
    keys = tuple(_as_told(key, newest) for key in owner.keys)
    return owner if keys == owner.keys else replace(owner, keys=keys)


def _as_told(key: ListedKey, newest: MemberList) -> ListedKey:
    told = newest.key_as_listed(key.kid)
    if told is None or told.compromised_from is None:
        return key
    return replace(
        key,
        compromised_from=told.compromised_from,
        compromise_announced=told.compromise_announced,
    )
