"""What the exchange remembers.

Rows of `exchange_inbox` and `exchange_receipts_issued` are the proof that a message was answered
and are kept for ever (R9); a body may go after its retention. Digests have 32 bytes, times are
milliseconds UTC, items are canonical JSON.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
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
    "evidence",
    "inbox",
    "metadata",
    "outbox",
    "peers",
    "receipts_issued",
    "receipts_received",
    "streams_in",
    "streams_out",
]

DID = String(300)
STREAM = String(100)
ID = String(36)

# One row per message that consumed its id. state: held (behind a gap), ready (in order, not yet
# applied), delivered, refused (by the handler, answered), void (closed a gap, nothing to apply).
inbox = Table(
    "exchange_inbox",
    metadata,
    Column("n", AutoInteger, primary_key=True, autoincrement=True),
    Column("peer", DID, nullable=False),
    Column("id", ID, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("link", LargeBinary(32), nullable=False),  # what the next message's prev must name
    Column("type", String(140), nullable=False),
    Column("stream", STREAM),
    Column("seq", BigInteger),
    Column("prev", LargeBinary(32)),
    Column("state", String(16), nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("settled_at", BigInteger),
    Column("attempts", Integer, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("code", String(64)),
    Column("receipt_seq", BigInteger, nullable=False),
    Column("item_index", Integer, nullable=False),
    Column("item", Text, nullable=False),
    Column("leaf", LargeBinary(32), nullable=False),
    Column("document", LargeBinary(32)),
    Column("media_type", String(200), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("manifest", Text, nullable=False),
    Column("body", LargeBinary),
    UniqueConstraint("peer", "id"),
    UniqueConstraint("peer", "stream", "seq"),
    Index("ix_exchange_inbox_state", "state", "n"),
    Index("ix_exchange_inbox_document", "document"),
    sqlite_autoincrement=True,
)

# The unbroken part of each inbound stream, and until when its delivery waits.
streams_in = Table(
    "exchange_streams_in",
    metadata,
    Column("peer", DID, primary_key=True),
    Column("stream", STREAM, primary_key=True),
    Column("last", BigInteger, nullable=False),
    Column("head", LargeBinary(32)),
    Column("since", BigInteger),
    Column("attempts", Integer, nullable=False),
    Column("blocked_until", BigInteger, nullable=False),
)

receipts_issued = Table(
    "exchange_receipts_issued",
    metadata,
    Column("peer", DID, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("leaves", LargeBinary, nullable=False),  # RFC 6962 leaf hashes of the items, joined
    Column("receipt", Text, nullable=False),
)

# What we know of each peer. receipt_*: end of the chain that we sign for it, under a row lock.
# failures, next_at: the breaker of our outbound calls.
peers = Table(
    "exchange_peers",
    metadata,
    Column("did", DID, primary_key=True),
    Column("receipt_seq", BigInteger, nullable=False),
    Column("receipt_head", LargeBinary(32)),
    Column("failures", Integer, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("alarm_level", Integer, nullable=False),
)

# Signed statements that contradict others: kept to be shown (conflict, fork, two receipts).
evidence = Table(
    "exchange_evidence",
    metadata,
    Column("n", AutoInteger, primary_key=True, autoincrement=True),
    Column("peer", DID, nullable=False),
    Column("code", String(64), nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("statement", Text, nullable=False),
    UniqueConstraint("peer", "digest", "code"),
    sqlite_autoincrement=True,
)

# One row per message we promised to send. state: queued, receipted, rejected, expired.
# validated, decided: the outcomes the peer told us later (levels two and three).
outbox = Table(
    "exchange_outbox",
    metadata,
    Column("n", AutoInteger, primary_key=True, autoincrement=True),
    Column("id", ID, nullable=False, unique=True),
    Column("peer", DID, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("type", String(140), nullable=False),
    Column("stream", STREAM),
    Column("seq", BigInteger),
    Column("prev", LargeBinary(32)),
    Column("state", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("settled_at", BigInteger),
    Column("attempts", Integer, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("code", String(64)),
    Column("validated", String(32)),
    Column("decided", String(32)),
    Column("decided_code", String(64)),
    Column("receipt_seq", BigInteger),
    Column("item_index", Integer),
    Column("item", Text),
    Column("path", LargeBinary),
    Column("document", LargeBinary(32)),
    Column("media_type", String(200), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("manifest", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("ix_exchange_outbox_peer", "peer", "state", "n"),
    Index("ix_exchange_outbox_document", "document"),
    sqlite_autoincrement=True,
)

streams_out = Table(
    "exchange_streams_out",
    metadata,
    Column("peer", DID, primary_key=True),
    Column("stream", STREAM, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("head", LargeBinary(32), nullable=False),
)

receipts_received = Table(
    "exchange_receipts_received",
    metadata,
    Column("peer", DID, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("prev", LargeBinary(32)),
    Column("at", BigInteger, nullable=False),
    Column("receipt", Text, nullable=False),
)
