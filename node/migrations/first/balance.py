"""Proofs of origin: balances kept here and asked for, lost bases, questions between authorities."""

from __future__ import annotations

from alembic import op

from node.migrations.first.columns import big, octets, primary, small, text

TABLES = (
    "balance_registers",
    "balance_lines",
    "balance_uses",
    "balance_requests",
    "basis_links",
    "basis_flags",
    "origin_inquiries",
)


def create() -> None:
    """Creates `TABLES`."""
    _balances()
    _bases()
    _inquiries()


def _balances() -> None:
    op.create_table(
        "balance_registers",
        octets("certificate", 32),
        text("quantity", 40, null=True),
        text("unit", 3, null=True),
        big("seq"),
        primary("pk_balance_registers", "certificate"),
    )
    op.create_table(
        "balance_lines",
        octets("certificate", 32),
        small("line"),
        text("quantity", 40),
        text("unit", 3),
        primary("pk_balance_lines", "certificate", "line"),
    )
    op.create_table(
        "balance_uses",
        octets("certificate", 32),
        text("by", 400),
        text("declaration", 100),
        small("line"),
        text("quantity", 40),
        text("state", 20),
        big("at"),
        big("seq"),
        primary("pk_balance_uses", "certificate", "by", "declaration", "line"),
    )
    op.create_table(
        "balance_requests",
        text("id", 64),
        octets("certificate", 32),
        text("declaration", 100),
        small("line"),
        text("register", 400),
        text("request"),
        text("outcome", 20),
        text("code", 60),
        text("answer", null=True),
        big("asked_at"),
        big("answered_at", null=True),
        primary("pk_balance_requests", "id"),
    )
    columns = ["certificate", "declaration"]
    op.create_index("ix_balance_requests_certificate", "balance_requests", columns)


def _bases() -> None:
    op.create_table(
        "basis_links",
        octets("document", 32),
        octets("stands_on", 32),
        primary("pk_basis_links", "document", "stands_on"),
    )
    op.create_index("ix_basis_links_stands_on", "basis_links", ["stands_on"])
    op.create_table(
        "basis_flags",
        octets("document", 32),
        octets("lost", 32),
        text("by", 400),
        text("path"),
        big("at"),
        text("statement", null=True),
        text("status_list", null=True),
        primary("pk_basis_flags", "document", "lost", "by"),
    )


def _inquiries() -> None:
    op.create_table(
        "origin_inquiries",
        text("asked_by", 400),
        text("id", 64),
        text("asked_of", 400),
        octets("certificate", 32),
        text("inquiry"),
        big("asked_at"),
        big("received_at", null=True),
        text("answer", null=True),
        big("answered_at", null=True),
        text("determination", null=True),
        big("determined_at", null=True),
        primary("pk_origin_inquiries", "asked_by", "id"),
    )
    op.create_index("ix_origin_inquiries_certificate", "origin_inquiries", ["certificate"])
