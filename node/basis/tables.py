"""Which document stands on which, and the flags of those that stand on something revoked."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, String, Table, Text

from node.store.metadata import metadata

__all__ = ["basis_flags", "basis_links", "metadata"]

basis_links = Table(
    "basis_links",
    metadata,
    Column("document", LargeBinary(32), primary_key=True),
    Column("stands_on", LargeBinary(32), primary_key=True),
    Index("ix_basis_links_stands_on", "stands_on"),
)

#: by: whose statement it is, a signed one or our own finding. It counts when it is the document's
#: issuer's or our own; until the document is here nobody can tell.
basis_flags = Table(
    "basis_flags",
    metadata,
    Column("document", LargeBinary(32), primary_key=True),
    Column("lost", LargeBinary(32), primary_key=True),
    Column("by", String(400), primary_key=True),
    Column("path", Text, nullable=False),  # digests in hex, from the document to what was revoked
    Column("at", BigInteger, nullable=False),
    Column("statement", Text),  # as its issuer signed it
    Column("status_list", Text),  # the signed list that shows the revocation
)
