"""Documents, to whom they went, and status lists: our own, and every signed version of any.

Digests have 32 bytes, times are milliseconds UTC, reports are canonical JSON.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from node.store.metadata import AutoInteger, metadata

__all__ = [
    "documents",
    "metadata",
    "recipients",
    "status_entries",
    "status_lists",
    "status_versions",
    "token_versions",
]

DID = String(400)
URL = String(500)

documents = Table(
    "documents",
    metadata,
    Column("n", AutoInteger, primary_key=True, autoincrement=True),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("type", String(100), nullable=False),
    Column("number", String(200), nullable=False),
    Column("consignment", String(100)),
    Column("issuer", DID, nullable=False),
    Column("export_country", String(2)),
    Column("import_country", String(2)),
    Column("subject", LargeBinary(32), nullable=False),  # leaf subject (R18)
    Column("salt", LargeBinary(32), nullable=False),
    Column("payload_digest", LargeBinary(32), nullable=False),
    Column("payload_type", String(150), nullable=False),
    Column("media_type", String(150), nullable=False),
    Column("file", LargeBinary, nullable=False),
    Column("valid_from", BigInteger, nullable=False),
    Column("valid_until", BigInteger, nullable=False),
    Column("status_list_url", URL, nullable=False),
    Column("status_index", Integer, nullable=False),
    Column("suspension_list_url", URL),
    Column("suspension_index", Integer),
    Column("origin", String(10), nullable=False),  # issued | received
    Column("received_at", BigInteger, nullable=False),  # or issued at
    Column("sender", DID),
    Column("verdict", String(20)),
    Column("report", Text),
    Column("leaf", LargeBinary(32)),
    Column("revoked_at", BigInteger),  # when we learnt it from the signed list
    Column("suspended_at", BigInteger),  # the same; None again once it is reinstated
    Index("ix_documents_consignment", "consignment", "type"),
    Index("ix_documents_number", "type", "number"),
    Index("ix_documents_status", "status_list_url", "status_index"),
    Index("ix_documents_suspension", "suspension_list_url", "suspension_index"),
    sqlite_autoincrement=True,
)

recipients = Table(
    "document_recipients",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("did", DID, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("told", String(20), nullable=False, default=""),  # which standing they were told last
)

status_lists = Table(
    "status_lists",
    metadata,
    Column("list", String(40), primary_key=True),
    Column("purpose", String(40), nullable=False),
    Column("bits", LargeBinary, nullable=False),
    Column("used", Integer, nullable=False),
    Column("signed", Text),
    Column("signed_at", BigInteger, nullable=False),  # validFrom of `signed`; 0 before the first
)

status_entries = Table(
    "status_entries",
    metadata,
    Column("list", String(40), primary_key=True),
    Column("entry", Integer, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary(32)),
    Column("set_at", BigInteger),
    Column("reason", Text),
    UniqueConstraint("digest", "list"),
)

#: Every version signed here or taken from others; the newest of a list is the one in force.
status_versions = Table(
    "status_versions",
    metadata,
    Column("url", URL, primary_key=True),
    Column("issuer", DID, primary_key=True),
    Column("valid_from", BigInteger, primary_key=True, autoincrement=False),
    Column("valid_until", BigInteger, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("signed", Text, nullable=False),
    Column("fetched_at", BigInteger, nullable=False),
)

#: The same of others' Token Status Lists, which are named and read another way.
token_versions = Table(
    "token_status_versions",
    metadata,
    Column("uri", URL, primary_key=True),
    Column("issuer", DID, primary_key=True),
    Column("issued_at", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary(32), nullable=False),  # of what it states, in either form
    Column("media_type", String(150), nullable=False),
    Column("signed", LargeBinary, nullable=False),
    Column("fetched_at", BigInteger, nullable=False),
)
