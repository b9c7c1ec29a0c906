"""What the operator sees of inbox, outbox and peers, and the proofs that others archive.

Reading only. Digests in JSON are lowercase hexadecimal, times RFC 3339.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from node.exchange import inbox_rows, outbox_rows
from node.exchange.tables import inbox, outbox, peers, receipts_received
from protocols import times
from protocols.exchange.receipt import ItemReceipt, item_from_json
from protocols.log.merkle import HASH_SIZE
from schemas import strict_json

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select, Table

MAX_PAGE = 500
STATES = {
    "exchange_inbox": (
        inbox_rows.HELD,
        inbox_rows.READY,
        inbox_rows.DELIVERED,
        inbox_rows.REFUSED,
        inbox_rows.VOIDED,
    ),
    "exchange_outbox": (
        outbox_rows.QUEUED,
        outbox_rows.RECEIPTED,
        outbox_rows.REJECTED,
        outbox_rows.EXPIRED,
    ),
}
_HEAVY = frozenset({"manifest", "body", "item", "path"})


def page(
    conn: Connection,
    table: Table,
    *,
    consignment: str | None,
    state: str | None,
    document: str | None,
    cursor: int,
    limit: int,
) -> list[dict[str, Any]]:
    """Rows of inbox or outbox numbered above `cursor`, oldest first.

    document: a document's digest, or its first digits
    """
    columns = [column for column in table.c if column.name not in _HEAVY]
    query = select(*columns).where(table.c.n > cursor).order_by(table.c.n).limit(limit)
    query = _filtered(query, table, consignment, state, document)
    return [_shown(dict(row._mapping)) for row in conn.execute(query)]  # noqa: SLF001 its public API


def _filtered(
    query: Select[Any],
    table: Table,
    consignment: str | None,
    state: str | None,
    document: str | None,
) -> Select[Any]:
    if consignment is not None:
        query = query.where(table.c.stream == consignment)
    if state is not None:
        query = query.where(table.c.state == state)
    if document is not None:
        first, last = (bytes.fromhex(document.ljust(64, end)) for end in "0f")
        query = query.where(table.c.document.between(first, last))
    return query


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """Digests as hexadecimal, times as text, and the stream under its trade name."""
    shown: dict[str, Any] = {}
    for name, value in ((str(key), value) for key, value in row.items()):
        if isinstance(value, bytes | memoryview):
            shown[name] = bytes(value).hex()
        elif name.endswith("_at"):
            shown[name] = times.to_text(times.from_ms(value)) if value else None
        else:
            shown[name] = value
    shown["consignment"] = shown.pop("stream")
    return shown


def peer_list(conn: Connection) -> list[dict[str, Any]]:
    """Every peer we exchanged anything with: what waits, since when, and its breaker."""
    waiting = {
        row.peer: row
        for row in conn.execute(
            select(
                outbox.c.peer,
                func.count().label("count"),
                func.min(outbox.c.created_at).label("oldest"),
            )
            .where(outbox.c.state == outbox_rows.QUEUED)
            .group_by(outbox.c.peer)
        )
    }
    known = {row.did: row for row in conn.execute(select(peers))}
    return [_peer(did, known.get(did), waiting.get(did)) for did in sorted({*known, *waiting})]


def _peer(did: str, row: Any, waits: Any) -> dict[str, Any]:
    return {
        "did": did,
        "queued": waits.count if waits else 0,
        "oldest": times.to_text(times.from_ms(waits.oldest)) if waits else None,
        "failures": row.failures if row else 0,
        "next_at": times.to_text(times.from_ms(row.next_at)) if row and row.next_at else None,
        "paused": bool(row.paused) if row else False,
        "receipts_issued": row.receipt_seq if row else 0,
    }


def received_file(conn: Connection, document: bytes) -> bytes | None:
    """The bytes of a document as they came first, whatever was thought of them; None if never."""
    query = (
        select(inbox.c.body)
        .where(inbox.c.document == document, inbox.c.body.is_not(None))
        .order_by(inbox.c.n)
        .limit(1)
    )
    found = conn.execute(query).scalar_one_or_none()
    return None if found is None else bytes(found)


def proofs_received(conn: Connection, document: bytes) -> list[tuple[str, ItemReceipt]]:
    """(manifest JWS, receipt we gave) of each message that brought the document, oldest first."""
    query = (
        select(
            inbox.c.peer, inbox.c.manifest, inbox.c.receipt_seq, inbox.c.item_index, inbox.c.item
        )
        .where(inbox.c.document == document)
        .order_by(inbox.c.n)
        .limit(MAX_PAGE)
    )
    return [
        (
            row.manifest,
            inbox_rows.proof_of(row, *inbox_rows.issued(conn, row.peer, row.receipt_seq)),
        )
        for row in conn.execute(query)
    ]


def proofs_sent(conn: Connection, document: bytes) -> list[tuple[str, ItemReceipt]]:
    """(manifest JWS, receipt we hold) of each message that took the document to somebody."""
    query = (
        select(
            outbox.c.manifest,
            outbox.c.item,
            outbox.c.item_index,
            outbox.c.path,
            receipts_received.c.receipt,
        )
        .join(
            receipts_received,
            (receipts_received.c.peer == outbox.c.peer)
            & (receipts_received.c.seq == outbox.c.receipt_seq),
        )
        .where(outbox.c.document == document)
        .order_by(outbox.c.n)
        .limit(MAX_PAGE)
    )
    return [(row.manifest, _sent_proof(row)) for row in conn.execute(query)]


def _sent_proof(row: Any) -> ItemReceipt:
    joined = bytes(row.path)
    return ItemReceipt(
        receipt=row.receipt,
        item=item_from_json(strict_json.loads(row.item.encode())),
        index=row.item_index,
        path=tuple(joined[at : at + HASH_SIZE] for at in range(0, len(joined), HASH_SIZE)),
    )
