"""The figures an operator watches, read from the store when /metrics is asked for.

Totals only: /metrics is open to whoever reaches the port, and with whom a node trades is nobody
else's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from ledger import checkpoints, log
from node.exchange import outbox_rows
from node.exchange.inbox_rows import HELD, READY
from node.exchange.tables import inbox, outbox
from node.log.standing import trouble
from node.store.events import events

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, Connection

    from node.runtime import Node

GAUGES: Mapping[str, str] = {
    "pratique_outbox_messages": "Messages promised to others that wait for their receipt",
    "pratique_outbox_oldest_seconds": "Age of the oldest of them",
    "pratique_inbox_messages": "Messages received that were not applied yet",
    "pratique_log_leaves": "Leaves in the node's log",
    "pratique_log_unwitnessed_leaves": "Leaves that no witnessed checkpoint covers yet",
    "pratique_log_halted": "1 while nothing new is witnessed: no quorum, unconfirmed, or sealed",
    "pratique_alarms": "Alarms recorded since the node was set up",
    "pratique_member_list_version": "Version of the member list in force",
    "pratique_member_list_seconds_left": "Seconds until the member list expires",
}


async def refresh(node: Node) -> None:
    """Sets every gauge of `node` to what is true now."""
    found = dict(await node.store.read(_stored, node.clock.now_ms()))
    logged = getattr(node, "log", None)
    if logged is not None:
        found["pratique_log_halted"] = float(trouble(logged) is not None)
    members = node.members.current
    if members is not None:
        left = (members.expires - node.clock.now()).total_seconds()
        found["pratique_member_list_version"] = members.version
        found["pratique_member_list_seconds_left"] = left
    for name, value in found.items():
        node.telemetry.gauge(name, GAUGES[name]).set(value)


def _stored(conn: Connection, now: int) -> Mapping[str, float]:
    oldest = min(outbox_rows.oldest(conn).values(), default=now)
    leaves, witnessed = log.size(conn), checkpoints.newest(conn, witnessed=True)
    return {
        "pratique_outbox_messages": _count(conn, outbox.c.state == outbox_rows.QUEUED),
        "pratique_outbox_oldest_seconds": (now - oldest) / 1000,
        "pratique_inbox_messages": _count(conn, inbox.c.state.in_((HELD, READY))),
        "pratique_log_leaves": leaves,
        "pratique_log_unwitnessed_leaves": leaves - (witnessed.size if witnessed else 0),
        "pratique_alarms": _count(conn, events.c.kind == "alarm"),
    }


def _count(conn: Connection, where: ColumnElement[bool]) -> int:
    return conn.execute(select(func.count()).where(where)).scalar_one()
