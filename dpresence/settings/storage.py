"""Backends: where data is stored."""

from __future__ import annotations

from dataclasses import dataclass

from . import allowed
from .declaration import setting


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """The backend of each role."""

    directory_url: str = setting(
        "sqlite:///%(here)s/presence.db",
        "SQLAlchemy URL of the database, `sqlite` or `postgresql+psycopg`: accounts, applications, grants, keys.",
        allowed="a URL",
        secret=True,
    )
    directory_password: str = setting(
        "", "Password of the database's user, if `directory.url` does not contain it.", allowed="text", secret=True
    )
    tracker: str = setting(
        "memory", "Users' presence: `memory` (one process), `redis` (any number of processes).", one_of=("memory", "redis")
    )
    mailbox: str = setting("sql", "Waiting notifications: `sql` (the directory's database), `redis`.", one_of=("sql", "redis"))


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """The Redis, 6.2 or later, of ``tracker = redis`` and ``mailbox = redis``."""

    url: str = setting("redis://127.0.0.1:6379/0", "URL of Redis.", check=allowed.redis_url, allowed="a URL", secret=True)
    password: str = setting("", "Password of Redis, if `redis.url` does not contain it.", allowed="text", secret=True)
    timeout_seconds: float = setting(2.0, "Timeout of a call to Redis.", low=0.1, high=30)
    prefix: str = setting(
        "dpresence:",
        "Prefix of every key in Redis; each service needs a different one.",
        check=allowed.redis_prefix,
        allowed="A-Z a-z 0-9 _ . : -",
    )


@dataclass(frozen=True, slots=True)
class RedisMailboxSettings:
    """Additional settings of ``mailbox = redis``."""

    allow_volatile: bool = setting(False, "Accept a Redis that loses acknowledged notifications at a crash.")
