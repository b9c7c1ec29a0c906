"""Logs, checkpoints, cosignatures, witness states, and the title registry."""

from __future__ import annotations

from alembic import op

from node.migrations.first.columns import big, octets, primary, small, text

TABLES = (
    "log_leaves",
    "log_heads",
    "log_checkpoints",
    "log_cosignatures",
    "log_audits",
    "log_forks",
    "log_mirrors",
    "marked_nodes",
    "witness_states",
    "log_hand_overs",
    "log_followed",
    "log_foreign_checkpoints",
    "log_frozen",
    "registry_batches",
    "registry_operations",
    "registry_refusals",
    "registry_mirrors",
    "registry_freezes",
    "registry_disputes",
    "registry_stops",
)


def create() -> None:
    """Creates `TABLES`."""
    _log_leaves()
    _log_heads()
    _log_checkpoints()
    _log_cosignatures()
    _log_audits()
    _log_forks()
    _log_mirrors()
    _marked_nodes()
    _witness_states()
    _hand_overs()
    _followed()
    _foreign_checkpoints()
    _frozen()
    _registry_batches()
    _registry_operations()
    _registry_refusals()
    _registry_mirrors()
    _registry_freezes()
    _registry_disputes()
    _registry_stops()


def _log_leaves() -> None:
    op.create_table(
        "log_leaves",
        text("log", 64),
        big("leaf_index"),
        octets("leaf_hash", 32),
        octets("entry"),
        octets("subject", 32, null=True),
        big("at"),
        primary(None, "log", "leaf_index"),
    )
    op.create_index("ix_log_leaves_hash", "log_leaves", ["leaf_hash"])
    op.create_index("ix_log_leaves_subject", "log_leaves", ["log", "subject", "leaf_index"])


def _log_heads() -> None:
    op.create_table(
        "log_heads",
        text("log", 64),
        big("size"),
        big("epoch"),
        primary(None, "log"),
    )


def _log_checkpoints() -> None:
    op.create_table(
        "log_checkpoints",
        text("log", 64),
        big("size"),
        octets("root", 32),
        big("epoch"),
        big("intended_at"),
        text("note", null=True),
        big("witnessed_at", null=True),
        primary(None, "log", "size"),
    )


def _log_cosignatures() -> None:
    op.create_table(
        "log_cosignatures",
        text("log", 64),
        big("size"),
        text("name", 255),
        octets("key_id", 4),
        text("line"),
        big("time"),
        primary(None, "log", "size", "name", "key_id"),
    )


def _log_audits() -> None:
    op.create_table(
        "log_audits",
        text("origin", 255),
        big("size"),
        octets("state"),
        octets("root", 32),
        big("at"),
        small("faults"),
        primary(None, "origin"),
    )


def _log_forks() -> None:
    op.create_table(
        "log_forks",
        octets("digest", 32),
        text("origin", 255),
        text("evidence"),
        big("at"),
        primary(None, "digest"),
    )


def _log_mirrors() -> None:
    op.create_table(
        "log_mirrors",
        text("origin", 255),
        big("next_entry"),
        big("size"),
        text("note"),
        big("at"),
        primary(None, "origin"),
    )


def _marked_nodes() -> None:
    op.create_table(
        "marked_nodes",
        text("did", 255),
        text("code", 64),
        octets("evidence", 32, null=True),
        big("at"),
        primary(None, "did", "code"),
    )


def _witness_states() -> None:
    op.create_table(
        "witness_states",
        text("origin", 255),
        big("size"),
        octets("root", 32),
        text("note"),
        big("at"),
        primary(None, "origin"),
    )


def _hand_overs() -> None:
    op.create_table(
        "log_hand_overs",
        text("origin", 255),
        big("epoch"),
        big("since"),
        text("file"),
        big("at"),
        primary(None, "origin", "epoch"),
    )


def _followed() -> None:
    op.create_table(
        "log_followed",
        text("origin", 255),
        big("size"),
        octets("root", 32),
        text("note"),
        small("witnessed"),
        big("at"),
        big("recorded_at"),
        text("fault", 64, null=True),
        primary(None, "origin"),
    )


def _foreign_checkpoints() -> None:
    op.create_table(
        "log_foreign_checkpoints",
        octets("leaf", 32),
        text("origin", 255),
        big("size"),
        text("note"),
        big("at"),
        primary(None, "leaf"),
    )


def _frozen() -> None:
    op.create_table(
        "log_frozen",
        text("origin", 255),
        text("log", 64),
        big("size"),
        text("reason", 64),
        text("note", null=True),
        big("at"),
        primary(None, "origin"),
    )


def _registry_batches() -> None:
    op.create_table(
        "registry_batches",
        text("log", 64),
        big("number"),
        big("at"),
        big("size"),
        octets("state_root", 32),
        small("members_version"),
        primary(None, "log", "number"),
    )


def _registry_operations() -> None:
    op.create_table(
        "registry_operations",
        text("log", 64),
        octets("title", 32),
        small("seq"),
        octets("digest", 32),
        text("text"),
        big("batch"),
        text("state"),
        primary(None, "log", "title", "seq"),
    )
    op.create_index("ix_registry_operations_batch", "registry_operations", ["log", "batch"])
    op.create_index(
        "ix_registry_operations_digest", "registry_operations", ["log", "digest"], unique=True
    )


def _registry_refusals() -> None:
    op.create_table(
        "registry_refusals",
        text("log", 64),
        octets("digest", 32),
        text("text"),
        big("at"),
        primary(None, "log", "digest"),
    )


def _registry_mirrors() -> None:
    op.create_table(
        "registry_mirrors",
        text("origin", 255),
        big("size"),
        octets("root", 32),
        text("note"),
        big("at"),
        primary(None, "origin"),
    )


def _registry_freezes() -> None:
    op.create_table(
        "registry_freezes",
        octets("arbiter", 32),
        text("document"),
        big("at"),
        primary(None, "arbiter"),
    )


def _registry_disputes() -> None:
    op.create_table(
        "registry_disputes",
        octets("arbiter", 32),
        octets("title", 32),
        text("code", 64),
        text("evidence"),
        big("at"),
        primary(None, "arbiter", "title"),
    )


def _registry_stops() -> None:
    op.create_table(
        "registry_stops",
        text("log", 64),
        big("at"),
        primary(None, "log"),
    )
