"""Reading and writing: jobs are synchronous functions `(Connection, values) -> value`.

Writes of many callers are committed together (one fdatasync for all) but fail alone: each runs
inside its own savepoint, or again in its own after the one it shared was undone (R8). A caller is
answered only after the COMMIT, so whoever got an answer got a durable one (R9). A failed COMMIT
fails every job in its group with `store_unavailable`: nobody knows more, and nothing is refused for
it (R13).
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeAlias, TypeVar

from schemas.errors import SettingsError, UnavailableError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.settings import StoreSettings

P = ParamSpec("P")
T = TypeVar("T")
Item = TypeVar("Item")
#: A job over several items, which gives as many values in their order.
Together: TypeAlias = Callable[["Connection", Sequence[Item]], Sequence[T]]
_DEFERRED = "pratique.deferred"
MOST_TOGETHER = 64


@dataclass(slots=True)
class Job:
    """One write on its way: the call, who waits for it, and what came out.

    together: what does the job's item and its neighbours' at once, where that was asked for
    """

    call: Callable[[Connection], Any]
    future: asyncio.Future[Any]
    together: Together[Any, Any] | None = None
    item: Any = None
    value: Any = None
    error: BaseException | None = None
    deferred: list[Callable[[], None]] = field(default_factory=list)

    def resolve(self) -> None:
        """Answer the caller, unless it waits no more."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.value)


def in_calls(group: Iterable[Job]) -> Iterator[list[Job]]:
    """The jobs of a group in order: neighbours that are done at once, all others alone."""
    for together, neighbours in groupby(group, key=lambda job: job.together):
        jobs, most = list(neighbours), 1 if together is None else MOST_TOGETHER
        yield from (jobs[at : at + most] for at in range(0, len(jobs), most))


def call(connection: Connection, jobs: Sequence[Job]) -> None:
    """Do the jobs of one call; then each has its value."""
    first = jobs[0]
    first.deferred = connection.info[_DEFERRED] = []
    if first.together is None or len(jobs) == 1:
        first.value = first.call(connection)
        return
    values = first.together(connection, [job.item for job in jobs])
    for job, value in zip(jobs, values, strict=True):
        job.value = value


class Store(ABC):
    """One database. Open it with `open_store`, then `start`, at last `close`."""

    def __init__(self, url: str, settings: StoreSettings) -> None:
        """`url` is the SQLAlchemy address; nothing is opened yet."""
        self.url = url
        self.settings = settings
        self._after_commit: list[Callable[[], None]] = []

    @property
    @abstractmethod
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""

    @abstractmethod
    async def start(self) -> None:
        """Opens the connections; raises UnavailableError `store_unavailable`."""

    @abstractmethod
    async def close(self) -> None:
        """Finishes what was handed in and closes the connections."""

    @abstractmethod
    def _hand_in(self, job: Job) -> None:
        """Takes a job for the next group; raises UnavailableError `store_unavailable`."""

    async def write(
        self, job: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Runs `job` in the writing transaction; its value, once that is durable.

        What `job` raises undoes `job` alone and is raised here. `job` may be run only once, must
        not wait for anything but the database, and sees what earlier jobs of its group wrote.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._hand_in(Job(lambda connection: job(connection, *args, **kwargs), future))
        return await future

    async def write_together(self, job: Together[Item, T], item: Item) -> T:
        """As `write`, for a `job` that takes all items that wait for it now, at most 64.

        What it raises undoes it for all of them, and then it is run for each alone: one caller's
        fault is no other's (R8), and work that many share is done once.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._hand_in(Job(lambda connection: job(connection, [item])[0], future, job, item))
        return await future

    @abstractmethod
    async def read(
        self, job: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Runs `job` on one snapshot of what is committed; it cannot write."""

    def after_commit(self, callback: Callable[[], None]) -> None:
        """`callback` is run on the event loop after every commit; it must be quick."""
        self._after_commit.append(callback)

    def _committed(self, deferred: list[Callable[[], None]]) -> None:
        for callback in (*deferred, *self._after_commit):
            callback()


def defer(connection: Connection, callback: Callable[[], None]) -> None:
    """From within a writing job: runs `callback` on the event loop once this job is committed."""
    waiting: list[Callable[[], None]] = connection.info[_DEFERRED]
    waiting.append(callback)


def unavailable(error: BaseException) -> UnavailableError:
    """The answer to a failing database; the driver's words go to the log, not to the caller."""
    made = UnavailableError("store_unavailable", "the store did not answer; nothing is known")
    made.__cause__ = error
    return made


def open_store(url: str, settings: StoreSettings) -> Store:
    """The store for a SQLite or PostgreSQL address, not yet started."""
    from node.store.engine import is_sqlite_url

    if is_sqlite_url(url):
        from node.store.sqlite import SqliteStore

        return SqliteStore(url, settings)
    from node.store.postgresql import PostgresqlStore

    return PostgresqlStore(url, settings)


def schema_version(connection: Connection) -> str | None:
    """The migration this database stands at, or None for an empty one. Needs no Alembic."""
    from sqlalchemy import inspect, text

    if not inspect(connection).has_table("alembic_version"):
        return None
    row: Any = connection.execute(text("select version_num from alembic_version")).first()
    return str(row[0]) if row else None


def require_version(found: str | None, wanted: str) -> None:
    """Raises SettingsError `store_version` when the database is not at the wanted migration."""
    if found != wanted:
        raise SettingsError(
            "store_version", f"the store is at {found or 'nothing'}, this program needs {wanted}"
        )
