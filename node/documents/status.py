"""Our own status lists: random allocation, revocation, and the signed list that tells of it.

A list is signed anew when a bit changes or half its time has gone, each time for a later
millisecond, so that no two lists claim one moment. All functions run inside the caller's
transaction; randomness is passed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, insert, select, update

from node.documents.tables import status_entries, status_lists
from node.store import dialect
from protocols import status_list, times
from protocols.status_list import MIN_ENTRIES, StatusEntry
from schemas.errors import ConflictError, NotFoundError, UnavailableError

if TYPE_CHECKING:
    from protocols.keys import Signer

VALIDITY = timedelta(days=7)
#: A list is left for the next one when half full, so that a free index is found at once.
CAPACITY = MIN_ENTRIES // 2
MAX_TRIES = 64
MAX_LISTS = 10_000


@dataclass(frozen=True, slots=True)
class Publisher:
    """Who signs our lists: DID, network, credential key, and for how long they may be cached."""

    did: str
    network: bytes
    signer: Signer
    ttl: timedelta


def allocate(conn: Connection, did: str, random_index: Callable[[int], int]) -> StatusEntry:
    """A free entry at a random index (W3C Bitstring Status List §4: no order to read from it)."""
    list_id = _open_list(conn)
    for _ in range(MAX_TRIES):
        index = random_index(MIN_ENTRIES)
        if dialect.insert_or_ignore(conn, status_entries, {"list": list_id, "entry": index}):
            used = status_lists.c.used + 1
            conn.execute(
                update(status_lists).where(status_lists.c.list == list_id).values(used=used)
            )
            return StatusEntry(status_list.list_url(did, list_id), index)
    raise UnavailableError("status_list_full", "no free entry was found; try again")


def _open_list(conn: Connection) -> str:
    newest = conn.execute(
        select(status_lists.c.list, status_lists.c.used)
        .where(status_lists.c.used < CAPACITY)
        .limit(1)
    ).first()
    if newest is not None:
        return str(newest.list)
    count = conn.execute(select(func.count()).select_from(status_lists)).scalar_one()
    if count >= MAX_LISTS:
        raise UnavailableError("status_list_full", "this node has no more lists")
    values = {
        "list": str(count + 1),
        "bits": bytes(MIN_ENTRIES // 8),
        "used": 0,
        "signed_at": 0,
    }
    conn.execute(insert(status_lists).values(**values))
    return str(count + 1)


def assign(conn: Connection, entry: StatusEntry, digest: bytes) -> None:
    """Say which document an allocated entry belongs to."""
    conn.execute(
        update(status_entries)
        .where(
            status_entries.c.list == _list_id(entry),
            status_entries.c.entry == entry.index,
        )
        .values(digest=digest)
    )


def _list_id(entry: StatusEntry) -> str:
    return entry.list_url.rpartition("/")[2]


def revoke(conn: Connection, entry: StatusEntry, reason: str, now_ms: int) -> None:
    """Set the entry's bit; raises ConflictError `already_revoked`."""
    list_id = _list_id(entry)
    this = (status_entries.c.list == list_id, status_entries.c.entry == entry.index)
    changed = conn.execute(
        update(status_entries)
        .where(*this, status_entries.c.revoked_at.is_(None))
        .values(revoked_at=now_ms, reason=reason)
    )
    if changed.rowcount == 0:
        raise ConflictError("already_revoked", "the document is revoked already")
    bits = conn.execute(
        dialect.locked(conn, select(status_lists.c.bits).where(status_lists.c.list == list_id))
    ).scalar_one()
    conn.execute(
        update(status_lists)
        .where(status_lists.c.list == list_id)
        .values(bits=status_list.set_bit(bytes(bits), entry.index), signed=None)
    )


def reason_of(conn: Connection, digest: bytes) -> str | None:
    """Why the document was revoked, in the issuer's words."""
    query = select(status_entries.c.reason).where(status_entries.c.digest == digest)
    found: str | None = conn.execute(query).scalar_one_or_none()
    return found


def held(conn: Connection, list_id: str) -> tuple[str | None, int]:
    """The list as last signed and the millisecond it was signed for; NotFoundError if none."""
    row = conn.execute(
        select(status_lists.c.signed, status_lists.c.signed_at).where(
            status_lists.c.list == list_id
        )
    ).one_or_none()
    if row is None:
        raise NotFoundError("status_list_unknown", "this node has no such list")
    return row.signed, row.signed_at


def current(conn: Connection, publisher: Publisher, list_id: str, now_ms: int) -> str:
    """The list, signed anew where something changed or half of its time has gone."""
    signed, signed_at = held(conn, list_id)
    half = publisher.ttl / 2 // timedelta(milliseconds=1)
    if signed is not None and signed_at <= now_ms < signed_at + half:
        return signed
    bits = conn.execute(
        select(status_lists.c.bits).where(status_lists.c.list == list_id)
    ).scalar_one()
    moment = max(now_ms, signed_at + 1)
    text = status_list.sign_list(
        url=status_list.list_url(publisher.did, list_id),
        issuer=publisher.did,
        network=publisher.network,
        bits=bytes(bits),
        ttl=publisher.ttl,
        valid_from=times.from_ms(moment),
        valid_until=times.from_ms(moment) + VALIDITY,
        signer=publisher.signer,
    )
    conn.execute(
        update(status_lists)
        .where(status_lists.c.list == list_id)
        .values(signed=text, signed_at=moment)
    )
    return text
