"""Balances that this node keeps, and what it asked of the registers of others.

`balance_registers.seq` is what is compared and swapped; its quantity is the whole, NULL where the
lines have no one unit. Line 0 of a use or request is the whole: documents number lines from 1.
Amounts are exact decimals as text, times milliseconds UTC.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text

from node.store.metadata import metadata

__all__ = ["balance_lines", "balance_registers", "balance_requests", "balance_uses", "metadata"]

DID = String(400)

balance_registers = Table(
    "balance_registers",
    metadata,
    Column("certificate", LargeBinary(32), primary_key=True),
    Column("quantity", String(40)),
    Column("unit", String(3)),
    Column("seq", BigInteger, nullable=False),
)

balance_lines = Table(
    "balance_lines",
    metadata,
    Column("certificate", LargeBinary(32), primary_key=True),
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("quantity", String(40), nullable=False),
    Column("unit", String(3), nullable=False),
)

balance_uses = Table(
    "balance_uses",
    metadata,
    Column("certificate", LargeBinary(32), primary_key=True),
    Column("by", DID, primary_key=True),
    Column("declaration", String(100), primary_key=True),
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("quantity", String(40), nullable=False),
    Column("state", String(20), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),  # of the register, after it
)

balance_requests = Table(
    "balance_requests",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("certificate", LargeBinary(32), nullable=False),
    Column("declaration", String(100), nullable=False),
    Column("line", Integer, nullable=False),
    Column("register", DID, nullable=False),
    Column("request", Text, nullable=False),  # canonical JSON
    Column("outcome", String(20), nullable=False),  # INDETERMINATE until the answer is here
    Column("code", String(60), nullable=False),
    Column("answer", Text),  # as the register signed it
    Column("asked_at", BigInteger, nullable=False),
    Column("answered_at", BigInteger),
    Index("ix_balance_requests_certificate", "certificate", "declaration"),
)
