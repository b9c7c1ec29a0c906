"""Reading and writing: jobs are synchronous functions `(Connection, values) -> value`.

Writes of many callers are committed together (one fdatasync for all) but fail alone: each runs
inside its own savepoint (R8). A caller is answered only after the COMMIT, so whoever got an
answer got a durable one (R9). A failed COMMIT fails every job in its group with
`store_unavailable`: nobody knows more, and nothing is refused for it (R13).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from schemas.errors import SettingsError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from node.settings import StoreSettings

P = ParamSpec("P")
T = TypeVar("T")
_DEFERRED = "pratique.deferred"


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
    async def write(
        self, job: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Runs `job` in the writing transaction; its value, once that is durable.

        What `job` raises undoes `job` alone and is raised here. `job` may be run only once, must
        not wait for anything but the database, and sees what earlier jobs of its group wrote.
        """

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


def begin_job(connection: Connection) -> list[Callable[[], None]]:
    """A fresh list of what the next job defers."""
    fresh: list[Callable[[], None]] = []
    connection.info[_DEFERRED] = fresh
    return fresh


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
