"""The relayer's nonce journal, and the anchors of the node's log."""

from __future__ import annotations

from alembic import op

from node.migrations.first.columns import big, octets, primary, text

TABLES = ("chain_accounts", "chain_transactions", "chain_attempts", "log_anchors")


def create() -> None:
    """Creates `TABLES`."""
    _accounts()
    _transactions()
    _attempts()
    _anchors()


def _accounts() -> None:
    op.create_table(
        "chain_accounts",
        big("chain_id"),
        octets("sender", 20),
        big("next_nonce"),
        primary(None, "chain_id", "sender"),
    )


def _transactions() -> None:
    op.create_table(
        "chain_transactions",
        big("chain_id"),
        octets("sender", 20),
        big("nonce"),
        text("purpose", 32),
        octets("reference", 32),
        octets("recipient", 20, null=True),
        octets("data"),
        big("gas"),
        text("state", 16),
        big("made_at"),
        octets("hash", 32, null=True),
        big("block", null=True),
        octets("block_hash", 32, null=True),
        big("gas_used", null=True),
        primary(None, "chain_id", "sender", "nonce"),
    )
    op.create_index(
        "ix_chain_transactions_state", "chain_transactions", ["chain_id", "sender", "state"]
    )
    op.create_index(
        "ix_chain_transactions_reference", "chain_transactions", ["purpose", "reference"]
    )


def _attempts() -> None:
    op.create_table(
        "chain_attempts",
        big("chain_id"),
        octets("sender", 20),
        big("nonce"),
        big("number"),
        octets("hash", 32),
        octets("raw"),
        text("price", 32),
        text("tip", 32, null=True),
        big("at"),
        primary(None, "chain_id", "sender", "nonce", "number"),
    )


def _anchors() -> None:
    op.create_table(
        "log_anchors",
        text("log", 64),
        big("chain_id"),
        octets("contract", 20),
        text("origin", 255),
        big("size"),
        octets("root", 32),
        octets("sender", 20),
        octets("code_hash", 32),
        text("state", 16),
        big("at"),
        octets("hash", 32, null=True),
        big("block", null=True),
        big("block_time", null=True),
        octets("header", null=True),
        big("position", null=True),
        big("log_index", null=True),
        text("path", null=True),
        primary(None, "log", "chain_id", "contract", "origin", "size"),
    )
