"""The three backends of an app, selected in the ini file. ``load`` imports the drivers, after the server has applied its monkey patches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from ..clock import Clock
from ..errors import BackendUnavailable, SettingError
from ..settings import Settings
from .directory import Directory
from .mailbox import Mailbox
from .tracker import Tracker

if TYPE_CHECKING:
    from .directory.sql import SqlDirectory


@dataclass(frozen=True)
class Backends:
    """One backend for each role."""

    directory: Directory
    tracker: Tracker
    mailbox: Mailbox

    def ping(self) -> dict[str, bool]:
        """Return for each role whether its store answers. In the worst case this takes the sum of the stores' timeouts."""
        return {field.name: _answers(getattr(self, field.name)) for field in fields(self)}

    def close(self) -> None:
        """Release the resources of all backends. No method may be called afterwards."""
        for field in fields(self):
            getattr(self, field.name).close()


def _answers(backend: Directory | Tracker | Mailbox) -> bool:
    try:
        backend.ping()
    except BackendUnavailable:
        return False
    return True


def load(settings: Settings, clock: Clock, serving: bool = False) -> Backends:
    """Open the configured backends and migrate the database to the current schema.

    :param serving: lock an SQLite database as the service does: exclusively if the tracker is in this process's memory.
    :raises SettingError: a URL is invalid, or this version cannot use the database or the Redis server.
    :raises BackendUnavailable: the database or the Redis server does not answer.
    """
    from .mailbox.sql import SqlMailbox
    from .tracker.memory import MemoryTracker

    storage = settings.storage
    alone = storage.tracker == "memory" if serving else None
    with ExitStack() as opened:  # closes the backends that are open when a later one fails to open
        directory = load_directory(settings, clock, alone)
        opened.callback(directory.close)
        mailbox = _redis_mailbox(settings) if storage.mailbox == "redis" else SqlMailbox(directory.database)
        opened.callback(mailbox.close)
        tracker = _redis_tracker(settings, clock) if storage.tracker == "redis" else MemoryTracker(settings.presence, clock)
        opened.pop_all()
    return Backends(directory, tracker, mailbox)


def load_directory(settings: Settings, clock: Clock, alone: bool | None = None) -> SqlDirectory:
    """Open the configured directory and migrate its tables to the current schema.

    :param alone: see ``Database``.
    :raises SettingError: the URL is invalid, or this version cannot use the database.
    :raises BackendUnavailable: the database does not answer.
    """
    from .directory.sql import SqlDirectory
    from .sql.engine import Database
    from .sql.migrate import migrate

    directory = SqlDirectory(Database(settings.storage.directory_url, clock=clock, alone=alone))
    with ExitStack() as opened:
        opened.callback(directory.close)
        with _named("directory.url: the database"):
            migrate(directory.database)
        opened.pop_all()
    return directory


def _redis_tracker(settings: Settings, clock: Clock) -> Tracker:
    with _named("redis.url: the Redis"), _needing("tracker = redis", "redis"):
        from .redis.connections import ConnectionFactory
        from .tracker.redis import RedisTracker

        return RedisTracker(ConnectionFactory(settings.redis), settings.presence, clock)


def _redis_mailbox(settings: Settings) -> Mailbox:
    with _named("redis.url: the Redis"), _needing("mailbox = redis", "redis"):
        from .mailbox.redis import RedisMailbox
        from .redis.connections import ConnectionFactory

        return RedisMailbox(ConnectionFactory(settings.redis), settings.redis_mailbox.allow_volatile)


@contextmanager
def _needing(setting: str, driver: str) -> Iterator[None]:
    """Name the setting and the missing driver in the error of a start.

    :raises SettingError: the driver is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != driver:
            raise
        raise SettingError(f"{setting}: needs {driver}: install dpresence[{driver}]") from None


@contextmanager
def _named(backend: str) -> Iterator[None]:
    """Name the setting and the backend in the error of a start that the backend prevents.

    :raises BackendUnavailable: the backend does not answer.
    """
    try:
        yield
    except BackendUnavailable as error:
        raise BackendUnavailable(f"{backend} does not answer") from error
