"""The Merkle-Patricia trie of a block's receipts, built to prove one of them.

From the receipts as they stand in the block (yellow paper §4.3.1 and appendix D);
`protocols.evm.proof` checks what comes out. No key of it begins another key, so a branch never
holds a value of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

import rlp  # type: ignore[import-untyped] # rlp has no types

from protocols.evm.keys import keccak256

MAX_RECEIPTS: Final = 100_000
_Node: TypeAlias = "bytes | list[_Node]"
_Pair: TypeAlias = tuple[tuple[int, ...], bytes]


class ReceiptTrie:
    """The trie of encoded receipts in the order of their transactions."""

    __slots__ = ("_held", "root")

    root: bytes

    def __init__(self, receipts: Sequence[bytes]) -> None:
        """`receipts`: RLP, with the type byte before it where the transaction has one."""
        if len(receipts) > MAX_RECEIPTS:
            raise ValueError(f"a block has at most {MAX_RECEIPTS} receipts")
        self._held: dict[bytes, bytes] = {}
        keyed = (_nibbles(rlp.encode(index)) for index in range(len(receipts)))
        node = self._build(sorted(zip(keyed, receipts, strict=True)), 0)
        # The root is hashed however small it is; every other small node lies in its parent.
        encoded = bytes(rlp.encode(node))
        self.root = keccak256(encoded)
        self._held[self.root] = encoded

    def path(self, index: int) -> tuple[bytes, ...]:
        """The nodes from the root down to a receipt that is in the trie."""
        rest = _nibbles(rlp.encode(index))
        nodes = [self._held[self.root]]
        node: _Node = rlp.decode(nodes[0])
        while isinstance(node, list):
            if len(node) == 2 and _is_leaf(node):
                break
            node, rest = _down(node, rest)
            if isinstance(node, bytes):
                nodes.append(self._held[node])
                node = rlp.decode(nodes[-1])
        return tuple(nodes)

    def _build(self, pairs: Sequence[_Pair], depth: int) -> _Node:
        """The node of pairs whose keys agree before `depth`."""
        if not pairs:
            return b""
        first, last = pairs[0][0], pairs[-1][0]
        if len(pairs) == 1:
            return [_prefix(first[depth:], leaf=True), pairs[0][1]]
        shared = depth
        while first[shared] == last[shared]:
            shared += 1
        if shared > depth:
            return [_prefix(first[depth:shared], leaf=False), self._child(pairs, shared)]
        parts = ([pair for pair in pairs if pair[0][depth] == nibble] for nibble in range(16))
        return [*(self._child(part, depth + 1) for part in parts), b""]

    def _child(self, pairs: Sequence[_Pair], depth: int) -> _Node:
        """What a parent holds of a child: its hash, or the child itself below 32 bytes."""
        node = self._build(pairs, depth)
        encoded = bytes(rlp.encode(node))
        if len(encoded) < 32:
            return node
        name = keccak256(encoded)
        self._held[name] = encoded
        return name


def _nibbles(data: bytes) -> tuple[int, ...]:
    return tuple(part for byte in data for part in (byte >> 4, byte & 15))


def _is_leaf(node: list[_Node]) -> bool:
    assert isinstance(node[0], bytes)
    return node[0][0] >> 5 == 1


def _down(node: list[_Node], rest: tuple[int, ...]) -> tuple[_Node, tuple[int, ...]]:
    if len(node) == 17:
        return node[rest[0]], rest[1:]
    assert isinstance(node[0], bytes)
    return node[1], rest[2 * len(node[0]) - 2 + (node[0][0] >> 4 & 1) :]


def _prefix(nibbles: tuple[int, ...], *, leaf: bool) -> bytes:
    """Hex-prefix form (yellow paper appendix C)."""
    flag = (2 if leaf else 0) + len(nibbles) % 2
    whole = (flag, *nibbles) if len(nibbles) % 2 else (flag, 0, *nibbles)
    return bytes(whole[at] << 4 | whole[at + 1] for at in range(0, len(whole), 2))
