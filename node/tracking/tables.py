"""What a control tracking registry keeps: records, what opened a bill, and disputes of this node.

`tracking_records` are the signed records byte for byte, each with its leaf in this node's log.
`tracking_openings` holds the first chain entry of each bill, which shows that a carrier issued it
under this registry. `ebl_disputes` are disputes that this platform opened or was told of, with
both chains as they were received; they are evidence and are never deleted.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text

from node.store.metadata import metadata

__all__ = ["disputes", "metadata", "openings", "records"]

records = Table(
    "tracking_records",
    metadata,
    Column("ebl", LargeBinary(32), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("id", LargeBinary(32), nullable=False),  # SHA-256 of the signed record
    Column("payload", LargeBinary(32), nullable=False),  # SHA-256 of its payload (R2)
    Column("actor", String(4), nullable=False),
    Column("text", Text, nullable=False),  # compact JWS
    Column("inserted_at", BigInteger, nullable=False),
    Column("leaf", LargeBinary(32), nullable=False),
    Index("ix_tracking_records_id", "id", unique=True),
    Index("ix_tracking_records_payload", "payload", unique=True),
)

openings = Table(
    "tracking_openings",
    metadata,
    Column("ebl", LargeBinary(32), primary_key=True),
    Column("entry", Text, nullable=False),  # the chain's first entry, compact JWS
    Column("opened_at", BigInteger, nullable=False),
)

# status: open, kept (ours stands), replaced (theirs stands), withdrawn
disputes = Table(
    "ebl_disputes",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("ebl", LargeBinary(32), nullable=False),
    Column("platform", String(4), nullable=False),  # who showed the other chain
    Column("registry", Text, nullable=False),  # base URI, empty where none guards the bill
    Column("ours", Text, nullable=False),  # JSON list of compact JWS
    Column("theirs", Text, nullable=False),
    Column("manifest", Text, nullable=False),  # the envelope's, or empty
    Column("record", LargeBinary(32)),  # of the registry's DISPUTE record, once it is taken
    Column("status", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("resolved_at", BigInteger),
    Index("ix_ebl_disputes_ebl", "ebl"),
    Index("ix_ebl_disputes_status", "status", "opened_at"),
)
