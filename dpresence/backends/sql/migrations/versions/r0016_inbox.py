"""Store the inboxes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016_since_0014"
down_revision = "0015_since_0014"
branch_labels = None
depends_on = None

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Create ``inbox``."""
    op.create_table(
        "inbox",
        sa.Column("user", _TEXT, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        *(sa.Column(name, _TEXT, nullable=False) for name in ("id", "appid", "puid", "source", "message", "action")),
        sa.Column("sent_at", sa.BigInteger, nullable=False),
        sa.Column("domain", _TEXT, nullable=False),
        sa.Column("read", sa.Boolean, nullable=False),
        sa.Column("held_until", sa.BigInteger),
        sa.PrimaryKeyConstraint("user", "position", name="pk_inbox"),
    )
    op.create_index("ix_inbox_position", "inbox", ["position"])
    held = sa.text("held_until IS NOT NULL")
    op.create_index("ix_inbox_held_until_partial", "inbox", ["held_until"], sqlite_where=held, postgresql_where=held)
