"""The append-only story of a node: every change is told in the transaction that makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import BigInteger, Column, Index, LargeBinary, Table, Text, func, insert, select

from ledger.prepared import Prepared
from node.store.metadata import AutoInteger, metadata

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Row, Select

__all__ = ["RESET", "Event", "after", "events", "metadata", "of", "record"]

MAX_PAGE = 1000
#: A test emptied what this node keeps as platform and as carrier.
RESET = "platform-reset"

events = Table(
    "events",
    metadata,
    Column("number", AutoInteger, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("document", LargeBinary(32)),
    Column("consignment", Text),
    Column("actor", Text),
    Column("leaf", LargeBinary(32)),
    Column("detail", Text, nullable=False),
    Index("ix_events_document", "document"),
    Index("ix_events_consignment", "consignment"),
    sqlite_autoincrement=True,
)
_RECORD = Prepared(
    insert(events), ("kind", "at", "document", "consignment", "actor", "leaf", "detail")
)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: its number, kind, moment (ms UTC) and what it was about."""

    number: int
    kind: str
    at: int
    document: bytes | None
    consignment: str | None
    actor: str | None
    leaf: bytes | None
    detail: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """For the API: digests as lower-case hex, the moment in milliseconds."""
        return {
            "number": self.number,
            "kind": self.kind,
            "at": self.at,
            "document": self.document.hex() if self.document else None,
            "consignment": self.consignment,
            "actor": self.actor,
            "leaf": self.leaf.hex() if self.leaf else None,
            "detail": dict(self.detail),
        }


def record(
    connection: Connection,
    *,
    kind: str,
    at: int,
    document: bytes | None = None,
    consignment: str | None = None,
    actor: str | None = None,
    leaf: bytes | None = None,
    detail: Mapping[str, Any] | None = None,
) -> int:
    """Tells one event in the caller's transaction; its number. `at` is milliseconds UTC."""
    values = {
        "kind": kind,
        "at": at,
        "document": document,
        "consignment": consignment,
        "actor": actor,
        "leaf": leaf,
        "detail": orjson.dumps(detail or {}, option=orjson.OPT_SORT_KEYS).decode(),
    }
    return _RECORD.insert(connection, values)


def after(connection: Connection, cursor: int = 0, limit: int = 100) -> list[Event]:
    """The events numbered above `cursor`, oldest first, at most min(limit, 1000)."""
    return _page(connection, select(events).where(events.c.number > cursor), limit)


def of(
    connection: Connection,
    *,
    document: bytes | None = None,
    consignment: str | None = None,
    cursor: int = 0,
    limit: int = MAX_PAGE,
) -> list[Event]:
    """The events of one document or one consignment, oldest first."""
    query = select(events).where(events.c.number > cursor)
    if document is not None:
        query = query.where(events.c.document == document)
    if consignment is not None:
        query = query.where(events.c.consignment == consignment)
    return _page(connection, query, limit)


def newest_of(
    connection: Connection, kind: str, *, limit: int = 10, among: int = 10_000
) -> list[Event]:
    """The newest events of one kind, newest first, among the newest `among` of all."""
    last = connection.execute(select(func.max(events.c.number))).scalar_one() or 0
    query = select(events).where(events.c.number > last - among, events.c.kind == kind)
    chosen = query.order_by(events.c.number.desc()).limit(limit)
    return [_event(row) for row in connection.execute(chosen)]


def _page(connection: Connection, query: Select[Any], limit: int) -> list[Event]:
    chosen = query.order_by(events.c.number).limit(max(0, min(limit, MAX_PAGE)))
    return [_event(row) for row in connection.execute(chosen)]


def _event(row: Row[Any]) -> Event:
    values = row._asdict()
    return Event(**values | {"detail": orjson.loads(values["detail"])})
