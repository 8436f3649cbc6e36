"""The three backends of an app, selected in the ini file. ``load`` imports the drivers, after the server has applied its monkey patches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from ..clock import Clock
from ..errors import BackendUnavailable, SettingError
from ..settings import Settings
from . import partition_states, partitions
from .directory import Directory
from .mailbox import InboxLimits, Mailbox
from .tracker import Topic, Tracker

if TYPE_CHECKING:
    from .directory.sql import SqlDirectory
    from .redis.connections import ConnectionFactory
    from .sql.engine import Database


@dataclass(frozen=True)
class Backends:
    """One backend for each role."""

    directory: Directory
    tracker: Tracker
    mailbox: Mailbox

    def ping(self) -> dict[str, bool]:
        """Return for each role whether its store answers. In the worst case this takes the sum of the stores' timeouts."""
        return {field.name: _answers(getattr(self, field.name)) for field in fields(self)}

    def redis_state(self) -> str:
        """Return the state of Redis as the latest calls have shown it, "" if it is not used."""
        measures = (*self.tracker.measures, self.mailbox.measures)
        states = [each.state for each in measures if each is not None and each.state]
        return next((state for state in states if state != "ok"), states[0] if states else "")

    def redis_servers(self) -> dict[str, str]:
        """Return the state of each Redis server of the tracker by its name; empty if there is only one."""
        found = {measures.server: measures.state for measures in self.tracker.measures if measures.server}
        return found if len(found) > 1 else {}

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
    from .tracker.memory import MemoryTracker

    storage = settings.storage
    alone = storage.tracker == "memory" if serving else None
    with ExitStack() as opened:  # closes the backends that are open when a later one fails to open
        directory = load_directory(settings, clock, alone)
        opened.callback(directory.close)
        server = _shared_redis(settings)
        mailbox = load_mailbox(settings, lambda: directory, server)
        opened.callback(mailbox.close)
        on_redis = storage.tracker == "redis"
        tracker = _redis_tracker(settings, clock, directory, server) if on_redis else MemoryTracker(settings.presence, clock)
        opened.pop_all()
    return Backends(directory, tracker, mailbox)


def _shared_redis(settings: Settings) -> ConnectionFactory | None:
    """Return connections to Redis that the tracker and the mailbox share, None if only one of them uses it."""
    if (settings.storage.tracker, settings.storage.mailbox) != ("redis", "redis"):
        return None
    with _opening_redis(settings):
        return open_redis(settings)


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


@contextmanager
def opened_database(settings: Settings, clock: Clock) -> Iterator[Database]:
    """Open the database without migrating it; an SQLite file must exist.

    :raises SettingError: the URL is invalid.
    :raises NoDatabaseYet: there is no file.
    """
    from .sql.migrate import open_existing

    database = open_existing(settings.storage.directory_url, clock)
    try:
        with _named("directory.url: the database"):
            yield database
    finally:
        database.close()


def check_database(settings: Settings, clock: Clock) -> tuple[str | None, str, str | None]:
    """Return the revision of the database, that of this version, and the mode of the service that made it, without a change.

    :raises SettingError: this version cannot use the database.
    :raises NoDatabaseYet: there is no file of an SQLite database.
    :raises BackendUnavailable: the database does not answer.
    """
    from .directory.sql import SqlDirectory
    from .sql import migrate

    with opened_database(settings, clock) as database:
        present, newest = migrate.check(database)
        return present, newest, SqlDirectory(database).mode() if present else None


def check_partitions(settings: Settings, clock: Clock) -> None:
    """Check that the settings of the partitions fit those that are stored, or else the data in Redis, without a change.

    :raises SettingError: they do not; see ``check_database`` for more.
    :raises BackendUnavailable: the database does not answer, or a server refuses the first partition that a start would not open.
    """
    stored = stored_partitions(settings, clock)
    if settings.storage.tracker != "redis":
        return
    if stored:
        partitions.refuse_other_partitions(settings.redis, stored)
    with suppress(ModuleNotFoundError):  # ``check_redis`` names it, and servers that do not answer
        partition_states.refuse_states(settings.redis, stored)
        with suppress(BackendUnavailable):
            if not stored:
                partitions.refuse_data_of_one_partition(settings.redis)


def stored_partitions(settings: Settings, clock: Clock) -> Sequence[str]:
    """Return the server of each partition, empty if none are stored; see ``check_partitions`` for the errors."""
    from .directory.sql import SqlDirectory
    from .sql import migrate

    with opened_database(settings, clock) as database:
        present, newest = migrate.check(database)
        return SqlDirectory(database).partitions() if present == newest else ()


def at_stored_partitions(settings: Settings, clock: Clock) -> Settings:
    """Return the settings with the servers on which the partitions are, as far as the database, or the Redis Cluster, can say."""
    stored: Sequence[str] = ()
    with suppress(SettingError, BackendUnavailable):
        stored = stored_partitions(settings, clock)
    if settings.redis.cluster:
        stored = [partitions.CLUSTER] * settings.redis.partitions
    if len(stored) < 2:
        return settings
    names: Sequence[str] = ()
    with suppress(SettingError, BackendUnavailable, ModuleNotFoundError):
        names = partitions.present_names(settings.redis, stored)
    urls = dict.fromkeys(partitions.url_of(settings.redis, name) for name in names)
    return replace(settings, redis=replace(settings.redis, urls=tuple(urls))) if urls else settings


def check_redis(settings: Settings) -> None:
    """Check each Redis server that is used; see ``check_redis_server``."""
    for name in settings.by_redis_server():
        check_redis_server(settings, name)


def check_redis_server(settings: Settings, name: str) -> None:
    """Check that this version can use a Redis server, and that the server accepts writes.

    :param name: see ``Settings.by_redis_server``.
    :raises SettingError: it cannot, or the server may lose acknowledged notifications.
    :raises BackendUnavailable: the server does not answer, or refuses writes.
    """
    each = settings.by_redis_server()[name]
    with _opening_redis(each):
        from .redis.checks import check_server, refuse_eviction

        server = partitions.open_server(replace(settings.redis, cluster=each.redis.cluster), each.redis.url)
        check_server(server)
        if each.storage.tracker == "redis":
            refuse_eviction(server)
        if each.storage.mailbox == "redis":
            _redis_mailbox(each, server).close()


def load_mailbox(settings: Settings, directory: Callable[[], SqlDirectory], server: ConnectionFactory | None = None) -> Mailbox:
    """Open the configured mailbox.

    :param directory: returns the directory, whose database the mailbox in SQL shares.
    :param server: connections to Redis that the tracker uses as well.

    :raises SettingError: this version cannot use the Redis server, or it may lose acknowledged notifications.
    :raises BackendUnavailable: the Redis server does not answer.
    """
    from .mailbox.sql import SqlMailbox

    if settings.storage.mailbox == "redis":
        return _redis_mailbox(settings, server)
    return SqlMailbox(directory().database, _inbox_limits(settings))


def _inbox_limits(settings: Settings) -> InboxLimits:
    presence = settings.presence
    return InboxLimits(presence.inbox_days, presence.inbox_entries, presence.waiting_notifications)


def send_signal(settings: Settings, directory: Directory, topic: Topic, key: str) -> None:
    """Send a signal to the services that share the tracker in Redis, from a process that is not a service.

    :raises SettingError: the partitions of the tracker are not those of the database.
    :raises BackendUnavailable: the Redis server does not answer.
    """
    with _opening_redis(settings):
        partitions.send_signal(settings.redis, directory, topic, key)


def open_redis(settings: Settings) -> ConnectionFactory:
    """Return connections to the server of ``redis.url``; none is open yet.

    :raises SettingError: the URL or a certificate is invalid.
    """
    return partitions.open_server(replace(settings.redis, cluster=False), settings.redis.url)


def _redis_tracker(settings: Settings, clock: Clock, directory: Directory, server: ConnectionFactory | None) -> Tracker:
    with _opening_redis(settings):
        return partitions.load_tracker(settings, clock, directory, server)


def _redis_mailbox(settings: Settings, server: ConnectionFactory | None) -> Mailbox:
    with _opening_redis(settings):
        from .mailbox.redis import RedisMailbox

        return RedisMailbox(server or open_redis(settings), settings.redis_mailbox.allow_volatile, _inbox_limits(settings))


@contextmanager
def _opening_redis(settings: Settings) -> Iterator[None]:
    """Name the settings in the error of a start that Redis prevents.

    :raises SettingError: the driver is not installed.
    :raises BackendUnavailable: the server does not answer.
    """
    role = "tracker" if settings.storage.tracker == "redis" else "mailbox"
    with _named("redis.url: the Redis"), _needing(f"{role} = redis", "redis"):
        yield


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
        raise BackendUnavailable(error.for_operator(backend)) from error
