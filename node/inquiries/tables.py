"""Inquiries about proofs of origin, ours and those put to us. Times are milliseconds UTC."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, String, Table, Text

from node.store.metadata import metadata

__all__ = ["metadata", "origin_inquiries"]

DID = String(400)

origin_inquiries = Table(
    "origin_inquiries",
    metadata,
    Column("asked_by", DID, primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("asked_of", DID, nullable=False),
    Column("certificate", LargeBinary(32), nullable=False),
    Column("inquiry", Text, nullable=False),  # canonical JSON
    Column("asked_at", BigInteger, nullable=False),
    Column("received_at", BigInteger),
    Column("answer", Text),
    Column("answered_at", BigInteger),
    Column("determination", Text),
    Column("determined_at", BigInteger),
    Index("ix_origin_inquiries_certificate", "certificate"),
)
