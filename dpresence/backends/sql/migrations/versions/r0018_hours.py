"""Let a grant end at a time, and store quiet hours of accounts and grants."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018_since_0014"
down_revision = "0017_since_0014"
branch_labels = None
depends_on = None

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Add ``hours`` to ``accounts``; ``until``, ``hours`` and ``quiet`` to ``grants``."""
    op.add_column("accounts", sa.Column("hours", _TEXT))
    op.add_column("grants", sa.Column("until", sa.BigInteger))
    op.add_column("grants", sa.Column("hours", _TEXT))
    op.add_column("grants", sa.Column("quiet", sa.Boolean, nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Remove them."""
    for name in ("quiet", "hours", "until"):
        op.drop_column("grants", name)
    op.drop_column("accounts", "hours")
