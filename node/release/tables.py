"""Release orders that this node signed, and the last decision told per container.

An order is open while it is neither used, void nor past its end. `delivery_order` is the digest of
the delivery order it rests on, which its use spends (R24).
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, String, Table, Text

from node.store.metadata import metadata

__all__ = ["metadata", "release_decisions", "release_orders"]

release_orders = Table(
    "release_orders",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("container", String(20), nullable=False),
    Column("consignment", String(100), nullable=False),
    Column("number", String(100), nullable=False),
    Column("gate_group", String(100), nullable=False),
    Column("collector", String(400), nullable=False),
    Column("delivery_order", LargeBinary(32)),
    Column("decision", Text, nullable=False),  # canonical JSON
    Column("not_before", BigInteger, nullable=False),
    Column("not_after", BigInteger, nullable=False),
    Column("signed_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    Column("voided_at", BigInteger),
    Index("ix_release_orders_consignment", "consignment"),
    Index("ix_release_orders_container", "container"),
)

release_decisions = Table(
    "release_decisions",
    metadata,
    Column("container", String(20), primary_key=True),
    Column("consignment", String(100), primary_key=True),
    Column("outcome", String(10), nullable=False),
    Column("at", BigInteger, nullable=False),
)
