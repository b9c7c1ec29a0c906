"""The store functions of ship certificates: synchronous, over a passed connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from node.documents import documents
from node.documents.tables import documents as stored_documents
from node.ships.tables import ship_answers, ship_numbers
from node.store import dialect
from protocols.ship_register import MAX_DOCUMENTS
from schemas import registry
from schemas.documents.ship_certificate import TYPE
from schemas.errors import ConflictError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.documents.documents import StoredDocument


def note(conn: Connection, stored: StoredDocument) -> None:
    """A document came or was issued: a ship certificate is found here by its tracking number.

    Raises ConflictError `ship_number_taken` for one of ours under another certificate's number;
    the same certificate issued again, endorsed perhaps, keeps its number.
    """
    if stored.type != TYPE.key:
        return
    number = registry.examine(TYPE.key, stored.payload).view.facts.get("trackingNumber")
    if not isinstance(number, str):
        return
    if stored.origin == documents.ISSUED:
        for digest in issued(conn, stored.issuer, number):
            other = documents.require(conn, digest)
            if other.number != stored.number:
                raise ConflictError("ship_number_taken", other.number, document=digest.hex())
    values = {"document": stored.digest, "issuer": stored.issuer, "number": number}
    dialect.insert_or_ignore(conn, ship_numbers, values)


def issued(conn: Connection, issuer: str, number: str) -> list[bytes]:
    """The digests of an issuer's certificates of that number that are here, the newest first."""
    query = (
        select(ship_numbers.c.document)
        .join(stored_documents, stored_documents.c.digest == ship_numbers.c.document)
        .where(ship_numbers.c.number == number, ship_numbers.c.issuer == issuer)
        .order_by(stored_documents.c.n.desc())
        .limit(MAX_DOCUMENTS)
    )
    return [bytes(digest) for digest in conn.execute(query).scalars()]


def held(conn: Connection, number: str) -> list[StoredDocument]:
    """The certificates of that number that are here, whoever issued them."""
    query = select(ship_numbers.c.document).where(ship_numbers.c.number == number)
    digests = conn.execute(query.limit(MAX_DOCUMENTS)).scalars().all()
    return [documents.require(conn, bytes(digest)) for digest in digests]


def keep_answer(conn: Connection, document: bytes, text: str, now_ms: int) -> None:
    """Keep a register's answer that knows the document."""
    values = {"document": document, "text": text, "heard_at": now_ms}
    dialect.insert_or_ignore(conn, ship_answers, values)


def answer(conn: Connection, document: bytes) -> str | None:
    """The kept answer that knows the document."""
    query = select(ship_answers.c.text).where(ship_answers.c.document == document)
    found: str | None = conn.execute(query).scalar_one_or_none()
    return found
