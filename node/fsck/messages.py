"""fsck of one message: its row against what the sender signed and what the receiver receipted.

Streams, retries and receipts are read from the columns, so a column that says something else than
the signed manifest would put a message into another's stream, or give it another's receipt (R9).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Table, select

from ledger.tables import leaves
from node.exchange import identity, outbox_rows
from node.exchange.inbox_rows import DELIVERED, HELD, READY, REFUSED, VOIDED, proof_of
from node.exchange.tables import inbox, outbox, receipts_issued, receipts_received
from protocols.digest import sha256
from protocols.exchange import control, manifest, receipt
from protocols.exchange.manifest import DOCUMENT, VOID, Manifest, SignedManifest
from protocols.log.merkle import HASH_SIZE, Tree
from schemas import strict_json
from schemas.errors import TradeError

NEEDED = (
    "n", "id", "peer", "digest", "state", "type", "stream", "seq", "prev", "receipt_seq",
    "item_index", "item", "media_type", "size", "manifest", "body",
)  # fmt: skip
_ANSWERED = {outbox_rows.RECEIPTED: True, outbox_rows.REJECTED: False}
_STATES = {
    inbox.name: frozenset((HELD, READY, VOIDED, DELIVERED, REFUSED)),
    outbox.name: frozenset((outbox_rows.QUEUED, *_ANSWERED, outbox_rows.EXPIRED)),
}
OWN = {inbox.name: ("leaf", "link", "document"), outbox.name: ("path", "document")}
"""Columns that only the inbox or only the outbox has, or that each gets its own way."""


def faults(conn: Connection, table: Table, row: Any) -> Iterator[str]:
    """What is wrong with a row of the inbox or the outbox, as sentences."""
    try:
        signed = manifest.read(row.manifest)
    except TradeError as error:
        yield error.code
        return
    if signed.digest != bytes(row.digest):
        yield "the manifest has another digest"
    if row.body is not None and sha256(bytes(row.body)) != signed.manifest.body.sha256:
        yield "the body is not the one that was signed"
    if row.body is not None:
        yield from _of_body(signed, table, row)
    if row.state not in _STATES[table.name]:
        yield f"it has the state {row.state}, which there is not"
    if table is outbox and row.state in _ANSWERED and row.item is None:
        yield "it was answered and the answer is not here"
    other = _other(signed.manifest, table, row)
    if other:
        yield f"its row is not what the manifest says: {', '.join(other)}"
    if row.item is not None:
        try:
            yield from _item_faults(conn, table, row, signed)
        except TradeError as error:
            yield f"its receipt item: {error.code}"


def _of_body(signed: SignedManifest, table: Table, row: Any) -> Iterator[str]:
    """The columns that follow from the body: which document it is, which message it voids."""
    type_, body = signed.manifest.type, bytes(row.body)
    document = identity.document_digest(body) if type_.startswith(DOCUMENT) else None
    if _plain(row.document) != document:
        yield "its row names another document than its body is"
    if table is inbox:
        link = control.read_void(body).digest if type_ == VOID else signed.digest
        if bytes(row.link) != link:
            yield "its row says that the next one names another"


def _other(said: Manifest, table: Table, row: Any) -> list[str]:
    """The columns that do not follow from the manifest."""
    wanted = {
        "id": said.id,
        "peer": said.recipient if table is outbox else said.sender,
        "type": said.type,
        "stream": said.stream,
        "seq": said.seq,
        "prev": said.prev,
        "media_type": said.body.media_type,
        "size": said.body.length,
    }
    return [name for name, value in wanted.items() if _plain(getattr(row, name)) != value]


def _item_faults(conn: Connection, table: Table, row: Any, signed: SignedManifest) -> Iterator[str]:
    item = receipt.item_from_json(strict_json.loads(row.item.encode()))
    if (item.id, item.digest) != (signed.manifest.id, signed.digest):
        yield "its receipt item is of another message"
    if table is inbox:
        yield from _receipted(conn, row, item)
    else:
        yield from _answered(conn, row, item)


def _receipted(conn: Connection, row: Any, item: receipt.ReceiptItem) -> Iterator[str]:
    """What the sender was given for it: the item stands in that receipt, its leaf in our log."""
    found = conn.execute(
        select(receipts_issued.c.receipt, receipts_issued.c.leaves).where(
            receipts_issued.c.peer == row.peer, receipts_issued.c.seq == row.receipt_seq
        )
    ).one_or_none()
    if found is None:
        yield f"receipt {row.receipt_seq} that it got is missing"
        return
    given, tree = receipt.read(found.receipt), tree_of(bytes(found.leaves))
    if not 0 <= row.item_index < tree.size:
        yield "it has no place in its receipt"
        return
    receipt.verify_item(given, item, row.item_index, proof_of(row, found.receipt, tree).path)
    leaf = bytes(row.leaf)
    held = select(leaves.c.leaf_index).where(leaves.c.leaf_hash == leaf).limit(1)
    if item.leaf != leaf or conn.execute(held).first() is None:
        yield "its leaf is not in the log, or is another than was receipted"


def _answered(conn: Connection, row: Any, item: receipt.ReceiptItem) -> Iterator[str]:
    """What we can show that the peer has it: its receipt, and the path of our item in there."""
    found = conn.execute(
        select(receipts_received.c.receipt).where(
            receipts_received.c.peer == row.peer, receipts_received.c.seq == row.receipt_seq
        )
    ).scalar()
    if found is None:
        yield f"receipt {row.receipt_seq} that it got is missing"
        return
    if _ANSWERED.get(row.state, item.accepted) != item.accepted:
        yield "the peer answered otherwise than its state says"
    path = bytes(row.path)
    steps = [path[at : at + HASH_SIZE] for at in range(0, len(path), HASH_SIZE)]
    receipt.verify_item(receipt.read(found), item, row.item_index, steps)


def tree_of(joined: bytes) -> Tree:
    """The tree of a receipt, from its joined leaf hashes."""
    return Tree(joined[at : at + HASH_SIZE] for at in range(0, len(joined), HASH_SIZE))


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, bytes | memoryview) else value
