"""A gate's own durable store: leases, what was used, open challenges, the journal (R24).

One SQLite file in the gate's folder, written with `synchronous=FULL`: the row that says an order is
used is on the disk before the barrier opens, so neither a kill nor a power cut between decision and
answer lets a second truck out. The gate's clock may not go back below the newest moment written.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from protocols import jws, times
from protocols.release.gate import Entry, sign_entry
from schemas.errors import ConflictError, RefusedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from protocols.keys import Signer
    from protocols.release.gate import Lease, Notice

MAX_CHALLENGES = 1_000
BUSY_SECONDS = 5.0
_TABLES = """
create table if not exists leases (
    order_digest text primary key, text text not null
);
create table if not exists voids (order_digest text primary key, reason text not null);
create table if not exists used (order_digest text primary key, at integer not null);
create table if not exists challenges (challenge text primary key, at integer not null);
create table if not exists journal (
    seq integer primary key, text text not null, at integer not null
);
create table if not exists told (seq integer not null);
create table if not exists frozen (at integer not null);
"""


class GateStore:
    """The store of one gate; every method is one transaction."""

    def __init__(self, file: Path) -> None:
        """Opens or makes the file; raises UnavailableError `store_unavailable`."""
        try:
            self._connection = sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None)
            self._connection.execute("pragma journal_mode=wal")
            self._connection.execute("pragma synchronous=full")
            self._connection.executescript(_TABLES)
        except sqlite3.Error as error:
            raise UnavailableError("store_unavailable", str(error)) from None

    def close(self) -> None:
        """Lets go of the file."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One writer at a time, whatever other process holds this gate's file."""
        try:
            self._connection.execute("begin immediate")
            with self._connection:  # commits, or rolls back whatever went wrong
                yield self._connection
        except sqlite3.Error as error:
            raise UnavailableError("store_unavailable", str(error)) from None

    # -- leases --------------------------------------------------------------------------------

    def keep(self, lease: Lease) -> None:
        """Keep a lease; one that is here stays as it is, with its holds."""
        with self.transaction() as connection:
            connection.execute(
                "insert or ignore into leases (order_digest, text) values (?, ?)",
                (lease.order, lease.text),
            )

    def lease(self, order: str) -> tuple[str, str] | None:
        """The lease's text and why it was taken back ("" when it was not), or None."""
        query = (
            "select l.text, coalesce(v.reason, '') from leases l "
            "left join voids v on v.order_digest = l.order_digest where l.order_digest = ?"
        )
        row = self._connection.execute(query, (order,)).fetchone()
        return None if row is None else (row[0], row[1])

    def leases(self) -> list[tuple[str, str, bool]]:
        """Text, why taken back, and whether used, of every lease."""
        query = (
            "select l.text, coalesce(v.reason, ''), u.at from leases l "
            "left join voids v on v.order_digest = l.order_digest "
            "left join used u on u.order_digest = l.order_digest order by l.order_digest"
        )
        return [(row[0], row[1], row[2] is not None) for row in self._connection.execute(query)]

    def take_back(self, connection: sqlite3.Connection, notice: Notice) -> bool:
        """The order is void here for good; False when that is known already.

        A notice may come before its lease: then the lease is void from the start.
        """
        done = connection.execute(
            "insert or ignore into voids values (?, ?)", (notice.order, notice.reason or "void")
        )
        return done.rowcount > 0

    # -- challenges ----------------------------------------------------------------------------

    def ask(self, challenge: str, now: datetime) -> None:
        """Remember an open question; the oldest beyond `MAX_CHALLENGES` are forgotten."""
        with self.transaction() as connection:
            connection.execute(
                "insert into challenges values (?, ?)", (challenge, times.to_ms(now))
            )
            connection.execute(
                "delete from challenges where challenge not in "
                "(select challenge from challenges order by at desc limit ?)",
                (MAX_CHALLENGES,),
            )

    def answered(self, connection: sqlite3.Connection, challenge: str, oldest: int) -> None:
        """The question is answered, once; raises RefusedError `gate_challenge_unknown`."""
        done = connection.execute(
            "delete from challenges where challenge = ? and at >= ?", (challenge, oldest)
        )
        if done.rowcount == 0:
            raise RefusedError("gate_challenge_unknown", "no such open question")

    # -- use -----------------------------------------------------------------------------------

    def is_used(self, order: str) -> bool:
        """Whether this gate opened for the order."""
        query = "select 1 from used where order_digest = ?"
        return self._connection.execute(query, (order,)).fetchone() is not None

    def use(self, connection: sqlite3.Connection, order: str, now: datetime) -> None:
        """Spend the order; raises ConflictError `gate_order_used`."""
        done = connection.execute(
            "insert or ignore into used values (?, ?)", (order, times.to_ms(now))
        )
        if done.rowcount == 0:
            raise ConflictError("gate_order_used", order[:16])

    def require_onward(self, connection: sqlite3.Connection, now: datetime) -> None:
        """Raises RefusedError `gate_clock_back` when the clock is behind what was written.

        `gate_restored` once the register said that this store is an old copy.
        """
        if connection.execute("select 1 from frozen").fetchone() is not None:
            raise RefusedError("gate_restored", "set the gate up anew")
        row = connection.execute(
            "select max((select coalesce(max(at), 0) from journal), "
            "(select coalesce(max(at), 0) from used))"
        ).fetchone()
        if times.to_ms(now) < row[0]:
            raise RefusedError("gate_clock_back", times.to_text(now))

    # -- journal -------------------------------------------------------------------------------

    def write(self, connection: sqlite3.Connection, entry: Entry, signer: Signer) -> str:
        """Append a line, numbered and chained to the one before; its signed text."""
        row = connection.execute("select seq, text from journal order by seq desc limit 1")
        last = row.fetchone()
        seq = last[0] + 1 if last else 1
        before = _digest(last[1]) if last else ""
        text = sign_entry(replace(entry, seq=seq, previous=before), signer)
        connection.execute(
            "insert into journal values (?, ?, ?)", (seq, text, times.to_ms(entry.at))
        )
        return text

    def journal(self, after: int = 0, limit: int = 500) -> list[tuple[int, str]]:
        """Signed lines above that number, oldest first."""
        query = "select seq, text from journal where seq > ? order by seq limit ?"
        return list(self._connection.execute(query, (after, limit)))

    def last(self) -> int:
        """The number of the newest line."""
        row = self._connection.execute("select coalesce(max(seq), 0) from journal").fetchone()
        return int(row[0])

    def freeze(self) -> None:
        """This store is an old copy: the gate opens for nobody any more."""
        with self.transaction() as connection:
            connection.execute("insert into frozen values (0)")

    def told(self) -> int:
        """The last line that the register confirmed."""
        row = self._connection.execute("select coalesce(max(seq), 0) from told").fetchone()
        return int(row[0])

    def set_told(self, seq: int) -> None:
        """The register has every line up to this one."""
        with self.transaction() as connection:
            connection.execute("insert into told values (?)", (seq,))


def _digest(text: str) -> str:
    from protocols.release.gate import JOURNAL_TYP

    return jws.parse(text, typ=JOURNAL_TYP).payload_digest.hex()


def summary(text: str) -> dict[str, object]:
    """A journal line for people, unverified: it is our own."""
    from protocols.release.gate import JOURNAL_TYP

    body: dict[str, object] = json.loads(jws.parse(text, typ=JOURNAL_TYP).payload)
    return body
