"""The store functions of AEO status events: synchronous, over a passed connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from node.aeo.tables import aeo_events
from node.store import dialect
from protocols.aeo import TYPE
from schemas import registry
from schemas.findings import Outcome

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.documents.documents import StoredDocument

MAX_EVENTS = 1_000
MAX_PAGE = 500


@dataclass(frozen=True, slots=True)
class Authorisation:
    """One code of which events are held: the newest number, and when it was known (ms UTC)."""

    code: str
    seq: int
    known_at: int


def note(conn: Connection, stored: StoredDocument, now_ms: int) -> None:
    """A document came, was decided or was issued: where it is a status event, it is found here."""
    if stored.type != TYPE:
        return
    facts = registry.examine(TYPE, stored.payload).view.facts
    if not isinstance(facts.get("code"), str) or not isinstance(facts.get("seq"), int):
        return  # a copy that withholds them tells nothing of an authorisation
    decided = stored.verdict in (None, Outcome.PASSED.value)
    known_at = now_ms if decided else 0
    values = {"document": stored.digest, "code": facts["code"], "seq": facts["seq"]}
    dialect.insert_or_ignore(conn, aeo_events, values | {"known_at": known_at})
    if decided:
        waiting = (aeo_events.c.document == stored.digest, aeo_events.c.known_at == 0)
        conn.execute(update(aeo_events).where(*waiting).values(known_at=known_at))


def known(conn: Connection, code: str) -> list[tuple[bytes, int]]:
    """Digests of the decided events of a code, by number, each with when it was known (ms)."""
    query = (
        select(aeo_events.c.document, aeo_events.c.known_at)
        .where(aeo_events.c.code == code, aeo_events.c.known_at > 0)
        .order_by(aeo_events.c.seq, aeo_events.c.known_at, aeo_events.c.document)
        .limit(MAX_EVENTS)
    )
    return [(bytes(row[0]), row[1]) for row in conn.execute(query)]


def code_of(conn: Connection, document: bytes) -> str | None:
    """The code whose event the document is."""
    query = select(aeo_events.c.code).where(aeo_events.c.document == document)
    found: str | None = conn.execute(query).scalar_one_or_none()
    return found


def listed(conn: Connection, after: str = "", limit: int = MAX_PAGE) -> list[Authorisation]:
    """The codes above `after`, in their order."""
    query = (
        select(aeo_events.c.code, func.max(aeo_events.c.seq), func.max(aeo_events.c.known_at))
        .where(aeo_events.c.code > after)
        .group_by(aeo_events.c.code)
        .order_by(aeo_events.c.code)
        .limit(max(1, min(limit, MAX_PAGE)))
    )
    return [Authorisation(*row) for row in conn.execute(query)]
