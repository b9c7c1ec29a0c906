"""fsck of what the exchange counts: ends of streams and receipt chains, and rows that are gone.

The next message and the next receipt are made from these ends. One that stands elsewhere than the
rows do makes an honest node sign a second history of its own (R9, R10).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Select, Table, func, select, text

from node.exchange.tables import (
    inbox,
    outbox,
    peers,
    receipts_issued,
    streams_in,
    streams_out,
)
from node.fsck.stored import has, pages, receipts
from node.store import dialect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.fsck import Context


def messages_and_streams(conn: Connection, context: Context) -> Iterator[str]:
    """FSCK-05: messages and receipts; streams of both directions, the end of each peer's chain of
    receipts, numbers without gaps."""
    yield from receipts(conn, context)
    for table in (inbox, outbox):
        if has(conn, table):
            yield from gone(conn, table, "n")
    if has(conn, streams_in):
        yield from _inbound(conn, context)
    if has(conn, streams_out):
        yield from _outbound(conn, context)
    if has(conn, peers):
        yield from _ends_of_receipts(conn, context)


def gone(conn: Connection, table: Table, column: str) -> Iterator[str]:
    """Rows missing of a table that only grows, by their numbers, which SQLite gives without gaps.

    A sequence of PostgreSQL leaves gaps where a transaction was undone: there nothing is told.
    """
    if not dialect.is_sqlite(conn):
        return
    number = table.c[column]
    asked = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
    given = conn.execute(asked, {"name": table.name}).scalar() or 0
    held, last = conn.execute(select(func.count(number), func.max(number))).one()
    if (last or 0) > given:
        yield f"{table.name}: number {last} is there, given: {given}"
    elif held != given:
        yield f"{table.name}: rows written: {given}, here: {held}"


def _inbound(conn: Connection, context: Context) -> Iterator[str]:
    """The unbroken part of each stream is here, and its end is what the next one must name."""
    known = set()
    for row in pages(conn, select(streams_in).order_by(streams_in.c.peer, streams_in.c.stream)):
        context.examined += 1
        known.add((row.peer, row.stream))
        mine = (inbox.c.peer == row.peer, inbox.c.stream == row.stream)
        held = conn.execute(
            select(func.count(), func.max(inbox.c.seq)).where(*mine, inbox.c.seq <= row.last)
        ).one()
        link = conn.execute(select(inbox.c.link).where(*mine, inbox.c.seq == row.last)).scalar()
        where = f"stream {row.stream} of {row.peer}"
        if tuple(held) != (row.last, row.last or None):
            yield f"{where}: messages that came in order: {row.last}, here: {held[0]}"
        elif _plain(link) != _plain(row.head):
            yield f"{where}: its end is not that of its last message"
        waiting = conn.execute(
            select(func.min(inbox.c.seq)).where(*mine, inbox.c.seq > row.last)
        ).scalar()
        if waiting is not None and waiting <= row.last + 1:
            yield f"{where}: it goes on after its end"
        elif (waiting is None) != (row.since is None):
            yield f"{where}: it waits for a gap that is none, or not for one that is"
    for peer, stream in pages(conn, _streams(inbox)):
        if (peer, stream) not in known:
            yield f"stream {stream} of {peer}: its end is not here"


def _outbound(conn: Connection, context: Context) -> Iterator[str]:
    """Each stream's messages follow one another up to its end; a void has its message's number."""
    ends = {(row.peer, row.stream): (row.seq, bytes(row.head)) for row in conn.execute(
        select(streams_out))}  # fmt: skip
    context.examined += len(ends)
    seen: dict[tuple[str, str], tuple[int, bytes | None]] = {}
    columns = (outbox.c.peer, outbox.c.stream, outbox.c.seq, outbox.c.prev, outbox.c.digest)
    query = select(*columns).where(outbox.c.stream.is_not(None))
    for row in pages(conn, query.order_by(*columns[:3], outbox.c.n)):
        key = (row.peer, row.stream)
        last, head = seen.get(key, (0, None))
        if row.seq == last:
            continue
        if row.seq != last + 1:
            yield f"stream {row.stream} to {row.peer}: {last + 1} to {row.seq - 1} are not here"
        elif _plain(row.prev) != head:
            yield f"stream {row.stream} to {row.peer}: {row.seq} does not name the one before"
        seen[key] = (row.seq, bytes(row.digest))
    for key in sorted(ends.keys() | seen.keys()):
        if ends.get(key) != seen.get(key):
            yield f"stream {key[1]} to {key[0]}: its end is not that of its last message"


def _ends_of_receipts(conn: Connection, context: Context) -> Iterator[str]:
    c = receipts_issued.c
    newest = select(c.peer, func.max(c.seq).label("seq")).group_by(c.peer).subquery()
    query = select(c.peer, c.seq, c.digest).join(
        newest, (newest.c.peer == c.peer) & (newest.c.seq == c.seq)
    )
    given = {row.peer: (row.seq, bytes(row.digest)) for row in conn.execute(query)}
    for row in pages(conn, select(peers).order_by(peers.c.did)):
        context.examined += 1
        last = given.pop(row.did, (0, None))
        if (row.receipt_seq, _plain(row.receipt_head)) != last:
            yield f"receipts for {row.did}: their end is not that of the last one here"
    yield from (f"receipts for {peer}: their end is not here" for peer in given)


def _streams(table: Table) -> Select[Any]:
    c = table.c
    return select(c.peer, c.stream).where(c.stream.is_not(None)).distinct()


def _plain(value: bytes | memoryview | None) -> bytes | None:
    return None if value is None else bytes(value)
