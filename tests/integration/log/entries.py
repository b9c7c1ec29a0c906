"""Entries as a node writes them, of a kind that names no row of its store."""

from __future__ import annotations

from protocols.digest import sha256
from protocols.log import leaf
from protocols.log.leaf import Leaf, LeafKind


def some_entries(count: int) -> list[bytes]:
    return [
        leaf.encode(
            Leaf(LeafKind.ACCESS, sha256(b"s%d" % number), sha256(b"c%d" % number), None, number)
        )
        for number in range(count)
    ]
