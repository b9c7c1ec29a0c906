"""A network's member lists in one file, or one answer: `{"lists": [signed list, …]}`.

The same form is served to peers, written by `trust export`, and read by whoever verifies offline.
A file with a single signed list, such as a founding list, is read as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from protocols.members.trust import MemberList, open_chain, open_founding
from schemas import strict_json
from schemas.errors import MalformedError

MAX_BYTES = 64 * 1024 * 1024
MAX_LISTS = 10_000
MAX_DEPTH = 8
MAX_MEMBERS = 1_000_000


def write_export(lists: Iterable[bytes]) -> bytes:
    """The file's bytes: the signed lists unaltered, in the order given."""
    return b'{"lists":[' + b",".join(lists) + b"]}"


def read_export(data: bytes) -> list[bytes]:
    """The signed lists of a file, in its order, none verified; raises `member_list_malformed`."""
    members = strict_json.loads_object(
        data, max_bytes=MAX_BYTES, max_depth=MAX_DEPTH, max_members=MAX_MEMBERS
    )
    lists = members.get("lists")
    if "signatures" in members:
        lists = [members]
    if not isinstance(lists, list) or len(lists) > MAX_LISTS:
        raise MalformedError("member_list_malformed", "the file has lists", pointer="/lists")
    return [strict_json.canonical(item) for item in lists]


def open_export(
    data: bytes, *, now: datetime | None = None, network: bytes | None = None
) -> MemberList:
    """The newest list of a file that begins with the founding list; raises as `walk`."""
    return open_versions(data, now=now, network=network)[-1]


def open_versions(
    data: bytes, *, now: datetime | None = None, network: bytes | None = None
) -> list[MemberList]:
    """Every version of a file that begins with the founding list, in order; raises as `walk`."""
    versions = walk(read_export(data), None, now=now, network=network)
    if not versions:
        raise MalformedError("member_list_empty", "there is no member list in it")
    return versions


def walk(
    lists: Iterable[bytes],
    held: MemberList | None,
    *,
    now: datetime | None,
    network: bytes | None = None,
) -> list[MemberList]:
    """Every version that `lists` adds to `held`, each verified by the one before it.

    Raises as `advance` and `open_founding`; versions already held are skipped after comparison.
    """
    added: list[MemberList] = []
    current = held
    for signed in lists:
        if current is None:
            following = open_founding(signed, now=now, network=network)
        else:
            following = open_chain([signed], current, now)
        if following is not current:
            added.append(following)
        current = following
    return added
