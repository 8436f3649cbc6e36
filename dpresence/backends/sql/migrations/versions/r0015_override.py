"""Let a person set a status above those of their devices, and find the accounts for which something is due."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015_since_0014"
down_revision = "0014"
branch_labels = None
depends_on = None

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_DUE = sa.text("due_at IS NOT NULL")


def upgrade() -> None:
    """Add the override and the due time to ``accounts``."""
    op.add_column("accounts", sa.Column("override", _TEXT))
    op.add_column("accounts", sa.Column("override_until", sa.BigInteger))
    op.add_column("accounts", sa.Column("due_at", sa.BigInteger))
    op.create_index("ix_accounts_due_at_partial", "accounts", ["due_at"], sqlite_where=_DUE, postgresql_where=_DUE)


def downgrade() -> None:
    """Remove them."""
    op.drop_index("ix_accounts_due_at_partial", "accounts")
    for name in ("due_at", "override_until", "override"):
        op.drop_column("accounts", name)
