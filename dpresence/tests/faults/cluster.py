"""Several processes of one service on one Redis and one PostgreSQL."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.sql.engine import Database
from dpresence.clock import Clock
from dpresence.identity.development import NAME
from dpresence.model import Grant, Identity, Ticket

from ..contract.postgresql import Server as PostgreSQL
from ..contract.redis import RedisServer
from ..contract.redis import running as running_redis
from ..live.service import Service

GRACE, SWEEP, LEASE, REFRESH = 3, 1, 20, 5
GONE_SECONDS = LEASE + SWEEP + GRACE
"""After this no device of a process that died is left: its lease, which stands still while nobody reaches Redis, a sweep, a grace."""
DAY_MS = 86_400_000
SETTINGS = {
    **{"presence.grace_seconds": GRACE, "presence.sweep_seconds": SWEEP, "presence.lease_seconds": LEASE},
    **{"presence.refresh_seconds": REFRESH, "presence.status_rate": 1000, "presence.notification_burst": 100000},
    **{"channels.device_frame_rate": 10000, "channels.device_frame_burst": 10000, "channels.unsigned_per_address": 1000},
    **{"tracker": "redis", "mailbox": "redis"},
}


@dataclass
class Stores:
    """The servers behind a service."""

    redis: RedisServer
    postgresql: PostgreSQL


@contextmanager
def stores(**options: Any) -> Iterator[Stores]:
    """Run both servers; the options are Redis's."""
    postgresql = PostgreSQL()
    try:
        with running_redis(**options) as redis:
            yield Stores(redis, postgresql)
    finally:
        postgresql.remove()


class Cluster:
    """Processes of one service; a context that ends them, after which the log of each must be clean.

    :param settings: keys of ``[app:main]`` that differ from ``SETTINGS``.
    """

    def __init__(self, stores: Stores, settings: dict[str, Any] | None = None) -> None:
        self.stores = stores
        self.url = stores.postgresql.make_database(f"presence_{secrets.token_hex(4)}")
        self.processes: list[Service] = []
        self.prefix = f"{secrets.token_hex(4)}:"
        self._settings = {**SETTINGS, "directory.url": self.url.replace("%", "%%"), **(settings or {})}
        self._folder = Path(tempfile.mkdtemp(prefix="dpresence-cluster-"))

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            for process in self.processes:
                if process.alive and kind is None:
                    assert process.stop() == 0
        finally:
            for process in self.processes:
                process.kill()
        try:
            for process in self.processes:
                process.assert_clean()
        finally:
            shutil.rmtree(self._folder)

    def start(self, changes: Mapping[str, Any] = {}) -> Service:
        """Start one more process.

        :param changes: keys of ``[app:main]`` of this process alone.
        """
        folder = self._folder / str(len(self.processes))
        folder.mkdir()
        settings = {"redis.url": self.stores.redis.url, **self._settings, "redis.prefix": self.prefix, **changes}
        self.processes.append(Service(folder, settings))
        self.processes[-1].start()
        return self.processes[-1]

    def seed(self, appid: str, count: int) -> dict[str, tuple[str, str]]:
        """Make people who granted an application; return the ticket and PUID of each by e-mail."""
        return seed_people(self.url, appid, [f"user{number}@example.org" for number in range(count)])


def in_partitions(partitions: int) -> str:
    """Return what the name of a figure says of the number of partitions."""
    return f", {partitions} partitions" if partitions > 1 else ""


def replace_each(processes: Iterable[Service], ports: list[int]) -> None:
    """Stop and start the processes one after the other, as a rolling restart does; ``ports`` are those that serve."""
    for process in processes:
        ports.remove(process.port)
        assert process.stop() == 0
        process.start()
        ports.append(process.port)
        time.sleep(3)


def seed_people(url: str, appid: str, emails: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Make people who granted an application, in the database at a URL; return the ticket and PUID of each by e-mail."""
    database = Database(url)
    try:
        return dict(_person(SqlDirectory(database), appid, email) for email in emails)
    finally:
        database.close()


def _person(directory: SqlDirectory, appid: str, email: str) -> tuple[str, tuple[str, str]]:
    now = Clock().now()
    account = directory.sign_in(Identity(email, NAME, email, now + DAY_MS), now)
    grant = directory.add_grant(Grant(appid, secrets.token_urlsafe(16), account.id, now, now))
    directory.clear_outbox(directory.outbox([account.id], 0, 10))  # no effect while a test runs
    proof = f"ticket:{secrets.token_urlsafe(32)}"
    ends = now + DAY_MS
    directory.add_ticket(Ticket(sha256(proof.encode()).digest(), secrets.token_urlsafe(12), account.id, ends, ends))
    return email, (proof, grant.puid)
