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

mirrors = Table(
    "log_mirrors",
    metadata,
    Column("origin", String(255), primary_key=True),
    Column("next_entry", BigInteger, nullable=False),  # entries below it are stored
    Column("size", BigInteger, nullable=False),  # of the checkpoint that the mirror has signed
    Column("note", Text, nullable=False),  # that checkpoint, "" before the first
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

hand_overs = Table(
    "log_hand_overs",
    metadata,
    Column("origin", String(255), primary_key=True),
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("since", BigInteger, nullable=False),  # the first size that the epoch counts for
    Column("file", Text, nullable=False),  # the proven hand-over
    Column("at", BigInteger, nullable=False),
)

followed = Table(
    "log_followed",
    metadata,
    Column("origin", String(255), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("note", Text, nullable=False),  # signed by the log, with its cosignatures
    Column("witnessed", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),  # when a leaf told of it last; 0: never
    Column("fault", String(64)),  # why it could not be followed, a code of the catalogue
)

foreign = Table(
    "log_foreign_checkpoints",
    metadata,
    Column("leaf", LargeBinary(32), primary_key=True),  # hash of our leaf of kind 7
    Column("origin", String(255), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

frozen = Table(
    "log_frozen",
    metadata,
    Column("origin", String(255), primary_key=True),
    Column("log", String(64), nullable=False),  # the name its rows have from then on
    Column("size", BigInteger, nullable=False),  # what partners held of it
    Column("reason", String(64), nullable=False),  # the code that sealed it
    Column("note", Text),  # the checkpoint beyond what is here, as the partner gave it
    Column("at", BigInteger, nullable=False),
)
