"""Documents about which not everything could be found out yet, and when to look again."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table

from node.store.metadata import metadata

__all__ = ["metadata", "undecided"]

undecided = Table(
    "undecided_documents",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("sender", String(400), nullable=False),
    Column("message", String(64), nullable=False),
    Column("message_digest", LargeBinary(32), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("again_at", BigInteger, nullable=False),
    Index("ix_undecided_documents_again_at", "again_at"),
)
