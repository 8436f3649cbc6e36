"""Find the account of a person by issuer and subject."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go from revision 0005 to this one. Not unique: one person may have several accounts from before, for the operator to merge."""
    op.create_index(op.f("ix_accounts_issuer_subject"), "accounts", ["issuer", "subject"])
