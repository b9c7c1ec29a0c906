"""What a node remembers of its dealings with a chain: its transactions, its anchors.

Part of the ledger's metadata. Amounts of wei are decimal text: they outgrow 64 bits. Hashes and
roots are 32 bytes, addresses 20, times milliseconds since 1970-01-01T00:00:00Z, block times
seconds as the chain tells them.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, String, Table, Text

from ledger.tables import metadata

accounts = Table(
    "chain_accounts",
    metadata,
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("sender", LargeBinary(20), primary_key=True),
    Column("next_nonce", BigInteger, nullable=False),
)

transactions = Table(
    "chain_transactions",
    metadata,
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("sender", LargeBinary(20), primary_key=True),
    Column("nonce", BigInteger, primary_key=True, autoincrement=False),
    Column("purpose", String(32), nullable=False),
    Column("reference", LargeBinary(32), nullable=False),  # what it is for, in its purpose's terms
    Column("recipient", LargeBinary(20)),  # NULL: it creates a contract
    Column("data", LargeBinary, nullable=False),
    Column("gas", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("hash", LargeBinary(32)),  # of the attempt that was included
    Column("block", BigInteger),
    Column("block_hash", LargeBinary(32)),
    Column("gas_used", BigInteger),
    Index("ix_chain_transactions_state", "chain_id", "sender", "state"),
    Index("ix_chain_transactions_reference", "purpose", "reference"),
)

attempts = Table(
    "chain_attempts",
    metadata,
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("sender", LargeBinary(20), primary_key=True),
    Column("nonce", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),  # 0, 1 …, each dearer
    Column("hash", LargeBinary(32), nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("price", String(32), nullable=False),
    Column("tip", String(32)),
    Column("at", BigInteger, nullable=False),
)

anchors = Table(
    "log_anchors",
    metadata,
    Column("log", String(64), primary_key=True),
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("contract", LargeBinary(20), primary_key=True),
    Column("origin", String(255), primary_key=True),  # a log that was handed over begins anew
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("sender", LargeBinary(20), nullable=False),
    Column("code_hash", LargeBinary(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("hash", LargeBinary(32)),
    Column("block", BigInteger),
    Column("block_time", BigInteger),
    Column("header", LargeBinary),  # RLP, from here on only when final
    Column("position", BigInteger),  # of the transaction in its block
    Column("log_index", BigInteger),  # of the event in its receipt
    Column("path", Text),  # base64 of the trie's nodes, one on each line
)
