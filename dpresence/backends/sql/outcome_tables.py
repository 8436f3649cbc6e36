"""The tables of outcomes; see ``tables``."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Table

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
    Index(None, "appid", "due_at"),
    partial_index("followed", "appid", "held_at IS NOT NULL"),
)

# The published outcomes of each application, in order, for a day. Its positions tell nothing of other applications.
outcomes = Table(
    "outcomes",
    metadata,
    Column("appid", Text, part_of("applications"), primary_key=True),
    # a trigger of the migration replaces 0, for processes of versions that insert no position
    Column("position", BigInteger, primary_key=True, autoincrement=False, server_default="0"),
    Column("id", Text, nullable=False, index=True),
    Column("puid", Text, nullable=False, index=True),
    Column("outcome", Text, nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
)

# The last position of each application that has had outcomes. It remains when the outcomes are deleted.
outcome_counters = Table(
    "outcome_counters",
    metadata,
    Column("appid", Text, part_of("applications"), primary_key=True),
    Column("last_position", BigInteger, nullable=False),
)
