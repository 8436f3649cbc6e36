"""The partitions of the tracker in Redis, and the servers that they are on."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from ..clock import Clock
from ..errors import BackendUnavailable, SettingError
from ..settings import RedisSettings, Settings
from ..settings.allowed import redis_name
from .directory import Directory
from .tracker import Topic, Tracker

if TYPE_CHECKING:
    from .redis.connections import ConnectionFactory


def load_tracker(settings: Settings, clock: Clock, directory: Directory, server: ConnectionFactory | None) -> Tracker:
    """Open the tracker in Redis.

    :param server: connections to the server of ``redis.url``, None if nothing else has opened any.
    :raises SettingError: the partitions are not those of the database, or a server is not supported.
    :raises BackendUnavailable: the database or a server does not answer.
    """
    from .tracker.partitions import PartitionedTracker
    from .tracker.redis import RedisTracker
    from .tracker.redis_server import TrackerServer
    from .tracker.redis_values import Epochs

    names, servers = _names(settings.redis, directory), _servers(settings.redis, server)
    if len(names) == 1:
        (only,) = servers.values()
        return RedisTracker(TrackerServer(only, settings.presence, clock), settings.presence, clock)
    parts: list[Tracker] = []
    shared: dict[str, TrackerServer] = {}
    try:
        for number, name in enumerate(names):
            at = shared[name] = shared.get(name) or TrackerServer(servers[name], settings.presence, clock)
            parts.append(RedisTracker(at, settings.presence, clock, number))
    except BaseException:
        for part in parts:
            part.close()
        raise
    return PartitionedTracker(parts, Epochs.partition_of)


def send_signal(settings: RedisSettings, directory: Directory, topic: Topic, key: str) -> None:
    """Send a signal to the services that share the tracker, from a process that is not a service.

    :raises SettingError: the partitions are not those of the database.
    :raises BackendUnavailable: the server does not answer.
    """
    from .tracker.redis_server import signal

    _names(settings, directory)
    *others, last = _servers(settings, None).values()  # any server that answers does
    for server in others:
        with suppress(BackendUnavailable):
            signal(server, topic, key)
            return
    signal(last, topic, key)


def _names(redis: RedisSettings, directory: Directory) -> Sequence[str]:
    """Return the names of the servers of the partitions; "" if there is only one.

    :raises SettingError: the settings do not fit the stored partitions, or the data in Redis.
    """
    stored = directory.partitions()
    if not stored:
        refuse_unpartitioned_data(redis)
        urls = [redis_name(url) for url in redis.tracker_urls]
        names = [urls[number % len(urls)] for number in range(redis.partitions)] if redis.partitions > 1 else [""]
        stored = directory.claim_partitions(names)
    refuse_other_partitions(redis, stored)
    return stored


def refuse_unpartitioned_data(redis: RedisSettings) -> None:
    """Check before the partitions are stored that no process has used a tracker without them, and may still do so.

    :raises SettingError: a process has.
    :raises BackendUnavailable: a server does not answer.
    """
    from .tracker.redis import key_prefix

    for server in _servers(redis, None).values() if redis.partitions > 1 else ():
        key = f"{key_prefix(server, None)}meta"
        if server.command("EXISTS", key):
            raise SettingError(
                f"redis.partitions = {redis.partitions}: must be 1, as this service has data in Redis without partitions ({key})"
            )


def refuse_other_partitions(redis: RedisSettings, stored: Sequence[str]) -> None:
    """Check that the settings fit the stored partitions.

    :raises SettingError: they do not.
    """
    if len(stored) != redis.partitions:
        raise SettingError(f"redis.partitions = {redis.partitions}: must be {len(stored)}, as at the first start with this database")
    missing = set(stored) - {*map(redis_name, redis.tracker_urls), ""}
    if missing:
        raise SettingError(f"redis.urls: must have the server {min(missing)}, on which the tracker has partitions")


def _servers(redis: RedisSettings, server: ConnectionFactory | None) -> dict[str, ConnectionFactory]:
    """Return connections to each server of the tracker, by its name; none is open yet.

    :raises SettingError: a URL or a certificate is invalid.
    """
    found = {redis_name(url): open_server(redis, url) for url in redis.tracker_urls}
    shared = redis_name(redis.url)
    return {**found, shared: server} if server and shared in found else found


def open_server(redis: RedisSettings, url: str) -> ConnectionFactory:
    """Return connections to one server, which has a name in the log and the metrics if there are several; none is open yet.

    :raises SettingError: the URL or a certificate is invalid.
    """
    from .redis.connections import ConnectionFactory

    setting = "redis.urls" if url in redis.urls and url != redis.url else "redis.url"
    return ConnectionFactory(redis.at(url), redis_name(url) if len(redis.urls) > 1 else "", setting)
