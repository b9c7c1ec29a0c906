"""What a node keeps of titles: final states with proof, what they stand for, and its own requests.

Only final states are in `titles` (R21). `bills` ties a title to its document by the carrier's
issuance manifest. `submissions` are operations handed in through this node, until they are
decided. `notices` remembers who was told which state,
`keys` whose an address on a chain is.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text

from ledger.evm_tables import metadata as _evm_metadata
from ledger.registry_tables import metadata as _registry_metadata
from node.store.metadata import metadata

__all__ = ["bills", "history", "keys", "metadata", "notices", "submissions", "titles"]
# The tables of both kinds of arbiter are declared with these.
assert _registry_metadata is _evm_metadata

titles = Table(
    "titles",
    metadata,
    Column("title", LargeBinary(32), primary_key=True),
    Column("arbiter", LargeBinary(32), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("state", Text, nullable=False),  # canonical JSON
    Column("status", String(16), nullable=False),  # the state's name
    Column("at", BigInteger, nullable=False),  # time of the batch that is proven
    Column("proof", Text, nullable=False),  # canonical JSON of the TitleProof
    Column("updated_at", BigInteger, nullable=False),
)

bills = Table(
    "title_bills",
    metadata,
    Column("title", LargeBinary(32), primary_key=True),
    Column("document", LargeBinary(32)),  # of the bill of lading here, when it is here
    Column("checksum", LargeBinary(32), nullable=False),  # of the transport document (DCSA)
    Column("reference", Text, nullable=False),
    Column("carrier", Text, nullable=False),
    Column("issuance", Text, nullable=False),  # the manifest, compact JWS
    Column("created_at", BigInteger, nullable=False),
    Index("ix_title_bills_document", "document"),
    Index("ix_title_bills_checksum", "checksum"),
    Index("ix_title_bills_reference", "reference"),
)

history = Table(
    "title_history",
    metadata,
    Column("title", LargeBinary(32), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),  # the seq it built on
    Column("digest", LargeBinary(32), nullable=False),
    Column("text", Text, nullable=False),  # compact JWS
    Column("at", BigInteger, nullable=False),  # when it was known here to be final
)

# status: pending (not decided), accepted (in a batch, not final), final, refused, failed; pending
#         with a refusal: a chain refused it for now and may apply it until its deadline
submissions = Table(
    "title_submissions",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("title", LargeBinary(32), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("text", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("code", String(64)),
    Column("refusal", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("again_at", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False),
    Index("ix_title_submissions_title", "title"),
    Index("ix_title_submissions_status", "status", "again_at"),
)

notices = Table(
    "title_notices",
    metadata,
    Column("title", LargeBinary(32), primary_key=True),
    Column("did", String(255), primary_key=True),
    Column("seq", Integer, nullable=False),
)

# Who stands behind an address on a chain, by the holder's own word; a carrier's key has no title.
keys = Table(
    "title_keys",
    metadata,
    Column("title", LargeBinary(32), primary_key=True),  # zero: the carrier's key for all titles
    Column("address", LargeBinary(20), primary_key=True),
    Column("did", String(255), primary_key=True),
    Column("text", Text, nullable=False),  # the statement, compact JWS
)
