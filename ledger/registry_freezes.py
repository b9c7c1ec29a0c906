"""Arbiters that have ended, and titles of which two histories were shown: functions over a passed
connection (R21)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, insert, or_, select, update

from ledger.registry_tables import disputes, freezes, stops
from protocols.title import registry_freeze
from protocols.title.registry_freeze import SignedFreeze
from schemas.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Mapping

EVERYTHING = bytes(32)
"""Stands for all titles of an arbiter."""


def put(conn: Connection, document: SignedFreeze, now_ms: int) -> bool:
    """Keep a verified freeze; False when it was known.

    The first one holds; all that may come after it is the same with a successor. Raises
    ConflictError `freeze_conflict` for another end or another successor: both documents are then
    to be shown to the roots, who alone can have signed them.
    """
    arbiter = document.freeze.arbiter.id
    held = find(conn, arbiter)
    values = {"document": document.to_bytes().decode(), "at": now_ms}
    if held is None:
        conn.execute(insert(freezes).values(arbiter=arbiter, **values))
        return True
    if held.digest == document.digest:
        return False
    if registry_freeze.may_replace(document, held):
        return False  # the older of the two, come late
    if not registry_freeze.may_replace(held, document):
        raise ConflictError("freeze_conflict", "another end of this arbiter is held here")
    conn.execute(update(freezes).where(freezes.c.arbiter == arbiter).values(**values))
    return True


def find(conn: Connection, arbiter: bytes) -> SignedFreeze | None:
    """The freeze of that arbiter."""
    query = select(freezes.c.document).where(freezes.c.arbiter == arbiter)
    text = conn.execute(query).scalar_one_or_none()
    return None if text is None else registry_freeze.read(text.encode())


def held(conn: Connection) -> Mapping[bytes, SignedFreeze]:
    """Every freeze, by the id of the arbiter that it ends."""
    rows = conn.execute(select(freezes.c.document).order_by(freezes.c.at)).scalars()
    read = (registry_freeze.read(text.encode()) for text in rows)
    return {document.freeze.arbiter.id: document for document in read}


@dataclass(frozen=True, slots=True)
class Dispute:
    """Two histories of one title, or of everything of an arbiter (`EVERYTHING`)."""

    arbiter: bytes
    title: bytes
    code: str
    evidence: str
    at: int


def dispute(conn: Connection, found: Dispute) -> bool:
    """Remember a dispute; False when it was known."""
    mine = (disputes.c.arbiter == found.arbiter, disputes.c.title == found.title)
    if conn.execute(select(disputes.c.at).where(*mine)).first() is not None:
        return False
    conn.execute(
        insert(disputes).values(
            arbiter=found.arbiter,
            title=found.title,
            code=found.code,
            evidence=found.evidence,
            at=found.at,
        )
    )
    return True


def disputed(conn: Connection, title: bytes, arbiter: bytes) -> Dispute | None:
    """The open dispute about a title, whichever arbiter showed it, or about its arbiter as a whole.

    It is settled once the roots have ended the arbiter that showed it and the title is continued
    by another.
    """
    whole = (disputes.c.title == EVERYTHING) & (disputes.c.arbiter == arbiter)
    query = select(disputes).where(or_(disputes.c.title == title, whole)).limit(1)
    row = conn.execute(query).one_or_none()
    if row is None:
        return None
    ended = find(conn, bytes(row.arbiter))
    if ended is not None and ended.freeze.successor is not None and arbiter != row.arbiter:
        return None
    return Dispute(bytes(row.arbiter), bytes(row.title), row.code, row.evidence, row.at)


def disputes_of(conn: Connection) -> list[Dispute]:
    """Every dispute, first to last."""
    rows = conn.execute(select(disputes).order_by(disputes.c.at))
    return [
        Dispute(bytes(row.arbiter), bytes(row.title), row.code, row.evidence, row.at)
        for row in rows
    ]


def stop(conn: Connection, log: str, now_ms: int) -> None:
    """Sequence nothing more in that log until it is resumed."""
    if not is_stopped(conn, log):
        conn.execute(insert(stops).values(log=log, at=now_ms))


def resume(conn: Connection, log: str) -> None:
    """Take back `stop`."""
    conn.execute(delete(stops).where(stops.c.log == log))


def is_stopped(conn: Connection, log: str) -> bool:
    """Whether its operator has stopped it."""
    return conn.execute(select(stops.c.at).where(stops.c.log == log)).first() is not None
