"""Store which sign-ins belong to a session at an identity provider, and the sessions that a provider has ended."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_KNOWN = sa.text("provider_session IS NOT NULL")


def upgrade() -> None:
    """Add ``provider_session`` to sessions and tickets, and create ``provider_logouts``."""
    for table in ("sessions", "tickets"):
        op.add_column(table, sa.Column("provider_session", _TEXT))
        name = f"ix_{table}_provider_session_partial"
        op.create_index(name, table, ["provider_session"], sqlite_where=_KNOWN, postgresql_where=_KNOWN)
    op.create_table(
        "provider_logouts",
        sa.Column("key", _TEXT, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("at", "expires_at")),
        sa.PrimaryKeyConstraint("key", name="pk_provider_logouts"),
    )
    op.create_index("ix_provider_logouts_expires_at", "provider_logouts", ["expires_at"])
