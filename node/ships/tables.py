"""Which held document is which ship certificate, and what the registers of others answered."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, String, Table, Text

from node.store.metadata import metadata

__all__ = ["metadata", "ship_answers", "ship_numbers"]

ship_numbers = Table(
    "ship_numbers",
    metadata,
    Column("document", LargeBinary(32), primary_key=True),
    Column("issuer", String(400), nullable=False),
    Column("number", String(100), nullable=False),
    Index("ix_ship_numbers_number", "number", "issuer"),
)

# Only answers that know a document are kept: they hold for good.
ship_answers = Table(
    "ship_answers",
    metadata,
    Column("document", LargeBinary(32), primary_key=True),
    Column("text", Text, nullable=False),
    Column("heard_at", BigInteger, nullable=False),
)
