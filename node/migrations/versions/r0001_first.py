"""The first schema: every registered table."""

from __future__ import annotations

from alembic import op

from node.store.registered import all_metadata

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Creates the tables."""
    for metadata in all_metadata():
        metadata.create_all(op.get_bind(), checkfirst=False)


def downgrade() -> None:
    """Drops the tables."""
    for metadata in reversed(all_metadata()):
        metadata.drop_all(op.get_bind())
