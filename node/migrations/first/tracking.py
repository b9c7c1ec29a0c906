"""The control tracking registry, and disputes about bills."""

from __future__ import annotations

from alembic import op

from node.migrations.first.columns import big, octets, primary, small, text

TABLES = ("tracking_records", "tracking_openings", "ebl_disputes")


def create() -> None:
    """Creates `TABLES`."""
    _records()
    _openings()
    _disputes()


def _records() -> None:
    op.create_table(
        "tracking_records",
        octets("ebl", 32),
        small("number"),
        octets("id", 32),
        octets("payload", 32),
        text("actor", 4),
        text("text"),
        big("inserted_at"),
        octets("leaf", 32),
        primary("pk_tracking_records", "ebl", "number"),
    )
    op.create_index("ix_tracking_records_id", "tracking_records", ["id"], unique=True)
    op.create_index("ix_tracking_records_payload", "tracking_records", ["payload"], unique=True)


def _openings() -> None:
    op.create_table(
        "tracking_openings",
        octets("ebl", 32),
        text("entry"),
        big("opened_at"),
        primary("pk_tracking_openings", "ebl"),
    )


def _disputes() -> None:
    op.create_table(
        "ebl_disputes",
        text("id", 32),
        octets("ebl", 32),
        text("platform", 4),
        text("registry"),
        text("ours"),
        text("theirs"),
        text("manifest"),
        octets("record", 32, null=True),
        text("status", 16),
        text("reason"),
        big("opened_at"),
        big("resolved_at", null=True),
        primary("pk_ebl_disputes", "id"),
    )
    op.create_index("ix_ebl_disputes_ebl", "ebl_disputes", ["ebl"])
    op.create_index("ix_ebl_disputes_status", "ebl_disputes", ["status", "opened_at"])
