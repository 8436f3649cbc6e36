"""The tables, named as in docs/protocol.md, section 1. ``migrations`` creates them; a test compares the two.

Times are milliseconds since the epoch. Columns are named like the fields in ``model``; a comment explains each column without a field.
A name in Python that differs from the one in the database is the clearer of the two: a migration would rewrite tables for a name alone.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Index, Integer, LargeBinary, Table, UniqueConstraint, false

from .columns import Text, metadata, part_of, partial_index
from .notification_tables import inbox, notification_names, notifications, received_unseen
from .outcome_tables import followed, outcome_counters, outcomes
from .webhook_tables import webhook_attempts, webhooks

__all__ = [
    "Text", "accounts", "api_keys", "application_icons", "application_looks", "applications", "device_credentials", "followed",
    "grant_looks", "grants", "inbox", "known_devices", "metadata", "notification_names", "notifications", "outbox", "outcome_counters",
    "outcomes", "pairings", "partition_moves", "partitions", "provider_logouts", "push_subscriptions", "pushes", "received_unseen",
    "service", "sessions", "tickets", "used_assertions", "webhook_attempts", "webhooks",
]  # fmt: skip

service = Table(
    "service",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("mode", Text, nullable=False),  # production or development
    Column("generation", Text),  # random; None until a service has started on it
    CheckConstraint("id = 1", name="one_row"),
)

partitions = Table(
    "partitions",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("server", Text, nullable=False),  # the server of this partition of the tracker; empty if it is the only partition
)

partition_moves = Table(
    "partition_moves",  # the move of a partition that has not ended
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("source", Text, nullable=False),
    Column("target", Text, nullable=False),
    CheckConstraint("one = 1", name="one_row"),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("email", Text, nullable=False, unique=True),
    Column("issuer", Text, nullable=False),  # issuer and subject are empty until the next sign-in pins the account
    Column("subject", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("blocked", Boolean, nullable=False, index=True),
    Column("revision", BigInteger, nullable=False, server_default="0"),
    # the pin removed by an unpin; it cannot pin the account again
    Column("taken_issuer", Text, key="removed_issuer", nullable=False, server_default=""),
    Column("taken_subject", Text, key="removed_subject", nullable=False, server_default=""),
    Column("override", Text),
    Column("override_until", BigInteger),
    Column("due_at", BigInteger),  # earliest time at which something of this account is due: see directory/schedule.py
    Column("hours", Text),
    Index(None, "issuer", "subject"),
    partial_index("accounts", "due_at", "due_at IS NOT NULL"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id_hash", LargeBinary, primary_key=True),
    Column("user", Text, part_of("accounts"), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    # hash of the browser's cookie before the log-in; a later log-in with the same cookie replaces this session
    Column("succeeds", LargeBinary, key="previous_cookie_hash", index=True),
    Column("provider_session", Text),
    partial_index("sessions", "provider_session", "provider_session IS NOT NULL"),
)

tickets = Table(
    "tickets",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("family", Text, nullable=False),
    Column("user", Text, part_of("accounts"), nullable=False, index=True),
    Column("expires_at", BigInteger, nullable=False),
    Column("session_ends_at", BigInteger, nullable=False, index=True),
    Column("session", LargeBinary, part_of("sessions", "id_hash")),
    Column("device", Text),  # the same in all tickets of a family
    # unused; used: the same device may use it again until expires_at; ended: stored until session_ends_at, to detect copies
    Column("state", Text, nullable=False, server_default="unused"),
    Column("provider_session", Text),
    Index(None, "family", "state"),
    # each sign-in with a ticket writes the indexes. Tickets of devices have no session, and expire with the sign-in
    partial_index("tickets", "session", "session IS NOT NULL"),
    partial_index("tickets", "expires_at", "expires_at < session_ends_at"),
    partial_index("tickets", "provider_session", "provider_session IS NOT NULL"),
)

pairings = Table(
    "pairings",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("code", Text, nullable=False, unique=True),
    Column("device", Text, nullable=False),
    Column("client", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("family", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("state", Text, nullable=False),
    Column("user", Text, part_of("accounts"), index=True),
)

device_credentials = Table(
    "device_credentials",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("family", Text, nullable=False, index=True),
    Column("user", Text, part_of("accounts"), nullable=False),
    Column("device", Text, nullable=False),
    Column("client", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("used_at", BigInteger),
    UniqueConstraint("user", "device"),
)

known_devices = Table(
    "known_devices",
    metadata,
    Column("user", Text, part_of("accounts"), primary_key=True),
    Column("device", Text, primary_key=True),
    Column("given", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("seen_on", Text, nullable=False),
)

push_subscriptions = Table(
    "push_subscriptions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user", Text, part_of("accounts"), nullable=False, index=True),
    Column("endpoint", Text, nullable=False),
    Column("p256dh", Text, nullable=False),
    Column("auth", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("label", Text, nullable=False),
    # no foreign key: a subscription outlives the end of its session by time, and is deleted with its sign-out
    Column("session", LargeBinary, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

used_assertions = Table(
    "spent",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

provider_logouts = Table(
    "provider_logouts",
    metadata,
    Column("key", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

applications = Table(
    "applications",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, part_of("accounts"), nullable=False),
    Column("name", Text, nullable=False),
    Column("domain", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("domain_key", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("proof", Text, key="validated_scheme"),
    Column("active", Boolean, nullable=False),
    Column("check_at", BigInteger, index=True),
    Column("failed_checks", Integer, nullable=False),
    Column("stopped", Boolean, nullable=False, server_default=false()),
    Column("icon", Text),  # version of the icon
    Index(None, "owner", "id"),
)

application_icons = Table(
    "application_icons",
    metadata,
    Column("appid", Text, part_of("applications"), primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("appid", Text, part_of("applications"), nullable=False, index=True),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("retires_at", BigInteger, index=True),
    Column("used_on", Text),
)

grants = Table(
    "grants",
    metadata,
    Column("puid", Text, primary_key=True),
    Column("appid", Text, part_of("applications"), nullable=False),
    Column("user", Text, part_of("accounts"), nullable=False),
    Column("granted_at", BigInteger, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("shows", Text, nullable=False, server_default="status"),
    Column("until", BigInteger),
    Column("hours", Text),
    Column("quiet", Boolean, nullable=False, server_default=false()),
    Column("push", Boolean, nullable=False, server_default=false()),
    Index(None, "user", "appid", unique=True),
    Index(None, "appid", "puid", "granted_at"),  # contains all that a snapshot reads
)

# Notifications to push, and those pushed within the last hour.
pushes = Table(
    "pushes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("puid", Text, part_of("grants", "puid"), nullable=False, index=True),
    Column("position", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("due_at", BigInteger),
    Column("attempts", Integer, nullable=False),
    Column("done", Text, nullable=False),
    Column("pushed_at", BigInteger),
    Column("urgency", Text, nullable=False, server_default="normal"),
    Column("topic", Text, nullable=False, server_default=""),
    Column("appid", Text, nullable=False, server_default=""),  # that of the grant
    Index(None, "appid", "due_at"),
    partial_index("pushes", "due_at", "due_at IS NOT NULL"),
)


def _looks_table(name: str, seen: Column[str]) -> Table:
    counts = (Column(via, Integer, nullable=False) for via in ("channel", "rest", "webhook"))
    return Table(name, metadata, seen, Column("day", Text, primary_key=True, index=True), *counts)


application_looks = _looks_table("application_looks", Column("appid", Text, part_of("applications"), primary_key=True))  # at all its users
grant_looks = _looks_table("grant_looks", Column("puid", Text, part_of("grants", "puid"), primary_key=True))

# No foreign keys: an entry outlives the rows that it refers to.
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
