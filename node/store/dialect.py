"""The only place that knows how SQLite and PostgreSQL differ.

SQLAlchemy drops `SKIP LOCKED` silently for SQLite, so claiming rows is written here for each:
SQLite has one writer and needs no row locks; PostgreSQL may have several worker processes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from ledger.prepared import Prepared

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Row, Select, Table


def is_sqlite(connection: Connection) -> bool:
    """Whether the connection speaks to SQLite."""
    return connection.dialect.name == "sqlite"


def insert_or_ignore(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Inserts one row; False, and nothing done, when a unique key of it is already there."""
    prepared = _inserting(table, tuple(values)) if is_sqlite(connection) else None
    if prepared is not None:
        return prepared.run(connection, values) == 1
    # Values as parameters: written into the statement they would be compiled at every call.
    statement = _insert(connection, table).on_conflict_do_nothing()
    return connection.execute(statement, dict(values)).rowcount == 1


@lru_cache(maxsize=256)
def _inserting(table: Table, names: tuple[str, ...]) -> Prepared | None:
    """The insertion of those columns, unless SQLAlchemy adds others with their defaults."""
    if any(one.default is not None and one.name not in names for one in table.columns):
        return None
    return Prepared(sqlite.insert(table).on_conflict_do_nothing(), names)


def insert_many_or_ignore(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]
) -> int:
    """Inserts rows whose unique keys are not there yet; how many were new."""
    if not rows:
        return 0
    insert = _insert(connection, table).values([dict(row) for row in rows])
    return connection.execute(insert.on_conflict_do_nothing()).rowcount


def upsert(
    connection: Connection, table: Table, values: Mapping[str, Any], *, key: Sequence[str]
) -> None:
    """Inserts a row, or writes its other columns into the one that has the same `key` columns."""
    insert = _insert(connection, table).values(**values)
    changed = {name: insert.excluded[name] for name in values if name not in key}
    if changed:
        connection.execute(insert.on_conflict_do_update(index_elements=list(key), set_=changed))
    else:
        connection.execute(insert.on_conflict_do_nothing())


def claim(
    connection: Connection,
    table: Table,
    where: ColumnElement[bool],
    values: Mapping[str, Any],
    *,
    order_by: Sequence[ColumnElement[Any]],
    limit: int,
) -> Sequence[Row[Any]]:
    """Takes up to `limit` rows by writing `values` into them; the whole rows as they are now.

    Rows that another transaction is taking at the same moment are skipped, not waited for. The
    table has one primary key column. Rows come back in no particular order.
    """
    (key,) = table.primary_key.columns
    chosen = select(key).where(where).order_by(*order_by).limit(limit)
    if not is_sqlite(connection):
        chosen = chosen.with_for_update(skip_locked=True)
    statement = update(table).where(key.in_(chosen)).values(**values).returning(table)
    return connection.execute(statement).all()


def locked(connection: Connection, query: Select[Any]) -> Select[Any]:
    """`query`, holding its rows until the end of the transaction (R9: chains under a row lock)."""
    return query if is_sqlite(connection) else query.with_for_update()


def lock_name(connection: Connection, name: str) -> None:
    """Holds `name` until the end of the transaction, where several processes write."""
    if not is_sqlite(connection):
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))


def sqlite_version(connection: Connection) -> tuple[int, ...] | None:
    """The version of SQLite, or None on PostgreSQL."""
    if not is_sqlite(connection):
        return None
    version: str = connection.execute(text("select sqlite_version()")).scalar_one()
    return tuple(int(part) for part in version.split("."))


def _insert(connection: Connection, table: Table) -> Any:
    return sqlite.insert(table) if is_sqlite(connection) else postgresql.insert(table)
