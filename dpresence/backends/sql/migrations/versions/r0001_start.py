"""Make every table of the first version."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go from an empty database to this revision."""
    _service()
    _accounts()
    _applications()
    _notifications()


def _text(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=nullable)


def _time(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def _bytes(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary, nullable=nullable)


def _flag(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean, nullable=False)


def _key(table: str, column: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(column, name=f"pk_{table}")


def _part_of(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [other], name=f"fk_{table}_{column}", ondelete="CASCADE")


def _index(table: str, *columns: str, unique: bool = False) -> None:
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns), unique=unique)


def _service() -> None:
    table = "service"
    one_row = sa.CheckConstraint("id = 1", name=op.f("ck_service_one_row"))
    op.create_table(table, sa.Column("id", sa.Integer, nullable=False), _text("mode"), _key(table, "id"), one_row)
    table = "spent"
    op.create_table(table, _bytes("digest"), _time("expires_at"), _key(table, "digest"))
    _index(table, "expires_at")


def _accounts() -> None:
    table = "accounts"
    unique = sa.UniqueConstraint("email", name="uq_accounts_email")
    columns = [_text(name) for name in ("id", "email", "issuer", "subject")]
    op.create_table(table, *columns, _time("created_at"), _flag("blocked"), _key(table, "id"), unique)
    _index(table, "blocked")

    table = "sessions"
    columns = [_bytes("id_hash"), _text("user"), _time("created_at"), _time("expires_at")]
    op.create_table(table, *columns, _key(table, "id_hash"), _part_of(table, "user", "accounts.id"))
    _index(table, "user")
    _index(table, "expires_at")

    table = "tickets"
    columns = [_bytes("hash"), _text("family"), _text("user"), _time("expires_at"), _time("session_ends_at")]
    columns += [_bytes("session", nullable=True), _text("device", nullable=True), _flag("used")]
    parents = [_part_of(table, "user", "accounts.id"), _part_of(table, "session", "sessions.id_hash")]
    op.create_table(table, *columns, _key(table, "hash"), *parents)
    for name in ("family", "expires_at", "session_ends_at", "session"):
        _index(table, name)
    _index(table, "user", "device")


def _applications() -> None:
    table = "applications"
    columns = [_text(name) for name in ("id", "owner", "name", "domain", "description", "domain_key")]
    columns += [_time("created_at"), _text("proof", nullable=True), _flag("active"), _time("check_at", nullable=True)]
    columns += [sa.Column("failed_checks", sa.Integer, nullable=False)]
    op.create_table(table, *columns, _key(table, "id"), _part_of(table, "owner", "accounts.id"))
    _index(table, "owner", "id")
    _index(table, "check_at")

    table = "api_keys"
    columns = [_text("id"), _text("appid"), _bytes("secret_hash"), _time("created_at")]
    columns += [_time("retires_at", nullable=True), _text("used_on", nullable=True)]
    op.create_table(table, *columns, _key(table, "id"), _part_of(table, "appid", "applications.id"))
    _index(table, "appid")
    _index(table, "retires_at")

    table = "grants"
    columns = [_text("puid"), _text("appid"), _text("user"), _time("granted_at"), _time("since"), _flag("paused")]
    parents = [_part_of(table, "appid", "applications.id"), _part_of(table, "user", "accounts.id")]
    op.create_table(table, *columns, _key(table, "puid"), *parents)
    _index(table, "user", "appid", unique=True)
    _index(table, "appid", "puid")


def _notifications() -> None:
    table = "notifications"
    position = sa.Column("position", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False)
    columns = [_text(name) for name in ("user", "id", "appid", "puid", "source", "message", "action")]
    op.create_table(table, position, *columns, _time("sent_at"), _time("expires_at"), _key(table, "position"))
    _index(table, "expires_at")
    _index(table, "user", "appid")
    _index(table, "user", "id")
