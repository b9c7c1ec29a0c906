"""Documents, their recipients, and the status lists of ours and of others."""

from __future__ import annotations

from alembic import op

from node.migrations.first.columns import big, flag, numbered, octets, primary, small, text, unique

TABLES = (
    "documents",
    "document_recipients",
    "undecided_documents",
    "status_lists",
    "status_entries",
    "foreign_status_lists",
)


def create() -> None:
    """Creates `TABLES`."""
    _documents()
    _document_recipients()
    _undecided_documents()
    _status_lists()
    _status_entries()
    _foreign_status_lists()


def _documents() -> None:
    op.create_table(
        "documents",
        numbered("n"),
        octets("digest", 32),
        text("type", 100),
        text("number", 200),
        text("consignment", 100, null=True),
        text("issuer", 400),
        text("export_country", 2, null=True),
        text("import_country", 2, null=True),
        octets("subject", 32),
        octets("salt", 32),
        octets("payload_digest", 32),
        text("payload_type", 150),
        text("media_type", 150),
        octets("file"),
        big("valid_from"),
        big("valid_until"),
        text("status_list_url", 500),
        small("status_index"),
        text("origin", 10),
        big("received_at"),
        text("sender", 400, null=True),
        text("verdict", 20, null=True),
        text("report", null=True),
        octets("leaf", 32, null=True),
        big("revoked_at", null=True),
        primary("pk_documents", "n"),
        unique("uq_documents_digest", "digest"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_documents_consignment", "documents", ["consignment", "type"])
    op.create_index("ix_documents_number", "documents", ["type", "number"])
    op.create_index("ix_documents_status", "documents", ["status_list_url", "status_index"])


def _document_recipients() -> None:
    op.create_table(
        "document_recipients",
        octets("digest", 32),
        text("did", 400),
        big("at"),
        flag("told"),
        primary("pk_document_recipients", "digest", "did"),
    )


def _undecided_documents() -> None:
    op.create_table(
        "undecided_documents",
        octets("digest", 32),
        text("sender", 400),
        text("message", 64),
        octets("message_digest", 32),
        small("tries"),
        big("again_at"),
        primary("pk_undecided_documents", "digest"),
    )
    op.create_index("ix_undecided_documents_again_at", "undecided_documents", ["again_at"])


def _status_lists() -> None:
    op.create_table(
        "status_lists",
        text("list", 40),
        octets("bits"),
        small("used"),
        text("signed", null=True),
        big("signed_at"),
        primary("pk_status_lists", "list"),
    )


def _status_entries() -> None:
    op.create_table(
        "status_entries",
        text("list", 40),
        small("entry"),
        octets("digest", 32, null=True),
        big("revoked_at", null=True),
        text("reason", null=True),
        primary("pk_status_entries", "list", "entry"),
        unique("uq_status_entries_digest", "digest"),
    )


def _foreign_status_lists() -> None:
    op.create_table(
        "foreign_status_lists",
        text("url", 500),
        text("issuer", 400),
        octets("digest", 32),
        text("signed"),
        big("valid_from"),
        big("fetched_at"),
        primary("pk_foreign_status_lists", "url"),
    )
