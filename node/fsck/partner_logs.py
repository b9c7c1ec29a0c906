"""fsck of what is kept of partners' logs: mirrors, what was followed last, what our leaves tell.

A mirror is what a partner recovers from after it lost its store (R15); nobody reads it before that
day, so damage has to be looked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from ledger import mirror, tables
from ledger.followed import subject
from ledger.mirror import MirrorFolder
from ledger.tiles import WIDTH, tiles_between
from node.fsck.stored import pages
from node.log.partners import origin_hash
from protocols.digest import sha256
from protocols.log import checkpoint, leaf, note
from protocols.log import proof as log_proof
from protocols.log.checkpoint import Checkpoint
from protocols.log.merkle import Tree, leaf_hash
from schemas.errors import NotFoundError, TradeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.mirror import MirrorState
    from node.fsck import Context


def partner_logs(conn: Connection, context: Context) -> Iterator[str]:
    """FSCK-08: mirrored entries give the signed roots; checkpoints kept are what they say."""
    for origin, held in mirror.states(conn):
        context.examined += 1
        yield from _mirror(context, origin, held)
    for row in pages(conn, select(tables.followed).order_by(tables.followed.c.origin)):
        context.examined += 1
        where = f"the checkpoint followed of {row.origin}"
        said = _said(context, row.origin, row.note)
        if isinstance(said, str):
            yield f"{where}: {said}"
        elif (said.size, said.root) != (row.size, bytes(row.root)):
            yield f"{where} is not what its note says"
    for row in pages(conn, select(tables.foreign).order_by(tables.foreign.c.at)):
        context.examined += 1
        why = _recorded(conn, context, row)
        if why:
            yield f"the checkpoint of {row.origin} of size {row.size} in our log: {why}"


def _said(context: Context, origin: str, text: str) -> Checkpoint | str:
    """What a checkpoint says, its signatures checked as far as the key is known; else the fault."""
    try:
        head = checkpoint.parse_body(note.parse(text).text)
        key = context.log_key(origin)
        if key is not None:
            policy = context.policy_text(origin)
            log_proof.check_checkpoint(text, key, policy, strict=False, origin=origin)
    except TradeError as error:
        return str(error)
    return head if head.origin == origin else "it is of another log"


def _mirror(context: Context, origin: str, held: MirrorState) -> Iterator[str]:
    """Entries against the root that the mirror signed, and tiles against the entries."""
    where = f"the mirror of {origin}"
    folder = MirrorFolder(context.home.path / "mirrors" / origin_hash(origin), held.next_entry)
    tree = Tree()
    try:
        while tree.size < held.next_entry:
            width = min(WIDTH, held.next_entry - tree.size)
            tree.extend(leaf_hash(one) for one in folder.entries(tree.size // WIDTH, width))
    except NotFoundError:
        yield f"{where}: entries from {tree.size} on are missing or cut"
        return
    if not held.size:
        return
    said = _said(context, origin, held.note)
    if isinstance(said, str):
        yield f"{where}: {said}"
        return
    if said.size != held.size or held.size > tree.size or tree.root(held.size) != said.root:
        yield f"{where}: its entries do not give the root that it signed"
        return
    for tile in tiles_between(0, held.size):
        try:
            whole = folder.read(tile) == tile.data(tree)
        except NotFoundError:
            whole = False
        if not whole:
            yield f"{where}: tile {tile.path()} is missing, cut or differs from the entries"


def _recorded(conn: Connection, context: Context, row: Any) -> str:
    """Whether our leaf of kind 7 commits to the note kept beside it."""
    said = _said(context, row.origin, row.note)
    if isinstance(said, str):
        return said
    if said.size != row.size:
        return "its note tells of another size"
    query = select(tables.leaves.c.entry).where(
        tables.leaves.c.log == tables.NODE_LOG, tables.leaves.c.leaf_hash == row.leaf
    )
    entry = conn.execute(query.limit(1)).scalar_one_or_none()
    if entry is None:
        return "its leaf is not in the log"
    one = leaf.decode(bytes(entry))
    wanted = (subject(row.origin), sha256(row.note.encode()))
    return "" if (one.subject, one.commit) == wanted else "its leaf commits to something else"
