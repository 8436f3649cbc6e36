"""Store subscriptions to Web Push, pushes, and which grants allow them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020_since_0014"
down_revision = "0019_since_0014"
branch_labels = None
depends_on = None

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Create ``push_subscriptions`` and ``pushes``, and add ``push`` to grants."""
    op.add_column("grants", sa.Column("push", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "push_subscriptions",
        *(sa.Column(name, _TEXT, nullable=False) for name in ("id", "user", "endpoint", "p256dh", "auth", "key", "label")),
        sa.Column("session", sa.LargeBinary()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_push_subscriptions"),
        sa.ForeignKeyConstraint(["user"], ["accounts.id"], name="fk_push_subscriptions_user", ondelete="CASCADE"),
    )
    for column in ("user", "session", "expires_at"):
        op.create_index(f"ix_push_subscriptions_{column}", "push_subscriptions", [column])
    op.create_table(
        "pushes",
        *(sa.Column(name, _TEXT, nullable=False) for name in ("id", "puid")),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("position", "expires_at")),
        sa.Column("due_at", sa.BigInteger()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("done", _TEXT, nullable=False),
        sa.Column("pushed_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_pushes"),
        sa.ForeignKeyConstraint(["puid"], ["grants.puid"], name="fk_pushes_puid", ondelete="CASCADE"),
    )
    for column in ("puid", "expires_at"):
        op.create_index(f"ix_pushes_{column}", "pushes", [column])
    due = sa.text("due_at IS NOT NULL")
    op.create_index("ix_pushes_due_at_partial", "pushes", ["due_at"], sqlite_where=due, postgresql_where=due)
