"""Proven hand-overs of logs from one epoch of witnesses to the next (R16), in the database."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from ledger.tables import hand_overs
from protocols.log import epochs as log_epochs
from protocols.log.epochs import HandOver


def keep(conn: Connection, proven: HandOver, now_ms: int) -> bool:
    """Keep a proven hand-over; False when that epoch's is known: the first one counts."""
    c = hand_overs.c
    mine = (c.origin == proven.origin, c.epoch == proven.after)
    if conn.execute(select(c.since).where(*mine)).first() is not None:
        return False
    conn.execute(
        insert(hand_overs).values(
            origin=proven.origin,
            epoch=proven.after,
            since=proven.since,
            file=proven.to_bytes().decode(),
            at=now_ms,
        )
    )
    return True


def all_of(conn: Connection, origin: str | None = None) -> list[HandOver]:
    """Every kept hand-over, of one log or of all, the oldest epoch first."""
    c = hand_overs.c
    query = select(c.file).order_by(c.origin, c.epoch)
    if origin is not None:
        query = query.where(c.origin == origin)
    return [log_epochs.parse(text.encode()) for text in conn.execute(query).scalars()]
