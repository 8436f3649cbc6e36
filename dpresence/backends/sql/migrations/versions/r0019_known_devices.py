"""Store labels, kinds and days of devices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019_since_0014"
down_revision = "0018_since_0014"
branch_labels = None
depends_on = None

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Create ``known_devices``."""
    op.create_table(
        "known_devices",
        *(sa.Column(name, _TEXT, nullable=False) for name in ("user", "device", "given", "label", "kind", "seen_on")),
        sa.PrimaryKeyConstraint("user", "device", name="pk_known_devices"),
        sa.ForeignKeyConstraint(["user"], ["accounts.id"], name="fk_known_devices_user", ondelete="CASCADE"),
    )
