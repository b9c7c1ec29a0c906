"""The store functions of the control tracking registry: synchronous, over a passed connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, or_, select

from node.store import dialect
from node.title.tables import bills
from node.tracking.tables import openings, records
from protocols import times
from protocols.pint.tracking import RegistryRecord
from protocols.pint.tracking_state import MAX_RECORDS

_COLUMNS = (
    records.c.ebl,
    records.c.number,
    records.c.actor,
    records.c.text,
    records.c.inserted_at,
    records.c.leaf,
)


@dataclass(frozen=True, slots=True)
class Kept:
    """A record as it is kept: the bill it is about, and its leaf in this node's log."""

    ebl: bytes
    record: RegistryRecord
    leaf: bytes


def _kept(row: Any) -> Kept:
    at = times.from_ms(row.inserted_at)
    record = RegistryRecord(row.number, row.actor, at, row.text)
    return Kept(bytes(row.ebl), record, bytes(row.leaf))


def of_bill(conn: Connection, ebl: bytes) -> list[Kept]:
    """The records of a bill, oldest first."""
    query = select(*_COLUMNS).where(records.c.ebl == ebl).order_by(records.c.number)
    return [_kept(row) for row in conn.execute(query.limit(MAX_RECORDS))]


def known(conn: Connection, record_id: bytes, payload: bytes | None = None) -> Kept | None:
    """The record with that id, or one whose signed payload is the same (R2)."""
    same = records.c.id == record_id
    where = same if payload is None else or_(same, records.c.payload == payload)
    row = conn.execute(select(*_COLUMNS).where(where).limit(1)).one_or_none()
    return None if row is None else _kept(row)


def add(conn: Connection, kept: Kept, payload: bytes) -> None:
    """Keep the next record of a bill."""
    values = {
        "ebl": kept.ebl,
        "number": kept.record.number,
        "id": kept.record.id,
        "payload": payload,
        "actor": kept.record.inserted_by,
        "text": kept.record.text,
        "inserted_at": times.to_ms(kept.record.inserted_at),
        "leaf": kept.leaf,
    }
    conn.execute(insert(records).values(**values))


def add_opening(conn: Connection, ebl: bytes, entry: str, now_ms: int) -> None:
    """Keep the chain entry that opened a bill."""
    values = {"ebl": ebl, "entry": entry, "opened_at": now_ms}
    dialect.insert_or_ignore(conn, openings, values)


def opening(conn: Connection, ebl: bytes) -> str | None:
    """The chain entry that opened a bill."""
    query = select(openings.c.entry).where(openings.c.ebl == ebl)
    text: str | None = conn.execute(query).scalar_one_or_none()
    return text


def unopened(conn: Connection) -> list[bytes]:
    """Bills with records that no chain entry opened: they have titles, and the records dispute."""
    query = (
        select(records.c.ebl)
        .outerjoin(openings, openings.c.ebl == records.c.ebl)
        .where(openings.c.ebl.is_(None))
        .distinct()
    )
    return [bytes(ebl) for ebl in conn.execute(query).scalars()]


def titles_of(conn: Connection, ebl: bytes) -> list[bytes]:
    """The titles that stand for a transport document, as far as that was disclosed here."""
    query = select(bills.c.title).where(bills.c.checksum == ebl)
    return [bytes(title) for title in conn.execute(query).scalars()]
