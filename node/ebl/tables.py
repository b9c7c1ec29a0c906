"""What a node keeps of issuance, surrender and notifications (DCSA ISS, SUR and EBL 3.0.4).

`side` is what this node is in the matter: carrier or platform. `counterpart` is who is on the other
side: a member's DID, or the name of one that the operator has written down. A request is kept
before it is sent, so an answer that overtakes it finds it. `calls` are our own calls that are tried
until they are answered.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from node.store.metadata import AutoInteger, metadata

__all__ = ["calls", "issuances", "metadata", "notifications", "surrenders"]

# state: pending (asked), issued, content-error (BREQ), refused (REFU), rejected (an error),
#        title-refused (answered ISSU, but its arbiter did not take the title, for good),
#        void (given back and ended: delivered, amended or on paper)
issuances = Table(
    "ebl_issuances",
    metadata,
    Column("number", AutoInteger, primary_key=True, autoincrement=True),
    Column("side", String(8), nullable=False),
    Column("counterpart", String(255), nullable=False),
    Column("reference", String(20), nullable=False),
    Column("sub_reference", String(100)),
    Column("state", String(16), nullable=False),
    Column("body", LargeBinary, nullable=False),  # the request, byte for byte
    Column("checksum", LargeBinary(32), nullable=False),  # of the transport document
    Column("title", LargeBinary(32)),
    Column("intent", Text),  # carrier: how the title is to be issued, canonical JSON
    Column("titled_at", BigInteger),  # carrier: when the title was handed in
    Column("answer", Text),  # canonical JSON
    Column("created_at", BigInteger, nullable=False),
    Column("answered_at", BigInteger),
    Column("fault", String(100)),  # title-refused: the code that says why
    Index("ix_ebl_issuances_reference", "reference"),
    Index("ix_ebl_issuances_state", "side", "state"),
    Index("ix_ebl_issuances_title", "title"),
    Index("ix_ebl_issuances_checksum", "checksum"),
    sqlite_autoincrement=True,
)

# state: asking (platform: the title is not given back yet), asked, accepting and rejecting
#        (carrier: decided, the title not yet), accepted, rejected, refused (an error)
surrenders = Table(
    "ebl_surrenders",
    metadata,
    Column("number", AutoInteger, primary_key=True, autoincrement=True),
    Column("side", String(8), nullable=False),
    Column("counterpart", String(255), nullable=False),
    Column("request", String(100), nullable=False),
    Column("issuance", BigInteger, nullable=False),  # number of the issuance it is about
    Column("reference", String(20), nullable=False),
    Column("code", String(4), nullable=False),
    Column("reason", String(4)),
    Column("comments", String(255)),
    Column("party", String(255)),  # platform: DID of who gives it back
    Column("state", String(16), nullable=False),
    Column("body", LargeBinary),  # the request, byte for byte
    Column("answer", LargeBinary),  # the carrier's answer, byte for byte
    Column("created_at", BigInteger, nullable=False),
    Column("answered_at", BigInteger),
    UniqueConstraint("side", "counterpart", "request", name="uq_ebl_surrenders_request"),
    Index("ix_ebl_surrenders_issuance", "issuance"),
    Index("ix_ebl_surrenders_state", "side", "state"),
    sqlite_autoincrement=True,
)

# state: waiting, done, refused (an answer that trying again does not change), given-up
calls = Table(
    "ebl_calls",
    metadata,
    Column("number", AutoInteger, primary_key=True, autoincrement=True),
    Column("counterpart", String(255), nullable=False),
    Column("method", String(8), nullable=False),
    Column("path", String(200), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("about", String(16), nullable=False),  # issuance, response, surrender, answer, notice
    Column("subject", BigInteger, nullable=False),  # number of the issuance or surrender
    Column("state", String(16), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("again_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("status", Integer),  # of the last answer
    Column("answer", Text),  # why it failed last
    Index("ix_ebl_calls_state", "state", "again_at"),
    Index("ix_ebl_calls_subject", "about", "subject"),
    sqlite_autoincrement=True,
)

notifications = Table(
    "ebl_notifications",
    metadata,
    Column("number", AutoInteger, primary_key=True, autoincrement=True),
    Column("direction", String(8), nullable=False),  # sent, received
    Column("counterpart", String(255), nullable=False),
    Column("source", Text, nullable=False),
    Column("event", String(100), nullable=False),
    Column("reference", String(20), nullable=False),
    Column("status", String(50), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("at", BigInteger, nullable=False),
    UniqueConstraint(
        "direction", "counterpart", "source", "event", name="uq_ebl_notifications_event"
    ),
    Index("ix_ebl_notifications_reference", "reference"),
    sqlite_autoincrement=True,
)
