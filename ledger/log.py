"""Writing and reading leaves: synchronous functions over a passed connection.

`append` runs inside the transaction of the change that the leaf tells of, so that both commit or
neither does (R8). Indexes are dense because they come from a row that the transaction locks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, insert, select, update

from ledger.prepared import Prepared
from ledger.tables import NODE_LOG, heads, leaves
from protocols.log import leaf as leaves_format
from protocols.log.leaf import Leaf, LeafKind
from protocols.log.merkle import leaf_hash
from schemas.errors import TooLargeError

MAX_ENTRY = 65_535
"""Entry bundles prefix each entry with a 16-bit length (C2SP tlog-tiles)."""

_TAKE = (
    update(heads)
    .where(heads.c.log == bindparam("name"))
    .values(size=heads.c.size + bindparam("count"))
    .returning(heads.c.size)
)
_LAST = (
    select(leaves.c.leaf_hash)
    .where(leaves.c.log == bindparam("name"), leaves.c.subject == bindparam("about"))
    .order_by(leaves.c.leaf_index.desc())
    .limit(1)
)
_TAKE_NOW = Prepared(_TAKE)
_INSERT_NOW = Prepared(insert(leaves), ("log", "leaf_index", "leaf_hash", "entry", "subject", "at"))
_LAST_NOW = Prepared(_LAST)
_STORED = (leaves.c.leaf_index, leaves.c.leaf_hash, leaves.c.entry, leaves.c.at)


@dataclass(frozen=True, slots=True)
class AppendedLeaf:
    """Where a leaf went: its index in the log and its leaf hash (RFC 6962 §2.1)."""

    index: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class StoredLeaf:
    """A leaf as stored; `at` is when it was appended, ms UTC."""

    index: int
    hash: bytes
    entry: bytes
    at: int


@dataclass(frozen=True, slots=True)
class Fact:
    """What a leaf of the log tells; subject and commit as `protocols.log.leaf` makes them."""

    kind: LeafKind
    subject: bytes
    commit: bytes


def append(conn: Connection, entry: bytes, now_ms: int, *, log: str = NODE_LOG) -> AppendedLeaf:
    """Append one entry in the caller's transaction. Raises TooLargeError `log_entry_too_large`."""
    return append_all(conn, [entry], now_ms, log=log)[0]


def append_all(
    conn: Connection, entries: Sequence[bytes], now_ms: int, *, log: str = NODE_LOG
) -> list[AppendedLeaf]:
    """Append entries in order, next to each other."""
    if not entries:
        return []
    if any(len(entry) > MAX_ENTRY for entry in entries):
        raise TooLargeError("log_entry_too_large", f"an entry has at most {MAX_ENTRY} bytes")
    start = _take(conn, log, len(entries)) - len(entries)
    about = [leaves_format.subject_of(entry) if log == NODE_LOG else None for entry in entries]
    return _put(conn, log, start, entries, about, now_ms)


def remember(
    conn: Connection, kind: LeafKind, subject: bytes, commit: bytes, now_ms: int
) -> AppendedLeaf:
    """Append a leaf to the node's log, chained to the subject's last leaf here.

    The chain lets an auditor see every entry of a subject and every gap (R18).
    """
    return remember_all(conn, [Fact(kind, subject, commit)], now_ms)[0]


def remember_all(conn: Connection, facts: Sequence[Fact], now_ms: int) -> list[AppendedLeaf]:
    """As `remember`, for one batch in order: the subjects' last leaves are looked up in one query.

    The log's head is locked before they are, so no other writer comes between.
    """
    if not facts:
        return []
    start = _take(conn, NODE_LOG, len(facts)) - len(facts)
    last = _last_of(conn, {fact.subject for fact in facts})
    entries = []
    for fact in facts:
        prev = last.get(fact.subject)
        entry = leaves_format.encode(Leaf(fact.kind, fact.subject, fact.commit, prev, now_ms))
        last[fact.subject] = leaf_hash(entry)
        entries.append(entry)
    return _put(conn, NODE_LOG, start, entries, [fact.subject for fact in facts], now_ms)


def _last_of(conn: Connection, subjects: Collection[bytes]) -> dict[bytes, bytes]:
    """Subject → leaf hash of its newest leaf in the node's log."""
    if len(subjects) == 1:
        about = next(iter(subjects))
        found = _LAST_NOW.scalar(conn, {"name": NODE_LOG, "about": about})
        return {} if found is None else {about: bytes(found)}
    mine = (leaves.c.log == NODE_LOG, leaves.c.subject.in_(sorted(subjects)))
    newest = select(func.max(leaves.c.leaf_index)).where(*mine).group_by(leaves.c.subject)
    query = select(leaves.c.subject, leaves.c.leaf_hash).where(
        leaves.c.log == NODE_LOG, leaves.c.leaf_index.in_(newest)
    )
    return {bytes(subject): bytes(hash_) for subject, hash_ in conn.execute(query)}


def of_subject(conn: Connection, subject: bytes, *, newest_only: bool = False) -> list[StoredLeaf]:
    """All leaves of a subject in the node's log, oldest first, or only the newest one."""
    mine = select(*_STORED).where(leaves.c.log == NODE_LOG, leaves.c.subject == subject)
    if newest_only:
        query = mine.order_by(leaves.c.leaf_index.desc()).limit(1)
    else:
        query = mine.order_by(leaves.c.leaf_index)
    return [_stored(*row) for row in conn.execute(query)]


def _put(
    conn: Connection,
    log: str,
    start: int,
    entries: Sequence[bytes],
    subjects: Sequence[bytes | None],
    now_ms: int,
) -> list[AppendedLeaf]:
    added = [AppendedLeaf(start + at, leaf_hash(entry)) for at, entry in enumerate(entries)]
    rows = [
        {
            "log": log,
            "leaf_index": leaf.index,
            "leaf_hash": leaf.hash,
            "entry": entry,
            "subject": subject,
            "at": now_ms,
        }
        for leaf, entry, subject in zip(added, entries, subjects, strict=True)
    ]
    _INSERT_NOW.run_all(conn, rows)
    return added


def _take(conn: Connection, log: str, count: int) -> int:
    """Reserve `count` indexes; the size after them. The row stays locked until the commit."""
    size = _TAKE_NOW.scalar(conn, {"name": log, "count": count})
    if size is None:
        conn.execute(insert(heads).values(log=log, size=count, epoch=0))
        return count
    return int(size)


def size(conn: Connection, *, log: str = NODE_LOG) -> int:
    """The number of leaves."""
    found = conn.execute(select(heads.c.size).where(heads.c.log == log)).scalar_one_or_none()
    return int(found or 0)


def hashes(conn: Connection, start: int, end: int, *, log: str = NODE_LOG) -> list[bytes]:
    """The leaf hashes start…end−1, as far as stored."""
    rows = conn.execute(_between(select(leaves.c.leaf_hash), log, start, end))
    return [bytes(row) for row in rows.scalars()]


def read(conn: Connection, start: int, end: int, *, log: str = NODE_LOG) -> list[StoredLeaf]:
    """The leaves start…end−1, as far as stored. The caller bounds the range."""
    rows = conn.execute(_between(select(*_STORED), log, start, end))
    return [_stored(*row) for row in rows]


def _between(statement: Select[Any], log: str, start: int, end: int) -> Select[Any]:
    index = leaves.c.leaf_index
    return statement.where(leaves.c.log == log, index >= start, index < end).order_by(index)


def _stored(index: int, hash_: bytes, entry: bytes, at: int) -> StoredLeaf:
    return StoredLeaf(index, bytes(hash_), bytes(entry), at)


def find(conn: Connection, hash_: bytes, *, log: str = NODE_LOG) -> StoredLeaf | None:
    """The first leaf with that leaf hash."""
    row = conn.execute(
        select(*_STORED)
        .where(leaves.c.log == log, leaves.c.leaf_hash == hash_)
        .order_by(leaves.c.leaf_index)
        .limit(1)
    ).one_or_none()
    return None if row is None else _stored(*row)


def counted(conn: Connection, *, log: str = NODE_LOG) -> int:
    """How many leaf rows there are; differs from `size` only in a damaged store."""
    return int(
        conn.execute(select(func.count()).select_from(leaves).where(leaves.c.log == log)).scalar()
        or 0
    )


def in_pieces(start: int, end: int, step: int = 4096) -> Iterator[tuple[int, int]]:
    """Ranges of at most `step` that cover start…end−1."""
    for at in range(start, end, step):
        yield at, min(at + step, end)
