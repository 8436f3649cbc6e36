"""Store on which days applications looked at users' statuses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022_since_0014"
down_revision = "0021_since_0014"
branch_labels = None
depends_on = None

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Create ``application_looks`` and ``grant_looks``."""
    for table, key, referred in (("application_looks", "appid", "applications.id"), ("grant_looks", "puid", "grants.puid")):
        op.create_table(
            table,
            *(sa.Column(name, _TEXT, nullable=False) for name in (key, "day")),
            *(sa.Column(name, sa.Integer, nullable=False) for name in ("channel", "rest", "webhook")),
            sa.PrimaryKeyConstraint(key, "day", name=f"pk_{table}"),
            sa.ForeignKeyConstraint([key], [referred], name=f"fk_{table}_{key}", ondelete="CASCADE"),
        )
        op.create_index(f"ix_{table}_day", table, ["day"])
