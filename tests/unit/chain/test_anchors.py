"""Anchors in the store: their states, their proofs, and which one proves the most."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Connection

from ledger import anchors
from ledger.anchors import Place, StoredAnchor
from ledger.chain_values import ProvenBlock
from protocols.evm.anchor_proof import origin_hash
from protocols.evm.calls import ANCHOR
from protocols.evm.keys import SoftwareEvmSigner, keccak256
from protocols.evm.title import word
from protocols.evm.transaction import Fee, Transaction, sign
from tests.support.chain_store import MemoryStore
from tests.support.model_chain import CHAIN_ID, CONTRACT, ModelChain, read

SIGNER = SoftwareEvmSigner(keccak256(b"relayer"))
PLACE = Place(CHAIN_ID, CONTRACT, bytes(32))
ORIGIN = "port.example/log/1"


@pytest.fixture
def conn() -> Iterator[Connection]:
    store = MemoryStore()
    yield store.connection
    store.close()


def some(size: int, place: Place = PLACE) -> StoredAnchor:
    return StoredAnchor(
        place, ORIGIN, SIGNER.address, size, b"r" * 32, anchors.QUEUED, 7, None, None, None, None
    )


def finish(conn: Connection, anchor: StoredAnchor, waits: int = 0) -> None:
    chain = ModelChain()
    chain.mine(waits)
    data = ANCHOR + origin_hash(ORIGIN) + word(anchor.size) + anchor.root
    raw = sign(Transaction(CHAIN_ID, 0, CONTRACT, data, 80_000, Fee(10**10, 1)), SIGNER).raw
    chain.pool[(SIGNER.address, 0)] = read(raw)
    chain.mine()
    block = chain.blocks[-1]
    proven = ProvenBlock(block.block, block.receipts)
    anchors.conclude(conn, anchor, proven, proven.event(block.receipts[0], 0))


def test_an_anchor_keeps_its_proof_once_it_is_final(conn: Connection) -> None:
    anchors.add(conn, some(5))
    held = anchors.find(conn, PLACE, origin_hash(ORIGIN), 5)
    assert held is not None
    assert held == some(5)
    assert held.proof() is None
    finish(conn, held)
    final = anchors.find(conn, PLACE, origin_hash(ORIGIN), 5)
    assert final is not None
    proof = final.proof((b"c" * 32,))
    assert proof is not None
    assert (proof.size, proof.origin, proof.consistency) == (5, ORIGIN, (b"c" * 32,))
    assert final.block_time == 1_795_000_001
    assert anchors.find(conn, PLACE, origin_hash(ORIGIN), 6) is None


def test_the_earliest_final_anchor_covers_a_checkpoint(conn: Connection) -> None:
    elsewhere = replace(PLACE, chain_id=9)
    for anchor in (some(5), some(9), some(9, elsewhere), some(12)):
        anchors.add(conn, anchor)
    assert anchors.covering(conn, ORIGIN, 1) is None
    finish(conn, some(9), waits=3)
    finish(conn, some(9, elsewhere))
    finish(conn, some(12))
    found = anchors.covering(conn, ORIGIN, 6)
    assert found is not None
    assert (found.size, found.place) == (9, elsewhere)
    assert anchors.covering(conn, ORIGIN, 13) is None
    newest = anchors.newest(conn, PLACE, ORIGIN)
    assert newest is not None
    assert newest.size == 12
    assert [each.size for each in anchors.page(conn, 12, 10)] == [9, 9, 5]


def test_a_failed_anchor_counts_for_nothing_and_may_be_tried_again(conn: Connection) -> None:
    anchors.add(conn, some(5))
    anchors.mark(conn, some(5), anchors.FAILED)
    assert anchors.newest(conn, PLACE, ORIGIN) is None
    assert anchors.newest(conn, PLACE, ORIGIN, final=True) is None
    anchors.add(conn, some(5))
    again = anchors.newest(conn, PLACE, ORIGIN)
    assert again is not None
    assert again.state == anchors.QUEUED


def test_a_log_that_was_handed_over_begins_its_anchors_anew(conn: Connection) -> None:
    anchors.add(conn, some(5))
    finish(conn, some(5))
    following = "port.example/log/2"
    assert anchors.newest(conn, PLACE, following) is None
    assert anchors.covering(conn, following, 1) is None
    anchors.add(conn, replace(some(5), origin=following))
    found = anchors.find(conn, PLACE, origin_hash(following), 5)
    assert found is not None
    assert found.state == anchors.QUEUED
