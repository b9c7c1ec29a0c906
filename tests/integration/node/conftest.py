"""Stores of both kinds, migrated and open."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from node.settings import StoreSettings
from node.store.store import open_store
from tests.support.postgres import create_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from node.store.store import Store

_numbers = itertools.count(1)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.sqlite3"
    server: str = request.getfixturevalue("postgres_server")
    return create_database(server, f"test{next(_numbers)}")


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    opened = open_store(store_url, StoreSettings())
    await opened.start()
    yield opened
    await opened.close()
