"""Store the topics and idempotency keys of notifications, and the urgency of pushes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025_since_0014"
down_revision = "0024_since_0014"
branch_labels = None
depends_on = None

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Create ``notification_names``, the ids of notifications that are only counted, and columns of pushes."""
    op.add_column("taken", sa.Column("id", _TEXT))
    op.add_column("pushes", sa.Column("urgency", _TEXT, nullable=False, server_default="normal"))
    op.add_column("pushes", sa.Column("topic", _TEXT, nullable=False, server_default=""))
    op.create_table(
        "notification_names",
        *(sa.Column(name, _TEXT, nullable=False) for name in ("user", "puid", "kind", "name", "id")),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("digest", _TEXT, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("user", "puid", "kind", "name", name="pk_notification_names"),
    )
    op.create_index("ix_notification_names_expires_at", "notification_names", ["expires_at"])
