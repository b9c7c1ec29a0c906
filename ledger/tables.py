"""What the ledger remembers: leaves, checkpoints, cosignatures, witness states, proven forks.

One metadata of its own, so that the ledger's functions work over any connection that has these
tables. A *log* is named inside a node: ``node`` is the node's own, others may follow. Digests and
roots are 32 bytes, times are milliseconds since 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

NODE_LOG = "node"

heads = Table(
    "log_heads",
    metadata,
    Column("log", String(64), primary_key=True),
    Column("size", BigInteger, nullable=False),  # the next index
    Column("epoch", BigInteger, nullable=False),  # fencing: who opened the log last may sign
)

leaves = Table(
    "log_leaves",
    metadata,
    Column("log", String(64), primary_key=True),
    Column("leaf_index", BigInteger, primary_key=True, autoincrement=False),
    Column("leaf_hash", LargeBinary(32), nullable=False),
    Column("entry", LargeBinary, nullable=False),
    Column("subject", LargeBinary(32)),  # of the entry, where it is a node's leaf
    Column("at", BigInteger, nullable=False),
    Index("ix_log_leaves_hash", "leaf_hash"),
    Index("ix_log_leaves_subject", "log", "subject", "leaf_index"),  # a subject's newest at once
)

checkpoints = Table(
    "log_checkpoints",
    metadata,
    Column("log", String(64), primary_key=True),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("intended_at", BigInteger, nullable=False),
    Column("note", Text),  # signed by the log; NULL: only intended so far (R14)
    Column("witnessed_at", BigInteger),  # when a quorum was complete
)

cosignatures = Table(
    "log_cosignatures",
    metadata,
    Column("log", String(64), primary_key=True),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("name", String(255), primary_key=True),
    Column("key_id", LargeBinary(4), primary_key=True),
    Column("line", Text, nullable=False),
    Column("time", BigInteger, nullable=False),  # POSIX seconds, the witness's clock
)

witness_states = Table(
    "witness_states",
    metadata,
    Column("origin", String(255), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("note", Text, nullable=False),  # signed by the log, cosigned by us
    Column("at", BigInteger, nullable=False),
)

forks = Table(
    "log_forks",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),  # SHA-256 of the evidence file
    Column("origin", String(255), nullable=False),
    Column("evidence", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

marked_nodes = Table(
    "marked_nodes",
    metadata,
    Column("did", String(255), primary_key=True),
    Column("code", String(64), primary_key=True),
    Column("evidence", LargeBinary(32)),
    Column("at", BigInteger, nullable=False),
)

audits = Table(
    "log_audits",
    metadata,
    Column("origin", String(255), primary_key=True),
    Column("size", BigInteger, nullable=False),  # leaves verified so far
    Column("state", LargeBinary, nullable=False),  # right edge of the verified tree
    Column("root", LargeBinary(32), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("faults", Integer, nullable=False),
)
