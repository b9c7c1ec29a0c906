"""Documents to look at again, and the challenges that presentations answer."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table

from node.store.metadata import metadata

__all__ = ["challenges", "metadata", "undecided"]

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

# A challenge by the SHA-256 of audience and nonce: given out and perhaps answered, or an operator's
# own that was answered.
challenges = Table(
    "challenges",
    metadata,
    Column("id", LargeBinary(32), primary_key=True),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    Index("ix_challenges_expires_at", "expires_at"),
)
