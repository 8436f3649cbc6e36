"""The tables, by the names of docs/protocol.md section 1. ``migrations`` builds them; a test keeps the two equal.

Times are milliseconds since the epoch. Columns carry the names of the fields in ``model``; one that has no field says why.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def _part_of(table: str, column: str = "id") -> ForeignKey:
    """Return a foreign key whose row goes when the other goes."""
    return ForeignKey(f"{table}.{column}", ondelete="CASCADE")


service = Table(
    "service",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("mode", String, nullable=False),  # production or development
    CheckConstraint("id = 1", name="one_row"),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", String, primary_key=True),
    Column("email", String, nullable=False, unique=True),
    Column("issuer", String, nullable=False),  # empty, as is subject: the next sign-in pins the account
    Column("subject", String, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("blocked", Boolean, nullable=False, index=True),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id_hash", LargeBinary, primary_key=True),
    Column("user", String, _part_of("accounts"), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

tickets = Table(
    "tickets",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("family", String, nullable=False, index=True),
    Column("user", String, _part_of("accounts"), nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("session_ends_at", BigInteger, nullable=False, index=True),
    Column("session", LargeBinary, _part_of("sessions", "id_hash"), index=True),
    Column("device", String),  # the same in all tickets of a family
    Column("used", Boolean, nullable=False, default=False),  # a used one is kept until its session ends, to notice that it shows up again
    Index(None, "user", "device"),
)

spent = Table(
    "spent",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

applications = Table(
    "applications",
    metadata,
    Column("id", String, primary_key=True),
    Column("owner", String, _part_of("accounts"), nullable=False),
    Column("name", String, nullable=False),
    Column("domain", String, nullable=False),
    Column("description", String, nullable=False),
    Column("domain_key", String, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("proof", String),
    Column("active", Boolean, nullable=False),
    Column("check_at", BigInteger, index=True),
    Column("failed_checks", Integer, nullable=False),
    Index(None, "owner", "id"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("appid", String, _part_of("applications"), nullable=False, index=True),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("retires_at", BigInteger, index=True),
    Column("used_on", String),
)

grants = Table(
    "grants",
    metadata,
    Column("puid", String, primary_key=True),
    Column("appid", String, _part_of("applications"), nullable=False),
    Column("user", String, _part_of("accounts"), nullable=False),
    Column("granted_at", BigInteger, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("paused", Boolean, nullable=False),
    Index(None, "user", "appid", unique=True),
    Index(None, "appid", "puid"),
)

# No foreign keys: the mailbox knows nothing of the directory, which may live elsewhere.
notifications = Table(
    "notifications",
    metadata,
    # the order of arrival: SQLite gives a new row a number above all present ones
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("user", String, nullable=False),  # the queue is the user's; a notification itself knows the PUID only
    Column("id", String, nullable=False),
    Column("appid", String, nullable=False),
    Column("puid", String, nullable=False),
    Column("source", String, nullable=False),
    Column("message", String, nullable=False),
    Column("action", String, nullable=False),
    Column("sent_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Index(None, "user", "appid"),
    Index(None, "user", "id"),
)
