"""The first schema: what a node must remember, by area (`node/migrations/first/`)."""

from __future__ import annotations

from alembic import op

from node.migrations.first import (
    balance,
    chain,
    documents,
    ebl,
    evm_titles,
    exchange,
    logs,
    node,
    pint,
    release,
    review,
    ships,
    titles,
    tracking,
    trust,
)

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_AREAS = (
    node,
    trust,
    documents,
    exchange,
    titles,
    logs,
    chain,
    evm_titles,
    pint,
    tracking,
    ebl,
    release,
    review,
    ships,
    balance,
)


def upgrade() -> None:
    """Creates the tables."""
    for area in _AREAS:
        area.create()


def downgrade() -> None:
    """Drops the tables."""
    for area in reversed(_AREAS):
        for table in reversed(area.TABLES):
            op.drop_table(table)
