"""Let the operator stop an application."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go from revision 0003 to this one."""
    op.add_column("applications", sa.Column("stopped", sa.Boolean, nullable=False, server_default=sa.false()))
