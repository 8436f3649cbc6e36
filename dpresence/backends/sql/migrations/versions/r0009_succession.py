"""Remember which session a log-in replaced, so that of several at once with the same cookie one session stays."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add ``sessions.succeeds``."""
    op.add_column("sessions", sa.Column("succeeds", sa.LargeBinary))
    op.create_index("ix_sessions_succeeds", "sessions", ["succeeds"])
