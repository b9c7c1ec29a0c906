"""The log's engine without network: durable leaves per second, and a restart with many leaves.

Callers are tasks of this process that each wait for their own answer before they append again.
`one_commit` is what the group commit is compared with: the same calls, each with a commit of its
own.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import nacl.signing
from sqlalchemy import create_engine

from ledger import log
from ledger.publisher import LogIdentity, LogPublisher
from ledger.tables import metadata
from ledger.tiles import TileFolder
from node.settings import StoreSettings
from node.store.store import open_store
from protocols import note

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from node.store.store import Store

ENTRY = bytes(150)
"""As long as a node's own leaves are."""
_BATCH = 5000


@asynccontextmanager
async def _opened(folder: Path, settings: StoreSettings) -> AsyncIterator[Store]:
    url = f"sqlite:///{folder}/store.sqlite3"
    engine = create_engine(url)
    metadata.create_all(engine)
    engine.dispose()
    store = open_store(url, settings)
    await store.start()
    try:
        yield store
    finally:
        await store.close()


async def append_rate(callers: int, seconds: float, *, one_commit: bool = False) -> float:
    """Durable leaves per second of `callers` that append one leaf at a time.

    one_commit: every append is a transaction of its own
    """
    settings = StoreSettings()
    if one_commit:
        settings = replace(settings, group_cap=1, linger=0)
    with tempfile.TemporaryDirectory() as folder:
        async with _opened(Path(folder), settings) as store:
            return await _append(store, callers, seconds)


async def _append(store: Store, callers: int, seconds: float) -> float:
    done, begin = 0, time.perf_counter()

    async def caller(number: int) -> None:
        nonlocal done
        count, about = 0, number.to_bytes(8, "big")
        while time.perf_counter() - begin < seconds:
            count += 1
            entry = about + count.to_bytes(8, "big") + ENTRY
            await store.write(log.append, entry, 1_700_000_000_000)
            done += 1

    await asyncio.gather(*(caller(number) for number in range(callers)))
    return done / (time.perf_counter() - begin)


async def restart_seconds(leaves: int) -> float:
    """How long a log of that many leaves takes until it may sign again; partners not counted.

    The store is filled and a checkpoint published first, which is not measured.
    """
    with tempfile.TemporaryDirectory() as folder:
        async with _opened(Path(folder), StoreSettings()) as store:
            for start in range(0, leaves, _BATCH):
                numbers = range(start, min(start + _BATCH, leaves))
                entries = [number.to_bytes(8, "big") + ENTRY for number in numbers]
                await store.write(log.append_all, entries, 1_700_000_000_000)
            identity, place = _identity(), TileFolder(Path(folder) / "log")
            await _publish(store, await _start(store, LogPublisher(identity, place)))
            begin = time.perf_counter()
            await _start(store, LogPublisher(identity, place))
            return time.perf_counter() - begin


def _identity() -> LogIdentity:
    secret = nacl.signing.SigningKey.generate()
    key = note.verifier_key("bench.example/log/1", note.ED25519, bytes(secret.verify_key))
    return LogIdentity(key, lambda message: bytes(secret.sign(message).signature))


async def _start(store: Store, publisher: LogPublisher) -> LogPublisher:
    """What a node does with its log when it starts."""
    while found := await store.read(publisher.pending_hashes):
        publisher.extend(found)
    await store.read(publisher.verify)
    await store.write(publisher.take_over)
    return publisher


async def _publish(store: Store, publisher: LogPublisher) -> None:
    head = publisher.head()
    publisher.write_tiles(head.size)
    await store.write(publisher.intend, head, 1_700_000_000_000)
    text = publisher.sign(head)
    await store.write(publisher.record, head, text)
    publisher.publish(text)
