"""Two member lists of one version, both signed by the roots of the version before (R4).

A node that is shown another list than its own keeps both in one file, written like an export. It
convinces whoever holds the version before: only the roots in force then can have signed both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from protocols.members import export, proposal
from protocols.members.trust import MemberList
from schemas.errors import RefusedError

CODE = "member_list_fork_not_proven"


@dataclass(frozen=True, slots=True)
class ListFork:
    """What is proven: the version, the digests of its two lists, who signed both (key ids)."""

    version: int
    digests: tuple[bytes, bytes]
    signed_both: tuple[str, ...]


def prove(data: bytes, held: Sequence[MemberList]) -> ListFork:
    """The fork that a file proves to who holds these versions.

    Raises RefusedError `member_list_fork_not_proven`, and what reading the lists raises.
    """
    lists = [proposal.read(one) for one in export.read_export(data)]
    if len(lists) != 2:
        raise _unproven("the file has two lists")
    one, other = lists
    if one.members.version != other.members.version or one.digest == other.digest:
        raise _unproven("both lists can be true")
    version = one.members.version
    before = next((each for each in held if each.version == version - 1), None)
    if before is None:
        raise _unproven(f"version {version - 1}, whose roots must have signed, is not held")
    for each in lists:
        _require_signed(each, before)
    kids = ({line.kid for line in each.envelope.signatures} for each in lists)
    both = set(before.roots.by_kid()).intersection(*kids)
    return ListFork(version, (one.digest, other.digest), tuple(sorted(both)))


def _require_signed(each: proposal.Proposal, before: MemberList) -> None:
    listed = each.members
    if (listed.network, listed.previous) != (before.network, before.digest):
        raise _unproven("a list does not follow the version before")
    if proposal.standing(each, before).signatures < before.roots.threshold:
        raise _unproven("the roots of the version before have not signed both")


def _unproven(detail: str) -> RefusedError:
    return RefusedError(CODE, detail)
