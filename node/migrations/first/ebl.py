"""Issuance and surrender between carriers and platforms, our calls to them, notifications."""

from __future__ import annotations

from alembic import op

from node.migrations.first.columns import big, numbered, octets, primary, small, text, unique

TABLES = ("ebl_issuances", "ebl_surrenders", "ebl_calls", "ebl_notifications")


def create() -> None:
    """Creates `TABLES`."""
    _issuances()
    _surrenders()
    _calls()
    _notifications()


def _issuances() -> None:
    op.create_table(
        "ebl_issuances",
        numbered("number"),
        text("side", 8),
        text("counterpart", 255),
        text("reference", 20),
        text("sub_reference", 100, null=True),
        text("state", 16),
        octets("body"),
        octets("checksum", 32),
        octets("title", 32, null=True),
        text("intent", null=True),
        big("titled_at", null=True),
        text("answer", null=True),
        big("created_at"),
        big("answered_at", null=True),
        text("fault", 100, null=True),
        primary("pk_ebl_issuances", "number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_ebl_issuances_reference", "ebl_issuances", ["reference"])
    op.create_index("ix_ebl_issuances_state", "ebl_issuances", ["side", "state"])
    op.create_index("ix_ebl_issuances_title", "ebl_issuances", ["title"])
    op.create_index("ix_ebl_issuances_checksum", "ebl_issuances", ["checksum"])


def _surrenders() -> None:
    op.create_table(
        "ebl_surrenders",
        numbered("number"),
        text("side", 8),
        text("counterpart", 255),
        text("request", 100),
        big("issuance"),
        text("reference", 20),
        text("code", 4),
        text("reason", 4, null=True),
        text("comments", 255, null=True),
        text("party", 255, null=True),
        text("state", 16),
        octets("body", null=True),
        octets("answer", null=True),
        big("created_at"),
        big("answered_at", null=True),
        primary("pk_ebl_surrenders", "number"),
        unique("uq_ebl_surrenders_request", "side", "counterpart", "request"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_ebl_surrenders_issuance", "ebl_surrenders", ["issuance"])
    op.create_index("ix_ebl_surrenders_state", "ebl_surrenders", ["side", "state"])


def _calls() -> None:
    op.create_table(
        "ebl_calls",
        numbered("number"),
        text("counterpart", 255),
        text("method", 8),
        text("path", 200),
        octets("body"),
        text("about", 16),
        big("subject"),
        text("state", 16),
        small("tries"),
        big("again_at"),
        big("created_at"),
        small("status", null=True),
        text("answer", null=True),
        primary("pk_ebl_calls", "number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_ebl_calls_state", "ebl_calls", ["state", "again_at"])
    op.create_index("ix_ebl_calls_subject", "ebl_calls", ["about", "subject"])


def _notifications() -> None:
    op.create_table(
        "ebl_notifications",
        numbered("number"),
        text("direction", 8),
        text("counterpart", 255),
        text("source"),
        text("event", 100),
        text("reference", 20),
        text("status", 50),
        octets("body"),
        big("at"),
        primary("pk_ebl_notifications", "number"),
        unique("uq_ebl_notifications_event", "direction", "counterpart", "source", "event"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_ebl_notifications_reference", "ebl_notifications", ["reference"])
