"""Rows of the outbox: promises to send, what proves that they were kept, and what goes wrong.

Synchronous, in a transaction. A message is written here, signed, before it is first sent, and a
retry carries the same bytes (R2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, insert, or_, select, update

from node.exchange.tables import outbox, peers, streams_out
from node.store import dialect
from protocols import times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from protocols.exchange.answer import Settled
    from protocols.exchange.manifest import SignedManifest

QUEUED, RECEIPTED, REJECTED, EXPIRED = "queued", "receipted", "rejected", "expired"
FRAME_OVERHEAD = 1024


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One queued message: row number, id, digest, the JWS and the body, when it was promised."""

    n: int
    id: str
    digest: bytes
    manifest: str
    body: bytes
    created_at: int
    attempts: int


_POSITION = select(streams_out.c.seq, streams_out.c.head).where(
    streams_out.c.peer == bindparam("b_peer"), streams_out.c.stream == bindparam("b_stream")
)


def position(conn: Connection, peer: str, stream: str) -> tuple[int, bytes | None]:
    """The last number given in an outbound stream and that message's digest, held until commit."""
    query = dialect.locked(conn, _POSITION)
    row = conn.execute(query, {"b_peer": peer, "b_stream": stream}).one_or_none()
    return (0, None) if row is None else (row.seq, bytes(row.head))


_ADVANCE = (
    update(streams_out)
    .where(streams_out.c.peer == bindparam("b_peer"))
    .where(streams_out.c.stream == bindparam("b_stream"))
    .values(seq=bindparam("b_seq"), head=bindparam("b_head"))
)


def advance(conn: Connection, peer: str, stream: str, seq: int, head: bytes) -> None:
    """Writes the new end of an outbound stream."""
    if seq == 1:
        values = {"peer": peer, "stream": stream, "seq": seq, "head": head}
        conn.execute(insert(streams_out), values)
        return
    changes = {"b_peer": peer, "b_stream": stream, "b_seq": seq, "b_head": head}
    conn.execute(_ADVANCE, changes)


def put(
    conn: Connection, signed: SignedManifest, body: bytes, document: bytes | None, now: int
) -> None:
    """Queues a signed message."""
    manifest = signed.manifest
    conn.execute(
        insert(outbox),
        {
            "id": manifest.id,
            "peer": manifest.recipient,
            "digest": signed.digest,
            "type": manifest.type,
            "stream": manifest.stream,
            "seq": manifest.seq,
            "prev": manifest.prev,
            "state": QUEUED,
            "created_at": now,
            "expires_at": times.to_ms(manifest.expires),
            "attempts": 0,
            "next_at": 0,
            "document": document,
            "media_type": manifest.body.media_type,
            "size": len(body),
            "manifest": signed.text,
            "body": body,
        },
    )


def due(
    conn: Connection,
    peer: str,
    max_items: int,
    max_bytes: int,
    *,
    now: int | None = None,
    cursor: int = 0,
) -> list[Outgoing]:
    """The next queued messages for a peer, in the order they were promised.

    now:    only those whose time to be tried has come; None: all, for a peer that asks for them
    cursor: only those numbered above it
    At least one comes back if there is one, however large.
    """
    query = select(outbox.c.n, outbox.c.size).where(
        outbox.c.peer == peer, outbox.c.state == QUEUED, outbox.c.n > cursor
    )
    if now is not None:
        query = query.where(outbox.c.next_at <= now)
    chosen: list[int] = []
    total = 0
    for n, size in conn.execute(query.order_by(outbox.c.n).limit(max_items)):
        total += size + FRAME_OVERHEAD
        if chosen and total > max_bytes:
            break
        chosen.append(n)
    return _load(conn, chosen)


_COLUMNS = (
    outbox.c.n,
    outbox.c.id,
    outbox.c.digest,
    outbox.c.manifest,
    outbox.c.body,
    outbox.c.created_at,
    outbox.c.attempts,
)


def _load(conn: Connection, chosen: Sequence[int]) -> list[Outgoing]:
    if not chosen:
        return []
    rows = conn.execute(select(*_COLUMNS).where(outbox.c.n.in_(chosen)).order_by(outbox.c.n))
    return [_outgoing(row) for row in rows]


def by_ids(conn: Connection, peer: str, ids: Sequence[str]) -> list[Outgoing]:
    """The messages to a peer with these ids, whatever their state."""
    query = select(*_COLUMNS).where(outbox.c.peer == peer, outbox.c.id.in_(ids))
    return [_outgoing(row) for row in conn.execute(query)]


def _outgoing(row: Any) -> Outgoing:
    return Outgoing(
        row.n,
        row.id,
        bytes(row.digest),
        row.manifest,
        bytes(row.body),
        row.created_at,
        row.attempts,
    )


def next_due(conn: Connection, peer: str) -> int | None:
    """When the next queued message of a peer may be tried, ms; None when nothing is queued."""
    found: int | None = conn.execute(
        select(func.min(outbox.c.next_at)).where(outbox.c.peer == peer, outbox.c.state == QUEUED)
    ).scalar_one()
    return found


def queued_peers(conn: Connection) -> list[str]:
    """Every peer something waits for."""
    query = select(outbox.c.peer).where(outbox.c.state == QUEUED).distinct()
    return list(conn.execute(query).scalars())


_RECEIPT = (
    update(outbox)
    .where(outbox.c.id == bindparam("b_id"))
    # No IN here: an expanding parameter cannot be executed for many rows at once.
    .where(or_(outbox.c.state == QUEUED, outbox.c.state == EXPIRED))
    .values(
        state=bindparam("b_state"),
        code=bindparam("b_code"),
        settled_at=bindparam("b_at"),
        receipt_seq=bindparam("b_seq"),
        item_index=bindparam("b_index"),
        item=bindparam("b_item"),
        path=bindparam("b_path"),
    )
)


def write_receipts(conn: Connection, settled: Sequence[Settled], now: int) -> None:
    """Writes the verified receipt of each message and its outcome."""
    if settled:
        conn.execute(_RECEIPT, [_receipt_values(one, now) for one in settled])


def _receipt_values(one: Settled, now: int) -> dict[str, Any]:
    item = one.proof.item
    return {
        "b_id": one.sent.id,
        "b_state": RECEIPTED if item.accepted else REJECTED,
        "b_code": item.code,
        "b_at": now,
        "b_seq": one.signed.receipt.seq,
        "b_index": one.proof.index,
        "b_item": item.to_bytes().decode(),
        "b_path": b"".join(one.proof.path),
    }


_KNOWN = [column for column in outbox.c if column.name not in ("manifest", "body")]


def rows(conn: Connection, ids: Sequence[str]) -> dict[str, Any]:
    """Id → the row without manifest and body."""
    return {row.id: row for row in conn.execute(select(*_KNOWN).where(outbox.c.id.in_(ids)))}


def body(conn: Connection, message_id: str) -> bytes:
    """The body of a message of ours."""
    found = conn.execute(select(outbox.c.body).where(outbox.c.id == message_id)).scalar_one()
    return bytes(found)


_POSTPONE = (
    update(outbox)
    .where(outbox.c.id == bindparam("b_id"), outbox.c.state == QUEUED)
    .values(attempts=outbox.c.attempts + 1, next_at=bindparam("b_next"), code=bindparam("b_code"))
)


def postpone(conn: Connection, later: Sequence[tuple[str, int, str]]) -> None:
    """(id, when, code): tried again then."""
    if later:
        values = [{"b_id": id_, "b_next": when, "b_code": code} for id_, when, code in later]
        conn.execute(_POSTPONE, values)


def requeue(conn: Connection, message_id: str, code: str) -> None:
    """Sends a message once more to learn its receipt: the peer says that it has it."""
    conn.execute(
        update(outbox)
        .where(outbox.c.id == message_id, outbox.c.state.in_((REJECTED, EXPIRED)))
        .values(state=QUEUED, next_at=0, code=code)
    )


def expired(conn: Connection, now: int, kept_code: str, limit: int = 500) -> list[Any]:
    """Queued messages whose time is over, except those sent again for their receipt."""
    query = (
        select(outbox)
        .where(outbox.c.state == QUEUED, outbox.c.expires_at <= now)
        .where(or_(outbox.c.code.is_(None), outbox.c.code != kept_code))
        .limit(limit)
    )
    return list(conn.execute(query))


def expire(conn: Connection, n: int, now: int) -> None:
    """The message was not delivered in its time."""
    conn.execute(update(outbox).where(outbox.c.n == n).values(state=EXPIRED, settled_at=now))


def oldest(conn: Connection) -> dict[str, int]:
    """Peer → when its oldest queued message was promised, ms."""
    query = (
        select(outbox.c.peer, func.min(outbox.c.created_at).label("at"))
        .where(outbox.c.state == QUEUED)
        .group_by(outbox.c.peer)
    )
    return {row.peer: row.at for row in conn.execute(query)}


def alarm_levels(conn: Connection) -> dict[str, int]:
    """Peer → the alarm level that was told."""
    query = select(peers.c.did, peers.c.alarm_level).where(peers.c.alarm_level > 0)
    return {row.did: row.alarm_level for row in conn.execute(query)}
