"""Bills of lading that other platforms sent or were sent, their chains and documents."""

from __future__ import annotations

from alembic import op

from node.migrations.first.columns import big, flag, octets, primary, small, text, unique

TABLES = (
    "pint_bills",
    "pint_entries",
    "pint_transfers",
    "pint_documents",
    "pint_outgoing",
    "pint_accounts",
)


def create() -> None:
    """Creates `TABLES`."""
    _bills()
    _entries()
    _transfers()
    _documents()
    _outgoing()
    _accounts()


def _bills() -> None:
    op.create_table(
        "pint_bills",
        octets("document", 32),
        text("reference"),
        text("carrier"),
        octets("title", 32, null=True),
        text("registry", null=True),
        text("issuance"),
        text("body"),
        text("visualisation", null=True),
        small("chain"),
        text("status", 16),
        text("state"),
        text("report"),
        big("created_at"),
        big("updated_at"),
        primary("pk_pint_bills", "document"),
    )
    op.create_index("ix_pint_bills_title", "pint_bills", ["title"])
    op.create_index("ix_pint_bills_reference", "pint_bills", ["reference"])


def _entries() -> None:
    op.create_table(
        "pint_entries",
        octets("document", 32),
        small("chain"),
        small("place"),
        text("text"),
        flag("accepted"),
        big("at"),
        primary("pk_pint_entries", "document", "chain", "place"),
    )


def _transfers() -> None:
    op.create_table(
        "pint_transfers",
        text("reference", 100),
        octets("document", 32),
        octets("entry", 32),
        octets("last", 32),
        text("platform", 4),
        octets("envelope"),
        text("state", 16),
        text("answer", null=True),
        big("created_at"),
        big("updated_at"),
        primary("pk_pint_transfers", "reference"),
        unique("uq_pint_transfers_entry", "document", "entry"),
    )
    op.create_index("ix_pint_transfers_state", "pint_transfers", ["state", "updated_at"])
    op.create_index("ix_pint_transfers_platform", "pint_transfers", ["platform", "state"])


def _documents() -> None:
    op.create_table(
        "pint_documents",
        octets("document", 32),
        text("platform", 4),
        octets("checksum", 32),
        big("size"),
        octets("content"),
        big("received_at"),
        primary("pk_pint_documents", "document", "platform", "checksum"),
    )


def _outgoing() -> None:
    op.create_table(
        "pint_outgoing",
        octets("entry", 32),
        octets("document", 32),
        octets("title", 32, null=True),
        text("platform", 4),
        text("text"),
        octets("envelope"),
        text("state", 16),
        text("reference", 100, null=True),
        text("answer", null=True),
        text("code", 64, null=True),
        small("tries"),
        big("again_at"),
        big("created_at"),
        big("updated_at"),
        primary("pk_pint_outgoing", "entry"),
    )
    op.create_index("ix_pint_outgoing_document", "pint_outgoing", ["document"])
    op.create_index("ix_pint_outgoing_state", "pint_outgoing", ["state", "again_at"])


def _accounts() -> None:
    op.create_table(
        "pint_accounts",
        text("provider", 100),
        text("list", 100),
        text("code", 150),
        text("name", 70),
        text("did", 255, null=True),
        flag("active"),
        big("updated_at"),
        primary("pk_pint_accounts", "provider", "list", "code"),
    )
