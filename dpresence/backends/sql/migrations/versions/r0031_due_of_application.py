"""Find what is due of an application without that of others."""

from __future__ import annotations

from alembic import op

revision = "0031_since_0014"
down_revision = "0030_since_0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add an index."""
    op.create_index("ix_followed_appid_due_at", "followed", ["appid", "due_at"])
