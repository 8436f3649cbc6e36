"""Let a restored database be told from a newer one (docs/decisions/0015-restored-directory.md)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TEXTS = ("owner", "kind", "user", "appid", "detail")
_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Go from revision 0004 to this one."""
    op.add_column("service", sa.Column("generation", _TEXT))
    if op.get_bind().dialect.name == "sqlite":
        _number_anew()


def _number_anew() -> None:
    """Have SQLite give no id of the outbox twice from now on, which only a new table does; PostgreSQL never did."""
    op.rename_table("outbox", "outbox_before")
    op.drop_index("ix_outbox_owner", "outbox_before")
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer, nullable=False),
        *(sa.Column(name, sa.String, nullable=False) for name in _TEXTS),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sqlite_autoincrement=True,
    )
    op.execute("INSERT INTO outbox SELECT * FROM outbox_before")
    op.drop_table("outbox_before")
    op.create_index(op.f("ix_outbox_owner"), "outbox", ["owner"])
