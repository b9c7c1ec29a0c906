"""The row of each peer: chain position, breaker, pause, alarms. Synchronous, in a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select, update

from node.exchange.tables import evidence, peers, receipts_issued
from node.store import dialect, events

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

MAX_EVIDENCE = 1000

_PEER = select(peers).where(peers.c.did == bindparam("peer"))


def peer_row(conn: Connection, did: str) -> Row[Any] | None:
    """The peer's row, or None for one we never met."""
    return conn.execute(_PEER, {"peer": did}).one_or_none()


def lock_peer(conn: Connection, did: str) -> Row[Any]:
    """The peer's row, made when it is new, held until the commit (R9: one chain per peer)."""
    row = conn.execute(dialect.locked(conn, _PEER), {"peer": did}).one_or_none()
    if row is None:
        dialect.insert_or_ignore(conn, peers, _fresh(did))
        row = conn.execute(dialect.locked(conn, _PEER), {"peer": did}).one()
    return row


def _fresh(did: str) -> dict[str, Any]:
    return {
        "did": did,
        "receipt_seq": 0,
        "receipt_head": None,
        "failures": 0,
        "next_at": 0,
        "paused": False,
        "alarm_level": 0,
    }


def change_peer(conn: Connection, did: str, /, **values: Any) -> None:
    """Writes some columns of the peer's row."""
    lock_peer(conn, did)
    conn.execute(update(peers).where(peers.c.did == did).values(**values))


def issue_receipt(
    conn: Connection, did: str, seq: int, digest: bytes, at: int, leaves: bytes, receipt: str
) -> None:
    """Stores a signed receipt and moves the end of the peer's chain; needs `lock_peer`."""
    conn.execute(
        insert(receipts_issued).values(
            peer=did, seq=seq, digest=digest, at=at, leaves=leaves, receipt=receipt
        )
    )
    conn.execute(
        update(peers).where(peers.c.did == did).values(receipt_seq=seq, receipt_head=digest)
    )


def keep_evidence(
    conn: Connection, did: str, code: str, digest: bytes, statement: str, at: int
) -> None:
    """Keeps a contradictory signed statement and raises an alarm, once per statement.

    At most `MAX_EVIDENCE` per peer: one proof is enough, and a liar must not fill the disk.
    """
    query = select(evidence.c.n).where(evidence.c.peer == did).limit(MAX_EVIDENCE)
    if len(conn.execute(query).all()) >= MAX_EVIDENCE:
        return
    values = {"peer": did, "code": code, "digest": digest, "at": at, "statement": statement}
    if dialect.insert_or_ignore(conn, evidence, values):
        events.record(
            conn,
            kind="alarm",
            at=at,
            actor=did,
            detail={"code": code, "message": digest.hex(), "area": "exchange"},
        )
