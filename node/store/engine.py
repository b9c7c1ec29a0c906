"""Engines: how connections are opened and what is set on each.

SQLite: `isolation_level=None`, so that transactions begin where we say and nowhere else (with
pysqlite's default half of concurrent increments were lost when tried); WAL with
`synchronous=FULL`, so a commit is on the disk when it returns; readers open the file read-only.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import QueuePool, StaticPool

from schemas.errors import SettingsError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

_WRITER_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA wal_autocheckpoint=1000",
    "PRAGMA cache_size=-16384",  # 16 MiB: a group's pages are not read back from the file
    "PRAGMA journal_size_limit=67108864",
)
_READER_PRAGMAS = ("PRAGMA query_only=ON", "PRAGMA trusted_schema=OFF")
_BUSY_SECONDS = 5.0


def is_sqlite_url(url: str) -> bool:
    """Whether `url` names a SQLite file; raises SettingsError `store_url_bad` for other stores."""
    try:
        backend = make_url(url).get_backend_name()
    except ArgumentError:
        raise SettingsError("store_url_bad", "store.url is not an address") from None
    if backend not in {"sqlite", "postgresql"}:
        raise SettingsError("store_url_bad", f"{backend} is not supported")
    return backend == "sqlite"


def sqlite_writer(url: str) -> Engine:
    """The engine with the one connection that writes."""
    file = make_url(url).database or ""
    engine = create_engine(
        "sqlite://", creator=lambda: _connect(file, _WRITER_PRAGMAS), poolclass=StaticPool
    )
    event.listen(engine, "begin", _begin_immediate)
    return engine


def sqlite_reader(url: str, connections: int) -> Engine:
    """An engine with up to `connections` read-only connections; a block sees one snapshot."""
    file = f"file:{make_url(url).database}?mode=ro"
    engine = create_engine(
        "sqlite://",
        creator=lambda: _connect(file, _READER_PRAGMAS, uri=True),
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_reset_on_return="rollback",
    )
    event.listen(engine, "begin", _begin_deferred)
    return engine


def postgresql_engine(url: str, connections: int) -> AsyncEngine:
    """The asyncpg engine; needs the extra `pg`."""
    try:
        from sqlalchemy.ext.asyncio import create_async_engine

        return create_async_engine(
            make_url(url).set(drivername="postgresql+asyncpg"),
            pool_size=connections + 1,
            max_overflow=0,
            pool_pre_ping=True,
            connect_args={"timeout": _BUSY_SECONDS},
        )
    except ModuleNotFoundError as error:
        raise SettingsError("store_driver_missing", f"{error.name} is not installed") from None


def _connect(file: str, pragmas: tuple[str, ...], *, uri: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(
        file, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=uri
    )
    for pragma in pragmas:
        connection.execute(pragma).close()
    return connection


def _begin_immediate(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_deferred(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN")
