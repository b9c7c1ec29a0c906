"""Documents, their recipients, and the status lists of ours and of others."""

from __future__ import annotations

from alembic import op

from node.migrations.first.columns import big, numbered, octets, primary, small, text, unique

TABLES = (
    "documents",
    "document_recipients",
    "undecided_documents",
    "status_lists",
    "status_entries",
    "status_versions",
    "token_status_versions",
)


def create() -> None:
    """Creates `TABLES`."""
    _documents()
    _document_recipients()
    _undecided_documents()
    _status_lists()
    _status_entries()
    _status_versions()
    _token_status_versions()


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
        text("suspension_list_url", 500, null=True),
        small("suspension_index", null=True),
        text("origin", 10),
        big("received_at"),
        text("sender", 400, null=True),
        text("verdict", 20, null=True),
        text("report", null=True),
        octets("leaf", 32, null=True),
        big("revoked_at", null=True),
        big("suspended_at", null=True),
        primary("pk_documents", "n"),
        unique("uq_documents_digest", "digest"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_documents_consignment", "documents", ["consignment", "type"])
    op.create_index("ix_documents_number", "documents", ["type", "number"])
    op.create_index("ix_documents_status", "documents", ["status_list_url", "status_index"])
    op.create_index(
        "ix_documents_suspension", "documents", ["suspension_list_url", "suspension_index"]
    )


def _document_recipients() -> None:
    op.create_table(
        "document_recipients",
        octets("digest", 32),
        text("did", 400),
        big("at"),
        text("told", 20),
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
        text("purpose", 40),
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
        big("set_at", null=True),
        text("reason", null=True),
        primary("pk_status_entries", "list", "entry"),
        unique("uq_status_entries_digest_list", "digest", "list"),
    )


def _status_versions() -> None:
    op.create_table(
        "status_versions",
        text("url", 500),
        text("issuer", 400),
        big("valid_from"),
        big("valid_until"),
        octets("digest", 32),
        text("signed"),
        big("fetched_at"),
        primary("pk_status_versions", "url", "issuer", "valid_from"),
    )


def _token_status_versions() -> None:
    op.create_table(
        "token_status_versions",
        text("uri", 500),
        text("issuer", 400),
        big("issued_at"),
        octets("digest", 32),
        text("media_type", 150),
        octets("signed"),
        big("fetched_at"),
        primary("pk_token_status_versions", "uri", "issuer", "issued_at"),
    )
