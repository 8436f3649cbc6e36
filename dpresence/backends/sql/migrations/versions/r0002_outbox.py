"""Add the revision of an account and the outbox (docs/decisions/0012-outbox.md)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go from revision 0001 to this one."""
    op.add_column("accounts", sa.Column("revision", sa.BigInteger, nullable=False, server_default="0"))
    text = sa.String().with_variant(sa.String(collation="C"), "postgresql")
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        *(sa.Column(name, text, nullable=False) for name in ("owner", "kind", "user", "appid", "detail")),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
    )
    op.create_index(op.f("ix_outbox_owner"), "outbox", ["owner"])
