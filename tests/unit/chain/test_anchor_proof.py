"""An anchor's proof, checked with nothing but what the verifier holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ledger.chain_values import ProvenBlock
from protocols.evm.anchor_proof import (
    AnchorProof,
    PinnedChain,
    origin_hash,
    read_anchor_proof,
    verify_anchor,
)
from protocols.evm.calls import ANCHOR
from protocols.evm.keys import SoftwareEvmSigner, keccak256
from protocols.evm.proof import read_header
from protocols.evm.title import word
from protocols.evm.transaction import Fee, Transaction, sign
from protocols.log.merkle import Tree
from schemas.errors import MalformedError, RefusedError, TradeError
from tests.support.model_chain import CHAIN_ID, CODE, CONTRACT, ModelChain, read

SIGNER = SoftwareEvmSigner(keccak256(b"relayer"))
ORIGIN = "port.example/log/1"
TREE = Tree([keccak256(b"%d" % number) for number in range(9)])
RECEIPT = {"origin": ORIGIN, "size": 5, "root": TREE.root(5)}


def made(chain: ModelChain) -> AnchorProof:
    data = ANCHOR + origin_hash(ORIGIN) + word(9) + TREE.root()
    signed = sign(Transaction(CHAIN_ID, 0, CONTRACT, data, 80_000, Fee(10**10, 1)), SIGNER)
    chain.pool[(SIGNER.address, 0)] = read(signed.raw)
    chain.mine()
    block = chain.blocks[-1]
    proven = ProvenBlock(block.block, block.receipts).checked()
    return AnchorProof(
        CHAIN_ID, CONTRACT, keccak256(CODE), SIGNER.address, ORIGIN, 9, TREE.root(),
        proven.event(block.receipts[0], 0), TREE.consistency_proof(5, 9),
    )  # fmt: skip


PROOF = made(ModelChain())
PINNED = PinnedChain(
    CHAIN_ID, CONTRACT, keccak256(CODE), SIGNER.address,
    blocks=frozenset({read_header(PROOF.event.header).hash}),
)  # fmt: skip


def test_an_anchor_bounds_the_time_of_the_receipt_that_it_continues() -> None:
    proof = read_anchor_proof(PROOF.to_json())
    assert proof == PROOF
    found = verify_anchor(proof, PINNED, **RECEIPT)
    assert found == datetime.fromtimestamp(1_795_000_001, UTC)
    same = replace(PROOF, consistency=())
    verify_anchor(same, PINNED, origin=ORIGIN, size=9, root=TREE.root())


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"chain_id": 1}, "anchor_not_pinned"),
        ({"contract": b"\1" * 20}, "anchor_not_pinned"),
        ({"code_hash": bytes(32)}, "anchor_not_pinned"),
        ({"sender": b"\1" * 20}, "anchor_not_pinned"),
        ({"size": 10}, "anchor_other_log"),
        ({"root": bytes(32)}, "anchor_other_log"),
        ({"origin": "other.example/log/1"}, "anchor_other_log"),
        ({"consistency": ()}, "anchor_inconsistent"),
    ],
)
def test_r5_nothing_in_the_proof_is_taken_for_what_the_verifier_holds(
    change: dict[str, Any], code: str
) -> None:
    with pytest.raises(RefusedError) as caught:
        verify_anchor(replace(PROOF, **change), PINNED, **RECEIPT)
    assert caught.value.code == code


def test_a_block_that_nobody_pinned_vouches_for_proves_nothing() -> None:
    with pytest.raises(RefusedError) as caught:
        verify_anchor(PROOF, replace(PINNED, blocks=()), **RECEIPT)
    assert caught.value.code == "anchor_block_unknown"
    sealed = replace(PINNED, validators=frozenset({b"v" * 20}))
    with pytest.raises(TradeError):
        verify_anchor(PROOF, sealed, **RECEIPT)


def test_a_receipt_with_another_root_or_a_larger_tree_is_not_continued() -> None:
    for other in ({"root": bytes(32)}, {"size": 10}, {"size": 0}):
        with pytest.raises(RefusedError):
            verify_anchor(PROOF, PINNED, **(RECEIPT | other))


@pytest.mark.parametrize(
    "change",
    [
        {"receiptProof": "x"},
        {"receiptProof": ["AA=="] * 99},
        {"receiptProof": [7]},
        {"root": "AA=="},
        {"root": "é"},
        {"header": "AB=="},
        {"codeHash": "0x00"},
        {"codeHash": "zz"},
        {"contract": "0x00"},
        {"size": 0},
        {"consistency": None},
    ],
)
def test_a_malformed_proof_is_said_to_be_one(change: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        read_anchor_proof(PROOF.to_json() | change)
    with pytest.raises(MalformedError):
        read_anchor_proof([])
