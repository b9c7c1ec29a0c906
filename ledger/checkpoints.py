"""Checkpoints and cosignatures in the database: what a log has signed and who confirmed it.

Before a checkpoint is signed its row is there (R14): a crash signs the same root for that size
again, never another. Whoever opened the log last holds the fencing epoch; an older process that
still runs can intend nothing more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Update, func, insert, select, update

from ledger.tables import NODE_LOG, checkpoints, cosignatures, heads
from protocols.log import note
from protocols.log.note import Signature
from schemas.errors import ConflictError, SettingsError

_COLUMNS = (
    checkpoints.c.size,
    checkpoints.c.root,
    checkpoints.c.note,
    checkpoints.c.intended_at,
    checkpoints.c.witnessed_at,
)


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A row: `note` is None while only intended; `witnessed_at` (ms UTC) once a quorum signed."""

    size: int
    root: bytes
    note: str | None
    intended_at: int
    witnessed_at: int | None


def take_over(conn: Connection, *, log: str = NODE_LOG) -> int:
    """Open the log for signing: the new fencing epoch. Older epochs are refused from now on."""
    raised = update(heads).where(heads.c.log == log).values(epoch=heads.c.epoch + 1)
    epoch = conn.execute(raised.returning(heads.c.epoch)).scalar_one_or_none()
    if epoch is None:
        conn.execute(insert(heads).values(log=log, size=0, epoch=1))
        return 1
    return int(epoch)


def _require_epoch(conn: Connection, epoch: int, log: str) -> None:
    held = conn.execute(
        select(heads.c.epoch).where(heads.c.log == log).with_for_update()
    ).scalar_one_or_none()
    if held != epoch:
        raise ConflictError("log_fenced", "another process has opened this log")


def intend(
    conn: Connection, size: int, root: bytes, epoch: int, now_ms: int, *, log: str = NODE_LOG
) -> None:
    """Record what is about to be signed.

    Raises ConflictError `log_fenced` for an older epoch, SettingsError `log_root_mismatch` when
    another root was intended for that size, `log_rolled_back` when a larger size was.
    """
    _require_epoch(conn, epoch, log)
    last = newest(conn, log=log)
    if last is not None and last.size > size:
        raise SettingsError("log_rolled_back", f"signed was size {last.size}, here is {size}")
    if last is not None and last.size == size:
        if last.root != root:
            raise SettingsError("log_root_mismatch", f"two roots for size {size}")
        return
    conn.execute(
        insert(checkpoints).values(log=log, size=size, root=root, epoch=epoch, intended_at=now_ms)
    )


def record_signed(
    conn: Connection, size: int, text: str, epoch: int, *, log: str = NODE_LOG
) -> None:
    """Keep the signed note of an intended checkpoint."""
    _require_epoch(conn, epoch, log)
    conn.execute(_row(size, log).values(note=text))


def mark_witnessed(conn: Connection, size: int, now_ms: int, *, log: str = NODE_LOG) -> bool:
    """Note that a quorum has cosigned; False when that was known."""
    unmarked = _row(size, log).where(checkpoints.c.witnessed_at.is_(None))
    return conn.execute(unmarked.values(witnessed_at=now_ms)).rowcount == 1


def _row(size: int, log: str) -> Update:
    return update(checkpoints).where(checkpoints.c.log == log, checkpoints.c.size == size)


def newest(
    conn: Connection, *, log: str = NODE_LOG, signed: bool = False, witnessed: bool = False
) -> StoredCheckpoint | None:
    """The largest checkpoint: of all, of the signed, or of the witnessed ones."""
    query = select(*_COLUMNS).where(checkpoints.c.log == log)
    if signed:
        query = query.where(checkpoints.c.note.is_not(None))
    if witnessed:
        query = query.where(checkpoints.c.witnessed_at.is_not(None))
    row = conn.execute(query.order_by(checkpoints.c.size.desc()).limit(1)).one_or_none()
    return None if row is None else _stored(*row)


def at_size(conn: Connection, size: int, *, log: str = NODE_LOG) -> StoredCheckpoint | None:
    """The checkpoint of that size."""
    query = select(*_COLUMNS).where(checkpoints.c.log == log, checkpoints.c.size == size)
    row = conn.execute(query).one_or_none()
    return None if row is None else _stored(*row)


def covering(conn: Connection, index: int, *, log: str = NODE_LOG) -> StoredCheckpoint | None:
    """The checkpoint for a receipt of leaf `index`: the earliest witnessed one, else the newest.

    The earliest proves the earliest time (R17), and stays the same whenever it is asked for.
    """
    signed = select(*_COLUMNS).where(
        checkpoints.c.log == log, checkpoints.c.size > index, checkpoints.c.note.is_not(None)
    )
    earliest = signed.where(checkpoints.c.witnessed_at.is_not(None)).order_by(checkpoints.c.size)
    row = conn.execute(earliest.limit(1)).one_or_none()
    if row is None:
        row = conn.execute(signed.order_by(checkpoints.c.size.desc()).limit(1)).one_or_none()
    return None if row is None else _stored(*row)


def first_above(conn: Connection, size: int, *, log: str = NODE_LOG) -> int | None:
    """When the first signed checkpoint of more than `size` leaves was made, ms UTC."""
    query = select(func.min(checkpoints.c.intended_at)).where(
        checkpoints.c.log == log, checkpoints.c.size > size, checkpoints.c.note.is_not(None)
    )
    found: int | None = conn.execute(query).scalar()
    return found


def all_of(conn: Connection, *, log: str = NODE_LOG) -> Iterable[StoredCheckpoint]:
    """Every checkpoint, smallest first."""
    rows = conn.execute(
        select(*_COLUMNS).where(checkpoints.c.log == log).order_by(checkpoints.c.size)
    )
    return [_stored(*row) for row in rows]


def _stored(
    size: int, root: bytes, text: str | None, intended: int, witnessed: int | None
) -> StoredCheckpoint:
    return StoredCheckpoint(size, bytes(root), text, intended, witnessed)


def add_cosignatures(
    conn: Connection, size: int, lines: Sequence[tuple[Signature, int]], *, log: str = NODE_LOG
) -> None:
    """Keep cosignature lines with their POSIX times; the first of a key stays."""
    held = {(line.name, line.key_id) for line in cosignatures_of(conn, size, log=log)}
    for line, time in lines:
        if (line.name, line.key_id) not in held:
            conn.execute(
                insert(cosignatures).values(
                    log=log,
                    size=size,
                    name=line.name,
                    key_id=line.key_id,
                    line=line.to_text(),
                    time=time,
                )
            )


def cosignatures_of(conn: Connection, size: int, *, log: str = NODE_LOG) -> list[Signature]:
    """The cosignature lines of one checkpoint."""
    rows = conn.execute(
        select(cosignatures.c.line)
        .where(cosignatures.c.log == log, cosignatures.c.size == size)
        .order_by(cosignatures.c.time, cosignatures.c.name)
    )
    return [note.parse_signature(line.removesuffix("\n")) for line in rows.scalars()]


def cosigned_sizes(conn: Connection, *, log: str = NODE_LOG) -> dict[bytes, int]:
    """Key ID → the largest size which that witness is known to have cosigned."""
    rows = conn.execute(
        select(cosignatures.c.key_id, func.max(cosignatures.c.size))
        .where(cosignatures.c.log == log)
        .group_by(cosignatures.c.key_id)
    )
    return {bytes(key_id): int(size) for key_id, size in rows}


def cosigned_note(conn: Connection, stored: StoredCheckpoint, *, log: str = NODE_LOG) -> str:
    """The signed note of a checkpoint with all its cosignatures."""
    assert stored.note is not None
    lines = cosignatures_of(conn, stored.size, log=log)
    return note.parse(stored.note).with_signatures(lines).to_text()
