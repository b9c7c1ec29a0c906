"""Challenges for presentations: each is answered once, whoever asks how often (RFC 9901 §7.3).

A nonce given out here is known by its beginning, lives for its seconds and is forgotten after; one
that the operator made up is taken the first time it is answered. Only an answer that the holder
signed uses a challenge up, so nobody who overhears it can. What was used is durable before the
report leaves, over restarts and between processes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select, update

from node.store import dialect
from node.verification.tables import challenges
from protocols import base64url, times
from protocols.credentials import key_binding
from protocols.digest import sha256
from schemas.errors import UnavailableError

if TYPE_CHECKING:
    from sqlalchemy import Connection

PREFIX = "px1-"
DEFAULT_SECONDS = 300
SECONDS = (10, 3600)
MAX_HELD = 10_000
# When a key binding of now is out of its window on every clock that is right to a minute.
_OWN_MS = int((key_binding.WINDOW + 3 * key_binding.SKEW).total_seconds() * 1000)


@dataclass(frozen=True, slots=True)
class Given:
    """A challenge given out: the holder signs audience and nonce before it expires (ms UTC)."""

    audience: str
    nonce: str
    expires_at: int

    def to_json(self) -> dict[str, str]:
        """What the verifier passes on to the holder."""
        expires = times.to_text(times.from_ms(self.expires_at))
        return {"audience": self.audience, "nonce": self.nonce, "expires": expires}


def new(audience: str, now_ms: int, seconds: int, random: bytes) -> Given:
    """A challenge of 32 random bytes."""
    return Given(audience, PREFIX + base64url.encode(random), now_ms + seconds * 1000)


def give(conn: Connection, given: Given, now_ms: int) -> None:
    """Remember that it was given out; raises UnavailableError `challenges_full`."""
    _make_room(conn, now_ms)
    values = {"id": _id(given.audience, given.nonce), "expires_at": given.expires_at}
    dialect.insert_or_ignore(conn, challenges, values)


def use(conn: Connection, audience: str, nonce: str, now_ms: int) -> str | None:
    """Use a challenge up: None, or the code of why it cannot be.

    `nonce_used`, `nonce_expired`, `nonce_unknown`; raises UnavailableError `challenges_full`.
    """
    key = _id(audience, nonce)
    if not nonce.startswith(PREFIX):
        return _use_own(conn, key, now_ms)
    table = challenges.c
    taken = conn.execute(
        update(challenges)
        .where(table.id == key, table.used_at.is_(None), table.expires_at > now_ms)
        .values(used_at=now_ms)
    )
    if taken.rowcount == 1:
        return None
    row = conn.execute(select(table.used_at).where(table.id == key)).one_or_none()
    if row is None:
        return "nonce_unknown"
    return "nonce_expired" if row.used_at is None else "nonce_used"


def _use_own(conn: Connection, key: bytes, now_ms: int) -> str | None:
    _make_room(conn, now_ms)
    values = {"id": key, "expires_at": now_ms + _OWN_MS, "used_at": now_ms}
    return None if dialect.insert_or_ignore(conn, challenges, values) else "nonce_used"


def _make_room(conn: Connection, now_ms: int) -> None:
    """Forget what has expired; what is left is bounded."""
    conn.execute(delete(challenges).where(challenges.c.expires_at < now_ms))
    held = conn.execute(select(func.count()).select_from(challenges)).scalar_one()
    if held >= MAX_HELD:
        raise UnavailableError("challenges_full", f"{MAX_HELD} challenges are open")


def _id(audience: str, nonce: str) -> bytes:
    return sha256(audience.encode() + b"\0" + nonce.encode())
