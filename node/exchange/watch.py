"""Never silent: what waits too long is told; what is over time is told and closed (DESIGN §4).

Synchronous, in a transaction; the service runs it every few seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from node.exchange import outbox_rows
from node.exchange.peer_rows import change_peer
from node.store import events
from protocols.exchange.manifest import VOID
from protocols.exchange.problems import Problem
from protocols.exchange.retry import alarm_level
from schemas.errors import TradeError

if TYPE_CHECKING:
    from sqlalchemy import Connection

ALARM_CODES = ("", "undelivered_15_minutes", "undelivered_4_hours", "undelivered_24_hours")


def sweep(
    conn: Connection, now: int, void: Callable[[Connection, Any, str], None]
) -> tuple[int, int]:
    """Expires what is over time and raises or lowers alarms; how many of each."""
    return _expire(conn, now, void), _alarm(conn, now)


def _expire(conn: Connection, now: int, void: Callable[[Connection, Any, str], None]) -> int:
    over = outbox_rows.expired(conn, now, Problem.NOT_A_GAP.value)
    for row in over:
        outbox_rows.expire(conn, row.n, now)
        events.record(
            conn,
            kind="alarm",
            at=now,
            document=None if row.document is None else bytes(row.document),
            consignment=row.stream,
            actor=row.peer,
            detail={"code": "undelivered_expired", "message": row.id, "area": "exchange"},
        )
        if row.stream is not None and row.type != VOID:
            _void(conn, row, void)
    return len(over)


def _void(conn: Connection, row: Any, void: Callable[[Connection, Any, str], None]) -> None:
    try:
        void(conn, row, "expired")
    except TradeError:
        # The peer has left the network: there is nobody to tell, and the alarm stands.
        return


def _alarm(conn: Connection, now: int) -> int:
    told, oldest = outbox_rows.alarm_levels(conn), outbox_rows.oldest(conn)
    raised = 0
    for peer in sorted({*told, *oldest}):
        age = timedelta(milliseconds=max(0, now - oldest.get(peer, now)))
        level, before = alarm_level(age), told.get(peer, 0)
        if level == before:
            continue
        change_peer(conn, peer, alarm_level=level)
        if level > before:
            raised += 1
            seconds = int(age.total_seconds())
            detail = {"code": ALARM_CODES[level], "seconds": seconds, "area": "exchange"}
            events.record(conn, kind="alarm", at=now, actor=peer, detail=detail)
    return raised
