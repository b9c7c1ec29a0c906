"""What a node remembers of title registries on chains: how far it read, what moved, its batches.

Part of the ledger's metadata. Only what lies in final blocks stands in `evm_moves` (R21). Titles of
strangers are opaque numbers to this node; their rows cost little and make every sequence whole.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text

from ledger.tables import metadata

__all__ = ["followed", "heads", "metadata", "moves", "refusals", "relays"]

followed = Table(
    "evm_followed",
    metadata,
    Column("arbiter", LargeBinary(32), primary_key=True),
    Column("block", BigInteger, nullable=False),  # the last final block that was read
    Column("at", BigInteger, nullable=False),  # when, ms UTC
)

moves = Table(
    "evm_moves",
    metadata,
    Column("arbiter", LargeBinary(32), primary_key=True),
    Column("title", LargeBinary(32), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),  # after the operation
    Column("digest", LargeBinary(32), nullable=False),
    Column("block", BigInteger, nullable=False),
    Column("block_hash", LargeBinary(32), nullable=False),
    Column("transaction_hash", LargeBinary(32), nullable=False),
    Column("log_index", BigInteger, nullable=False),  # counted within the block
    Column("step", Text),  # canonical JSON of the proven step, once it was asked for
    Index("ix_evm_moves_digest", "digest"),
)

heads = Table(
    "evm_heads",
    metadata,
    Column("arbiter", LargeBinary(32), primary_key=True),
    Column("title", LargeBinary(32), primary_key=True),
    Column("seq", Integer, nullable=False),  # of the last move
    Column("learned", Integer, nullable=False),  # up to which the node's own title row follows
)

refusals = Table(
    "evm_refusals",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("code", String(64), nullable=False),
    Column("text", Text, nullable=False),  # canonical JSON: the event and its proof
)

relays = Table(
    "evm_relays",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("arbiter", LargeBinary(32), nullable=False),
    Column("reference", LargeBinary(32), nullable=False),  # of the batch, in the nonce journal
    Column("at", BigInteger, nullable=False),
    Index("ix_evm_relays_reference", "reference"),
)
