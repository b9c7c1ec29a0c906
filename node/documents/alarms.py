"""Alarms about status lists: a list that went back, or two lists for one moment.

Either the issuer's host or its key does not do what the issuer would. What is held stays in force;
the operator is told by an event, once for each list until it is in order again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.documents import status
from node.store import events

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.runtime import Node
    from schemas.errors import TradeError

CODES = frozenset({"status_rollback", "status_fork"})
_REMEMBERED = 10_000


class ListAlarms:
    """Which lists the operator was told about."""

    def __init__(self, node: Node) -> None:
        """Tells by the node's events."""
        self._node = node
        self._told: set[tuple[str, str]] = set()

    async def tell(self, issuer: str, url: str, error: TradeError) -> None:
        """Tell of a list of `issuer` that was refused, if that is news and one of `CODES`."""
        if error.code not in CODES or (issuer, url) in self._told:
            return
        if len(self._told) >= _REMEMBERED:
            self._told.clear()
        self._told.add((issuer, url))
        await self._node.store.write(self._record, issuer, url, error.code)

    def in_order(self, issuer: str, url: str) -> None:
        """The list was taken: what happens to it next is news again."""
        self._told.discard((issuer, url))

    def _record(self, conn: Connection, issuer: str, url: str, code: str) -> None:
        found = status.newest(conn, url, issuer)
        detail = {"code": code, "list": url, "area": "documents"}
        if found is not None:
            detail["held"] = found[0].digest.hex()
        events.record(conn, kind="alarm", at=self._node.clock.now_ms(), actor=issuer, detail=detail)
