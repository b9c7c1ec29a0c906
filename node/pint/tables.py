"""What a platform keeps of bills of lading (PINT 3.0.0).

`bills` has one row for each transport document, by the checksum of its RFC 8785 form. `entries` are
the texts of its transfer chain, byte for byte and for ever; a document whose chain ended with SACC
may begin another (`chain` counts them). `transfers` come in, `outgoing` go out; `documents` are the
additional ones, kept apart for each sending platform (R12), with no platform for our own.
`accounts` are parties that have an account here beside those the member list names.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from node.store.metadata import metadata

__all__ = ["accounts", "bills", "documents", "entries", "metadata", "outgoing", "transfers"]

bills = Table(
    "pint_bills",
    metadata,
    Column("document", LargeBinary(32), primary_key=True),
    Column("reference", Text, nullable=False),
    Column("carrier", Text, nullable=False),  # the DID, else the name
    Column("title", LargeBinary(32)),  # under an arbiter of this network
    Column("registry", Text),  # base URI that the first entry names
    Column("issuance", Text, nullable=False),  # the carrier's manifest, compact JWS
    Column("body", Text, nullable=False),  # the transport document, canonical JSON
    Column("visualisation", Text),  # metadata of the carrier's picture, if this platform began
    Column("chain", Integer, nullable=False),  # number of the newest chain
    Column("status", String(16), nullable=False),  # here, sent, surrendered, ended
    Column("state", Text, nullable=False),  # canonical JSON, `node.pint.views`
    Column("report", Text, nullable=False),  # of the checks at the last receipt; empty for our own
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("ix_pint_bills_title", "title"),
    Index("ix_pint_bills_reference", "reference"),
)

entries = Table(
    "pint_entries",
    metadata,
    Column("document", LargeBinary(32), primary_key=True),
    Column("chain", Integer, primary_key=True, autoincrement=False),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False),  # compact JWS
    Column("accepted", Boolean, nullable=False),  # the last of an envelope that was accepted here
    Column("at", BigInteger, nullable=False),
)

# state: active (documents are missing), accepting (all is here, the title is not yet), received
transfers = Table(
    "pint_transfers",
    metadata,
    Column("reference", String(100), primary_key=True),
    Column("document", LargeBinary(32), nullable=False),
    Column("entry", LargeBinary(32), nullable=False),  # payload digest of the last entry
    Column("last", LargeBinary(32), nullable=False),  # checksum of its text
    Column("platform", String(4), nullable=False),  # the sender's code
    Column("envelope", LargeBinary, nullable=False),  # the body as it came
    Column("state", String(16), nullable=False),
    Column("answer", Text),  # RECE as it was signed
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("document", "entry", name="uq_pint_transfers_entry"),
    Index("ix_pint_transfers_state", "state", "updated_at"),
    Index("ix_pint_transfers_platform", "platform", "state"),
)

documents = Table(
    "pint_documents",
    metadata,
    Column("document", LargeBinary(32), primary_key=True),
    Column("platform", String(4), primary_key=True),  # who sent it; empty: ours
    Column("checksum", LargeBinary(32), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("received_at", BigInteger, nullable=False),
)

# state: building, offered, sending, received, refused, cancelled
outgoing = Table(
    "pint_outgoing",
    metadata,
    Column("entry", LargeBinary(32), primary_key=True),  # payload digest of our last entry
    Column("document", LargeBinary(32), nullable=False),
    Column("title", LargeBinary(32)),
    Column("platform", String(4), nullable=False),  # the receiver's code
    Column("text", Text, nullable=False),  # our entry, compact JWS
    Column("envelope", LargeBinary, nullable=False),  # the body as it is sent
    Column("state", String(16), nullable=False),
    Column("reference", String(100)),  # the receiver's
    Column("answer", Text),  # the signed word that decided, compact JWS
    Column("code", String(64)),  # why it is not decided yet
    Column("tries", Integer, nullable=False),
    Column("again_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("ix_pint_outgoing_document", "document"),
    Index("ix_pint_outgoing_state", "state", "again_at"),
)

accounts = Table(
    "pint_accounts",
    metadata,
    Column("provider", String(100), primary_key=True),
    Column("list", String(100), primary_key=True),  # empty where the code has none
    Column("code", String(150), primary_key=True),
    Column("name", String(70), nullable=False),
    Column("did", String(255)),  # the title key's owner, where there is one
    Column("active", Boolean, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)
