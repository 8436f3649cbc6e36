"""Remember the pin that ``dpresence unpin`` took away, so that it does not pin the account again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Go from revision 0006 to this one."""
    for name in ("taken_issuer", "taken_subject"):
        op.add_column("accounts", sa.Column(name, _TEXT, nullable=False, server_default=""))
