"""PX/1: inbox, outbox, streams, receipts, peers, and evidence against them."""

from __future__ import annotations

from alembic import op

from node.migrations.first.columns import big, flag, numbered, octets, primary, small, text, unique

TABLES = (
    "exchange_inbox",
    "exchange_streams_in",
    "exchange_receipts_issued",
    "exchange_outbox",
    "exchange_streams_out",
    "exchange_receipts_received",
    "exchange_peers",
    "exchange_evidence",
)


def create() -> None:
    """Creates `TABLES`."""
    _exchange_inbox()
    _exchange_streams_in()
    _exchange_receipts_issued()
    _exchange_outbox()
    _exchange_streams_out()
    _exchange_receipts_received()
    _exchange_peers()
    _exchange_evidence()


def _exchange_inbox() -> None:
    op.create_table(
        "exchange_inbox",
        numbered("n"),
        text("peer", 300),
        text("id", 36),
        octets("digest", 32),
        octets("link", 32),
        text("type", 140),
        text("stream", 100, null=True),
        big("seq", null=True),
        octets("prev", 32, null=True),
        text("state", 16),
        big("received_at"),
        big("settled_at", null=True),
        small("attempts"),
        big("next_at"),
        text("code", 64, null=True),
        big("receipt_seq"),
        small("item_index"),
        text("item"),
        octets("leaf", 32),
        octets("document", 32, null=True),
        text("media_type", 200),
        big("size"),
        text("manifest"),
        octets("body", null=True),
        primary("pk_exchange_inbox", "n"),
        unique("uq_exchange_inbox_peer_id", "peer", "id"),
        unique("uq_exchange_inbox_peer_stream_seq", "peer", "stream", "seq"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_exchange_inbox_document", "exchange_inbox", ["document"])
    op.create_index("ix_exchange_inbox_state", "exchange_inbox", ["state", "n"])


def _exchange_streams_in() -> None:
    op.create_table(
        "exchange_streams_in",
        text("peer", 300),
        text("stream", 100),
        big("last"),
        octets("head", 32, null=True),
        big("since", null=True),
        small("attempts"),
        big("blocked_until"),
        primary("pk_exchange_streams_in", "peer", "stream"),
    )


def _exchange_receipts_issued() -> None:
    op.create_table(
        "exchange_receipts_issued",
        text("peer", 300),
        big("seq"),
        octets("digest", 32),
        big("at"),
        octets("leaves"),
        text("receipt"),
        primary("pk_exchange_receipts_issued", "peer", "seq"),
    )


def _exchange_outbox() -> None:
    op.create_table(
        "exchange_outbox",
        numbered("n"),
        text("id", 36),
        text("peer", 300),
        octets("digest", 32),
        text("type", 140),
        text("stream", 100, null=True),
        big("seq", null=True),
        octets("prev", 32, null=True),
        text("state", 16),
        big("created_at"),
        big("expires_at"),
        big("settled_at", null=True),
        small("attempts"),
        big("next_at"),
        text("code", 64, null=True),
        text("validated", 32, null=True),
        text("decided", 32, null=True),
        text("decided_code", 64, null=True),
        big("receipt_seq", null=True),
        small("item_index", null=True),
        text("item", null=True),
        octets("path", null=True),
        octets("document", 32, null=True),
        text("media_type", 200),
        big("size"),
        text("manifest"),
        octets("body"),
        primary("pk_exchange_outbox", "n"),
        unique("uq_exchange_outbox_id", "id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_exchange_outbox_document", "exchange_outbox", ["document"])
    op.create_index("ix_exchange_outbox_peer", "exchange_outbox", ["peer", "state", "n"])


def _exchange_streams_out() -> None:
    op.create_table(
        "exchange_streams_out",
        text("peer", 300),
        text("stream", 100),
        big("seq"),
        octets("head", 32),
        primary("pk_exchange_streams_out", "peer", "stream"),
    )


def _exchange_receipts_received() -> None:
    op.create_table(
        "exchange_receipts_received",
        text("peer", 300),
        big("seq"),
        octets("digest", 32),
        octets("prev", 32, null=True),
        big("at"),
        text("receipt"),
        primary("pk_exchange_receipts_received", "peer", "seq"),
    )


def _exchange_peers() -> None:
    op.create_table(
        "exchange_peers",
        text("did", 300),
        big("receipt_seq"),
        octets("receipt_head", 32, null=True),
        small("failures"),
        big("next_at"),
        flag("paused"),
        small("alarm_level"),
        primary("pk_exchange_peers", "did"),
    )


def _exchange_evidence() -> None:
    op.create_table(
        "exchange_evidence",
        numbered("n"),
        text("peer", 300),
        text("code", 64),
        octets("digest", 32),
        big("at"),
        text("statement"),
        primary("pk_exchange_evidence", "n"),
        unique("uq_exchange_evidence_peer_digest_code", "peer", "digest", "code"),
        sqlite_autoincrement=True,
    )
