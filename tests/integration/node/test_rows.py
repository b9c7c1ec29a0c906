"""Statements that only faults, doubt and joining run, on both engines; roads run all the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import IntegrityError

from ledger import registry_store
from node import migrations
from node.exchange import peer_rows
from node.exchange.tables import evidence
from node.settings import StoreSettings
from node.store import events
from node.store.store import open_store
from node.title import rows as titles
from node.trust import rows as trust
from node.verification import rows as verification
from node.verification.rows import Undecided
from protocols.title.machine import Kind
from protocols.title.operation import read_operation
from tests.support import title_world as world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy import Connection

    from node.store.store import Store

PEER = "did:web:peer.example"


@pytest.fixture
def migrated(store_url: str) -> str:
    migrations.upgrade(store_url)
    return store_url


@pytest.fixture
async def whole(migrated: str) -> AsyncIterator[Store]:
    """A store with every table."""
    opened = open_store(migrated, StoreSettings())
    await opened.start()
    yield opened
    await opened.close()


async def test_contradictions_are_kept_once_with_an_alarm(whole: Store) -> None:
    for _ in range(2):
        await whole.write(peer_rows.keep_evidence, PEER, "stream_fork", b"d" * 32, "a.b.c", 1)
    await whole.write(peer_rows.keep_evidence, PEER, "stream_fork", b"e" * 32, "a.b.d", 2)
    kept = await whole.read(lambda conn: conn.execute(evidence.select()).all())
    assert [bytes(row.digest) for row in kept] == [b"d" * 32, b"e" * 32]
    told = await whole.read(events.after)
    assert [one.kind for one in told] == ["alarm", "alarm"]


async def test_undecided_documents_wait_longer_each_time_until_settled(whole: Store) -> None:
    waiting = Undecided(b"d" * 32, PEER, "id", b"m" * 32, 0)
    await whole.write(verification.keep, waiting, 0)
    await whole.write(verification.keep, waiting, 5)
    assert await whole.read(verification.due, 1_999) == []
    assert await whole.read(verification.due, 2_000) == [waiting]
    await whole.write(verification.postpone, waiting, 2_000)
    assert await whole.read(verification.due, 3_999) == []
    await whole.write(verification.all_due, 3_000)
    (again,) = await whole.read(verification.due, 3_000)
    assert again.tries == 1
    assert await whole.write(verification.settle, waiting.digest)
    assert not await whole.write(verification.settle, waiting.digest)


async def test_r4_a_forked_list_and_proposals_are_kept(whole: Store) -> None:
    def fork(conn: Connection) -> bool:
        return trust.put_fork(
            conn, version=2, digest=b"f" * 32, did=PEER, signed=b"{}", detail={}, now_ms=1
        )

    assert await whole.write(fork)
    assert not await whole.write(fork)
    for signed in (b"one", b"two"):
        await whole.write(trust.put_proposal, b"p" * 32, 2, signed, "open", 1)
    assert await whole.read(trust.open_proposals) == [b"two"]
    assert await whole.read(trust.find_proposal, b"p" * 32) == b"two"
    await whole.write(trust.put_lists, [world.MEMBERS], 2)
    assert await whole.read(trust.digests) == {1: world.MEMBERS.digest}


async def test_a_refusal_is_kept_once(whole: Store) -> None:
    await whole.write(registry_store.put_refusal, "registry", b"o" * 32, "a.b.c", 1)
    assert await whole.read(registry_store.refusal, "registry", b"o" * 32) == "a.b.c"
    with pytest.raises(IntegrityError):
        await whole.write(registry_store.put_refusal, "registry", b"o" * 32, "other", 2)
    assert await whole.read(registry_store.refusal, "registry", b"o" * 32) == "a.b.c"


async def test_submissions_are_due_postponed_and_decided(whole: Store) -> None:
    text = world.signed(world.operation(Kind.TRANSFER, b"t" * 32, 1, "exp-a", "bank"))
    operation = read_operation(text).operation
    for _ in range(2):
        held = await whole.write(titles.submit, operation, text, 1_000)
    first = 1_000 + titles.FIRST_PAUSE_MS
    assert await whole.read(titles.due, first - 1, 10) == []
    assert await whole.read(titles.due, first, 10) == [held]
    await whole.write(titles.postpone, held, "peer_unreachable", first)
    assert await whole.read(titles.due, first, 10) == []

    def lose(conn: Connection) -> None:
        titles.decide(conn, held.digest, "refused", code="title_seq_conflict", refusal="a.b.c")
        titles.decide(conn, held.digest, "refused", code="other", refusal="d.e.f")

    await whole.write(lose)
    (lost,) = await whole.read(titles.submissions_of, b"t" * 32)
    assert (lost.status, lost.refusal, lost.tries) == ("refused", "a.b.c", 1)
    assert await whole.read(titles.overtaken, "title_seq_conflict", 0, 10) == [lost]
    assert await whole.read(titles.overtaken, "title_seq_conflict", 1_001, 10) == []
    # Unlike a registry, a chain may apply later what it refused.
    await whole.write(titles.decide, held.digest, "final")
    (won,) = await whole.read(titles.submissions_of, b"t" * 32)
    assert won.status == "final"
