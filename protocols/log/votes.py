"""Whose cosignature counts towards a quorum: a key that stood when it cosigned (R16, R17).

The witnesses of an epoch are fixed, and the policy stays as it is written; the member list ends
their keys. What a key cosigned before its end is good for ever. A key in foreign hands writes any
time into its lines, so of a key with an end it also counts when the others cosigned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from protocols import times
from protocols.members.entries import KeyStanding

if TYPE_CHECKING:
    from protocols.log.policy import Policy, Witness
    from protocols.member_list import MemberList

Counts: TypeAlias = "Callable[[Witness, int], bool]"
"""(witness, POSIX seconds) → whether its cosignature of that moment counts."""

#: Keys of witnesses of logs and of registries; each is used for one of both only (R22).
_PURPOSES: Final = frozenset({"witness", "registry-witness"})


def everybody(_witness: Witness, _seconds: int) -> bool:
    """Where nothing is known of ends."""
    return True


def under(members: MemberList) -> Counts:
    """As that list ends the keys of witnesses; one that its member does not list has no end."""
    return partial(_counts, members)


def _counts(members: MemberList, witness: Witness, seconds: int) -> bool:
    node = members.node(f"did:web:{witness.key.organisation}")
    at = times.from_ms(seconds * 1000)
    return all(
        key.standing(at, proven=True) in (KeyStanding.VALID, KeyStanding.NOT_YET)
        for key in (node.keys if node else ())
        if key.purpose in _PURPOSES and key.public.raw() == witness.key.public_key
    )


def counted(given: Mapping[str, int], policy: Policy, counts: Counts) -> dict[str, int]:
    """The cosignatures that count: witness name in the policy → POSIX seconds."""
    return {
        name: seconds
        for name, seconds in given.items()
        if counts(policy.witnesses[name], max(seconds, _seen(given, name)))
    }


def _seen(given: Mapping[str, int], name: str) -> int:
    """When the others cosigned: the median, the lower of two; 0 when there are none."""
    others = sorted(seconds for other, seconds in given.items() if other != name)
    return others[(len(others) - 1) // 2] if others else 0
