"""What a title registry remembers, at its sequencer and at each of its witnesses alike.

A registry is named inside a node by its `log`: the sequencer's own, or the mirror of another's.
Digests and roots are 32 bytes, times are milliseconds since 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text

from ledger.tables import metadata

__all__ = [
    "batches",
    "disputes",
    "freezes",
    "metadata",
    "mirrors",
    "operations",
    "refusals",
    "stops",
]

batches = Table(
    "registry_batches",
    metadata,
    Column("log", String(64), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),  # entries of the log after the batch
    Column("state_root", LargeBinary(32), nullable=False),
    Column("members_version", Integer, nullable=False),
)

operations = Table(
    "registry_operations",
    metadata,
    Column("log", String(64), primary_key=True),
    Column("title", LargeBinary(32), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),  # the seq it built on
    Column("digest", LargeBinary(32), nullable=False),  # of its payload (R2)
    Column("text", Text, nullable=False),  # compact JWS
    Column("batch", BigInteger, nullable=False),
    Column("state", Text, nullable=False),  # canonical JSON of the state after it
    Index("ix_registry_operations_digest", "log", "digest", unique=True),
    Index("ix_registry_operations_batch", "log", "batch"),
)

refusals = Table(
    "registry_refusals",
    metadata,
    Column("log", String(64), primary_key=True),
    Column("digest", LargeBinary(32), primary_key=True),  # of the refused operation
    Column("text", Text, nullable=False),  # the signed refusal
    Column("at", BigInteger, nullable=False),
)

mirrors = Table(
    "registry_mirrors",
    metadata,
    Column("origin", String(255), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("note", Text, nullable=False),  # signed by the registry, cosigned by us
    Column("at", BigInteger, nullable=False),
)

# Arbiters that have ended (R21): the signed document, its one word for ever but for the successor.
freezes = Table(
    "registry_freezes",
    metadata,
    Column("arbiter", LargeBinary(32), primary_key=True),
    Column("document", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

# What two histories were shown of: one title, or with 32 zero bytes everything of an arbiter.
disputes = Table(
    "registry_disputes",
    metadata,
    Column("arbiter", LargeBinary(32), primary_key=True),
    Column("title", LargeBinary(32), primary_key=True),
    Column("code", String(64), nullable=False),
    Column("evidence", Text, nullable=False),  # the file's name in the node's evidence folder
    Column("at", BigInteger, nullable=False),
)

# Registries that their operator has stopped, before a planned hand-over.
stops = Table(
    "registry_stops",
    metadata,
    Column("log", String(64), primary_key=True),
    Column("at", BigInteger, nullable=False),
)
