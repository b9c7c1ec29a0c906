"""Issuing with review: applications, batches, the persons who decide, what they signed."""

from __future__ import annotations

from alembic import op

from node.migrations.first.columns import big, flag, numbered, octets, primary, small, text, unique

TABLES = ("review_applications", "review_batches", "review_people", "review_approvals")


def create() -> None:
    """Creates `TABLES`."""
    _applications()
    op.create_table(
        "review_batches",
        text("name", 100),
        text("signer", 100),
        small("total"),
        octets("documents"),
        text("approval"),
        text("lapsed", 60),
        big("created_at"),
        primary("pk_review_batches", "name"),
    )
    op.create_table(
        "review_people",
        text("key", 120),
        text("name", 100),
        big("added_at"),
        big("ended_at", null=True),
        primary("pk_review_people", "key"),
    )
    op.create_table(
        "review_approvals",
        octets("digest", 32),
        text("act", 20),
        octets("subject", 32),
        text("person", 100),
        big("used_at"),
        text("signed"),
        primary("pk_review_approvals", "digest"),
    )


def _applications() -> None:
    op.create_table(
        "review_applications",
        numbered("n"),
        text("batch", 100),
        small("place"),
        octets("payload_digest", 32),
        octets("payload"),
        text("envelope"),
        text("type", 100),
        text("number", 200),
        text("consignment", 100, null=True),
        text("exporter", 400),
        text("state", 12),
        text("lane", 10),
        flag("second"),
        text("findings"),
        text("decisions"),
        text("policy", 110),
        big("submitted_at"),
        big("reviewed_at", null=True),
        octets("document", 32, null=True),
        primary("pk_review_applications", "n"),
        unique("uq_review_applications_place", "batch", "place"),
    )
    op.create_index("ix_review_applications_state", "review_applications", ["state", "n"])
    op.create_index("ix_review_applications_number", "review_applications", ["type", "number"])
