"""Around release: AEO status events by code, gates with their leases and reports, pick-up links."""

from __future__ import annotations

from alembic import op

from node.migrations.first.columns import big, octets, primary, small, text

TABLES = ("aeo_events", "gates", "gate_leases", "gate_reports", "pick_up_links")


def create() -> None:
    """Creates `TABLES`."""
    _aeo_events()
    _gates()
    _pick_up_links()


def _aeo_events() -> None:
    op.create_table(
        "aeo_events",
        octets("document", 32),
        text("code", 40),
        small("seq"),
        big("known_at"),
        primary("pk_aeo_events", "document"),
    )
    op.create_index("ix_aeo_events_code", "aeo_events", ["code", "seq"])


def _gates() -> None:
    op.create_table(
        "gates",
        text("name", 70),
        text("gate_group", 100),
        text("jwk"),
        big("registered_at"),
        big("ended_at", null=True),
        primary("pk_gates", "name"),
    )
    op.create_table(
        "gate_leases",
        octets("order_digest", 32),
        text("gate", 70),
        big("leased_at"),
        text("text"),
        big("confirmed_void_at", null=True),
        primary("pk_gate_leases", "order_digest"),
    )
    op.create_index("ix_gate_leases_gate", "gate_leases", ["gate"])
    op.create_table(
        "gate_reports",
        text("gate", 70),
        small("seq"),
        text("text"),
        big("received_at"),
        primary("pk_gate_reports", "gate", "seq"),
    )


def _pick_up_links() -> None:
    op.create_table(
        "pick_up_links",
        octets("digest", 32),
        octets("previous", 32, null=True),
        text("container", 20),
        text("consignment", 100),
        text("delegator", 400),
        text("recipient", 400),
        text("text"),
        big("received_at"),
        big("revoked_at", null=True),
        text("revocation", null=True),
        primary("pk_pick_up_links", "digest"),
    )
    columns = ["consignment", "container"]
    op.create_index("ix_pick_up_links_consignment", "pick_up_links", columns)
