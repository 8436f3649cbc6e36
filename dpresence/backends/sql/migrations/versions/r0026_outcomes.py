"""Store outcomes of notifications."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026_since_0014"
down_revision = "0025_since_0014"
branch_labels = None
depends_on = None

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_HELD = sa.text("held_at IS NOT NULL")


def upgrade() -> None:
    """Create ``followed`` and ``outcomes``, and the position of a webhook in the outcomes."""
    op.create_table(
        "followed",
        *(sa.Column(name, _TEXT, nullable=False) for name in ("id", "appid", "puid")),
        sa.Column("shown", sa.Boolean, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("sent_at", "expires_at", "due_at")),
        sa.Column("position", sa.BigInteger),
        sa.Column("held", _TEXT, nullable=False),
        *(sa.Column(name, sa.BigInteger) for name in ("held_at", "ended_at")),
        sa.PrimaryKeyConstraint("id", name="pk_followed"),
        sa.ForeignKeyConstraint(["appid"], ["applications.id"], name="fk_followed_appid", ondelete="CASCADE"),
    )
    for columns in (["puid"], ["due_at"], ["appid", "sent_at"]):
        op.create_index(f"ix_followed_{'_'.join(columns)}", "followed", columns)
    op.create_index("ix_followed_appid_partial", "followed", ["appid"], sqlite_where=_HELD, postgresql_where=_HELD)
    op.create_table(
        "outcomes",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        *(sa.Column(name, _TEXT, nullable=False) for name in ("appid", "id", "puid", "outcome")),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_outcomes"),
        sa.ForeignKeyConstraint(["appid"], ["applications.id"], name="fk_outcomes_appid", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    for columns in (["id"], ["puid"], ["at"], ["appid", "position"]):
        op.create_index(f"ix_outcomes_{'_'.join(columns)}", "outcomes", columns)
    op.add_column("webhooks", sa.Column("told", sa.BigInteger, nullable=False, server_default="0"))
