"""Find what is to be pushed of an application without that of others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0032_since_0014"
down_revision = "0031_since_0014"
branch_labels = None
depends_on = None

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Add ``appid``. Processes of versions before add pushes without it, which are claimed while few are due."""
    op.add_column("pushes", sa.Column("appid", _TEXT, nullable=False, server_default=""))
    op.execute("UPDATE pushes SET appid = (SELECT appid FROM grants WHERE grants.puid = pushes.puid)")
    op.create_index("ix_pushes_appid_due_at", "pushes", ["appid", "due_at"])
