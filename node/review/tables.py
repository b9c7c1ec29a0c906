"""Applications with their lanes and decisions, the persons who decide, and the batches.

An application is never deleted. `(batch, place)` is unique, so no application of a batch is taken
in twice; the document it became stands beside it. A person is known by the public key it signs
with, which is nobody else's for ever; an approval that was used stays as it was signed.
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

from node.store.metadata import AutoInteger, metadata

__all__ = [
    "metadata",
    "review_applications",
    "review_approvals",
    "review_batches",
    "review_people",
]

review_applications = Table(
    "review_applications",
    metadata,
    Column("n", AutoInteger, primary_key=True, autoincrement=True),
    Column("batch", String(100), nullable=False),
    Column("place", Integer, nullable=False),
    Column("payload_digest", LargeBinary(32), nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("envelope", Text, nullable=False),  # canonical JSON: what the order adds to the payload
    Column("type", String(100), nullable=False),
    Column("number", String(200), nullable=False),
    Column("consignment", String(100)),
    Column("exporter", String(400), nullable=False),
    Column("state", String(12), nullable=False),
    Column("lane", String(10), nullable=False),
    Column("second", Boolean, nullable=False),
    Column("findings", Text, nullable=False),  # canonical JSON
    Column("decisions", Text, nullable=False),  # canonical JSON, in the order they were taken
    Column("policy", String(110), nullable=False),  # edition and digest
    Column("submitted_at", BigInteger, nullable=False),
    Column("reviewed_at", BigInteger),
    Column("document", LargeBinary(32)),
    UniqueConstraint("batch", "place", name="uq_review_applications_place"),
    Index("ix_review_applications_state", "state", "n"),
    Index("ix_review_applications_number", "type", "number"),
)

review_batches = Table(
    "review_batches",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("signer", String(100), nullable=False),  # a person's name, or ""
    Column("total", Integer, nullable=False),
    Column("documents", LargeBinary, nullable=False),  # 32 bytes each, as `Subject.item`, or none
    Column("approval", Text, nullable=False),  # the signer's JWS, or ""
    Column("lapsed", String(60), nullable=False),  # the code of why it counts no more, or ""
    Column("created_at", BigInteger, nullable=False),
)

review_people = Table(
    "review_people",
    metadata,
    Column("key", String(120), primary_key=True),  # did:key
    Column("name", String(100), nullable=False),
    Column("added_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
)

#: Approvals under which something was signed here, each once.
review_approvals = Table(
    "review_approvals",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("act", String(20), nullable=False),
    Column("subject", LargeBinary(32), nullable=False),
    Column("person", String(100), nullable=False),
    Column("used_at", BigInteger, nullable=False),
    Column("signed", Text, nullable=False),
)
