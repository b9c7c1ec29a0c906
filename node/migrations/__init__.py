"""Migrations of the store, driven from the program (`pratique db upgrade`, `init`).

Alembic is imported only when migrating; a node that starts just compares `HEAD`.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy.exc import DBAPIError

from node.settings import StoreSettings
from node.store.store import schema_version, unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

T = TypeVar("T")
HEAD = "0001"


def upgrade(url: str) -> str:
    """Brings the store at `url` to `HEAD` in one transaction; the version reached.

    Raises SettingsError for an address that cannot be used, UnavailableError when the store does
    not answer.
    """
    return _in_transaction(url, _upgrade)


def current(url: str) -> str | None:
    """The version the store at `url` stands at, or None for an empty one. Creates nothing."""
    return _in_transaction(url, schema_version)


def _in_transaction(url: str, job: Callable[[Connection], T]) -> T:
    from node.store.engine import is_sqlite_url, sqlite_writer

    try:
        if not is_sqlite_url(url):
            # asyncpg needs a loop of its own; the caller may be inside one already.
            with ThreadPoolExecutor(1) as pool:
                return pool.submit(lambda: asyncio.run(_in_postgresql(url, job))).result()
        engine = sqlite_writer(url)
        try:
            with engine.begin() as connection:
                return job(connection)
        finally:
            engine.dispose()
    except (DBAPIError, OSError, TimeoutError) as error:
        raise unavailable(error) from error


async def _in_postgresql(url: str, job: Callable[[Connection], T]) -> T:
    from node.store.engine import postgresql_engine

    engine = postgresql_engine(url, StoreSettings().readers)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(job)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> str:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return HEAD
