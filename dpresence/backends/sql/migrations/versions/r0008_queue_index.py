"""Add the expiry to the index of queues: what has expired is found, and the rest counted, without reading a row."""

from __future__ import annotations

from alembic import op
from sqlalchemy import inspect

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TABLES = ("notifications", "taken")


def upgrade() -> None:
    """Replace the index by (user, puid) with one that goes on with ``expires_at``, unless ``online`` has done so before."""
    for table in _TABLES:
        if not inspect(op.get_bind()).has_index(table, f"ix_{table}_user_puid"):
            continue
        op.create_index(f"ix_{table}_user_puid_expires_at", table, ["user", "puid", "expires_at"])
        op.drop_index(f"ix_{table}_user_puid", table)


def downgrade() -> None:
    """Put the index by (user, puid) back."""
    for table in _TABLES:
        op.create_index(f"ix_{table}_user_puid", table, ["user", "puid"])
        op.drop_index(f"ix_{table}_user_puid_expires_at", table)
