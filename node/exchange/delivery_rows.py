"""What delivery asks of the inbox and writes into it. Synchronous, in a transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, not_, or_, select, update

from node.exchange.inbox_rows import DELIVERED, READY, REFUSED
from node.exchange.message import InboundMessage
from node.exchange.tables import inbox, streams_in

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection, Row

MAX_CHUNK = 16
MAX_CHUNK_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Lane:
    """What is delivered one after the other: a stream, or one control message alone."""

    peer: str
    stream: str | None
    n: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message in its turn, with its row's number and its lane's failures in a row."""

    n: int
    attempts: int
    message: InboundMessage


def lanes(conn: Connection, now: int, active: Collection[Lane], limit: int) -> list[Lane]:
    """Lanes with something to deliver now, oldest message first, without those at work."""
    return [
        *_control(conn, now, [lane.n for lane in active if lane.stream is None], limit),
        *_streams(conn, now, [lane for lane in active if lane.stream is not None], limit),
    ]


def _control(conn: Connection, now: int, active: Sequence[int], limit: int) -> list[Lane]:
    query = (
        select(inbox.c.peer, inbox.c.n)
        .where(inbox.c.state == READY, inbox.c.stream.is_(None), inbox.c.next_at <= now)
        .where(inbox.c.n.not_in(active))
        .order_by(inbox.c.n)
        .limit(limit)
    )
    return [Lane(row.peer, None, row.n) for row in conn.execute(query)]


def _streams(conn: Connection, now: int, active: Sequence[Lane], limit: int) -> list[Lane]:
    joined = inbox.join(
        streams_in,
        and_(streams_in.c.peer == inbox.c.peer, streams_in.c.stream == inbox.c.stream),
    )
    busy = [and_(inbox.c.peer == lane.peer, inbox.c.stream == lane.stream) for lane in active]
    query = (
        select(inbox.c.peer, inbox.c.stream)
        .select_from(joined)
        .where(inbox.c.state == READY, streams_in.c.blocked_until <= now)
        .order_by(inbox.c.n)
        .limit(limit * MAX_CHUNK)
    )
    if busy:
        query = query.where(not_(or_(*busy)))
    found = dict.fromkeys((row.peer, row.stream) for row in conn.execute(query))
    return [Lane(peer, stream) for peer, stream in list(found)[:limit]]


def chunk(conn: Connection, lane: Lane, limit: int = MAX_CHUNK) -> list[Waiting]:
    """The next messages of a lane, in order: up to `limit`, and at most 8 MiB or one message."""
    if lane.stream is None:
        query = select(inbox, inbox.c.attempts.label("failures")).where(inbox.c.n == lane.n)
    else:
        query = (
            select(inbox, streams_in.c.attempts.label("failures"))
            .join(
                streams_in,
                and_(streams_in.c.peer == inbox.c.peer, streams_in.c.stream == inbox.c.stream),
            )
            .where(inbox.c.peer == lane.peer, inbox.c.stream == lane.stream)
            .order_by(inbox.c.seq)
            .limit(limit)
        )
    found: list[Waiting] = []
    size = 0
    for row in conn.execute(query.where(inbox.c.state == READY)):
        size += row.size
        if found and size > MAX_CHUNK_BYTES:
            break
        found.append(Waiting(row.n, row.failures, message_of(row)))
    return found


def message_of(row: Row[Any]) -> InboundMessage:
    """The message in an inbox row."""
    return InboundMessage(
        sender=row.peer,
        id=row.id,
        digest=bytes(row.digest),
        type=row.type,
        stream=row.stream,
        seq=row.seq,
        body=bytes(row.body or b""),
        content_type=row.media_type,
        manifest=row.manifest,
        received_at=row.received_at,
        document=None if row.document is None else bytes(row.document),
        leaf=bytes(row.leaf),
    )


_SETTLE = (
    update(inbox)
    .where(inbox.c.n == bindparam("b_n"), inbox.c.state == READY)
    .values(state=bindparam("b_state"), code=bindparam("b_code"), settled_at=bindparam("b_at"))
)


def settle(conn: Connection, n: int, now: int, code: str | None = None) -> bool:
    """Marks a message delivered, or refused with `code`; False when that was done before."""
    state = DELIVERED if code is None else REFUSED
    changes = {"b_n": n, "b_state": state, "b_code": code, "b_at": now}
    return conn.execute(_SETTLE, changes).rowcount == 1


def block(conn: Connection, lane: Lane, attempts: int, until: int, code: str) -> None:
    """The lane waits until then; the message at its head shows why."""
    if lane.stream is None:
        conn.execute(
            update(inbox)
            .where(inbox.c.n == lane.n, inbox.c.state == READY)
            .values(attempts=attempts, next_at=until, code=code)
        )
        return
    conn.execute(
        update(streams_in)
        .where(streams_in.c.peer == lane.peer, streams_in.c.stream == lane.stream)
        .values(attempts=attempts, blocked_until=until)
    )
    head = (
        select(inbox.c.n)
        .where(inbox.c.peer == lane.peer, inbox.c.stream == lane.stream, inbox.c.state == READY)
        .order_by(inbox.c.seq)
        .limit(1)
        .scalar_subquery()
    )
    conn.execute(update(inbox).where(inbox.c.n == head).values(code=code))


def unblock(conn: Connection, lane: Lane) -> None:
    """The lane moves again: its failures are forgotten."""
    if lane.stream is not None:
        conn.execute(
            update(streams_in)
            .where(
                streams_in.c.peer == lane.peer,
                streams_in.c.stream == lane.stream,
                streams_in.c.attempts > 0,
            )
            .values(attempts=0, blocked_until=0)
        )
