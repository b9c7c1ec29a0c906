"""The node's own story, and what HTTP must remember over a restart."""

from __future__ import annotations

from alembic import op

from node.migrations.first.columns import big, numbered, octets, primary, small, text

TABLES = (
    "events",
    "nonces",
    "idempotency",
    "challenges",
)


def create() -> None:
    """Creates `TABLES`."""
    _events()
    _nonces()
    _idempotency()
    _challenges()


def _events() -> None:
    op.create_table(
        "events",
        numbered("number"),
        text("kind"),
        big("at"),
        octets("document", 32, null=True),
        text("consignment", null=True),
        text("actor", null=True),
        octets("leaf", 32, null=True),
        text("detail"),
        primary("pk_events", "number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_consignment", "events", ["consignment"])
    op.create_index("ix_events_document", "events", ["document"])


def _nonces() -> None:
    op.create_table(
        "nonces",
        text("did"),
        text("nonce"),
        big("expires_at"),
        primary("pk_nonces", "did", "nonce"),
    )
    op.create_index("ix_nonces_expires_at", "nonces", ["expires_at"])


def _idempotency() -> None:
    op.create_table(
        "idempotency",
        text("key"),
        octets("fingerprint", 32),
        big("expires_at"),
        small("status", null=True),
        text("content_type", null=True),
        text("location", null=True),
        octets("body", null=True),
        primary("pk_idempotency", "key"),
    )
    op.create_index("ix_idempotency_expires_at", "idempotency", ["expires_at"])


def _challenges() -> None:
    op.create_table(
        "challenges",
        octets("id", 32),
        big("expires_at"),
        big("used_at", null=True),
        primary("pk_challenges", "id"),
    )
    op.create_index("ix_challenges_expires_at", "challenges", ["expires_at"])
