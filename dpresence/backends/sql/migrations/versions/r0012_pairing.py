"""Store pairings, and the credentials of paired devices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Create ``pairings`` and ``device_credentials``."""
    op.create_table(
        "pairings",
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("code", _TEXT, nullable=False),
        *(sa.Column(name, _TEXT, nullable=False) for name in ("device", "client", "address", "family")),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("user", _TEXT),
        sa.PrimaryKeyConstraint("hash", name="pk_pairings"),
        sa.UniqueConstraint("code", name="uq_pairings_code"),
        sa.ForeignKeyConstraint(["user"], ["accounts.id"], name="fk_pairings_user", ondelete="CASCADE"),
    )
    op.create_index("ix_pairings_expires_at", "pairings", ["expires_at"])
    op.create_index("ix_pairings_user", "pairings", ["user"])
    op.create_table(
        "device_credentials",
        sa.Column("hash", sa.LargeBinary, nullable=False),
        *(sa.Column(name, _TEXT, nullable=False) for name in ("family", "user", "device", "client")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("created_at", "expires_at")),
        sa.Column("used_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("hash", name="pk_device_credentials"),
        sa.UniqueConstraint("user", "device", name="uq_device_credentials_user_device"),
        sa.ForeignKeyConstraint(["user"], ["accounts.id"], name="fk_device_credentials_user", ondelete="CASCADE"),
    )
    op.create_index("ix_device_credentials_family", "device_credentials", ["family"])
    op.create_index("ix_device_credentials_expires_at", "device_credentials", ["expires_at"])
