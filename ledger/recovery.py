"""Putting back what an old copy of the store lacks of its log, and closing a log for good (R15).

Both happen in one transaction. Nothing that was signed is changed: entries come back in the places
that a signed checkpoint gives them, and leaves of this copy that nobody has signed go behind them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from ledger import log
from ledger.checkpoints import take_over
from ledger.tables import NODE_LOG, checkpoints, cosignatures, frozen, heads, leaves
from protocols.digest import sha256
from protocols.log import leaf as leaves_format
from protocols.log.checkpoint import Checkpoint
from protocols.log.leaf import LeafKind
from protocols.log.merkle import leaf_hash
from schemas.errors import MalformedError

_FROZEN_SUBJECT = b"pratique/frozen-log/v1\x00"


@dataclass(frozen=True, slots=True)
class Recovered:
    """What came back: how many entries, and how many unsigned ones of this copy went behind."""

    entries: int
    moved: int


def put_back(
    conn: Connection, first: int, entries: Sequence[bytes], head: Checkpoint, text: str, now_ms: int
) -> Recovered:
    """Make the node's log what `head` says: the leaves below `first`, then `entries`.

    The caller has verified that they give the root of `head`, which `text` is the signed note of,
    and that nothing from `first` on was signed by this copy.
    """
    old = log.read(conn, first, log.size(conn))
    c = leaves.c
    conn.execute(delete(leaves).where(c.log == NODE_LOG, c.leaf_index >= first))
    conn.execute(update(heads).where(heads.c.log == NODE_LOG).values(size=first))
    for at, piece in _timed(entries, now_ms):
        log.append_all(conn, piece, at)
    back = {leaf_hash(entry) for entry in entries}
    moved = [leaf for leaf in old if leaf.hash not in back]
    for leaf in moved:
        log.append(conn, leaf.entry, leaf.at)
    _put_checkpoint(conn, head, text, now_ms)
    return Recovered(len(entries), len(moved))


def _timed(entries: Sequence[bytes], now_ms: int) -> list[tuple[int, list[bytes]]]:
    """The entries in pieces of one time each: what the leaf itself says, where it is a leaf."""
    pieces: list[tuple[int, list[bytes]]] = []
    for entry in entries:
        try:
            at = leaves_format.decode(entry).at_ms
        except MalformedError:
            at = now_ms
        if not pieces or pieces[-1][0] != at:
            pieces.append((at, []))
        pieces[-1][1].append(entry)
    return pieces


def _put_checkpoint(conn: Connection, head: Checkpoint, text: str, now_ms: int) -> None:
    c = checkpoints.c
    mine = (c.log == NODE_LOG, c.size == head.size)
    if conn.execute(select(c.size).where(*mine)).first() is not None:
        conn.execute(update(checkpoints).where(*mine).values(note=text))
        return
    epoch = take_over(conn)
    conn.execute(
        insert(checkpoints).values(
            log=NODE_LOG,
            size=head.size,
            root=head.root,
            epoch=epoch,
            intended_at=now_ms,
            note=text,
        )
    )


@dataclass(frozen=True, slots=True)
class Frozen:
    """A log that ended. `log` is the name of its rows, `size` how far partners saw it.

    note: the signed checkpoint that lies beyond what is here, when a partner gave one
    """

    origin: str
    log: str
    size: int
    reason: str
    note: str | None
    at: int


def freeze(
    conn: Connection, origin: str, size: int, reason: str, text: str | None, now_ms: int
) -> Frozen:
    """End the node's log and begin an empty one, whose first leaf names the old one.

    The old rows stay under another name, so that their receipts can still be given.
    """
    name = f"frozen:{sha256(origin.encode()).hex()[:32]}"
    for table in (leaves, checkpoints, cosignatures, heads):
        conn.execute(update(table).where(table.c.log == NODE_LOG).values(log=name))
    ended = Frozen(origin, name, size, reason, text, now_ms)
    conn.execute(
        insert(frozen).values(
            origin=origin, log=name, size=size, reason=reason, note=text, at=now_ms
        )
    )
    subject = sha256(_FROZEN_SUBJECT + origin.encode())
    commit = sha256((text or origin).encode())
    log.remember(conn, LeafKind.KEY_EVENT, subject, commit, now_ms)
    return ended


def all_frozen(conn: Connection) -> list[Frozen]:
    """The ended logs of this node, oldest first."""
    rows = conn.execute(select(frozen).order_by(frozen.c.at, frozen.c.origin))
    return [Frozen(row.origin, row.log, row.size, row.reason, row.note, row.at) for row in rows]
