"""fsck of what a node keeps of title registries, as sequencer or as witness, beside their titles.

FSCK-07 re-executes a registry; here its rows are held against its log: batches and operations,
signed refusals, and at a witness the checkpoint it cosigned against the mirrored entries (R22).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from ledger import log
from ledger.registry_tables import batches, mirrors, operations, refusals
from ledger.registry_witness import mirror_log
from node.fsck.logs import STEP, tree_of
from node.fsck.stored import has, pages
from protocols import jws
from protocols.log import checkpoint, note
from protocols.log import proof as log_proof
from protocols.title.operation import read_operation, read_refusal
from protocols.title.registry_entries import (
    BatchEntry,
    HandOverEntry,
    OperationEntry,
    RootEntry,
    decode,
)
from schemas.errors import TradeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.fsck import Context


def registries(conn: Connection, context: Context) -> Iterator[str]:
    """FSCK-11: batches, operations, refusals and cosigned states are what the logs say."""
    if not has(conn, batches):
        return
    names = conn.execute(select(batches.c.log).distinct().order_by(batches.c.log)).scalars().all()
    for name in names:
        yield from _batches(conn, context, name)
    yield from _refusals(conn, context)
    yield from _mirrors(conn, context)


@dataclass(slots=True)
class _Open:
    """The batch that is being read from the log."""

    members: bytes = b""
    texts: set[str] = field(default_factory=set)
    restates: bool = False


def _batches(conn: Connection, context: Context, name: str) -> Iterator[str]:
    """Each batch that the log closes is the stored one, and no other is stored."""
    reading, number = _Open(), 0
    closed: tuple[RootEntry, int, _Open] | None = None  # not yet known to stand
    for start, end in log.in_pieces(0, log.size(conn, log=name), STEP):
        for leaf in log.read(conn, start, end, log=name):
            entry = decode(leaf.entry)
            if isinstance(entry, OperationEntry):
                reading.texts.add(entry.text)
            elif isinstance(entry, RootEntry):
                context.examined += 1
                number, closed = entry.number, (entry, leaf.index + 1, reading)
            else:
                following = _opened(entry, reading)
                if closed is not None and not following.restates:
                    yield from _batch(conn, context, name, *closed)
                reading, closed = following, None
    if closed is not None:
        yield from _batch(conn, context, name, *closed)
    newer = select(batches.c.number).where(batches.c.log == name, batches.c.number > number)
    for missing in conn.execute(newer.order_by(batches.c.number)).scalars():
        yield f"registry log {name}: batch {missing} is stored but not in the log"


def _opened(entry: BatchEntry | HandOverEntry, before: _Open) -> _Open:
    """What opens a batch; a restatement judges the operations of the one before it, again."""
    if isinstance(entry, HandOverEntry):
        return _Open()
    texts = before.texts if entry.restates else set[str]()
    return _Open(entry.members_digest, texts, entry.restates)


def _batch(
    conn: Connection, context: Context, name: str, root: RootEntry, size: int, reading: _Open
) -> Iterator[str]:
    where = f"registry log {name}: batch {root.number}"
    columns = (batches.c.at, batches.c.size, batches.c.state_root, batches.c.members_version)
    row = conn.execute(
        select(*columns).where(batches.c.log == name, batches.c.number == root.number)
    ).one_or_none()
    if row is None:
        yield f"{where} is not stored"
        return
    members = context.lists.get(reading.members)
    version = members.version if members is not None else row.members_version
    if (row.at, row.size, bytes(row.state_root), row.members_version) != (
        root.at_ms,
        size,
        root.state_root,
        version,
    ):
        yield f"{where} is not what the log says"
    mine = select(operations.c.digest, operations.c.text).where(
        operations.c.log == name, operations.c.batch == root.number
    )
    stored = {text: bytes(digest) for digest, text in conn.execute(mine)}
    if set(stored) != reading.texts and not (reading.restates and set(stored) <= reading.texts):
        yield f"{where} has other operations than the log"
    elif any(read_operation(text).operation.digest != stored[text] for text in stored):
        yield f"{where} names an operation by another digest"


def _refusals(conn: Connection, context: Context) -> Iterator[str]:
    """Each refusal is the sequencer's signed word about the operation it is kept under."""
    for digest, text in pages(conn, select(refusals.c.digest, refusals.c.text)):
        context.examined += 1
        name = f"the refusal of operation {bytes(digest).hex()}"
        try:
            parsed, said = read_refusal(text)
            key = context.members.key(parsed.kid) if context.members is not None else None
            if key is not None:
                jws.verify(parsed, key.public)
        except TradeError as error:
            yield f"{name}: {error}"
            continue
        if said.operation != bytes(digest):
            yield f"{name} is about another one"


def _mirrors(conn: Connection, context: Context) -> Iterator[str]:
    """What was cosigned last of each registry is signed by both and is the mirror's own root."""
    columns = (mirrors.c.origin, mirrors.c.size, mirrors.c.root, mirrors.c.note)
    for origin, size, root, text in conn.execute(select(*columns).order_by(mirrors.c.origin)).all():
        context.examined += 1
        where = f"the mirror of {origin}"
        tree = tree_of(conn, mirror_log(origin))
        if size > tree.size:
            yield f"{where} has {tree.size} entries, {size} were cosigned"
        elif tree.root(size) != bytes(root):
            yield f"{where} has another root than was cosigned"
        try:
            head = checkpoint.parse_body(note.parse(text).text)
            if (head.origin, head.size, head.root) != (origin, size, bytes(root)):
                yield f"{where}: the cosigned note says something else"
            key = context.log_key(origin)
            if key is not None:
                policy = context.policy_text(origin)
                if not log_proof.check_checkpoint(text, key, policy, strict=False).witness_times:
                    yield f"{where}: our own cosignature is missing"
        except TradeError as error:
            yield f"{where}: {error}"
