from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.log import merkle, merkle_subtree
from protocols.log.merkle import EMPTY_ROOT, Tree, leaf_hash, node_hash
from schemas.errors import RefusedError
from tests.shared import shared_path

LIMIT = 40


def leaves(count: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(count)]


def recursive_root(hashes: list[bytes]) -> bytes:
    """MTH exactly as RFC 6962 §2.1 writes it."""
    if not hashes:
        return EMPTY_ROOT
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return node_hash(recursive_root(hashes[:k]), recursive_root(hashes[k:]))


def recursive_path(index: int, hashes: list[bytes]) -> tuple[bytes, ...]:
    if len(hashes) == 1:
        return ()
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    if index < k:
        return (*recursive_path(index, hashes[:k]), recursive_root(hashes[k:]))
    return (*recursive_path(index - k, hashes[k:]), recursive_root(hashes[:k]))


def recursive_subproof(m: int, hashes: list[bytes], whole: bool) -> tuple[bytes, ...]:
    if m == len(hashes):
        return () if whole else (recursive_root(hashes),)
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    if m <= k:
        return (*recursive_subproof(m, hashes[:k], whole), recursive_root(hashes[k:]))
    return (*recursive_subproof(m - k, hashes[k:], False), recursive_root(hashes[:k]))


def test_roots_and_proofs_equal_the_recursive_definitions_for_all_small_trees():
    everything = leaves(LIMIT)
    tree = Tree(everything)
    for size in range(LIMIT + 1):
        hashes = everything[:size]
        assert tree.root(size) == recursive_root(hashes)
        for index in range(size):
            assert tree.inclusion_proof(index, size) == recursive_path(index, hashes)
        for old in range(1, size + 1):
            assert tree.consistency_proof(old, size) == recursive_subproof(old, hashes, True)
        assert tree.consistency_proof(0, size) == ()


def test_every_inclusion_proof_holds_for_its_index_alone():
    tree = Tree(leaves(LIMIT))
    for size in range(1, 20):
        root = tree.root(size)
        for index in range(size):
            proof = tree.inclusion_proof(index, size)
            merkle.verify_inclusion(index, size, tree.hash_at(0, index), proof, root)
            for other in range(size):
                if other != index:
                    with pytest.raises(RefusedError) as caught:
                        merkle.verify_inclusion(other, size, tree.hash_at(0, index), proof, root)
                    assert caught.value.code == "inclusion_proof_invalid"


def test_every_consistency_proof_holds_for_its_sizes_and_roots_alone():
    tree, other = Tree(leaves(LIMIT)), Tree(leaves(LIMIT)[::-1])
    for new in range(1, 20):
        for old in range(1, new + 1):
            proof = tree.consistency_proof(old, new)
            merkle.verify_consistency(old, new, tree.root(old), tree.root(new), proof)
            with pytest.raises(RefusedError):
                merkle.verify_consistency(old, new, other.root(old), tree.root(new), proof)
            with pytest.raises(RefusedError):
                merkle.verify_consistency(old, new, tree.root(old), other.root(new), proof)
            with pytest.raises(RefusedError):
                merkle.verify_consistency(
                    old, new, tree.root(old), tree.root(new), (*proof, tree.root(1))
                )
            if proof:
                with pytest.raises(RefusedError):
                    merkle.verify_consistency(old, new, tree.root(old), tree.root(new), proof[:-1])


@given(st.lists(st.binary(max_size=8), max_size=600), st.data())
def test_growing_in_batches_gives_the_same_tree(entries: list[bytes], data: st.DataObject):
    hashes = [leaf_hash(entry) for entry in entries]
    cut = data.draw(st.integers(0, len(hashes)))
    tree = Tree(hashes[:cut])
    tree.extend(hashes[cut:])
    assert tree.size == len(hashes)
    assert tree.root() == recursive_root(hashes)
    if hashes:
        index = data.draw(st.integers(0, len(hashes) - 1))
        proof = tree.inclusion_proof(index, len(hashes))
        merkle.verify_inclusion(index, len(hashes), hashes[index], proof, tree.root())


@given(st.integers(2, 200), st.data())
def test_a_changed_bit_anywhere_in_a_proof_is_refused(size: int, data: st.DataObject):
    tree = Tree(leaves(size))
    index = data.draw(st.integers(0, size - 1))
    proof = list(tree.inclusion_proof(index, size))
    place = data.draw(st.integers(0, len(proof) - 1))
    bit = data.draw(st.integers(0, 255))
    changed = int.from_bytes(proof[place], "big") ^ (1 << bit)
    proof[place] = changed.to_bytes(32, "big")
    with pytest.raises(RefusedError):
        merkle.verify_inclusion(index, size, tree.hash_at(0, index), proof, tree.root())


def test_proofs_outside_the_tree_are_not_built():
    tree = Tree(leaves(5))
    with pytest.raises(ValueError, match="outside"):
        tree.inclusion_proof(5, 5)
    with pytest.raises(ValueError, match="larger"):
        tree.consistency_proof(6, 5)
    with pytest.raises(IndexError):
        tree.hash_at(1, 2)
    with pytest.raises(ValueError, match="32 bytes"):
        tree.extend([b"short"])
    assert tree.hashes(0, 1, 3) == tree.hash_at(0, 1) + tree.hash_at(0, 2)


def decode(text: str) -> bytes:
    return base64.b64decode(text)


def vectors(folder: str) -> list:
    base = shared_path(folder)
    return [json.loads(path.read_text()) for path in sorted(base.rglob("*.json"))]


@pytest.mark.parametrize("suite", ["ledger/merkle-inclusion", "security/merkle/inclusion"])
def test_inclusion_vectors_give_their_expected_result(suite: str):
    cases = vectors(f"vectors/{suite}")
    assert len(cases) > 20
    for case in cases:
        arguments = (
            case["leafIdx"],
            case["treeSize"],
            decode(case["leafHash"]),
            [decode(item) for item in case["proof"] or []],
            decode(case["root"]),
        )
        check_vector(case, merkle.verify_inclusion, arguments)


@pytest.mark.parametrize("suite", ["ledger/merkle-consistency", "security/merkle/consistency"])
def test_consistency_vectors_give_their_expected_result(suite: str):
    cases = vectors(f"vectors/{suite}")
    assert len(cases) > 20
    for case in cases:
        arguments = (
            case["size1"],
            case["size2"],
            decode(case["root1"]),
            decode(case["root2"]),
            [decode(item) for item in case["proof"] or []],
        )
        check_vector(case, merkle.verify_consistency, arguments)


def check_vector(case: dict, verify, arguments: tuple) -> None:
    if case["wantErr"]:
        with pytest.raises(RefusedError):
            verify(*arguments)
    else:
        verify(*arguments)


def test_subtree_inclusion_vectors_give_their_expected_result():
    cases = vectors("vectors/ledger/merkle-subtreeinclusion")
    assert len(cases) == 120
    for case in cases:
        proof = [decode(item) for item in case["proof"] or []]
        arguments = (case["leafIdx"], case["start"], case["end"], decode(case["leafHash"]), proof)
        check_vector(case, merkle_subtree.verify_inclusion, (*arguments, decode(case["root"])))


def test_subtree_consistency_vectors_give_their_expected_result():
    cases = vectors("vectors/ledger/merkle-subtreeconsistency")
    assert len(cases) == 63
    for case in cases:
        proof = [decode(item) for item in case["proof"] or []]
        roots = (decode(case["root1"]), decode(case["root2"]))
        arguments = (case["start"], case["end"], case["size"], *roots, proof)
        check_vector(case, merkle_subtree.verify_consistency, arguments)


def test_every_subtree_of_small_trees_is_proven_and_no_other_hash():
    tree = Tree([leaf_hash(bytes([at])) for at in range(40)])
    for size in (1, 2, 7, 8, 23, 33, 40):
        for start, end in subtrees(size):
            proof = merkle_subtree.consistency_proof(start, end, size, tree.hash_at)
            inner = merkle_subtree.subtree_root(start, end, tree.hash_at)
            root = tree.root(size)
            merkle_subtree.verify_consistency(start, end, size, inner, root, proof)
            if start == 0 and end:
                assert proof == tree.consistency_proof(end, size)
            if end:
                with pytest.raises(RefusedError):
                    merkle_subtree.verify_consistency(start, end, size, root[::-1], root, proof)


def subtrees(size: int) -> list[tuple[int, int]]:
    ranges = ((start, end) for start in range(size) for end in range(start, size + 1))
    return [(start, end) for start, end in ranges if merkle_subtree.is_valid(start, end)]


def test_ranges_that_are_no_subtrees_are_not_proven():
    tree = Tree([leaf_hash(bytes([at])) for at in range(4)])
    for start, end in ((1, 3), (0, 5), (-1, -1)):
        with pytest.raises(ValueError, match="subtree"):
            merkle_subtree.consistency_proof(start, end, 4, tree.hash_at)
