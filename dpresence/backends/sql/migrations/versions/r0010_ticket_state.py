"""Give tickets an explicit state, instead of the flag ``used`` and an expiry of 0 for used tickets that cannot be used again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Replace ``tickets.used`` by ``tickets.state``. The expiry that a 0 has replaced is unknown; the end of the session stands for it."""
    op.add_column("tickets", sa.Column("state", _TEXT, nullable=False, server_default="unused"))
    op.execute("UPDATE tickets SET state = CASE WHEN expires_at > 0 THEN 'used' ELSE 'ended' END WHERE used")
    op.execute("UPDATE tickets SET expires_at = session_ends_at WHERE state = 'ended'")
    op.drop_column("tickets", "used")
