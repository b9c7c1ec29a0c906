"""Titles as they are final, what was handed in, and release of containers."""

from __future__ import annotations

from alembic import op

from node.migrations.first.columns import big, octets, primary, small, text

TABLES = (
    "title_bills",
    "titles",
    "title_history",
    "title_submissions",
    "title_notices",
    "release_decisions",
    "release_orders",
)


def create() -> None:
    """Creates `TABLES`."""
    _title_bills()
    _titles()
    _title_history()
    _title_submissions()
    _title_notices()
    _release_decisions()
    _release_orders()


def _title_bills() -> None:
    op.create_table(
        "title_bills",
        octets("title", 32),
        octets("document", 32, null=True),
        octets("checksum", 32),
        text("reference"),
        text("carrier"),
        text("issuance"),
        big("created_at"),
        primary("pk_title_bills", "title"),
    )
    op.create_index("ix_title_bills_checksum", "title_bills", ["checksum"])
    op.create_index("ix_title_bills_document", "title_bills", ["document"])
    op.create_index("ix_title_bills_reference", "title_bills", ["reference"])


def _titles() -> None:
    op.create_table(
        "titles",
        octets("title", 32),
        octets("arbiter", 32),
        small("seq"),
        text("state"),
        text("status", 16),
        big("at"),
        text("proof"),
        big("updated_at"),
        primary("pk_titles", "title"),
    )


def _title_history() -> None:
    op.create_table(
        "title_history",
        octets("title", 32),
        small("seq"),
        octets("digest", 32),
        text("text"),
        big("at"),
        primary("pk_title_history", "title", "seq"),
    )


def _title_submissions() -> None:
    op.create_table(
        "title_submissions",
        octets("digest", 32),
        octets("title", 32),
        small("seq"),
        text("kind", 32),
        text("text"),
        text("status", 16),
        text("code", 64, null=True),
        text("refusal", null=True),
        big("created_at"),
        big("again_at"),
        small("tries"),
        primary("pk_title_submissions", "digest"),
    )
    op.create_index("ix_title_submissions_status", "title_submissions", ["status", "again_at"])
    op.create_index("ix_title_submissions_title", "title_submissions", ["title"])


def _title_notices() -> None:
    op.create_table(
        "title_notices",
        octets("title", 32),
        text("did", 255),
        small("seq"),
        primary("pk_title_notices", "title", "did"),
    )


def _release_decisions() -> None:
    op.create_table(
        "release_decisions",
        text("container", 20),
        text("consignment", 100),
        text("outcome", 10),
        big("at"),
        primary("pk_release_decisions", "container", "consignment"),
    )


def _release_orders() -> None:
    op.create_table(
        "release_orders",
        octets("digest", 32),
        text("container", 20),
        text("consignment", 100),
        text("number", 100),
        text("gate_group", 100),
        text("collector", 400),
        octets("delivery_order", 32, null=True),
        text("decision"),
        big("not_before"),
        big("not_after"),
        big("signed_at"),
        big("used_at", null=True),
        big("voided_at", null=True),
        primary("pk_release_orders", "digest"),
    )
    op.create_index("ix_release_orders_consignment", "release_orders", ["consignment"])
    op.create_index("ix_release_orders_container", "release_orders", ["container"])
