"""The SQLite store: one writer thread that commits in groups, readers in a small pool.

Only the writer thread touches the writing connection, and it alone checkpoints the WAL.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from sqlalchemy.exc import DatabaseError, OperationalError
from typing_extensions import override

from node.store.engine import sqlite_reader, sqlite_writer
from node.store.store import Job, Store, call, in_calls, unavailable
from schemas.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine

    from node.settings import StoreSettings

P = ParamSpec("P")
T = TypeVar("T")
_SLICES = 8


class SqliteStore(Store):
    """SQLite, owned by this process."""

    def __init__(self, url: str, settings: StoreSettings) -> None:
        """See `Store`. The file is opened by `start`."""
        super().__init__(url, settings)
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._reader: Engine | None = None

    @property
    @override
    def dialect(self) -> str:
        return "sqlite"

    @override
    async def start(self) -> None:
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._thread = Thread(
            target=self._write_until_closed, args=(opened,), name="store-writer", daemon=True
        )
        self._thread.start()
        try:
            await opened
        except (DatabaseError, sqlite3.Error) as error:
            raise unavailable(error) from error
        # The writer is open first: it makes the WAL files that read-only connections need.
        self._reader = sqlite_reader(self.url, self.settings.readers)
        self._pool = ThreadPoolExecutor(self.settings.readers, thread_name_prefix="store-reader")

    @override
    async def close(self) -> None:
        loop = asyncio.get_running_loop()
        thread, pool, self._thread, self._pool = self._thread, self._pool, None, None
        if pool is not None:
            await loop.run_in_executor(None, pool.shutdown)
        if self._reader is not None:
            self._reader.dispose()
            self._reader = None
        if thread is not None:
            self._queue.put(None)
            await loop.run_in_executor(None, thread.join)

    @override
    def _hand_in(self, job: Job) -> None:
        if self._thread is None:
            raise UnavailableError("store_unavailable", "the store is closed")
        self._queue.put(job)

    @override
    async def read(
        self, job: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        if self._pool is None:
            raise UnavailableError("store_unavailable", "the store is closed")
        call = partial(self._read, lambda connection: job(connection, *args, **kwargs))
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def _read(self, call: Callable[[Connection], T]) -> T:
        assert self._reader is not None
        try:
            with self._reader.connect() as connection, connection.begin():
                return call(connection)
        except DatabaseError as error:
            if _is_fault(error):
                raise unavailable(error) from error
            raise

    # From here on: the writer thread.

    def _write_until_closed(self, opened: asyncio.Future[None]) -> None:
        loop, engine = opened.get_loop(), sqlite_writer(self.url)
        try:
            connection = engine.connect()
        except (DatabaseError, sqlite3.Error) as error:
            loop.call_soon_threadsafe(opened.set_exception, error)
            return
        loop.call_soon_threadsafe(opened.set_result, None)
        last = 1
        try:
            while (first := self._queue.get()) is not None:
                group, closing = self._gather(first, expected=last)
                last = len(group)
                self._commit(connection, group)
                if closing:
                    break
        finally:
            connection.close()
            engine.dispose()

    def _gather(self, first: Job, *, expected: int) -> tuple[list[Job], bool]:
        """The jobs that are committed together, and whether the store is closing after them.

        expected: how many came last time. Alone, a job does not wait; under load the group waits
        in slices, until as many have come again, no more come, or the linger is over.
        """
        group = [first]
        closing = self._take_waiting(group)
        for _ in range(_SLICES):
            before = len(group)
            if closing or before >= min(expected, self.settings.group_cap):
                break
            time.sleep(self.settings.linger / _SLICES)
            closing = self._take_waiting(group)
            if len(group) == before:
                break
        return group, closing

    def _take_waiting(self, group: list[Job]) -> bool:
        while len(group) < self.settings.group_cap:
            try:
                job = self._queue.get_nowait()
            except Empty:
                return False
            if job is None:
                return True
            group.append(job)
        return False

    def _commit(self, connection: Connection, group: list[Job]) -> None:
        try:
            with connection.begin():
                for jobs in in_calls(group):
                    _run(connection, jobs)
        except (DatabaseError, sqlite3.Error) as error:
            for job in group:
                job.error = job.error or unavailable(error)
            _leave_transaction(connection)
        _answer(group, self._committed)


def _run(connection: Connection, jobs: list[Job]) -> None:
    """The jobs of one call. What one alone raises is kept for its caller; the others go on."""
    error = _error_of(connection, jobs)
    _require_transaction(connection)
    if error is None:
        return
    if len(jobs) == 1:
        jobs[0].error = unavailable(error) if _is_fault(error) else error
        return
    for job in jobs:
        _run(connection, [job])


def _error_of(connection: Connection, jobs: list[Job]) -> BaseException | None:
    """What a call raised, which is undone then: it has a savepoint of its own."""
    raw: sqlite3.Connection = connection.connection.dbapi_connection  # type: ignore[assignment] # its driver
    raised: BaseException | None = None
    raw.execute("SAVEPOINT job")
    try:
        call(connection, jobs)
    except BaseException as error:  # noqa: BLE001 - handed to the caller, which waits for it
        raised = error
        if raw.in_transaction:
            raw.execute("ROLLBACK TO job")
    if raw.in_transaction:
        raw.execute("RELEASE job")
    return raised


def _leave_transaction(connection: Connection) -> None:
    """After a refused COMMIT (deferred constraint, full disk) SQLite stays in the transaction."""
    raw: sqlite3.Connection = connection.connection.dbapi_connection  # type: ignore[assignment] # its driver
    with suppress(sqlite3.Error):
        raw.rollback()


def _require_transaction(connection: Connection) -> None:
    """SQLite undoes everything by itself on a full disk or an I/O error: then all have failed."""
    raw: sqlite3.Connection = connection.connection.dbapi_connection  # type: ignore[assignment] # its driver
    if not raw.in_transaction:
        raise DatabaseError("the store undid the transaction", None, OSError())


def _is_fault(error: BaseException) -> bool:
    """Whether the database failed (disk, lock), rather than a constraint or the job itself."""
    return isinstance(error, OperationalError)


def _answer(group: list[Job], committed: Callable[[list[Callable[[], None]]], None]) -> None:
    loops: dict[int, list[Job]] = {}
    for job in group:
        loops.setdefault(id(job.future.get_loop()), []).append(job)
    for jobs in loops.values():
        try:
            jobs[0].future.get_loop().call_soon_threadsafe(_resolve, jobs, committed)
        except RuntimeError:
            # The loop is gone and nobody waits any more; what was committed stays committed.
            continue


def _resolve(jobs: list[Job], committed: Callable[[list[Callable[[], None]]], None]) -> None:
    deferred: list[Callable[[], None]] = []
    for job in jobs:
        if job.error is None:
            deferred += job.deferred
        job.resolve()
    committed(deferred)
