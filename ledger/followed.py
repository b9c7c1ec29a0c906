"""What is held of partners' logs: the newest verified checkpoint, and leaves that tell of one.

A leaf of kind 7 ties our own history to a partner's: whoever would rewrite its log must rewrite
ours too, with our witnesses' cosignatures.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Row, insert, select, update

from ledger import log
from ledger.tables import followed, foreign
from protocols.digest import sha256
from protocols.log.checkpoint import Checkpoint
from protocols.log.leaf import LeafKind

_SUBJECT = b"pratique/foreign-log/v1\x00"
_COLUMNS = followed.c


@dataclass(frozen=True, slots=True)
class Followed:
    """The newest checkpoint seen of a partner's log.

    witnessed:   its quorum had cosigned
    recorded_at: ms UTC of our last leaf about this log, 0 before the first
    fault:       code of what went wrong last, None when the log was followed without fault
    """

    origin: str
    size: int
    root: bytes
    note: str
    witnessed: bool
    at: int
    recorded_at: int
    fault: str | None


def subject(origin: str) -> bytes:
    """The subject of the leaves about a partner's log."""
    return sha256(_SUBJECT + origin.encode())


def state(conn: Connection, origin: str) -> Followed | None:
    """What is held of one log."""
    row = conn.execute(select(followed).where(_COLUMNS.origin == origin)).one_or_none()
    return None if row is None else _of(row)


def states(conn: Connection) -> list[Followed]:
    """What is held of every followed log."""
    return [_of(row) for row in conn.execute(select(followed).order_by(_COLUMNS.origin))]


def _of(row: Row[tuple[object, ...]]) -> Followed:
    return Followed(
        row.origin,
        row.size,
        bytes(row.root),
        row.note,
        bool(row.witnessed),
        row.at,
        row.recorded_at,
        row.fault,
    )


def put(conn: Connection, head: Checkpoint, text: str, *, witnessed: bool, now_ms: int) -> None:
    """Hold a verified checkpoint that extends the one held before."""
    values = {
        "size": head.size,
        "root": head.root,
        "note": text,
        "witnessed": int(witnessed),
        "at": now_ms,
        "fault": None,
    }
    mine = _COLUMNS.origin == head.origin
    if conn.execute(update(followed).where(mine).values(**values)).rowcount == 0:
        conn.execute(insert(followed).values(origin=head.origin, recorded_at=0, **values))


def put_fault(conn: Connection, origin: str, code: str) -> None:
    """Note why a log could not be followed; nothing when it never was."""
    conn.execute(update(followed).where(_COLUMNS.origin == origin).values(fault=code))


def record(conn: Connection, held: Followed, now_ms: int) -> bytes:
    """Append a leaf that commits to the held note; its leaf hash."""
    commit = sha256(held.note.encode())
    kind = LeafKind.FOREIGN_CHECKPOINT
    added = log.remember(conn, kind, subject(held.origin), commit, now_ms)
    conn.execute(
        insert(foreign).values(
            leaf=added.hash, origin=held.origin, size=held.size, note=held.note, at=now_ms
        )
    )
    mine = _COLUMNS.origin == held.origin
    conn.execute(update(followed).where(mine).values(recorded_at=now_ms))
    return added.hash


def recorded(conn: Connection, origin: str, limit: int = 100) -> list[tuple[int, bytes, str]]:
    """The newest recorded checkpoints of a log: size, hash of our leaf, note; newest first."""
    rows = conn.execute(
        select(foreign.c.size, foreign.c.leaf, foreign.c.note)
        .where(foreign.c.origin == origin)
        .order_by(foreign.c.at.desc(), foreign.c.size.desc())
        .limit(limit)
    )
    return [(size, bytes(leaf), text) for size, leaf, text in rows]
