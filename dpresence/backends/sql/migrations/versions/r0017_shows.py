"""Let a grant show only whether its user is online."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017_since_0014"
down_revision = "0016_since_0014"
branch_labels = None
depends_on = None

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Add ``shows`` to ``grants``."""
    op.add_column("grants", sa.Column("shows", _TEXT, nullable=False, server_default="status"))


def downgrade() -> None:
    """Remove it."""
    op.drop_column("grants", "shows")
