"""The tables of webhooks; see ``tables``."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table

from .columns import Text, metadata, part_of, partial_index

webhooks = Table(
    "webhooks",
    metadata,
    Column("appid", Text, part_of("applications"), primary_key=True),
    Column("url", Text, nullable=False),
    Column("events", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("previous_secret", Text),
    Column("previous_until", BigInteger),
    Column("cursor", Text, nullable=False),
    Column("series", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("failing_since", BigInteger),
    Column("next_at", BigInteger),
    Column("off_at", BigInteger),
    Column("off_reason", Text),
    # the process that sends its messages, until leased_until by the clock of the store
    Column("sender", Text, nullable=False, server_default=""),
    Column("leased_until", BigInteger, nullable=False, server_default="0", index=True),
    Column("told", BigInteger, nullable=False, server_default="0", key="outcome_position"),
    # when the owner is to be told by mail that it was turned off, by the clock of the store; null if there is nothing to tell
    Column("mail_at", BigInteger),
    Index(None, "sender", "leased_until"),
    partial_index("webhooks", "mail_at", "mail_at IS NOT NULL"),
)

webhook_attempts = Table(
    "webhook_attempts",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("appid", Text, part_of("applications"), nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
    Column("type", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("status", Integer),
    Column("error", Text, nullable=False),
    Column("milliseconds", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("entries", Integer, nullable=False),
    Column("cursor", Text, nullable=False),
    Index(None, "appid", "id"),
    sqlite_autoincrement=True,
)
