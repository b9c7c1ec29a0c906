"""Batches, operations and refusals of a title registry: functions over a passed connection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select

from ledger.registry_tables import batches, operations, refusals
from protocols.registry import Applied, Registry, marks
from protocols.sparse_map import SparseMap
from protocols.title import TitleState
from protocols.title_json import map_key, read_state_bytes, state_bytes, state_digest
from protocols.title_operation import read_operation
from schemas.errors import SettingsError

_OPERATION = (
    operations.c.title,
    operations.c.seq,
    operations.c.digest,
    operations.c.text,
    operations.c.batch,
    operations.c.state,
)


@dataclass(frozen=True, slots=True)
class StoredOperation:
    """An accepted operation: the seq it built on, its JWS, its batch and the state after it."""

    title: bytes
    seq: int
    digest: bytes
    text: str
    batch: int
    state: TitleState


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch: its number and time, the log's size after it, and its state root."""

    number: int
    at: int
    size: int
    state_root: bytes
    members_version: int


def _stored(
    title: bytes, seq: int, digest: bytes, text: str, batch: int, state: str
) -> StoredOperation:
    after = read_state_bytes(state.encode())
    return StoredOperation(bytes(title), seq, bytes(digest), text, batch, after)


def newest_batch(
    conn: Connection, log: str, *, up_to_size: int | None = None
) -> StoredBatch | None:
    """The last batch, or the last that a checkpoint of `up_to_size` entries covers."""
    query = select(
        batches.c.number,
        batches.c.at,
        batches.c.size,
        batches.c.state_root,
        batches.c.members_version,
    ).where(batches.c.log == log)
    if up_to_size is not None:
        query = query.where(batches.c.size <= up_to_size)
    row = conn.execute(query.order_by(batches.c.number.desc()).limit(1)).one_or_none()
    return None if row is None else StoredBatch(row[0], row[1], row[2], bytes(row[3]), row[4])


def load(conn: Connection, log: str, base: Registry, batch: StoredBatch | None) -> Registry:
    """The registry after `batch`, its map rebuilt from what is stored.

    Raises SettingsError `registry_damaged` when the rebuilt map has another root: then nothing
    may be signed.
    """
    if batch is None:
        return base
    titles = SparseMap()
    for key, value in _map_entries(conn, log, batch.number):
        titles = titles.set(key, value)
    if titles.root != batch.state_root:
        raise SettingsError("registry_damaged", "the stored titles lead to another state root")
    return Registry(
        network=base.network,
        arbiter=base.arbiter,
        number=batch.number,
        at_ms=batch.at,
        members_version=batch.members_version,
        titles=titles,
    )


def _map_entries(conn: Connection, log: str, number: int) -> Iterable[tuple[bytes, bytes]]:
    mine = (operations.c.log == log, operations.c.batch <= number)
    last = (
        select(operations.c.title, func.max(operations.c.seq).label("seq"))
        .where(*mine)
        .group_by(operations.c.title)
        .subquery()
    )
    joined = select(*_OPERATION).join(
        last, (operations.c.title == last.c.title) & (operations.c.seq == last.c.seq)
    )
    for row in conn.execute(joined.where(*mine)):
        operation = _stored(*row)
        yield map_key(operation.title), state_digest(operation.state)
    issues = select(operations.c.text).where(*mine, operations.c.seq == 0)
    for text in conn.execute(issues).scalars():
        issued = read_operation(text).operation
        assert issued.issuance is not None
        for key in marks(issued.entry, issued.issuance.replaces):
            yield key, issued.title


def put_batch(
    conn: Connection, log: str, after: Registry, applied: Sequence[Applied], size: int
) -> None:
    """Store an executed batch; `size` is that of the log after its root entry."""
    conn.execute(
        insert(batches).values(
            log=log,
            number=after.number,
            at=after.at_ms,
            size=size,
            state_root=after.titles.root,
            members_version=after.members_version,
        )
    )
    conn.execute(
        insert(operations),
        [
            {
                "log": log,
                "title": done.state.title,
                "seq": done.signed.operation.seq,
                "digest": done.signed.operation.digest,
                "text": done.signed.text,
                "batch": after.number,
                "state": state_bytes(done.state).decode(),
            }
            for done in applied
        ],
    )


def by_digest(conn: Connection, log: str, digest: bytes) -> StoredOperation | None:
    """The accepted operation with that payload digest."""
    row = conn.execute(
        select(*_OPERATION).where(operations.c.log == log, operations.c.digest == digest)
    ).one_or_none()
    return None if row is None else _stored(*row)


def winner(conn: Connection, log: str, title: bytes, seq: int) -> bytes | None:
    """The digest of the operation that took that place of the title."""
    found = conn.execute(
        select(operations.c.digest).where(
            operations.c.log == log, operations.c.title == title, operations.c.seq == seq
        )
    ).scalar_one_or_none()
    return None if found is None else bytes(found)


def state_of(conn: Connection, log: str, title: bytes) -> TitleState | None:
    """The state of the title after everything stored."""
    found = last_operation(conn, log, title)
    return found.state if found else None


def last_operation(
    conn: Connection, log: str, title: bytes, *, up_to_batch: int | None = None
) -> StoredOperation | None:
    """The last operation of the title, in or before a batch."""
    query = select(*_OPERATION).where(operations.c.log == log, operations.c.title == title)
    if up_to_batch is not None:
        query = query.where(operations.c.batch <= up_to_batch)
    row = conn.execute(query.order_by(operations.c.seq.desc()).limit(1)).one_or_none()
    return None if row is None else _stored(*row)


def history(conn: Connection, log: str, title: bytes, below_seq: int) -> list[str]:
    """The signed operations of the title that led to `below_seq`, first to last."""
    rows = conn.execute(
        select(operations.c.text)
        .where(operations.c.log == log, operations.c.title == title, operations.c.seq < below_seq)
        .order_by(operations.c.seq)
    )
    return list(rows.scalars())


def titles_between(conn: Connection, log: str, first: int, last: int) -> list[bytes]:
    """The titles that batches first…last moved."""
    rows = conn.execute(
        select(operations.c.title)
        .where(operations.c.log == log, operations.c.batch >= first, operations.c.batch <= last)
        .distinct()
    )
    return [bytes(title) for title in rows.scalars()]


def put_refusal(conn: Connection, log: str, digest: bytes, text: str, at: int) -> None:
    """Keep a signed refusal: asking again gives the same answer."""
    conn.execute(insert(refusals).values(log=log, digest=digest, text=text, at=at))


def refusal(conn: Connection, log: str, digest: bytes) -> str | None:
    """The signed refusal of the operation with that payload digest."""
    return conn.execute(
        select(refusals.c.text).where(refusals.c.log == log, refusals.c.digest == digest)
    ).scalar_one_or_none()
