"""Number the outcomes of each application by themselves (docs/decisions/0072-positions-of-outcomes.md)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030_since_0014"
down_revision = "0029_since_0014"
branch_labels = None
depends_on = None

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")

# Processes of versions before insert without a position. The column then has its default, which the triggers replace.
_SQLITE_TRIGGER = """
    CREATE TRIGGER number_outcome AFTER INSERT ON outcomes WHEN NEW.position = 0 BEGIN
        INSERT INTO outcome_counters (appid, last_position) VALUES (NEW.appid, 1)
            ON CONFLICT (appid) DO UPDATE SET last_position = last_position + 1;
        UPDATE outcomes SET position = (SELECT last_position FROM outcome_counters WHERE appid = NEW.appid)
            WHERE appid = NEW.appid AND position = 0;
    END
"""
_POSTGRESQL_FUNCTION = """
    CREATE FUNCTION number_outcome() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO outcome_counters AS counter (appid, last_position) VALUES (NEW.appid, 1)
            ON CONFLICT (appid) DO UPDATE SET last_position = counter.last_position + 1
            RETURNING counter.last_position INTO NEW.position;
        RETURN NEW;
    END $$
"""
_POSTGRESQL_TRIGGER = """
    CREATE TRIGGER number_outcome BEFORE INSERT ON outcomes FOR EACH ROW WHEN (NEW.position = 0) EXECUTE FUNCTION number_outcome()
"""
_SQLITE_LAST = "(SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outcomes')"
_POSTGRESQL_LAST = "(SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM outcomes_position_seq)"


def upgrade() -> None:
    """Create ``outcome_counters``, which begin at the highest position that was used, and make positions unique for each application."""
    op.create_table(
        "outcome_counters",
        sa.Column("appid", _TEXT, nullable=False),
        sa.Column("last_position", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("appid", name="pk_outcome_counters"),
        sa.ForeignKeyConstraint(["appid"], ["applications.id"], name="fk_outcome_counters_appid", ondelete="CASCADE"),
    )
    if op.get_bind().dialect.name == "sqlite":
        _begin_counters(_SQLITE_LAST)
        _make_anew()
        op.execute(_SQLITE_TRIGGER)
    else:
        op.execute("LOCK TABLE outcomes IN ACCESS EXCLUSIVE MODE")
        _begin_counters(_POSTGRESQL_LAST)
        op.drop_index("ix_outcomes_appid_position", "outcomes")
        op.execute("ALTER TABLE outcomes DROP CONSTRAINT pk_outcomes, ADD CONSTRAINT pk_outcomes PRIMARY KEY (appid, position)")
        op.execute("ALTER TABLE outcomes ALTER COLUMN position SET DEFAULT '0'")
        op.execute("DROP SEQUENCE outcomes_position_seq")
        op.execute(_POSTGRESQL_FUNCTION)
        op.execute(_POSTGRESQL_TRIGGER)


def _begin_counters(last: str) -> None:
    """Make a counter for each application, unless there never was an outcome."""
    op.execute(f"INSERT INTO outcome_counters (appid, last_position) SELECT id, {last} FROM applications WHERE {last} > 0")  # noqa: S608


def _make_anew() -> None:
    """Replace the table in SQLite, which cannot change a primary key."""
    for columns in ("id", "puid", "at", "appid_position"):
        op.drop_index(f"ix_outcomes_{columns}", "outcomes")
    op.rename_table("outcomes", "outcomes_before")
    op.create_table(
        "outcomes",
        sa.Column("appid", _TEXT, nullable=False),
        sa.Column("position", sa.BigInteger, server_default="0", nullable=False),
        *(sa.Column(name, _TEXT, nullable=False) for name in ("id", "puid", "outcome")),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("appid", "position", name="pk_outcomes"),
        sa.ForeignKeyConstraint(["appid"], ["applications.id"], name="fk_outcomes_appid", ondelete="CASCADE"),
    )
    columns = "appid, position, id, puid, outcome, at"
    op.execute(f"INSERT INTO outcomes ({columns}) SELECT {columns} FROM outcomes_before")  # noqa: S608
    op.drop_table("outcomes_before")
    for column in ("id", "puid", "at"):
        op.create_index(f"ix_outcomes_{column}", "outcomes", [column])
