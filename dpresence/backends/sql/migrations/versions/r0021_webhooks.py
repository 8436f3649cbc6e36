"""Store webhooks of applications and the attempts to deliver their messages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021_since_0014"
down_revision = "0020_since_0014"
branch_labels = None
depends_on = None

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Create ``webhooks`` and ``webhook_attempts``."""
    op.create_table(
        "webhooks",
        *(sa.Column(name, _TEXT, nullable=False) for name in ("appid", "url", "events", "secret")),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("previous_secret", _TEXT),
        sa.Column("previous_until", sa.BigInteger),
        sa.Column("cursor", _TEXT, nullable=False),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("series", "failures")),
        *(sa.Column(name, sa.BigInteger) for name in ("failing_since", "next_at", "off_at")),
        sa.Column("off_reason", _TEXT),
        sa.Column("sender", _TEXT, nullable=False, server_default=""),
        sa.Column("leased_until", sa.BigInteger, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("appid", name="pk_webhooks"),
        sa.ForeignKeyConstraint(["appid"], ["applications.id"], name="fk_webhooks_appid", ondelete="CASCADE"),
    )
    op.create_index("ix_webhooks_leased_until", "webhooks", ["leased_until"])
    op.create_index("ix_webhooks_sender_leased_until", "webhooks", ["sender", "leased_until"])
    op.create_table(
        "webhook_attempts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("appid", _TEXT, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        *(sa.Column(name, _TEXT, nullable=False) for name in ("type", "outcome")),
        sa.Column("status", sa.Integer),
        sa.Column("error", _TEXT, nullable=False),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("milliseconds", "attempts", "entries")),
        sa.Column("cursor", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_attempts"),
        sa.ForeignKeyConstraint(["appid"], ["applications.id"], name="fk_webhook_attempts_appid", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_webhook_attempts_at", "webhook_attempts", ["at"])
    op.create_index("ix_webhook_attempts_appid_id", "webhook_attempts", ["appid", "id"])
