"""One register's store shared by two processes of its node, as PostgreSQL allows (R23)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from node import migrations
from node.balance import rows
from node.settings import StoreSettings
from node.store.store import open_store
from protocols import balance
from protocols.balance import Action, GoodsLine, Named, Quantity, Request
from schemas.errors import RefusedError, UnavailableError
from tests.support.postgres import create_database

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.store.store import Store

A = "did:web:customs.example"
WHOLE = Quantity(Decimal(100), "H87")
HALF = Quantity(Decimal(50), "H87")
#: One pool; and two lines, drawn on by line and as a whole.
KEPT = {
    bytes([1]) * 32: Named(A, WHOLE),
    bytes([2]) * 32: Named(A, WHOLE, (GoodsLine(1, HALF), GoodsLine(2, HALF))),
}
CLAIMS = 30
NOW = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def url(postgres_server: str) -> str:
    made = create_database(postgres_server, "balance-shared")
    migrations.upgrade(made)
    return made


def _claim(conn: Connection, certificate: bytes, number: int) -> None:
    named, declaration = KEPT[certificate], f"D-{number}"
    kept = rows.get(conn, certificate, hold=True) or rows.open_(conn, certificate, named)
    quantity, line = Quantity(Decimal(7), "H87"), (number % 3 or None) if named.lines else None
    asked = Request("1", certificate, declaration, Action.WRITE_OFF, quantity, line=line)
    applied = balance.apply(kept, asked, by=A, at=NOW)
    rows.swap(conn, kept.seq, applied.balance, applied.use)


async def _told(store: Store, certificate: bytes, number: int) -> str:
    for _ in range(20):
        try:
            await store.write(_claim, certificate, number)
        except RefusedError as error:
            return error.code
        except UnavailableError:
            continue  # another process won: nothing is known, it is tried again
        return "granted"
    return "never"


async def test_r23_two_processes_of_a_register_never_grant_more_than_there_is(url: str) -> None:
    stores = [open_store(url, StoreSettings()) for _ in range(2)]
    for store in stores:
        await store.start()
    try:
        for certificate in KEPT:
            answers = await asyncio.gather(*(
                _told(stores[number % 2], certificate, number) for number in range(CLAIMS)
            ))  # fmt: skip
            assert sorted(set(answers)) == ["balance_used", "granted"]
            assert answers.count("granted") == 14
            kept = await stores[0].read(rows.get, certificate)
            assert kept is not None
            assert kept.whole is not None
            assert (kept.seq, kept.whole.left) == (14, Decimal(2))
            assert all(part.written_off <= HALF.value for part in kept.parts())
    finally:
        for store in stores:
            await store.close()
