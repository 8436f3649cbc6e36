"""Let the mailbox page, and count for an application what its user got unseen (docs/protocol.md, section 5)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


_TEXTS = ("user", "id", "appid", "puid", "source", "message", "action")
_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Go to this revision."""
    if op.get_bind().dialect.name == "sqlite":
        _number_anew()
    else:
        op.drop_index("ix_notifications_user_appid", "notifications")
    for column in ("position", "puid"):
        op.create_index(op.f(f"ix_notifications_user_{column}"), "notifications", ["user", column])
    op.create_table(
        "taken",
        sa.Column("position", sa.BigInteger, autoincrement=False, nullable=False),
        *(sa.Column(name, _TEXT, nullable=False) for name in ("user", "puid")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("taken_at", "expires_at")),
        sa.PrimaryKeyConstraint("position", name="pk_taken"),
    )
    op.create_index(op.f("ix_taken_expires_at"), "taken", ["expires_at"])
    op.create_index(op.f("ix_taken_user_puid"), "taken", ["user", "puid"])


def _number_anew() -> None:
    """Have SQLite give no position twice from now on, which only a new table does; PostgreSQL never did."""
    op.rename_table("notifications", "notifications_before")
    op.create_table(
        "notifications",
        sa.Column("position", sa.Integer, nullable=False),
        *(sa.Column(name, sa.String, nullable=False) for name in _TEXTS),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("sent_at", "expires_at")),
        sa.PrimaryKeyConstraint("position", name="pk_notifications"),
        sqlite_autoincrement=True,
    )
    op.execute("INSERT INTO notifications SELECT * FROM notifications_before")
    op.drop_table("notifications_before")
    op.create_index(op.f("ix_notifications_expires_at"), "notifications", ["expires_at"])
    op.create_index(op.f("ix_notifications_user_id"), "notifications", ["user", "id"])
