"""The store functions of lost bases: synchronous, over a passed connection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, select

from node.basis.tables import basis_flags, basis_links
from node.store import dialect
from protocols import times

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Row

MAX_DEPENDENTS = 10_000
MAX_FLAGS = 1_000
MAX_GIVEN = 500


@dataclass(frozen=True, slots=True)
class Flag:
    """One document stands on another that was revoked. at: milliseconds UTC."""

    document: bytes
    lost: bytes
    by: str
    path: tuple[bytes, ...]
    at: int
    statement: str | None = field(repr=False)
    status_list: str | None = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """For the API."""
        return {
            "lost": self.lost.hex(),
            "path": [each.hex() for each in self.path],
            "by": self.by,
            "since": times.to_text(times.from_ms(self.at)),
            **({"statement": self.statement} if self.statement else {}),
        }


def link(conn: Connection, document: bytes, bases: Iterable[bytes]) -> None:
    """Remember what a document stands on."""
    values = [{"document": document, "stands_on": each} for each in bases]
    dialect.insert_many_or_ignore(conn, basis_links, values)


def bases(conn: Connection, document: bytes) -> list[bytes]:
    """What a document stands on."""
    query = select(basis_links.c.stands_on).where(basis_links.c.document == document)
    return [bytes(each) for each in conn.execute(query).scalars()]


def dependents(conn: Connection, digest: bytes) -> list[bytes]:
    """The documents here that stand on that one."""
    query = select(basis_links.c.document).where(basis_links.c.stands_on == digest)
    return [bytes(each) for each in conn.execute(query.limit(MAX_DEPENDENTS)).scalars()]


def put(conn: Connection, flag: Flag) -> bool:
    """Keep a flag; False when it is known already."""
    values = {
        "document": flag.document,
        "lost": flag.lost,
        "by": flag.by,
        "path": ",".join(each.hex() for each in flag.path),
        "at": flag.at,
        "statement": flag.statement,
        "status_list": flag.status_list,
    }
    return dialect.insert_or_ignore(conn, basis_flags, values)


def flags(conn: Connection, document: bytes, by: Iterable[str]) -> list[Flag]:
    """The flags of a document by those whose word counts, one for each thing lost."""
    query = select(basis_flags).where(
        basis_flags.c.document == document, basis_flags.c.by.in_(list(by))
    )
    found: dict[bytes, Flag] = {}
    for row in conn.execute(query.order_by(basis_flags.c.at).limit(MAX_FLAGS)):
        one = _flag(row)
        # The signed statement travels; our own finding only says the same.
        if one.lost not in found or one.statement:
            found[one.lost] = one
    return list(found.values())


def count(conn: Connection, document: bytes, lost: bytes) -> int:
    """How many say that this document lost that basis."""
    table = basis_flags
    query = select(func.count()).where(table.c.document == document, table.c.lost == lost)
    return int(conn.execute(query).scalar_one())


def flagged(conn: Connection, limit: int = MAX_FLAGS) -> list[Flag]:
    """The newest flags of all documents."""
    query = select(basis_flags).order_by(basis_flags.c.at.desc(), basis_flags.c.document)
    return [_flag(row) for row in conn.execute(query.limit(limit))]


def signed_by(conn: Connection, did: str) -> list[Flag]:
    """The newest statements that this node signed, at most 500."""
    query = select(basis_flags).where(basis_flags.c.by == did, basis_flags.c.statement.is_not(None))
    page = query.order_by(basis_flags.c.at.desc(), basis_flags.c.document).limit(MAX_GIVEN)
    return [_flag(row) for row in conn.execute(page)]


def _flag(row: Row[Any]) -> Flag:
    path = tuple(bytes.fromhex(each) for each in row.path.split(","))
    return Flag(
        bytes(row.document), bytes(row.lost), row.by, path, row.at, row.statement, row.status_list
    )
