"""The tables of the mailbox; see ``tables``."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table

from .columns import Text, metadata, partial_index

# No foreign keys: the mailbox is independent of the directory, which may be in another database.
notifications = Table(
    "notifications",
    metadata,
    # order of arrival: always above every number used before, so that a reader can continue after the last position it read
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("user", Text, nullable=False),  # a queue belongs to a user; a notification itself only contains the PUID
    Column("id", Text, nullable=False),
    Column("appid", Text, nullable=False),
    Column("puid", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("sent_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),  # by the clock of the store
    Index(None, "user", "position"),
    Index(None, "user", "puid", "expires_at"),
    Index(None, "user", "id"),
    sqlite_autoincrement=True,
)

# Notifications that a user received while shown as offline to the application: they are counted until they expire.
received_unseen = Table(
    "taken",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("user", Text, nullable=False),
    Column("puid", Text, nullable=False),
    Column("taken_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("id", Text),  # None if an earlier version has stored it
    Index(None, "user", "puid", "expires_at"),
)

# Topics and idempotency keys: the last notification of each.
notification_names = Table(
    "notification_names",
    metadata,
    Column("user", Text, primary_key=True),
    Column("puid", Text, primary_key=True),
    Column("kind", Text, primary_key=True),  # topic or key
    Column("name", Text, primary_key=True),
    Column("id", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("digest", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

# The inboxes: what a person has received, or would have received. Independent of the queue and of the directory.
inbox = Table(
    "inbox",
    metadata,
    Column("user", Text, primary_key=True),
    # microseconds since the epoch by the clock of the store, always above the user's last one
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
    Column("appid", Text, nullable=False),
    Column("puid", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("sent_at", BigInteger, nullable=False),
    Column("domain", Text, nullable=False),
    Column("read", Boolean, nullable=False),
    Column("held_until", BigInteger),  # the end of its time to live while its delivery waits, for instance in a pause
    Index(None, "position"),
    partial_index("inbox", "held_until", "held_until IS NOT NULL"),
)
