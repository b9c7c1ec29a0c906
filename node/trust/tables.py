"""What the node keeps of its network: every version's signed bytes, requests, proposals, forks."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Table

from node.store.metadata import metadata

__all__ = ["forks", "joining", "lists", "metadata", "proposals", "requests"]

lists = Table(
    "member_lists",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("signed", LargeBinary, nullable=False),
    Column("accepted_at", BigInteger, nullable=False),
)

# Requests of others to be on the list. state: pending, admitted, dropped.
requests = Table(
    "join_requests",
    metadata,
    Column("id", LargeBinary(32), primary_key=True),
    Column("did", String(400), nullable=False, index=True),
    Column("signed", LargeBinary, nullable=False),
    Column("state", String(16), nullable=False),
    Column("received_at", BigInteger, nullable=False),
)

# Next versions that still miss signatures. state: open, published, obsolete.
proposals = Table(
    "member_list_proposals",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("signed", LargeBinary, nullable=False),
    Column("state", String(16), nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

# Our own request, while we wait to be admitted; at most one row.
joining = Table(
    "joining",
    metadata,
    Column("id", LargeBinary(32), primary_key=True),
    Column("url", String(400), nullable=False),
    Column("network", LargeBinary(32), nullable=False),
    Column("signed", LargeBinary, nullable=False),
    Column("sent_at", BigInteger, nullable=False),
)

# Evidence of R4: another list for a version we hold, or the mere claim of one (signed NULL).
forks = Table(
    "member_list_forks",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary(32), primary_key=True),
    Column("did", String(400), primary_key=True),
    Column("signed", LargeBinary),
    Column("seen_at", BigInteger, nullable=False),
)
