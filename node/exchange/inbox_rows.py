"""Rows of the inbox: what intake asks of them and what it writes. Synchronous, in a transaction."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, insert, select, update

from node.exchange.tables import inbox, receipts_issued, streams_in
from node.store import dialect, events
from protocols import times
from protocols.exchange import receipt
from protocols.exchange.manifest import VOID
from protocols.exchange.receipt import ItemReceipt
from protocols.exchange.stream import Arrival, PeerLoad, StreamState
from protocols.log.merkle import HASH_SIZE, Tree
from schemas import strict_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, Row

    from protocols.exchange.manifest import Manifest

HELD, READY, VOIDED = "held", "ready", "void"
DELIVERED, REFUSED = "delivered", "refused"


def proof_of(row: Any, text: str, tree: Tree) -> ItemReceipt:
    """An inbox row's item receipt, from the receipt's text and tree."""
    return ItemReceipt(
        receipt=text,
        item=receipt.item_from_json(strict_json.loads(row.item.encode())),
        index=row.item_index,
        path=tree.inclusion_proof(row.item_index, tree.size),
    )


_KNOWN = select(
    inbox.c.id, inbox.c.digest, inbox.c.receipt_seq, inbox.c.item_index, inbox.c.item
).where(inbox.c.peer == bindparam("peer"), inbox.c.id.in_(bindparam("ids", expanding=True)))


def known(conn: Connection, peer: str, ids: Sequence[str]) -> dict[str, Any]:
    """Id → the row of a message that consumed its id."""
    if not ids:
        return {}
    return {row.id: row for row in conn.execute(_KNOWN, {"peer": peer, "ids": list(ids)})}


def issued(conn: Connection, peer: str, seq: int) -> tuple[str, Tree]:
    """A receipt we gave, and the tree of its items."""
    row = conn.execute(
        select(receipts_issued.c.receipt, receipts_issued.c.leaves).where(
            receipts_issued.c.peer == peer, receipts_issued.c.seq == seq
        )
    ).one()
    joined = bytes(row.leaves)
    return row.receipt, Tree(joined[at : at + HASH_SIZE] for at in range(0, len(joined), HASH_SIZE))


def original(conn: Connection, peer: str, message_id: str) -> ItemReceipt | None:
    """The receipt that a message of `peer` got, for one that lost it; None when it is not here."""
    row = known(conn, peer, [message_id]).get(message_id)
    return None if row is None else proof_of(row, *issued(conn, peer, row.receipt_seq))


_STREAMS = select(streams_in).where(
    streams_in.c.peer == bindparam("peer"),
    streams_in.c.stream.in_(bindparam("names", expanding=True)),
)


def streams(conn: Connection, peer: str, manifests: Iterable[Manifest]) -> dict[str, StreamState]:
    """Where the streams of these messages stand, held until the commit."""
    names = sorted({one.stream for one in manifests if one.stream is not None})
    if not names:
        return {}
    query = dialect.locked(conn, _STREAMS)
    rows = conn.execute(query, {"peer": peer, "names": names}).all()
    broken = [row.stream for row in rows if row.since is not None]
    held = _held(conn, peer, broken) if broken else {}
    return {row.stream: _state(row, held.get(row.stream, {})) for row in rows}


def _state(row: Row[Any], held: dict[int, Arrival]) -> StreamState:
    return StreamState(
        last=row.last,
        head=None if row.head is None else bytes(row.head),
        held=MappingProxyType(held),
        since=None if row.since is None else times.from_ms(row.since),
    )


def _held(conn: Connection, peer: str, names: Sequence[str]) -> dict[str, dict[int, Arrival]]:
    columns = inbox.c.stream, inbox.c.seq, inbox.c.prev, inbox.c.digest, inbox.c.link, inbox.c.size
    rows = conn.execute(
        select(*columns).where(
            inbox.c.peer == peer, inbox.c.stream.in_(names), inbox.c.state == HELD
        )
    )
    found: dict[str, dict[int, Arrival]] = {}
    for row in rows:
        prev = None if row.prev is None else bytes(row.prev)
        arrival = Arrival(row.seq, prev, bytes(row.digest), bytes(row.link), row.size)
        found.setdefault(row.stream, {})[row.seq] = arrival
    return found


def release(conn: Connection, peer: str, name: str, released: Sequence[int]) -> None:
    """Held messages are in order now: voids are done, the others wait for their handler."""
    mine = (inbox.c.peer == peer, inbox.c.stream == name, inbox.c.seq.in_(released))
    held = inbox.c.state == HELD
    conn.execute(update(inbox).where(*mine, held, inbox.c.type == VOID).values(state=VOIDED))
    conn.execute(update(inbox).where(*mine, held).values(state=READY))


def load(conn: Connection, peer: str) -> PeerLoad:
    """What the peer has waiting behind gaps."""
    size, gaps = conn.execute(
        select(
            func.coalesce(func.sum(inbox.c.size), 0),
            func.count(func.distinct(inbox.c.stream)),
        ).where(inbox.c.state == HELD, inbox.c.peer == peer)
    ).one()
    return PeerLoad(int(size), int(gaps))


def at_seq(conn: Connection, peer: str, name: str, seq: int) -> tuple[bytes, bytes] | None:
    """Digest and link of the message that took a number, or None."""
    row = conn.execute(
        select(inbox.c.digest, inbox.c.link).where(
            inbox.c.peer == peer, inbox.c.stream == name, inbox.c.seq == seq
        )
    ).one_or_none()
    return None if row is None else (bytes(row.digest), bytes(row.link))


def write_stream(conn: Connection, peer: str, name: str, state: StreamState) -> None:
    """Writes where a stream stands now."""
    values = {
        "last": state.last,
        "head": state.head,
        "since": None if state.since is None else times.to_ms(state.since),
    }
    mine = (streams_in.c.peer == peer, streams_in.c.stream == name)
    if conn.execute(update(streams_in).where(*mine).values(**values)).rowcount == 0:
        fresh = {"peer": peer, "stream": name, "attempts": 0, "blocked_until": 0}
        conn.execute(insert(streams_in).values(**values, **fresh))


def tell_received(conn: Connection, rows: Sequence[dict[str, Any]], now: int) -> None:
    """One event per document that came."""
    for row in rows:
        if row["document"] is not None:
            events.record(
                conn,
                kind="received",
                at=now,
                document=row["document"],
                consignment=row["stream"],
                actor=row["peer"],
                leaf=row["leaf"],
                detail={"message": row["id"], "state": row["state"]},
            )
