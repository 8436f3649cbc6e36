"""The tables of outcomes; see ``tables``."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table

from .columns import Text, metadata, part_of, partial_index

# Notifications whose sender asked for outcomes, until a day after their end. They name no user: a PUID remains after its grant.
followed = Table(
    "followed",
    metadata,
    Column("id", Text, primary_key=True),
    Column("appid", Text, part_of("applications"), nullable=False),
    Column("puid", Text, nullable=False, index=True),
    Column("shown", Boolean, nullable=False),
    Column("sent_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False, index=True),
    Column("position", BigInteger),
    Column("held", Text, nullable=False),
    Column("held_at", BigInteger),
    Column("ended_at", BigInteger),
    Index(None, "appid", "sent_at"),
    partial_index("followed", "appid", "held_at IS NOT NULL"),
)

# The published outcomes, in order, for a day.
outcomes = Table(
    "outcomes",
    metadata,
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("appid", Text, part_of("applications"), nullable=False),
    Column("id", Text, nullable=False, index=True),
    Column("puid", Text, nullable=False, index=True),
    Column("outcome", Text, nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
    Index(None, "appid", "position"),
    sqlite_autoincrement=True,
)
