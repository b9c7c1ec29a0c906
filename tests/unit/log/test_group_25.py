"""Group 25, the paths of a log: a node is no leaf, a leaf counts once, another leaf leads nowhere.

RFC 6962 §2.1 tells leaves from nodes by their first byte; trees that double a last leaf to even
their levels let two lists have one root (CVE-2012-2459), and this one does not.
"""

from __future__ import annotations

import hashlib

import pytest

from protocols.log import merkle
from protocols.log import proof as log_proof
from protocols.log.merkle import Tree, leaf_hash, node_hash
from protocols.log.proof import LogProof
from protocols.verify import Receipt, verify_document
from schemas.errors import RefusedError, TradeError
from tests.support import evidence_world as world
from tests.support.title_world import NOW

ENTRIES = [f"entry {number}".encode() for number in range(6)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
TREE = Tree(LEAVES)
FILE = world.issued()


def refused(index: int, size: int, leaf: bytes, proof: merkle.Proof, root: bytes) -> None:
    with pytest.raises(RefusedError) as caught:
        merkle.verify_inclusion(index, size, leaf, proof, root)
    assert caught.value.code == "inclusion_proof_invalid"


def test_group_25_an_inner_node_is_never_proven_as_a_leaf() -> None:
    """The two children of a node, given as an entry: without the prefix they would be one."""
    children = LEAVES[0] + LEAVES[1]
    proof = TREE.inclusion_proof(0, 6)[1:]  # the path of the node above the first two leaves
    assert merkle.root_from_inclusion(0, 3, node_hash(*LEAVES[:2]), proof) == TREE.root()
    for entry in (children, b"\x01" + children, b"\x00" + children):
        for size in (3, 6):
            refused(0, size, leaf_hash(entry), proof, TREE.root())
    assert leaf_hash(b"\x01" + children) != node_hash(*LEAVES[:2])
    assert leaf_hash(children) != hashlib.sha256(children).digest()


def test_group_25_the_last_leaf_is_not_counted_twice() -> None:
    for size in (2, 3, 5, 6):
        doubled = Tree([*LEAVES[:size], LEAVES[size - 1]])
        assert doubled.root() != Tree(LEAVES[:size]).root()
        both = Tree([*LEAVES[:size], *LEAVES[size - 2 : size]])
        assert both.root() != Tree(LEAVES[:size]).root()
        proof = doubled.inclusion_proof(size, size + 1)
        refused(size, size + 1, LEAVES[size - 1], proof, Tree(LEAVES[:size]).root())
        refused(size, size, LEAVES[size - 1], proof, Tree(LEAVES[:size]).root())


def test_group_25_another_leaf_index_or_tree_leads_to_no_signed_root() -> None:
    proof = TREE.inclusion_proof(2, 6)
    refused(2, 6, LEAVES[3], proof, TREE.root())
    refused(3, 6, LEAVES[2], proof, TREE.root())
    refused(2, 3, LEAVES[2], proof, TREE.root())
    refused(6, 6, LEAVES[2], proof, TREE.root())
    refused(2, 6, LEAVES[2], proof[:-1], TREE.root())
    refused(2, 6, LEAVES[2], (*proof, LEAVES[0]), TREE.root())
    refused(2, 6, LEAVES[2], tuple(reversed(proof)), TREE.root())
    refused(2, 6, LEAVES[2][:-1], proof, TREE.root())


def _receipt(entry: bytes, index: int | None = None) -> Receipt:
    """A receipt whose proof is of the right log and of something else than `entry`."""
    good = world.receipt(FILE)
    parsed = log_proof.parse(good.proof)
    at = parsed.index if index is None else index
    return Receipt(entry, LogProof(at, parsed.hashes, parsed.checkpoint).to_text())


@pytest.mark.parametrize("case", ["another document", "another index", "a node of the tree"])
def test_group_25_a_document_whose_receipt_proves_something_else_fails(case: str) -> None:
    good = world.receipt(FILE)
    parsed = log_proof.parse(good.proof)
    if case == "another document":
        receipt = _receipt(world.leaf_of(world.issued(world.quality("Q-2"))))
    elif case == "another index":
        receipt = _receipt(good.entry, parsed.index + 1)
    else:
        receipt = _receipt(leaf_hash(good.entry) + parsed.hashes[0])
    report, verified = verify_document(
        FILE.to_bytes(),
        members=world.MEMBERS,
        at=NOW,
        status=world.status(),
        verifier_country="NL",
        receipt=receipt,
    )
    assert verified is None
    assert report.verdict.value == "FAILED"
    codes = {check.code for check in report.checks if check.outcome.value == "FAILED"}
    wanted = {"leaf_of_other_document", "inclusion_proof_invalid", "leaf_malformed"}
    assert codes & wanted, codes


def test_group_25_a_fork_of_the_log_has_no_cosignatures() -> None:
    """The same log, grown otherwise: what the witnesses cosigned does not stand under it."""
    good = log_proof.parse(world.receipt(FILE).proof)
    forked = world.Log()
    forked.add(b"otherwise")
    forked.add(world.leaf_of(FILE))
    other = log_proof.parse(forked.proof(1, witnesses=()))
    body, _, _ = other.checkpoint.partition("\n\n")
    lines = good.checkpoint.partition("\n\n")[2].splitlines(keepends=True)[1:]
    mixed = other.checkpoint + "".join(lines)
    assert mixed.startswith(body)
    with pytest.raises(TradeError):
        log_proof.verify(
            LogProof(other.index, other.hashes, mixed).to_text(),
            world.leaf_of(FILE),
            world.log_key("nl-port"),
            world.policy("nl-port"),
        )
