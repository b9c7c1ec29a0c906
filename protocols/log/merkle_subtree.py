"""Subtrees of a Merkle tree and their proofs (draft-ietf-plants-merkle-tree-certs §4).

A subtree is the half-open range [start, end) whose start is a multiple of the least power of two
that is not below its size; it is what a perfect part of the tree, or its ragged right edge, holds.
C2SP tlog-mirror proves each uploaded package by one, and tlog-witness may cosign them.
"""

from __future__ import annotations

from collections.abc import Sequence

from protocols.log import merkle
from protocols.log.merkle import HASH_SIZE, HashAt, Proof, node_hash
from schemas.errors import RefusedError

CODE = "subtree_proof_invalid"


def is_valid(start: int, end: int) -> bool:
    """Whether [start, end) is a subtree (§4.1); an empty range is one anywhere."""
    if start == end:
        return start >= 0
    return 0 <= start < end and start % (1 << (end - start - 1).bit_length()) == 0


def subtree_root(start: int, end: int, hash_at: HashAt) -> bytes:
    """MTH(D[start:end]); needs a valid subtree."""
    _require(start, end)

    def moved(level: int, index: int) -> bytes:
        return hash_at(level, index + (start >> level))

    return merkle.root(end - start, moved)


def _require(start: int, end: int) -> None:
    if not is_valid(start, end):
        raise ValueError("not a subtree")


def consistency_proof(start: int, end: int, size: int, hash_at: HashAt) -> Proof:
    """SUBTREE_PROOF(start, end, D[size]) (§4.4.1); needs a valid subtree within the tree."""
    _require(start, end)
    if end > size:
        raise ValueError("the subtree lies outside the tree")
    if start == end:
        return ()
    proof: list[bytes] = []
    low, high, whole = 0, size, True
    while (start, end) != (low, high):
        middle = low + (1 << ((high - low - 1).bit_length() - 1))
        if end <= middle:
            proof.append(subtree_root(middle, high, hash_at))
            high = middle
        else:
            proof.append(subtree_root(low, middle, hash_at))
            if start < middle:  # the subtree goes over the middle: its left half is this hash
                start, whole = middle, False
            low = middle
    if not whole:
        proof.append(subtree_root(low, high, hash_at))
    return tuple(reversed(proof))


def verify_consistency(
    start: int, end: int, size: int, subtree: bytes, root: bytes, proof: Sequence[bytes]
) -> None:
    """Refuse unless `subtree` is the hash of [start, end) in the tree of that size and root (§4.4).

    Raises RefusedError `subtree_proof_invalid`.
    """
    _check(start, end, size, proof)
    if start == end:
        if proof or subtree != merkle.EMPTY_ROOT:
            raise _refuse("the empty subtree has one hash and needs no proof")
        return
    first, last, whole = start, end - 1, size - 1
    while first != last and (last == whole or last & 1):
        first, last, whole = first >> 1, last >> 1, whole >> 1
    # A subtree that is one node of the tree is where the climb begins; else the proof says where.
    seeded = (subtree, *proof) if first == last else tuple(proof)
    if not seeded:
        raise _refuse("the proof is empty")
    if _climb(first, last, whole, seeded) != (subtree, root):
        raise _refuse("the proof leads to other roots")


def _climb(first: int, last: int, whole: int, hashes: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The hashes of subtree and tree that the proof leads to (§4.4.3)."""
    inner = outer = hashes[0]
    for item in hashes[1:]:
        if whole == 0:
            raise _refuse("the proof is too long")
        if last & 1 or last == whole:
            inner = node_hash(item, inner) if first < last else inner
            outer = node_hash(item, outer)
            while not last & 1 and last:
                first, last, whole = first >> 1, last >> 1, whole >> 1
        else:
            outer = node_hash(outer, item)
        first, last, whole = first >> 1, last >> 1, whole >> 1
    if whole:
        raise _refuse("the proof is too short")
    return inner, outer


def verify_inclusion(
    index: int, start: int, end: int, leaf: bytes, proof: Sequence[bytes], root: bytes
) -> None:
    """Refuse unless the leaf hash is at `index` of the log, within the subtree with that root.

    Raises RefusedError `subtree_proof_invalid`, `inclusion_proof_invalid`.
    """
    _check(start, end, end, ())
    merkle.verify_inclusion(index - start, end - start, leaf, proof, root)


def _check(start: int, end: int, size: int, hashes: Sequence[bytes]) -> None:
    if not is_valid(start, end) or end > size:
        raise _refuse("not a subtree of that tree")
    if any(len(item) != HASH_SIZE for item in hashes):
        raise _refuse("a hash does not have 32 bytes")


def _refuse(detail: str) -> RefusedError:
    return RefusedError(CODE, detail)
