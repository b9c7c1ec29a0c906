"""The anchors of a log: what was put on a chain, how far each is, and its proof.

Synchronous functions over a passed connection. A row is written with its transaction's row in one
transaction, follows that one's states, and keeps its proof for good once it is final.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, delete, insert, select, update

from ledger.chain_tables import anchors
from ledger.tables import NODE_LOG
from protocols.evm.anchor_proof import AnchorProof, origin_hash
from protocols.evm.proof import EventProof

if TYPE_CHECKING:
    from ledger.chain_values import ProvenBlock, Receipt

QUEUED: Final = "queued"
FINAL: Final = "final"
FAILED: Final = "failed"
MAX_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Place:
    """One contract on one chain, and its code's hash."""

    chain_id: int
    contract: bytes
    code_hash: bytes


@dataclass(frozen=True, slots=True)
class StoredAnchor:
    """A row.

    state:      queued, submitted, included, final, failed
    at:         when it was decided, ms UTC
    block_time: seconds since 1970, as the block tells, once included
    proof:      once final
    """

    place: Place
    origin: str
    sender: bytes
    size: int
    root: bytes
    state: str
    at: int
    hash: bytes | None
    block: int | None
    block_time: int | None
    event: EventProof | None

    def proof(self, consistency: tuple[bytes, ...] = ()) -> AnchorProof | None:
        """What an offline verifier needs; None before it is final."""
        if self.event is None:
            return None
        return AnchorProof(
            chain_id=self.place.chain_id,
            contract=self.place.contract,
            code_hash=self.place.code_hash,
            sender=self.sender,
            origin=self.origin,
            size=self.size,
            root=self.root,
            event=self.event,
            consistency=consistency,
        )


def add(conn: Connection, anchor: StoredAnchor, *, log: str = NODE_LOG) -> None:
    """Keep a new anchor; one of the same size that failed is replaced."""
    place = anchor.place
    conn.execute(delete(anchors).where(*_key(anchor, log), anchors.c.state == FAILED))
    conn.execute(
        insert(anchors).values(
            log=log,
            chain_id=place.chain_id,
            contract=place.contract,
            code_hash=place.code_hash,
            origin=anchor.origin,
            size=anchor.size,
            root=anchor.root,
            sender=anchor.sender,
            state=anchor.state,
            at=anchor.at,
        )
    )


def _at(place: Place, log: str) -> tuple[Any, ...]:
    return (
        anchors.c.log == log,
        anchors.c.chain_id == place.chain_id,
        anchors.c.contract == place.contract,
    )


def _key(anchor: StoredAnchor, log: str) -> tuple[Any, ...]:
    named = (anchors.c.origin == anchor.origin, anchors.c.size == anchor.size)
    return (*_at(anchor.place, log), *named)


def mark(
    conn: Connection,
    anchor: StoredAnchor,
    state: str,
    receipt: Receipt | None = None,
    *,
    log: str = NODE_LOG,
) -> None:
    """Another state; without a receipt what a reorg took back is taken back here."""
    values = {
        "state": state,
        "hash": receipt.transaction if receipt else None,
        "block": receipt.block if receipt else None,
    }
    conn.execute(update(anchors).where(*_key(anchor, log)).values(**values))


def conclude(
    conn: Connection,
    anchor: StoredAnchor,
    proven: ProvenBlock,
    event: EventProof,
    *,
    log: str = NODE_LOG,
) -> None:
    """The anchor is final: keep its proof."""
    path = "\n".join(base64.b64encode(node).decode() for node in event.nodes)
    values = {
        "state": FINAL,
        "hash": proven.block.transactions[event.transaction],
        "block": proven.block.number,
        "block_time": proven.block.time,
        "header": event.header,
        "position": event.transaction,
        "log_index": event.log,
        "path": path,
    }
    conn.execute(update(anchors).where(*_key(anchor, log)).values(**values))


def find(
    conn: Connection, place: Place, named: bytes, size: int, *, log: str = NODE_LOG
) -> StoredAnchor | None:
    """The anchor of a size at that place, of the log whose origin hashes to `named`."""
    query = select(anchors).where(*_at(place, log), anchors.c.size == size)
    found = (_stored(row) for row in conn.execute(query))
    return next((each for each in found if origin_hash(each.origin) == named), None)


def newest(
    conn: Connection, place: Place, origin: str, *, final: bool = False, log: str = NODE_LOG
) -> StoredAnchor | None:
    """The largest anchor at that place that has not failed, or the largest final one."""
    state = anchors.c.state == FINAL if final else anchors.c.state != FAILED
    query = select(anchors).where(*_at(place, log), anchors.c.origin == origin, state)
    row = conn.execute(query.order_by(anchors.c.size.desc()).limit(1)).one_or_none()
    return None if row is None else _stored(row)


def covering(
    conn: Connection, origin: str, size: int, *, log: str = NODE_LOG
) -> StoredAnchor | None:
    """The earliest final anchor of at least `size` leaves, at any place: the earliest time."""
    query = select(anchors).where(
        anchors.c.log == log,
        anchors.c.origin == origin,
        anchors.c.size >= size,
        anchors.c.state == FINAL,
    )
    ordered = query.order_by(anchors.c.size, anchors.c.block_time).limit(1)
    row = conn.execute(ordered).one_or_none()
    return None if row is None else _stored(row)


def page(conn: Connection, below: int, limit: int, *, log: str = NODE_LOG) -> list[StoredAnchor]:
    """Anchors of fewer than `below` leaves, the largest first."""
    query = select(anchors).where(anchors.c.log == log, anchors.c.size < below)
    ordered = query.order_by(anchors.c.size.desc()).limit(min(limit, MAX_PAGE))
    return [_stored(row) for row in conn.execute(ordered)]


def _stored(row: Any) -> StoredAnchor:
    event = None
    if row.header is not None:
        nodes = tuple(base64.b64decode(line) for line in row.path.split("\n"))
        event = EventProof(bytes(row.header), row.position, nodes, row.log_index)
    return StoredAnchor(
        place=Place(row.chain_id, bytes(row.contract), bytes(row.code_hash)),
        origin=row.origin,
        sender=bytes(row.sender),
        size=row.size,
        root=bytes(row.root),
        state=row.state,
        at=row.at,
        hash=None if row.hash is None else bytes(row.hash),
        block=row.block,
        block_time=row.block_time,
        event=event,
    )
