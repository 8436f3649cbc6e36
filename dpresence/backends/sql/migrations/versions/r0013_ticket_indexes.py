"""Have a sign-in with a ticket write fewer indexes, and find the tickets of a family that have not ended without the others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_CHANGES = (
    (("family",), "family_state", ("family", "state"), None),
    (("user", "device"), "user", ("user",), None),
    (("session",), "session_partial", ("session",), "session IS NOT NULL"),
    (("expires_at",), "expires_at_partial", ("expires_at",), "expires_at < session_ends_at"),
)
"""Columns of the old index; name, columns and condition of the new one."""


def upgrade() -> None:
    """Replace the indexes, unless ``online`` has done so before."""
    for replaced, name, columns, where in _CHANGES:
        old = f"ix_tickets_{'_'.join(replaced)}"
        if not sa.inspect(op.get_bind()).has_index("tickets", old):
            continue
        condition = sa.text(where) if where else None
        op.create_index(f"ix_tickets_{name}", "tickets", list(columns), sqlite_where=condition, postgresql_where=condition)
        op.drop_index(old, "tickets")


def downgrade() -> None:
    """Restore the indexes."""
    for replaced, name, _, _ in _CHANGES:
        op.create_index(f"ix_tickets_{'_'.join(replaced)}", "tickets", list(replaced))
        op.drop_index(f"ix_tickets_{name}", "tickets")
