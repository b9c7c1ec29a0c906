"""Batches, operations and refusals of a title registry: functions over a passed connection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select

from ledger import log as leaves
from ledger.registry_tables import batches, operations, refusals
from protocols.title.json_forms import map_key, read_state_bytes, state_bytes, state_digest
from protocols.title.machine import TitleState
from protocols.title.operation import read_operation
from protocols.title.registry import LastBatch, Registry, Step, marks
from protocols.title.registry_entries import OperationEntry, decode
from protocols.title.sparse_map import SparseMap
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
    conn: Connection, log: str, *, up_to_size: int | None = None, below: int | None = None
) -> StoredBatch | None:
    """The last batch; that a checkpoint of `up_to_size` entries covers; before number `below`."""
    query = select(
        batches.c.number,
        batches.c.at,
        batches.c.size,
        batches.c.state_root,
        batches.c.members_version,
    ).where(batches.c.log == log)
    if up_to_size is not None:
        query = query.where(batches.c.size <= up_to_size)
    if below is not None:
        query = query.where(batches.c.number < below)
    row = conn.execute(query.order_by(batches.c.number.desc()).limit(1)).one_or_none()
    return None if row is None else StoredBatch(row[0], row[1], row[2], bytes(row[3]), row[4])


def load(conn: Connection, log: str, base: Registry, batch: StoredBatch | None) -> Registry:
    """The registry after `batch`, its map rebuilt from what is stored.

    base: the empty registry at the start of the log (`protocols.title.registry.beginning`). Raises
    SettingsError `registry_damaged` when the rebuilt map has another root: then nothing may be
    signed.
    """
    if batch is None:
        return base
    earlier = newest_batch(conn, log, below=batch.number)
    before = base
    if earlier is not None:
        before = _registry(base, earlier, _map(conn, log, earlier.number))
    titles = before.titles
    for operation in _of_batch(conn, log, batch.number):
        titles = _with(titles, operation)
    if titles.root != batch.state_root:
        raise SettingsError("registry_damaged", "the stored titles lead to another state root")
    last = _last(conn, log, before, batch)
    return _registry(base, batch, titles, last)


def _registry(
    base: Registry, batch: StoredBatch, titles: SparseMap, last: LastBatch | None = None
) -> Registry:
    lineage = base.lineage
    return Registry(
        network=base.network,
        arbiter=lineage.arbiters[lineage.position(batch.size)] if lineage else base.arbiter,
        number=batch.number,
        at_ms=batch.at,
        members_version=batch.members_version,
        titles=titles,
        size=batch.size,
        last=last,
        lineage=lineage,
    )


def _last(conn: Connection, log: str, before: Registry, batch: StoredBatch) -> LastBatch | None:
    """What it takes to restate the batch; its operations are those of the log, in their order."""
    entries = leaves.read(conn, before.size, batch.size, log=log)
    read = (decode(leaf.entry) for leaf in entries)
    texts = tuple(entry.text for entry in read if isinstance(entry, OperationEntry))
    if not texts:
        return None
    previous = {}
    for title in titles_between(conn, log, batch.number, batch.number):
        found = last_operation(conn, log, title, up_to_batch=before.number)
        previous[title] = found.state if found else None
    return LastBatch(before, texts, previous)


def _map(conn: Connection, log: str, number: int) -> SparseMap:
    titles = SparseMap()
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
        titles = titles.set(map_key(operation.title), state_digest(operation.state))
    issues = select(operations.c.text).where(*mine, operations.c.seq == 0)
    for text in conn.execute(issues).scalars():
        titles = _marked(titles, text)
    return titles


def _of_batch(conn: Connection, log: str, number: int) -> Iterable[StoredOperation]:
    query = select(*_OPERATION).where(operations.c.log == log, operations.c.batch == number)
    return [_stored(*row) for row in conn.execute(query.order_by(operations.c.seq))]


def _with(titles: SparseMap, operation: StoredOperation) -> SparseMap:
    titles = titles.set(map_key(operation.title), state_digest(operation.state))
    return _marked(titles, operation.text) if operation.seq == 0 else titles


def _marked(titles: SparseMap, text: str) -> SparseMap:
    issued = read_operation(text).operation
    assert issued.issuance is not None
    for key in marks(issued.entry, issued.issuance.replaces):
        titles = titles.set(key, issued.title)
    return titles


def put_step(conn: Connection, log: str, before: Registry, step: Step) -> None:
    """Store an executed batch; a restatement takes the place of the one before it."""
    if step.moment.restates:
        stale = before.number
        for table in (operations, batches):
            number = table.c.batch if table is operations else table.c.number
            conn.execute(delete(table).where(table.c.log == log, number == stale))
    after = step.registry
    conn.execute(
        insert(batches).values(
            log=log,
            number=after.number,
            at=after.at_ms,
            size=after.size,
            state_root=after.titles.root,
            members_version=after.members_version,
        )
    )
    rows = [
        {
            "log": log,
            "title": done.state.title,
            "seq": done.signed.operation.seq,
            "digest": done.signed.operation.digest,
            "text": done.signed.text,
            "batch": after.number,
            "state": state_bytes(done.state).decode(),
        }
        for done in step.applied
    ]
    if rows:
        conn.execute(insert(operations), rows)


def put_steps(conn: Connection, log: str, before: Registry, steps: Sequence[Step]) -> None:
    """Store batches that were executed one after the other on top of `before`."""
    for step in steps:
        put_step(conn, log, before, step)
        before = step.registry


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
