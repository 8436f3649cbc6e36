"""Store which server each partition of the tracker is on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024_since_0014"
down_revision = "0023_since_0014"
branch_labels = None
depends_on = None

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Create ``partitions``."""
    op.create_table(
        "partitions",
        sa.Column("number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("server", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_partitions"),
    )
