"""Ship certificates by tracking number, and answers of other registers."""

from __future__ import annotations

from alembic import op

from node.migrations.first.columns import big, octets, primary, text

TABLES = ("ship_numbers", "ship_answers")


def create() -> None:
    """Creates `TABLES`."""
    op.create_table(
        "ship_numbers",
        octets("document", 32),
        text("issuer", 400),
        text("number", 100),
        primary("pk_ship_numbers", "document"),
    )
    op.create_index("ix_ship_numbers_number", "ship_numbers", ["number", "issuer"])
    op.create_table(
        "ship_answers",
        octets("document", 32),
        text("text"),
        big("heard_at"),
        primary("pk_ship_answers", "document"),
    )
