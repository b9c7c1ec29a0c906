"""The store functions of verification: synchronous, over a passed connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, select, update

from node.documents import status
from node.store import dialect
from node.verification.tables import undecided
from protocols.credentials import status_list
from schemas.errors import TradeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from protocols.credentials.status_list import StatusList

FIRST_PAUSE_MS, LONGEST_PAUSE_MS = 2_000, 300_000
MAX_PAGE = 100


@dataclass(frozen=True, slots=True)
class Undecided:
    """A document to look at again, and the message that brought it."""

    digest: bytes
    sender: str
    message: str
    message_digest: bytes
    tries: int


def keep(conn: Connection, waiting: Undecided, now_ms: int) -> None:
    """Look at it again soon."""
    values = {
        "digest": waiting.digest,
        "sender": waiting.sender,
        "message": waiting.message,
        "message_digest": waiting.message_digest,
        "tries": waiting.tries,
        "again_at": now_ms + FIRST_PAUSE_MS,
    }
    dialect.insert_or_ignore(conn, undecided, values)


def due(conn: Connection, now_ms: int) -> list[Undecided]:
    """Those whose turn it is, at most 100."""
    query = (
        select(
            undecided.c.digest,
            undecided.c.sender,
            undecided.c.message,
            undecided.c.message_digest,
            undecided.c.tries,
        )
        .where(undecided.c.again_at <= now_ms)
        .order_by(undecided.c.again_at)
        .limit(MAX_PAGE)
    )
    return [
        Undecided(bytes(row.digest), row.sender, row.message, bytes(row.message_digest), row.tries)
        for row in conn.execute(query)
    ]


def all_due(conn: Connection, now_ms: int) -> None:
    """Something changed that may settle them: look at all of them now."""
    conn.execute(update(undecided).values(again_at=now_ms))


def postpone(conn: Connection, waiting: Undecided, now_ms: int) -> None:
    """Still unknown: later, less and less often."""
    pause = min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** min(waiting.tries, 8))
    conn.execute(
        update(undecided)
        .where(undecided.c.digest == waiting.digest)
        .values(tries=waiting.tries + 1, again_at=now_ms + pause)
    )


def waits(conn: Connection, digest: bytes) -> bool:
    """Whether the document is still undecided."""
    query = select(undecided.c.digest).where(undecided.c.digest == digest)
    return conn.execute(query).one_or_none() is not None


def settle(conn: Connection, digest: bytes) -> bool:
    """It is decided; False when it was already."""
    removed = conn.execute(delete(undecided).where(undecided.c.digest == digest))
    return removed.rowcount > 0


def known_statuses(
    conn: Connection, did: str, issuer: str, urls: Iterable[str]
) -> tuple[StatusList, ...]:
    """The status lists held under those names, ours or another's, whatever their age."""
    found = (_known(conn, did, issuer, url) for url in urls)
    return tuple(one for one in found if one is not None)


def _known(conn: Connection, did: str, issuer: str, url: str) -> StatusList | None:
    if issuer != did:
        return status.newest_named(conn, url)
    try:
        text, _ = status.held(conn, status_list.list_id_of(url, did))
    except TradeError:
        return None
    return None if text is None else status.parsed(text)
