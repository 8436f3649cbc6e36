"""Store the move of a partition of the tracker that has not ended."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029_since_0014"
down_revision = "0028_since_0014"
branch_labels = None
depends_on = None

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Create ``partition_moves``."""
    op.create_table(
        "partition_moves",
        sa.Column("one", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        *(sa.Column(name, _TEXT, nullable=False) for name in ("source", "target")),
        sa.PrimaryKeyConstraint("one", name="pk_partition_moves"),
        sa.CheckConstraint("one = 1", name=op.f("ck_partition_moves_one_row")),
    )
