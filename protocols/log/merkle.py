"""The Merkle tree of RFC 6962 §2.1: hashes, roots, inclusion and consistency proofs.

Proofs are built from a source of *perfect subtree hashes*: ``hash_at(level, index)`` is
``MTH(D[index * 2**level : (index + 1) * 2**level])``. A tree in memory, tiles on disk and rows of
a database can all be such a source. Everything is plain `hashlib`; nothing measured was faster.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from schemas.errors import RefusedError

HASH_SIZE = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
MAX_PROOF = 64
"""A tree has fewer than 2**63 leaves, so no proof is longer."""

HashAt: TypeAlias = Callable[[int, int], bytes]
Proof: TypeAlias = tuple[bytes, ...]


def leaf_hash(entry: bytes) -> bytes:
    """``SHA-256(0x00 ‖ entry)``."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """``SHA-256(0x01 ‖ left ‖ right)``."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(size: int, hash_at: HashAt) -> bytes:
    """The root of the first `size` leaves."""
    return EMPTY_ROOT if size == 0 else _range_hash(0, size, hash_at)


def _split(count: int) -> int:
    """The largest power of two smaller than `count` (RFC 6962's k); `count` is at least 2."""
    return 1 << ((count - 1).bit_length() - 1)


def _range_hash(start: int, end: int, hash_at: HashAt) -> bytes:
    """MTH of leaves start…end−1, where `start` is a multiple of the largest subtree in it."""
    pieces: list[bytes] = []
    while start < end:
        level = (end - start).bit_length() - 1
        pieces.append(hash_at(level, start >> level))
        start += 1 << level
    result = pieces.pop()
    while pieces:
        result = node_hash(pieces.pop(), result)
    return result


def inclusion_proof(index: int, size: int, hash_at: HashAt) -> Proof:
    """PATH(index, D[size]) of RFC 6962 §2.1.1, leaf's sibling first. Needs 0 ≤ index < size."""
    if not 0 <= index < size:
        raise ValueError("the index lies outside the tree")
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(_range_hash(middle, end, hash_at))
            end = middle
        else:
            proof.append(_range_hash(start, middle, hash_at))
            start = middle
    return tuple(reversed(proof))


def consistency_proof(old: int, new: int, hash_at: HashAt) -> Proof:
    """PROOF(old, D[new]) of RFC 6962 §2.1.2; empty for old = 0 and for old = new."""
    if not 0 <= old <= new:
        raise ValueError("the old tree is larger than the new one")
    if old in (0, new):
        return ()
    proof: list[bytes] = []
    start, end = 0, new
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            proof.append(_range_hash(middle, end, hash_at))
            end = middle
        else:
            proof.append(_range_hash(start, middle, hash_at))
            start = middle
    if start:  # a whole left subtree is the old root itself, which the verifier already has
        proof.append(_range_hash(start, end, hash_at))
    return tuple(reversed(proof))


def _refuse(code: str, detail: str) -> RefusedError:
    return RefusedError(code, detail)


def _check_hashes(code: str, hashes: Iterable[bytes]) -> None:
    if not {*map(len, hashes)} <= {HASH_SIZE}:
        raise _refuse(code, "a hash does not have 32 bytes")


def root_from_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> bytes:
    """The root that `proof` leads to (RFC 9162 §2.1.3.2). Raises `inclusion_proof_invalid`."""
    code = "inclusion_proof_invalid"
    _check_hashes(code, (leaf, *proof))
    if not 0 <= index < size:
        raise _refuse(code, "the index lies outside the tree")
    node, last, result = index, size - 1, leaf
    for item in proof:
        if last == 0:
            raise _refuse(code, "the proof is too long")
        if node & 1 or node == last:
            result = node_hash(item, result)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            result = node_hash(result, item)
        node, last = node >> 1, last >> 1
    if last:
        raise _refuse(code, "the proof is too short")
    return result


def verify_inclusion(
    index: int, size: int, leaf: bytes, proof: Sequence[bytes], expected_root: bytes
) -> None:
    """Raises RefusedError `inclusion_proof_invalid` unless the leaf is in that tree."""
    if root_from_inclusion(index, size, leaf, proof) != expected_root:
        raise _refuse("inclusion_proof_invalid", "the proof leads to another root")


def roots_from_consistency(
    old: int, new: int, old_root: bytes, proof: Sequence[bytes]
) -> tuple[bytes, bytes]:
    """The old and the new root that `proof` leads to (RFC 9162 §2.1.4.2); needs 0 < old < new.

    `old_root` seeds the computation only when `old` is a power of two, because the proof then
    leaves it out. Raises `consistency_proof_invalid` for a proof of the wrong length.
    """
    code = "consistency_proof_invalid"
    _check_hashes(code, proof)
    seeded = (old_root, *proof) if old & (old - 1) == 0 else tuple(proof)
    if not seeded:
        raise _refuse(code, "the proof is empty")
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old_hash = new_hash = seeded[0]
    for item in seeded[1:]:
        if last == 0:
            raise _refuse(code, "the proof is too long")
        if node & 1 or node == last:
            old_hash, new_hash = node_hash(item, old_hash), node_hash(item, new_hash)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new_hash = node_hash(new_hash, item)
        node, last = node >> 1, last >> 1
    if last:
        raise _refuse(code, "the proof is too short")
    return old_hash, new_hash


def verify_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Raises RefusedError `consistency_proof_invalid` unless `old` is a prefix of `new`.

    A proof from the empty tree to a larger one says nothing, so it is refused here; a witness
    that has seen nothing yet has nothing to verify (C2SP tlog-witness, add-checkpoint).
    """
    code = "consistency_proof_invalid"
    if not 0 <= old <= new:
        raise _refuse(code, "the old tree is larger than the new one")
    if old == new:
        if proof or old_root != new_root:
            raise _refuse(code, "two roots for one size")
        return
    if old == 0:
        raise _refuse(code, "every tree is consistent with the empty one")
    if roots_from_consistency(old, new, old_root, proof) != (old_root, new_root):
        raise _refuse(code, "the proof leads to other roots")


class Frontier:
    """The right edge of a tree: enough to append and to know the root, in at most 2 kB.

    An audit that continues from a frontier has proven that the log only grew since.
    """

    __slots__ = ("_hashes", "size")

    def __init__(self, size: int = 0, hashes: bytes = b"") -> None:
        """`hashes`: the perfect subtrees from left to right, as `to_bytes` gives them."""
        if len(hashes) != HASH_SIZE * size.bit_count():
            raise ValueError("a frontier has one hash per set bit of its size")
        self.size = size
        self._hashes = [hashes[at : at + HASH_SIZE] for at in range(0, len(hashes), HASH_SIZE)]

    def append(self, leaf: bytes) -> None:
        """Append one leaf hash."""
        size, result = self.size, leaf
        while size & 1:
            result = node_hash(self._hashes.pop(), result)
            size >>= 1
        self._hashes.append(result)
        self.size += 1

    def root(self) -> bytes:
        """The root of all leaves so far."""
        if not self._hashes:
            return EMPTY_ROOT
        result = self._hashes[-1]
        for left in reversed(self._hashes[:-1]):
            result = node_hash(left, result)
        return result

    def to_bytes(self) -> bytes:
        """The hashes, to continue later."""
        return b"".join(self._hashes)


class Tree:
    """An append-only tree in memory: all perfect subtree hashes, 64 bytes per leaf.

    Levels are byte arrays because a million small `bytes` objects cost three times as much.
    """

    __slots__ = ("_levels",)

    def __init__(self, leaf_hashes: Iterable[bytes] = ()) -> None:
        self._levels: list[bytearray] = [bytearray()]
        self.extend(leaf_hashes)

    @property
    def size(self) -> int:
        """The number of leaves."""
        return len(self._levels[0]) // HASH_SIZE

    def extend(self, leaf_hashes: Iterable[bytes]) -> None:
        """Append leaf hashes, each of 32 bytes."""
        added = b"".join(leaf_hashes)
        if len(added) % HASH_SIZE:
            raise ValueError("a leaf hash has 32 bytes")
        self._levels[0] += added
        self._complete_parents()

    def _complete_parents(self) -> None:
        sha256, level = hashlib.sha256, 0
        while len(self._levels[level]) >= 2 * HASH_SIZE:
            if level + 1 == len(self._levels):
                self._levels.append(bytearray())
            below, here = self._levels[level], self._levels[level + 1]
            pairs = range(2 * len(here), len(below) - 2 * HASH_SIZE + 1, 2 * HASH_SIZE)
            here += b"".join(sha256(b"\x01" + below[at : at + 64]).digest() for at in pairs)
            level += 1

    def hash_at(self, level: int, index: int) -> bytes:
        """The perfect subtree hash; raises IndexError when that subtree is not complete."""
        found = bytes(self._levels[level][HASH_SIZE * index : HASH_SIZE * (index + 1)])
        if len(found) != HASH_SIZE:
            raise IndexError("that subtree is not complete")
        return found

    def hashes(self, level: int, start: int, end: int) -> bytes:
        """The concatenated hashes start…end−1 of a level, as a tile holds them."""
        return bytes(self._levels[level][HASH_SIZE * start : HASH_SIZE * end])

    def root(self, size: int | None = None) -> bytes:
        """The root of the first `size` leaves (all by default)."""
        return root(self.size if size is None else size, self.hash_at)

    def inclusion_proof(self, index: int, size: int) -> Proof:
        """See `inclusion_proof`."""
        return inclusion_proof(index, size, self.hash_at)

    def consistency_proof(self, old: int, new: int) -> Proof:
        """See `consistency_proof`."""
        return consistency_proof(old, new, self.hash_at)
