"""The member list, its proposals and forks, and who asked to join."""

from __future__ import annotations

from alembic import op

from node.migrations.first.columns import big, octets, primary, small, text, unique

TABLES = (
    "member_lists",
    "member_list_proposals",
    "member_list_forks",
    "join_requests",
    "joining",
)


def create() -> None:
    """Creates `TABLES`."""
    _member_lists()
    _member_list_proposals()
    _member_list_forks()
    _join_requests()
    _joining()


def _member_lists() -> None:
    op.create_table(
        "member_lists",
        small("version"),
        octets("digest", 32),
        octets("signed"),
        big("accepted_at"),
        primary("pk_member_lists", "version"),
        unique("uq_member_lists_digest", "digest"),
    )


def _member_list_proposals() -> None:
    op.create_table(
        "member_list_proposals",
        octets("digest", 32),
        small("version"),
        octets("signed"),
        text("state", 16),
        big("updated_at"),
        primary("pk_member_list_proposals", "digest"),
    )


def _member_list_forks() -> None:
    op.create_table(
        "member_list_forks",
        small("version"),
        octets("digest", 32),
        text("did", 400),
        octets("signed", null=True),
        big("seen_at"),
        primary("pk_member_list_forks", "version", "digest", "did"),
    )


def _join_requests() -> None:
    op.create_table(
        "join_requests",
        octets("id", 32),
        text("did", 400),
        octets("signed"),
        text("state", 16),
        big("received_at"),
        primary("pk_join_requests", "id"),
    )
    op.create_index("ix_join_requests_did", "join_requests", ["did"])


def _joining() -> None:
    op.create_table(
        "joining",
        octets("id", 32),
        text("url", 400),
        octets("network", 32),
        octets("signed"),
        big("sent_at"),
        primary("pk_joining", "id"),
    )
