"""A sparse Merkle map: 32-byte keys to 32-byte values under one root, with compact proofs.

A subtree with no entry hashes to 32 zero bytes, one with a single entry to that entry's leaf, any
other to its two halves, split by the next bit of the key. So the tree does not depend on the order
of insertion, and a path has about log2(n) hashes. The prefixes 0x10 and 0x11 keep these hashes
apart from those of a log (RFC 6962 uses 0x00 and 0x01). Nodes are immutable: setting an entry
gives another map and leaves this one as it was, so a refused batch leaves no trace.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from protocols.digest import SIZE, sha256
from schemas.errors import RefusedError

EMPTY = bytes(SIZE)
MAX_PATH = 8 * SIZE


@dataclass(frozen=True, slots=True)
class _Leaf:
    hash: bytes
    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class _Branch:
    hash: bytes
    left: _Node
    right: _Node


_Node: TypeAlias = "_Leaf | _Branch | None"


def _leaf_hash(key: bytes, value: bytes) -> bytes:
    return sha256(b"\x10" + key + value)


def _branch_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x11" + left + right)


def _hash(node: _Node) -> bytes:
    return EMPTY if node is None else node.hash


def _bit(key: bytes, depth: int) -> int:
    return key[depth >> 3] >> (7 - (depth & 7)) & 1


def _branch(left: _Node, right: _Node) -> _Branch:
    return _Branch(_branch_hash(_hash(left), _hash(right)), left, right)


def _set(node: _Node, leaf: _Leaf, depth: int) -> _Node:
    if node is None or (isinstance(node, _Leaf) and node.key == leaf.key):
        return leaf
    if isinstance(node, _Leaf):
        # Two entries share this subtree now: push the old one down, then go on as in a branch.
        node = _branch(None, node) if _bit(node.key, depth) else _branch(node, None)
    if _bit(leaf.key, depth):
        return _branch(node.left, _set(node.right, leaf, depth + 1))
    return _branch(_set(node.left, leaf, depth + 1), node.right)


@dataclass(frozen=True, slots=True)
class SparseMap:
    """An immutable map; start with `SparseMap()`."""

    _top: _Node = None

    @property
    def root(self) -> bytes:
        """The 32 bytes that commit to every entry."""
        return _hash(self._top)

    def set(self, key: bytes, value: bytes) -> SparseMap:
        """A map with that entry added or replaced; both are 32 bytes."""
        if len(key) != SIZE or len(value) != SIZE:
            raise ValueError("keys and values have 32 bytes")
        return SparseMap(_set(self._top, _Leaf(_leaf_hash(key, value), key, value), 0))

    def get(self, key: bytes) -> bytes | None:
        """The value of `key`, or None."""
        node = self._top
        for depth in range(MAX_PATH):
            if not isinstance(node, _Branch):
                break
            node = node.right if _bit(key, depth) else node.left
        return node.value if isinstance(node, _Leaf) and node.key == key else None

    def path(self, key: bytes) -> tuple[bytes, ...]:
        """The hashes beside the way from the root to `key`, top first; KeyError when absent."""
        if self.get(key) is None:
            raise KeyError(key)
        return tuple(self._beside(key))

    def _beside(self, key: bytes) -> Iterator[bytes]:
        node, depth = self._top, 0
        while isinstance(node, _Branch):
            right = _bit(key, depth)
            yield _hash(node.left if right else node.right)
            node, depth = (node.right if right else node.left), depth + 1


def root_of(key: bytes, value: bytes, path: Sequence[bytes]) -> bytes:
    """The root under which `key` has `value`, by that path (top first).

    Raises RefusedError `title_path_invalid` for a path that no map has.
    """
    if len(path) > MAX_PATH or any(len(item) != SIZE for item in path):
        raise RefusedError("title_path_invalid", f"a path has at most {MAX_PATH} hashes")
    result = _leaf_hash(key, value)
    for depth in range(len(path) - 1, -1, -1):
        beside = path[depth]
        pair = (beside, result) if _bit(key, depth) else (result, beside)
        result = _branch_hash(*pair)
    return result
