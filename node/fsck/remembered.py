"""fsck of what the log's leaves tell of: whoever holds a leaf's receipt may ask for its row (R18).

Rows are checked against leaves where they are read; this is the other direction, which shows what
is gone as a whole. Nothing that a leaf tells of is ever deleted by a node, so a missing row is a
loss: damage, or a store restored from an old copy whose log was put back whole (R15).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Connection, LargeBinary, Select, func, select

from ledger import tables
from ledger.log import counted
from node.documents.tables import documents
from node.exchange.tables import inbox
from node.fsck.stored import has, pages
from node.store.events import events
from node.trust.tables import lists
from protocols.digest import sha256
from protocols.log import leaf
from protocols.log.leaf import LeafKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.fsck import Context

#: What a leaf of a kind must be named by, and how the loss is told.
_NAMED_BY: tuple[tuple[tuple[LeafKind, ...], Column[bytes], str], ...] = (
    ((LeafKind.ISSUE, LeafKind.AMEND), documents.c.leaf, "a document issued"),
    ((LeafKind.RECEIVE,), inbox.c.leaf, "a message received"),
    ((LeafKind.FOREIGN_CHECKPOINT,), tables.foreign.c.leaf, "a partner's checkpoint"),
    (
        (
            LeafKind.ISSUE,
            LeafKind.AMEND,
            LeafKind.STATUS,
            LeafKind.TITLE_OPERATION_SEEN,
            LeafKind.MEMBER_LIST,
            LeafKind.EVIDENCE,
        ),
        events.c.leaf,
        "an event",
    ),
)
_HEAD = b"\x86\x63" + leaf.VERSION.encode()
"""Before the byte of an entry that tells its kind."""


def remembered(conn: Connection, context: Context) -> Iterator[str]:
    """FSCK-24: what each leaf tells of is here."""
    context.examined = counted(conn)
    logs = _own_logs(conn)
    for kinds, column, what in _NAMED_BY:
        if has(conn, column.table):
            yield from _unnamed(conn, logs, kinds, column, what)
    for kind, commits, what in _committed(conn, context):
        for name, index, entry in pages(conn, _of_kind(logs, (kind,))):
            if leaf.decode(bytes(entry)).commit not in commits:
                yield f"log {name}: entry {index} tells of {what} that is not here"


def _own_logs(conn: Connection) -> list[str]:
    """The node's log, and those of its own that ended (R15)."""
    ended = conn.execute(select(tables.frozen.c.log)).scalars().all()
    return [tables.NODE_LOG, *ended]


def _of_kind(logs: list[str], kinds: tuple[LeafKind, ...]) -> Select[Any]:
    c = tables.leaves.c
    head = func.substr(c.entry, 1, len(_HEAD) + 1, type_=LargeBinary)
    wanted = [_HEAD + bytes((kind,)) for kind in kinds]
    query = select(c.log, c.leaf_index, c.entry).where(c.log.in_(logs), head.in_(wanted))
    return query.order_by(c.log, c.leaf_index)


def _unnamed(
    conn: Connection,
    logs: list[str],
    kinds: tuple[LeafKind, ...],
    column: Column[bytes],
    what: str,
) -> Iterator[str]:
    # One pass by the database: a look-up per leaf would be one scan of the table per leaf.
    query = _of_kind(logs, kinds).outerjoin_from(
        tables.leaves, column.table, column == tables.leaves.c.leaf_hash
    )
    for name, index, _ in pages(conn, query.where(column.is_(None))):
        yield f"log {name}: entry {index} tells of {what} that is not here"


def _committed(
    conn: Connection, context: Context
) -> Iterator[tuple[LeafKind, frozenset[bytes], str]]:
    """Where the row has no leaf's hash: the commitments that the rows here give."""
    if has(conn, lists):
        held, members = conn.execute(select(lists.c.digest)).scalars().all(), context.members
        given = frozenset(
            leaf.commit(members.network, bytes(digest)) for digest in held if members is not None
        )
        if members is not None or not held:  # lists that cannot be opened: FSCK-06
            yield LeafKind.MEMBER_LIST, given, "a member list"
    forks = conn.execute(select(tables.forks.c.digest)).scalars()
    yield LeafKind.EVIDENCE, frozenset(map(bytes, forks)), "evidence of a fork"
    ended = conn.execute(select(tables.frozen.c.note, tables.frozen.c.origin)).all()
    given = frozenset(sha256((text or origin).encode()) for text, origin in ended)
    yield LeafKind.KEY_EVENT, given, "a log that ended"
