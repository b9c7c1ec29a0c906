"""What HTTP must remember over a restart: used nonces (R12) and answers by Idempotency-Key."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text

from node.store.metadata import metadata

__all__ = ["idempotency", "metadata", "nonces"]

nonces = Table(
    "nonces",
    metadata,
    Column("did", Text, primary_key=True),
    Column("nonce", Text, primary_key=True),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_nonces_expires_at", "expires_at"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("key", Text, primary_key=True),
    Column("fingerprint", LargeBinary(32), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    # NULL while the first request is under way, or for ever when it was cut off.
    Column("status", Integer),
    Column("content_type", Text),
    Column("location", Text),
    Column("body", LargeBinary),
    Index("ix_idempotency_expires_at", "expires_at"),
)
