"""The ledger's statements on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ledger import checkpoints, forks, log, witness
from ledger.publisher import LogIdentity, LogPublisher
from ledger.tiles import TileFolder
from node import fsck, migrations
from node.home import Home
from node.keystore import KeyStore
from node.settings import StoreSettings
from node.store.store import Store, open_store
from protocols.log.fork_evidence import ForkEvidence
from protocols.log.witness_protocol import AddCheckpoint
from schemas.findings import Outcome
from tests.support.postgres import create_database
from tests.unit.log.keys_for_tests import log_pair, witness_pairs

LOG = log_pair()
WITNESS = witness_pairs(1)[0]
NOW = 1_700_000_000_000
_numbers = itertools.count(1)


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    url = f"sqlite:///{tmp_path}/store.sqlite3"
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        url = await asyncio.to_thread(create_database, server, f"log{next(_numbers)}")
    await asyncio.to_thread(migrations.upgrade, url)
    opened = open_store(url, StoreSettings())
    await opened.start()
    yield opened
    await opened.close()


async def test_log_and_witness_work_on_both_stores(store: Store, tmp_path: Path):
    groups = [
        store.write(log.append_all, [f"{number}-{part}".encode() for part in range(3)], NOW)
        for number in range(40)
    ]
    added = await asyncio.gather(*groups)
    indexes = sorted(leaf.index for group in added for leaf in group)
    assert indexes == list(range(120))
    assert all(group[2].index == group[0].index + 2 for group in added)

    publisher = LogPublisher(LogIdentity(LOG.key, LOG.sign), TileFolder(tmp_path / "log"))
    await store.read(publisher.load)
    await store.read(publisher.verify)
    await store.write(publisher.take_over)
    head = publisher.head()
    publisher.write_tiles(head.size)
    await store.write(publisher.intend, head, NOW)
    text = publisher.sign(head)
    await store.write(publisher.record, head, text)
    publisher.publish(text)

    cosigner = witness.Cosigner(WITNESS.key, WITNESS.sign)
    for _ in range(2):
        held = await store.read(witness.state, LOG.key.name)
        request = AddCheckpoint(held.size if held else 0, (), text)
        answer = await store.write(witness.add_checkpoint, request, LOG.key, cosigner, NOW)
        assert answer.cosignature is not None
    await store.write(checkpoints.add_cosignatures, 120, [(answer.cosignature, NOW // 1000)])
    assert await store.write(checkpoints.mark_witnessed, 120, NOW)
    stored = await store.read(checkpoints.covering, 7)
    assert (stored.size, stored.root) == (120, publisher.tree.root())
    found = await store.read(log.find, added[3][1].hash)
    assert found.entry == b"3-1"

    evidence = ForkEvidence(bytes(32), LOG.key.name, (text, text))
    assert await store.write(forks.keep, evidence, "did:web:x.example", NOW)
    assert await store.read(forks.is_marked, "did:web:x.example")

    home = Home(tmp_path)
    home.create()
    keys = KeyStore(home.keys, "did:web:cn-rail.example")
    for check in ("FSCK-09", "FSCK-01", "FSCK-02", "FSCK-03", "FSCK-08"):
        result = await fsck.run_area(store, home, keys, check)
        assert result.outcome is Outcome.PASSED, result
