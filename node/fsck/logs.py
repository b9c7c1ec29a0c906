"""fsck of the logs: entries, tree and checkpoints, tiles, and what was cosigned for others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, select, union

from ledger import checkpoints, log, tables, witness
from ledger.tiles import TileFolder, tiles_between
from node.fsck.stored import pages, there
from protocols.log import checkpoint, leaf, note
from protocols.log import proof as log_proof
from protocols.log.merkle import Tree, leaf_hash
from schemas.errors import NotFoundError, TradeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.fsck import Context

STEP = 4096


def log_names(conn: Connection) -> list[str]:
    """Every log of this store, also one whose head is gone."""
    named = (tables.heads.c.log, tables.leaves.c.log, tables.checkpoints.c.log)
    return sorted(conn.execute(union(*map(select, named))).scalars())


def entries(conn: Connection, context: Context) -> Iterator[str]:
    """FSCK-01: indexes are dense, every entry gives its leaf hash, the head counts them."""
    for name in log_names(conn):
        size, expected = log.size(conn, log=name), 0
        for start, end in log.in_pieces(0, _last_index(conn, name) + 1, STEP):
            for stored in log.read(conn, start, end, log=name):
                context.examined += 1
                if stored.index != expected:
                    yield f"log {name}: entries {expected} to {stored.index - 1} are missing"
                expected = stored.index + 1
                if leaf_hash(stored.entry) != stored.hash:
                    yield f"log {name}: entry {stored.index} does not give its leaf hash"
        if expected != size:
            yield f"log {name}: the head says size {size}, stored: {expected}"


def _last_index(conn: Connection, name: str) -> int:
    query = select(func.max(tables.leaves.c.leaf_index)).where(tables.leaves.c.log == name)
    found = conn.execute(query).scalar()
    return -1 if found is None else int(found)


def chains(conn: Connection, context: Context) -> Iterator[str]:
    """FSCK-10: every leaf names the leaf before it of its subject, the first one none (R18)."""
    c = tables.leaves.c
    query = select(c.leaf_index, c.subject, c.leaf_hash, c.entry).where(
        c.log == tables.NODE_LOG, c.subject.is_not(None)
    )
    subject, last = b"", None
    for row in pages(conn, query.order_by(c.log, c.subject, c.leaf_index)):
        context.examined += 1
        if bytes(row.subject) != subject:
            subject, last = bytes(row.subject), None
        if leaf.decode(bytes(row.entry)).prev != last:
            yield f"entry {row.leaf_index} does not name the leaf before it of its subject"
        last = bytes(row.leaf_hash)


def tree_of(conn: Connection, name: str) -> Tree:
    """The tree of a log's stored leaf hashes."""
    tree = Tree()
    while found := log.hashes(conn, tree.size, tree.size + STEP, log=name):
        tree.extend(found)
    return tree


def checkpoints_and_tree(conn: Connection, context: Context) -> Iterator[str]:
    """FSCK-02: every intended, signed and cosigned checkpoint follows from the leaves."""
    yield from _columns_of_cosignatures(conn, context)
    for name in log_names(conn):
        tree = tree_of(conn, name)
        for stored in checkpoints.all_of(conn, log=name):
            context.examined += 1
            where = f"log {name}: checkpoint {stored.size}"
            if stored.size > tree.size:
                yield f"{where} covers more than the {tree.size} leaves stored"
            elif tree.root(stored.size) != stored.root:
                yield f"{where} has another root than the leaves give"
            if stored.note is not None:
                yield from _signatures(conn, context, name, stored, where)


def _columns_of_cosignatures(conn: Connection, context: Context) -> Iterator[str]:
    """By these columns a witness's newest line is found, and who has confirmed what."""
    for row in pages(conn, select(tables.cosignatures)):
        context.examined += 1
        where = f"log {row.log}: the cosignature of {row.name} under checkpoint {row.size}"
        try:
            line = note.parse_signature(row.line.removesuffix("\n"))
        except TradeError as error:
            yield f"{where}: {error}"
            continue
        said = (line.name, line.key_id, int.from_bytes(line.value[:8], "big"))
        if said != (row.name, bytes(row.key_id), row.time):
            yield f"{where} is not what its row says"
        kept = {"log": row.log, "size": row.size}
        if not there(conn, tables.checkpoints, **kept):
            yield f"{where}: there is no such checkpoint"


def _signatures(
    conn: Connection,
    context: Context,
    name: str,
    stored: checkpoints.StoredCheckpoint,
    where: str,
) -> Iterator[str]:
    try:
        text = checkpoints.cosigned_note(conn, stored, log=name)
        head = checkpoint.parse_body(note.parse(text).text)
        if (head.size, head.root) != (stored.size, stored.root):
            yield f"{where}: the signed note says something else"
        key = context.log_key(head.origin)
        if key is not None:
            policy = context.policy_text(head.origin)
            log_proof.check_checkpoint(text, key, policy, strict=False, origin=head.origin)
    except TradeError as error:
        yield f"{where}: {error}"


def tiles(conn: Connection, context: Context) -> Iterator[str]:
    """FSCK-03: every tile that the newest signed checkpoint needs is there and right."""
    newest = checkpoints.newest(conn, signed=True)
    folder = TileFolder(context.home.log)
    tree = tree_of(conn, tables.NODE_LOG)
    if newest is None or newest.size > tree.size:
        return
    for tile in tiles_between(0, newest.size):
        context.examined += 1
        try:
            if folder.read(tile) != tile.data(tree):
                yield f"tile {tile.path()} differs from the tree"
        except NotFoundError:
            yield f"tile {tile.path()} is missing or cut"


def witness_states(conn: Connection, context: Context) -> Iterator[str]:
    """FSCK-08: what was cosigned last of each log carries the log's signature and ours; mirrors
    and what was followed of partners' logs are whole."""
    from node.fsck.partner_logs import partner_logs

    yield from partner_logs(conn, context)
    for held in witness.states(conn):
        context.examined += 1
        try:
            opened = note.parse(held.note)
            head = checkpoint.parse_body(opened.text)
            if (head.origin, head.size, head.root) != (held.origin, held.size, held.root):
                yield f"the state of {held.origin} is not what its note says"
            key = context.log_key(held.origin)
            if key is not None:
                policy = context.policy_text(held.origin)
                log_proof.check_checkpoint(held.note, key, policy, strict=False, origin=held.origin)
        except TradeError as error:
            yield f"the state of {held.origin}: {error}"
