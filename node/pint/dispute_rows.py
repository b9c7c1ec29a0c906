"""The store functions of disputes about bills: synchronous, over a passed connection."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, select, update

from node.pint import rows
from node.store import dialect
from node.tracking.tables import disputes
from protocols.digest import sha256
from schemas.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

OPEN, KEPT, REPLACED, WITHDRAWN = "open", "kept", "replaced", "withdrawn"
MAX_PAGE = 200


@dataclass(frozen=True, slots=True)
class Dispute:
    """A dispute as it is kept; see `node.tracking.tables`. Times are milliseconds UTC."""

    id: str
    ebl: bytes
    platform: str
    registry: str
    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    manifest: str
    record: bytes | None
    status: str
    reason: str
    opened_at: int
    resolved_at: int | None


def name_of(ebl: bytes, ours: Sequence[str], theirs: Sequence[str], manifest: str) -> str:
    """The same contradiction has the same name, however often it is shown."""
    both = orjson.dumps([ebl.hex(), list(ours), list(theirs) or manifest])
    return sha256(both).hex()[:16]


def put(conn: Connection, made: Dispute) -> bool:
    """Keep a dispute; False when it was known."""
    values: dict[str, Any] = {name: getattr(made, name) for name in Dispute.__slots__}
    values |= {
        "ours": orjson.dumps(made.ours).decode(),
        "theirs": orjson.dumps(made.theirs).decode(),
    }
    return dialect.insert_or_ignore(conn, disputes, values)


def _dispute(row: Any) -> Dispute:
    values = dict(row)
    for name in ("ours", "theirs"):
        values[name] = tuple(orjson.loads(values[name]))
    return Dispute(**values)


def require(conn: Connection, name: str) -> Dispute:
    """The dispute; raises NotFoundError `ebl_dispute_unknown`."""
    row = conn.execute(select(disputes).where(disputes.c.id == name)).mappings().one_or_none()
    if row is None:
        raise NotFoundError("ebl_dispute_unknown", "no such dispute is kept here")
    return _dispute(row)


def page(conn: Connection, status: str | None = None) -> list[Dispute]:
    """The newest disputes first."""
    query = select(disputes).order_by(disputes.c.opened_at.desc(), disputes.c.id).limit(MAX_PAGE)
    if status is not None:
        query = query.where(disputes.c.status == status)
    return [_dispute(row) for row in conn.execute(query).mappings()]


def marked(conn: Connection, name: str, record: bytes) -> None:
    """The registry has taken the DISPUTE record."""
    conn.execute(update(disputes).where(disputes.c.id == name).values(record=record))


def resolve(conn: Connection, name: str, status: str, reason: str, now_ms: int) -> bool:
    """Close an open dispute; False when it was closed before."""
    changed = update(disputes).where(disputes.c.id == name, disputes.c.status == OPEN)
    values = {"status": status, "reason": reason, "resolved_at": now_ms}
    return conn.execute(changed.values(**values)).rowcount > 0


def make_room(conn: Connection, found: Dispute, now_ms: int) -> None:
    """Forget what of our chain the other one does not share, so that it can be received.

    It is not taken for that: whoever sends it goes through all checks and the registry. Ours stays
    kept under its own number, and in the dispute.
    """
    held, known = rows.bill(conn, found.ebl), rows.known_chain(conn, found.ebl)
    if held is None or known is None:
        return
    pairs = zip(known.texts, found.theirs, strict=False)
    shared = list(takewhile(lambda pair: pair[0] == pair[1], pairs))
    rows.put_bill(conn, found.ebl, now_ms, chain=held.chain + 1, status=rows.SENT)
    accepted = {place for place in known.accepted if place < len(shared)}
    rows.keep_chain(conn, found.ebl, known.texts[: len(shared)], now_ms, accepted=accepted)
