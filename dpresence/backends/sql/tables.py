"""The tables, by the names of docs/protocol.md section 1. ``migrations`` builds them; a test keeps the two equal.

Times are milliseconds since the epoch. Columns carry the names of the fields in ``model``; one that has no field says why.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    false,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


class Text(TypeDecorator[str]):
    """Text that is the same in both databases: ordered by its bytes, so that pages of ids are, and found by whatever is asked.

    PostgreSQL knows no NUL. No text that is stored has one (``messages`` refuses it), but an id in a path may: it finds
    nothing, as any other that is unknown.
    """

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        """Return the column's type; without a collation PostgreSQL's order depends on its machine's C library."""
        return dialect.type_descriptor(String(collation="C") if dialect.name == "postgresql" else String())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return a value as it is sent."""
        return value.replace("\0", "\1") if value and dialect.name == "postgresql" else value


def _part_of(table: str, column: str = "id") -> ForeignKey:
    """Return a foreign key whose row goes when the other goes."""
    return ForeignKey(f"{table}.{column}", ondelete="CASCADE")


service = Table(
    "service",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("mode", Text, nullable=False),  # production or development
    Column("generation", Text),  # random; None until a service has started on it
    CheckConstraint("id = 1", name="one_row"),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("email", Text, nullable=False, unique=True),
    Column("issuer", Text, nullable=False),  # empty, as is subject: the next sign-in pins the account
    Column("subject", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("blocked", Boolean, nullable=False, index=True),
    Column("revision", BigInteger, nullable=False, server_default="0"),
    Column("taken_issuer", Text, nullable=False, server_default=""),  # the pin that an unpin took away does not pin the account again
    Column("taken_subject", Text, nullable=False, server_default=""),
    Index(None, "issuer", "subject"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id_hash", LargeBinary, primary_key=True),
    Column("user", Text, _part_of("accounts"), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column(
        "succeeds", LargeBinary, index=True
    ),  # hash of the cookie that the browser had at the log-in: who came with the same succeed this one
)

tickets = Table(
    "tickets",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("family", Text, nullable=False, index=True),
    Column("user", Text, _part_of("accounts"), nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),  # 0: used, and not to be used again
    Column("session_ends_at", BigInteger, nullable=False, index=True),
    Column("session", LargeBinary, _part_of("sessions", "id_hash"), index=True),
    Column("device", Text),  # the same in all tickets of a family
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
    Column("id", Text, primary_key=True),
    Column("owner", Text, _part_of("accounts"), nullable=False),
    Column("name", Text, nullable=False),
    Column("domain", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("domain_key", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("proof", Text),
    Column("active", Boolean, nullable=False),
    Column("check_at", BigInteger, index=True),
    Column("failed_checks", Integer, nullable=False),
    Column("stopped", Boolean, nullable=False, server_default=false()),
    Index(None, "owner", "id"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("appid", Text, _part_of("applications"), nullable=False, index=True),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("retires_at", BigInteger, index=True),
    Column("used_on", Text),
)

grants = Table(
    "grants",
    metadata,
    Column("puid", Text, primary_key=True),
    Column("appid", Text, _part_of("applications"), nullable=False),
    Column("user", Text, _part_of("accounts"), nullable=False),
    Column("granted_at", BigInteger, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("paused", Boolean, nullable=False),
    Index(None, "user", "appid", unique=True),
    Index(None, "appid", "puid"),
)

# No foreign keys: an entry outlives what it is about.
outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("owner", Text, nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("appid", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

# No foreign keys: the mailbox knows nothing of the directory, which may live elsewhere.
notifications = Table(
    "notifications",
    metadata,
    # the order of arrival: above every number that was ever given, so that a reader can go on behind the last one it had
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("user", Text, nullable=False),  # the queue is the user's; a notification itself knows the PUID only
    Column("id", Text, nullable=False),
    Column("appid", Text, nullable=False),
    Column("puid", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("sent_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),  # by the store's clock
    Index(None, "user", "position"),
    Index(None, "user", "puid", "expires_at"),
    Index(None, "user", "id"),
    sqlite_autoincrement=True,
)

# Notifications that a user got while their application was shown them as offline: they count until they expire.
taken = Table(
    "taken",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("user", Text, nullable=False),
    Column("puid", Text, nullable=False),
    Column("taken_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Index(None, "user", "puid", "expires_at"),
)
