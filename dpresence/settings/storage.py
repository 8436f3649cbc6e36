"""Backends: where data is stored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from . import allowed
from .declaration import refuse, setting

MAX_PARTITIONS = 256
"""Maximum of ``redis.partitions``."""


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """The backend of each role."""

    directory_url: str = setting(
        "sqlite:///%(here)s/presence.db",
        "SQLAlchemy URL of the database, `sqlite` or `postgresql+psycopg`: accounts, applications, grants, keys.",
        check=allowed.database_url,
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
    urls: tuple[str, ...] = setting(
        (),
        "URLs of the Redis servers over which the partitions of the tracker are spread; `redis.url` has all of them otherwise.",
        check=allowed.redis_urls,
        allowed="URLs",
        secret=True,
    )
    partitions: int = setting(
        1,
        "Partitions of the tracker's users, each on a server. Fixed at the first start; `dpresence partitions split` can replace 1, once.",
        low=1,
        high=MAX_PARTITIONS,
    )
    cluster: bool = setting(
        False,
        "`redis.urls` are nodes of one Redis Cluster, which decides where each partition is. Fixed at the first start.",
    )
    sentinels: tuple[str, ...] = setting(
        (),
        "Redis Sentinels, which name the primary and follow a failover; a host in `redis.urls` is then the name of a primary.",
        check=allowed.sentinels,
        allowed="`host` or `host:port` each; the port is 26379 otherwise",
    )
    sentinel_master: str = setting(
        "mymaster",
        "Name of the primary of `redis.url` at the Sentinels (`sentinel monitor`).",
        check=allowed.sentinel_master,
        allowed="A-Z a-z 0-9 . _ -",
    )
    sentinel_user: str = setting("", "User at the Sentinels, if they have one.", allowed="text")
    sentinel_password: str = setting("", "Password of the Sentinels, if they have one.", allowed="text", secret=True)
    ca_file: str = setting("", "CA certificates for `rediss://` that are trusted besides those of the system.", allowed="a PEM file")
    cert_file: str = setting("", "Client certificate for `rediss://`.", allowed="a PEM file")
    key_file: str = setting("", "Key of `redis.cert_file`, if that file does not contain it.", allowed="a PEM file")
    timeout_seconds: float = setting(2.0, "Timeout of a call to Redis.", low=0.1, high=30)
    prefix: str = setting(
        "dpresence:",
        "Prefix of every key in Redis; each service needs a different one.",
        check=allowed.redis_prefix,
        allowed="A-Z a-z 0-9 _ . : -",
    )

    @property
    def tracker_urls(self) -> tuple[str, ...]:
        """The URLs of the servers of the tracker."""
        return self.urls or (self.url,)

    def at(self, url: str) -> RedisSettings:
        """Return these settings for one server. A primary other than that of ``redis.url`` is named by the host of its URL."""
        is_named = allowed.redis_name(url) == allowed.redis_name(self.url)
        master = self.sentinel_master if is_named else urlsplit(url).hostname or ""
        return replace(self, url=url, urls=(), partitions=1, sentinel_master=master)

    def check(self) -> None:
        """Check combinations of keys.

        :raises SettingError: names a key that has no effect with this ``redis.url``.
        """
        named, urls = " ".join(self.sentinels), (self.url, *self.urls)
        has_socket = any(url.startswith("unix:") for url in urls)
        refuse(bool(named) and has_socket, "redis.sentinels", named, "empty if redis.url or redis.urls has a unix:// URL")
        refuse(bool(named) and self.cluster, "redis.sentinels", named, "empty in a Redis Cluster")
        refuse(len(self.urls) > self.partitions, "redis.partitions", self.partitions, "at least the number of URLs in redis.urls")
        refuse(self.cluster and not self.urls, "redis.cluster", "true", "false unless redis.urls has nodes of the cluster")
        refuse(self.cluster and self.partitions == 1, "redis.partitions", 1, "at least 2 in a Redis Cluster")
        tls = any(url.startswith("rediss:") for url in urls)
        for name in ("ca_file", "cert_file", "key_file"):
            file = getattr(self, name)
            refuse(bool(file) and not tls, f"redis.{name}", file, "empty unless redis.url is a rediss:// URL")
        refuse(bool(self.key_file) and not self.cert_file, "redis.key_file", self.key_file, "empty unless redis.cert_file is set")


@dataclass(frozen=True, slots=True)
class RedisMailboxSettings:
    """Additional settings of ``mailbox = redis``."""

    allow_volatile: bool = setting(False, "Accept a Redis that loses acknowledged notifications at a crash.")
