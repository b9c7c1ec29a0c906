"""A store for the relayer alone: one connection, each job in a transaction of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, create_engine

from ledger import chain_tables
from schemas.errors import UnavailableError


class MemoryStore:
    """Each job in a transaction of its own."""

    def __init__(self) -> None:
        self.engine = create_engine("sqlite://")
        self.connection: Connection = self.engine.connect()
        chain_tables.metadata.create_all(self.connection)
        self.connection.commit()
        self.fails = False

    async def read(self, job: Callable[..., Any], *args: Any) -> Any:
        found = job(self.connection, *args)
        self.connection.rollback()
        return found

    async def write(self, job: Callable[..., Any], *args: Any) -> Any:
        if self.fails:
            raise UnavailableError("store_unavailable", "killed")
        made = job(self.connection, *args)
        self.connection.commit()
        return made

    def close(self) -> None:
        self.connection.close()
        self.engine.dispose()
