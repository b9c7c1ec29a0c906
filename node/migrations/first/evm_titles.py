"""Titles on chains: what final blocks told, what is being relayed, and who stands behind keys."""

from __future__ import annotations

from alembic import op

from node.migrations.first.columns import big, octets, primary, small, text

TABLES = (
    "evm_followed",
    "evm_moves",
    "evm_heads",
    "evm_refusals",
    "evm_relays",
    "title_keys",
)


def create() -> None:
    """Creates `TABLES`."""
    _followed()
    _moves()
    _heads()
    _refusals()
    _relays()
    _title_keys()


def _followed() -> None:
    op.create_table(
        "evm_followed",
        octets("arbiter", 32),
        big("block"),
        big("at"),
        primary(None, "arbiter"),
    )


def _moves() -> None:
    op.create_table(
        "evm_moves",
        octets("arbiter", 32),
        octets("title", 32),
        small("seq"),
        octets("digest", 32),
        big("block"),
        octets("block_hash", 32),
        octets("transaction_hash", 32),
        big("log_index"),
        text("step", null=True),
        primary(None, "arbiter", "title", "seq"),
    )
    op.create_index("ix_evm_moves_digest", "evm_moves", ["digest"])


def _heads() -> None:
    op.create_table(
        "evm_heads",
        octets("arbiter", 32),
        octets("title", 32),
        small("seq"),
        small("learned"),
        primary(None, "arbiter", "title"),
    )


def _refusals() -> None:
    op.create_table(
        "evm_refusals",
        octets("digest", 32),
        text("code", 64),
        text("text"),
        primary(None, "digest"),
    )


def _relays() -> None:
    op.create_table(
        "evm_relays",
        octets("digest", 32),
        octets("arbiter", 32),
        octets("reference", 32),
        big("at"),
        primary(None, "digest"),
    )
    op.create_index("ix_evm_relays_reference", "evm_relays", ["reference"])


def _title_keys() -> None:
    op.create_table(
        "title_keys",
        octets("title", 32),
        octets("address", 20),
        text("did", 255),
        text("text"),
        primary("pk_title_keys", "title", "address", "did"),
    )
