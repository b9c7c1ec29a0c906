"""Which held document is which status event of which authorisation.

The documents themselves stay in `documents`; here is only what finds them by code. `known_at` is
when this node had verified or issued it (ms UTC), 0 while that is undecided.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table

from node.store.metadata import metadata

__all__ = ["aeo_events", "metadata"]

aeo_events = Table(
    "aeo_events",
    metadata,
    Column("document", LargeBinary(32), primary_key=True),
    Column("code", String(40), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("known_at", BigInteger, nullable=False),
    Index("ix_aeo_events_code", "code", "seq"),
)
