"""The register's side of gates: which gates there are, what is leased to them, what they report.

An order is leased to one gate at most, for ever: `gate_leases` has it as its key (R24). A gate's
journal is kept as it was signed, by number, so a report sent twice changes nothing. Pick-up links
are kept as signed; `previous` is the digest of the link before, or null for the carrier's own.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text

from node.store.metadata import metadata

__all__ = ["gate_leases", "gate_reports", "gates", "metadata", "pick_up_links"]

gates = Table(
    "gates",
    metadata,
    Column("name", String(70), primary_key=True),
    Column("gate_group", String(100), nullable=False),
    Column("jwk", Text, nullable=False),
    Column("registered_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
)

gate_leases = Table(
    "gate_leases",
    metadata,
    Column("order_digest", LargeBinary(32), primary_key=True),
    Column("gate", String(70), nullable=False),
    Column("leased_at", BigInteger, nullable=False),
    Column("text", Text, nullable=False),
    Column("confirmed_void_at", BigInteger),  # the gate said that it will not open for it
    Index("ix_gate_leases_gate", "gate"),
)

gate_reports = Table(
    "gate_reports",
    metadata,
    Column("gate", String(70), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("text", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),
)

pick_up_links = Table(
    "pick_up_links",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("previous", LargeBinary(32)),
    Column("container", String(20), nullable=False),
    Column("consignment", String(100), nullable=False),
    Column("delegator", String(400), nullable=False),
    Column("recipient", String(400), nullable=False),
    Column("text", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("revocation", Text),
    Index("ix_pick_up_links_consignment", "consignment", "container"),
)
