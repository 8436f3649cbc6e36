"""Store when the owner of a webhook is to be told that it was turned off."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028_since_0014"
down_revision = "0026_since_0014"
branch_labels = None
depends_on = None

_WAITS = sa.text("mail_at IS NOT NULL")


def upgrade() -> None:
    """Add the column and the index by which the mails that are due are found."""
    op.add_column("webhooks", sa.Column("mail_at", sa.BigInteger))
    op.create_index("ix_webhooks_mail_at_partial", "webhooks", ["mail_at"], sqlite_where=_WAITS, postgresql_where=_WAITS)
