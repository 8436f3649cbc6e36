"""Store icons of applications."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023_since_0014"
down_revision = "0022_since_0014"
branch_labels = None
depends_on = None

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Add ``icon`` to the applications and create ``application_icons``."""
    op.add_column("applications", sa.Column("icon", _TEXT))
    op.create_table(
        "application_icons",
        sa.Column("appid", _TEXT, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("appid", name="pk_application_icons"),
        sa.ForeignKeyConstraint(["appid"], ["applications.id"], name="fk_application_icons_appid", ondelete="CASCADE"),
    )
