"""The PostgreSQL store: the same groups and savepoints, over asyncpg.

The jobs stay synchronous: `AsyncConnection.run_sync` runs them beside the event loop's thread of
control. Several processes may share the database, so a job that loses against another one
(deadlock, serialisation) fails alone and is told to try again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from typing_extensions import override

from node.store.engine import postgresql_engine
from node.store.store import Job, Store, call, in_calls, unavailable
from schemas.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from node.settings import StoreSettings

P = ParamSpec("P")
T = TypeVar("T")
_LOST = frozenset({"40001", "40P01", "55P03", "57014"})


class PostgresqlStore(Store):
    """PostgreSQL, perhaps shared with other processes of the same node."""

    def __init__(self, url: str, settings: StoreSettings) -> None:
        """See `Store`. Nothing is connected before `start`."""
        super().__init__(url, settings)
        self._engine: AsyncEngine | None = None
        self._queue: asyncio.Queue[Job | None] | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    @override
    def dialect(self) -> str:
        return "postgresql"

    @override
    async def start(self) -> None:
        self._engine = postgresql_engine(self.url, self.settings.readers)
        try:
            async with self._engine.connect() as connection:
                await connection.execute(text("select 1"))
        except (DBAPIError, OSError, TimeoutError) as error:
            await self._engine.dispose()
            raise unavailable(error) from error
        self._queue = asyncio.Queue()
        self._task = asyncio.create_task(self._write_until_closed(), name="store-writer")

    @override
    async def close(self) -> None:
        queue, task, self._queue, self._task = self._queue, self._task, None, None
        if queue is not None and task is not None:
            queue.put_nowait(None)
            await task
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None

    @override
    def _hand_in(self, job: Job) -> None:
        if self._queue is None:
            raise UnavailableError("store_unavailable", "the store is closed")
        self._queue.put_nowait(job)

    @override
    async def read(
        self, job: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        if self._engine is None or self._queue is None:
            raise UnavailableError("store_unavailable", "the store is closed")
        try:
            async with self._engine.connect() as plain:
                connection = await plain.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
                return await connection.run_sync(lambda sync: job(sync, *args, **kwargs))
        except (DBAPIError, OSError, TimeoutError) as error:
            if _is_fault(error):
                raise unavailable(error) from error
            raise

    async def _write_until_closed(self) -> None:
        assert self._queue is not None
        queue, last = self._queue, 1
        while (first := await queue.get()) is not None:
            group, closing = await self._gather(queue, first, expected=last)
            last = len(group)
            await self._commit(group)
            if closing:
                break

    async def _gather(
        self, queue: asyncio.Queue[Job | None], first: Job, *, expected: int
    ) -> tuple[list[Job], bool]:
        """As in the SQLite store: alone no wait; else until as many as last time have come."""
        group = [first]
        closing = self._take_waiting(queue, group)
        if not closing and len(group) < min(expected, self.settings.group_cap):
            await asyncio.sleep(self.settings.linger)
            closing = self._take_waiting(queue, group)
        return group, closing

    def _take_waiting(self, queue: asyncio.Queue[Job | None], group: list[Job]) -> bool:
        while len(group) < self.settings.group_cap and not queue.empty():
            job = queue.get_nowait()
            if job is None:
                return True
            group.append(job)
        return False

    async def _commit(self, group: list[Job]) -> None:
        assert self._engine is not None
        try:
            async with self._engine.begin() as connection:
                for jobs in in_calls(group):
                    await _run(connection, jobs)
        except (DBAPIError, OSError, TimeoutError) as error:
            for job in group:
                job.error = job.error or unavailable(error)
        deferred: list[Callable[[], None]] = []
        for job in group:
            if job.error is None:
                deferred += job.deferred
            job.resolve()
        self._committed(deferred)


async def _run(connection: AsyncConnection, jobs: list[Job]) -> None:
    """The jobs of one call; a broken connection fails the whole group."""
    error = await _error_of(connection, jobs)
    if error is None:
        return
    if len(jobs) == 1:
        jobs[0].error = unavailable(error) if _is_fault(error) else error
        return
    for job in jobs:
        await _run(connection, [job])


async def _error_of(connection: AsyncConnection, jobs: list[Job]) -> Exception | None:
    """What a call raised, which is undone then: it has a savepoint of its own."""
    savepoint = await connection.begin_nested()
    try:
        await connection.run_sync(call, jobs)
        await savepoint.commit()
    except Exception as error:
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            raise
        await savepoint.rollback()
        return error
    return None


def _is_fault(error: BaseException) -> bool:
    """Whether the database failed or another process won, rather than a constraint or the job."""
    if isinstance(error, OSError | TimeoutError | OperationalError | InterfaceError):
        return True
    return isinstance(error, DBAPIError) and (
        error.connection_invalidated or getattr(error.orig, "sqlstate", "") in _LOST
    )
