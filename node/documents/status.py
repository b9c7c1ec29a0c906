"""Status lists in the store: our own, allocated at random, and every signed version of any.

Our lists are signed anew when a bit changes or half their time has gone, each time for a later
millisecond, so that no two lists claim one moment. Each purpose has lists of its own: `1`, `2`, …
for revocation, `s1`, `s2`, … for suspension. No signed version is ever thrown away, ours or of
others: what was in force at a moment stays provable. All functions run inside the caller's
transaction; randomness is passed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, insert, select, update

from node.documents.tables import status_entries, status_lists, status_versions
from node.store import dialect
from protocols import times
from protocols.credentials import status_list
from protocols.credentials.status_list import (
    MIN_ENTRIES,
    REVOCATION,
    SUSPENSION,
    StatusEntry,
    StatusList,
)
from schemas.errors import ConflictError, NotFoundError, UnavailableError

if TYPE_CHECKING:
    from sqlalchemy import Row

    from protocols.keys import Signer

VALIDITY = timedelta(days=7)
#: A list is left for the next one when half full, so that a free index is found at once.
CAPACITY = MIN_ENTRIES // 2
MAX_TRIES = 64
MAX_LISTS = 10_000
RETRIEVAL_ERROR = "https://www.w3.org/ns/credentials/status-list#STATUS_RETRIEVAL_ERROR"
_PREFIX = {REVOCATION: "", SUSPENSION: "s"}


@dataclass(frozen=True, slots=True)
class Publisher:
    """Who signs our lists: DID, network, credential key, and for how long they may be cached."""

    did: str
    network: bytes
    signer: Signer
    ttl: timedelta


def allocate(
    conn: Connection,
    did: str,
    random_index: Callable[[int], int],
    purpose: str = REVOCATION,
) -> StatusEntry:
    """A free entry at a random index (W3C Bitstring Status List §4: no order to read from it)."""
    list_id = _open_list(conn, purpose)
    for _ in range(MAX_TRIES):
        index = random_index(MIN_ENTRIES)
        if dialect.insert_or_ignore(conn, status_entries, {"list": list_id, "entry": index}):
            used = status_lists.c.used + 1
            conn.execute(
                update(status_lists).where(status_lists.c.list == list_id).values(used=used)
            )
            return StatusEntry(status_list.list_url(did, list_id), index, purpose)
    raise UnavailableError("status_list_full", "no free entry was found; try again")


def _open_list(conn: Connection, purpose: str) -> str:
    kept = status_lists.c.purpose == purpose
    newest = conn.execute(
        select(status_lists.c.list).where(kept, status_lists.c.used < CAPACITY).limit(1)
    ).first()
    if newest is not None:
        return str(newest.list)
    count = conn.execute(select(func.count()).select_from(status_lists).where(kept)).scalar_one()
    if count >= MAX_LISTS:
        raise UnavailableError("status_list_full", "this node has no more lists")
    list_id = f"{_PREFIX[purpose]}{count + 1}"
    values = {
        "list": list_id,
        "purpose": purpose,
        "bits": bytes(MIN_ENTRIES // 8),
        "used": 0,
        "signed_at": 0,
    }
    conn.execute(insert(status_lists).values(**values))
    return list_id


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
    """Set the entry's bit for good; raises ConflictError `already_revoked`."""
    if not _change(conn, entry, {"set_at": now_ms, "reason": reason}, was_set=False):
        raise ConflictError("already_revoked", "the document is revoked already")


def suspend(conn: Connection, entry: StatusEntry, reason: str, now_ms: int) -> None:
    """Set the entry's bit; raises ConflictError `already_suspended`."""
    if not _change(conn, entry, {"set_at": now_ms, "reason": reason}, was_set=False):
        raise ConflictError("already_suspended", "the document is suspended already")


def reinstate(conn: Connection, entry: StatusEntry) -> None:
    """Clear the bit of a suspension entry; raises ConflictError `not_suspended`."""
    if entry.purpose == REVOCATION:
        raise ConflictError("revocation_is_final", "a revocation is not taken back")
    if not _change(conn, entry, {"set_at": None, "reason": None}, was_set=True):
        raise ConflictError("not_suspended", "the document is not suspended")


def _change(
    conn: Connection, entry: StatusEntry, values: dict[str, int | str | None], *, was_set: bool
) -> bool:
    """Set or clear the entry's bit; False when it is so already."""
    list_id, when = _list_id(entry), status_entries.c.set_at
    this = (status_entries.c.list == list_id, status_entries.c.entry == entry.index)
    before = when.is_not(None) if was_set else when.is_(None)
    changed = conn.execute(update(status_entries).where(*this, before).values(**values))
    if changed.rowcount == 0:
        return False
    bits = conn.execute(
        dialect.locked(conn, select(status_lists.c.bits).where(status_lists.c.list == list_id))
    ).scalar_one()
    conn.execute(
        update(status_lists)
        .where(status_lists.c.list == list_id)
        .values(bits=status_list.set_bit(bytes(bits), entry.index, to=not was_set), signed=None)
    )
    return True


def reasons_of(conn: Connection, digest: bytes) -> dict[str, str]:
    """Why the document is revoked or suspended, in the issuer's words, by purpose."""
    query = (
        select(status_lists.c.purpose, status_entries.c.reason)
        .join(status_lists, status_lists.c.list == status_entries.c.list)
        .where(status_entries.c.digest == digest, status_entries.c.reason.is_not(None))
    )
    return {row.purpose: row.reason for row in conn.execute(query)}


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
    row = conn.execute(
        select(status_lists.c.bits, status_lists.c.purpose).where(status_lists.c.list == list_id)
    ).one()
    moment = max(now_ms, signed_at + 1)
    text = status_list.sign_list(
        url=status_list.list_url(publisher.did, list_id),
        issuer=publisher.did,
        network=publisher.network,
        bits=bytes(row.bits),
        ttl=publisher.ttl,
        valid_from=times.from_ms(moment),
        valid_until=times.from_ms(moment) + VALIDITY,
        signer=publisher.signer,
        purpose=row.purpose,
    )
    conn.execute(
        update(status_lists)
        .where(status_lists.c.list == list_id)
        .values(signed=text, signed_at=moment)
    )
    keep(conn, parsed(text), now_ms)
    return text


# -- every version ------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def parsed(text: str) -> StatusList:
    """A signed list that was verified before, decoded once while it is in use."""
    return status_list.parse_list(text)[1]


def keep(conn: Connection, version: StatusList, now_ms: int) -> None:
    """Keep a verified version; got again, it is as fresh as now."""
    values = {
        "url": version.url,
        "issuer": version.issuer,
        "valid_from": times.to_ms(version.valid_from),
        "valid_until": times.to_ms(version.valid_until),
        "digest": version.digest,
        "signed": version.signed,
        "fetched_at": now_ms,
    }
    dialect.upsert(conn, status_versions, values, key=["url", "issuer", "valid_from"])


def newest(conn: Connection, url: str, issuer: str) -> tuple[StatusList, int] | None:
    """The newest version held of that list, and when we got it (ms UTC)."""
    row = _version(conn, url, issuer, None)
    return None if row is None else (parsed(row.signed), row.fetched_at)


def newest_named(conn: Connection, url: str) -> StatusList | None:
    """The newest version held under that name, which belongs to one keeper's DID."""
    query = select(status_versions.c.signed).where(status_versions.c.url == url)
    text = conn.execute(query.order_by(status_versions.c.valid_from.desc()).limit(1)).scalar()
    return None if text is None else parsed(text)


def held_at(conn: Connection, url: str, issuer: str, at_ms: int) -> StatusList | None:
    """The version that was in force at `at_ms`: the last one signed by then, if it is held here.

    issuer: who signed it. It may be stale at that moment: whoever judges by it has to ask.
    """
    row = _version(conn, url, issuer, at_ms)
    return None if row is None else parsed(row.signed)


def version_of(conn: Connection, url: str, issuer: str, valid_from_ms: int) -> bytes | None:
    """The digest of the version held for exactly that moment."""
    row = _version(conn, url, issuer, valid_from_ms)
    return bytes(row.digest) if row is not None and row.valid_from == valid_from_ms else None


def _version(conn: Connection, url: str, issuer: str, at_ms: int | None) -> Row[Any] | None:
    query = select(status_versions).where(
        status_versions.c.url == url, status_versions.c.issuer == issuer
    )
    if at_ms is not None:
        query = query.where(status_versions.c.valid_from <= at_ms)
    return conn.execute(query.order_by(status_versions.c.valid_from.desc()).limit(1)).one_or_none()


def in_force(conn: Connection, did: str, list_id: str, at_ms: int) -> str:
    """Our own list as it was signed and valid at `at_ms`.

    Raises NotFoundError `status_list_unknown`, `status_not_then`.
    """
    held(conn, list_id)
    row = _version(conn, status_list.list_url(did, list_id), did, at_ms)
    if row is None or row.valid_until <= at_ms:
        raise NotFoundError(
            "status_not_then", "no version was in force then", problem=RETRIEVAL_ERROR
        )
    return str(row.signed)
