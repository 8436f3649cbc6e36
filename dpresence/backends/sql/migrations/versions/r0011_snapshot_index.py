"""Add the time of a grant to the index of an application's grants: a snapshot reads the index alone, no row."""

from __future__ import annotations

from alembic import op
from sqlalchemy import inspect

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Replace the index by (appid, puid) with one that continues with ``granted_at``, unless ``online`` has done so before."""
    if not inspect(op.get_bind()).has_index("grants", "ix_grants_appid_puid"):
        return
    op.create_index("ix_grants_appid_puid_granted_at", "grants", ["appid", "puid", "granted_at"])
    op.drop_index("ix_grants_appid_puid", "grants")


def downgrade() -> None:
    """Restore the index by (appid, puid)."""
    op.create_index("ix_grants_appid_puid", "grants", ["appid", "puid"])
    op.drop_index("ix_grants_appid_puid_granted_at", "grants")
