"""The partitions of the tracker in Redis, and the servers that they are on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from ..clock import Clock
from ..errors import BackendUnavailable, SettingError
from ..settings import RedisSettings, Settings
from ..settings.allowed import redis_name, redis_url_like
from .directory import Directory
from .tracker import Topic, Tracker

if TYPE_CHECKING:
    from .redis.connections import ConnectionFactory
    from .tracker.redis import RedisTracker
    from .tracker.redis_server import TrackerServer

log = logging.getLogger(__name__)

CLUSTER = "cluster"
"""Stored instead of the server of a partition that a Redis Cluster has."""


def load_tracker(settings: Settings, clock: Clock, directory: Directory, server: ConnectionFactory | None) -> Tracker:
    """Open the tracker in Redis.

    :param server: connections to the server of ``redis.url``, None if nothing else has opened any.
    :raises SettingError: the number of partitions is not that of the database, or a server is not supported.
    :raises BackendUnavailable: the database or a server does not answer.
    """
    from .tracker.partitions import PartitionedTracker
    from .tracker.redis_values import Epochs

    names = _names(settings.redis, directory)
    if settings.redis.partitions != len(names):
        log.warning("redis.partitions = %d: set %d, as the tracker was split", settings.redis.partitions, len(names))
    servers = PartitionServers(settings, clock, directory, server)
    return PartitionedTracker(servers.open(names), Epochs.partition_of_offset, servers.follow)


class PartitionServers:
    """The trackers of the partitions, each at the server that the directory names.

    :param server: connections to the server of ``redis.url``, None if nothing else has opened any.
    """

    def __init__(self, settings: Settings, clock: Clock, directory: Directory, server: ConnectionFactory | None) -> None:
        from .tracker.registered import make_process_id

        self._settings = settings
        self._clock = clock
        self._directory = directory
        self._process = make_process_id()
        self._given = {redis_name(settings.redis.url): server} if server and not settings.redis.cluster else {}
        self._servers: dict[str, TrackerServer] = {}
        self._parts: list[RedisTracker] = []
        self._names: list[str] = []  # the servers at which the parts are

    def open(self, names: Sequence[str]) -> Sequence[RedisTracker]:
        """Open all partitions.

        :param names: their servers.
        :raises SettingError: a server is not supported.
        :raises BackendUnavailable: a server does not answer.
        """
        from .tracker.redis import RedisTracker

        self._settings = replace(self._settings, redis=replace(self._settings.redis, partitions=len(names)))
        if any(bool(server.state.name) != (len(names) > 1) for server in self._given.values()):
            self._given.clear()  # they would have no name in the metrics: the settings are from before a split
        parts: list[RedisTracker] = []
        try:
            for number, name in enumerate(names):
                partition = number if len(names) > 1 else None
                parts.append(RedisTracker(self._server(name), self._settings.presence, self._clock, partition))
        except BaseException:
            for part in parts:
                part.close()
            raise
        self._parts, self._names = parts, list(names)
        return parts

    def _present_names(self) -> Sequence[str]:
        """Return the present server of each partition.

        :raises BackendUnavailable: the database, or no node of the cluster, answers.
        """
        return present_names(self._settings.redis, self._directory.partitions())

    def _server(self, name: str) -> TrackerServer:
        """Return the open connections to a server, which its first partition opens.

        :raises SettingError: the server is not supported.
        :raises BackendUnavailable: the server does not answer.
        """
        from .tracker.redis_server import TrackerServer

        if name not in self._servers:
            redis = self._settings.redis
            connections = self._given.get(redis_name(url_of(redis, name))) or open_named(redis, name)
            self._servers[name] = TrackerServer(connections, self._settings.presence, self._clock, self._process)
        return self._servers[name]

    def follow(self) -> Sequence[RedisTracker] | None:
        """Let each part continue at the server where its partition is now; return all parts if the tracker was split.

        :raises SettingError: a server is not supported, or the number of partitions is another; its partitions stay where they are.
        :raises BackendUnavailable: a server or the database does not answer; the partitions of other servers go on there.
        """
        names = self._present_names()
        if len(names) > len(self._names) == 1:
            return self._split(names)
        if len(names) != len(self._names):
            raise SettingError(
                f"the database has {len(names)} partitions, not {len(self._names)}: it was restored, so restart this process"
            )
        errors: list[BackendUnavailable | SettingError] = []
        for number, name in enumerate(names):
            if name != self._names[number]:
                try:
                    self._parts[number].use_server(self._server(name))  # closes connections of which it was the last partition
                    self._names[number] = name
                    log.info("partition %d is at %s now", number, name)
                except (BackendUnavailable, SettingError) as error:
                    errors.append(error)
        self._forget_unused_servers()
        if errors:
            raise errors[0]
        return None

    def _forget_unused_servers(self) -> None:
        for name in self._servers.keys() - set(self._names):
            del self._servers[name]

    def _split(self, names: Sequence[str]) -> Sequence[RedisTracker]:
        """Open the partitions of a tracker that had one, and leave that one, whose server has another name from now on."""
        from .tracker.partition_calls import partition_of

        (former,) = self._parts
        try:
            parts = self.open(names)
        finally:
            self._forget_unused_servers()
        for user, connection in former.detach():
            parts[partition_of(user, len(parts))].adopt(user, connection)
        log.info("the tracker was split into %d partitions", len(names))
        return parts


def send_signal(settings: RedisSettings, directory: Directory, topic: Topic, key: str) -> None:
    """Send a signal to the services that share the tracker, from a process that is not a service.

    :raises SettingError: the partitions are not those of the database.
    :raises BackendUnavailable: the server does not answer.
    """
    from .tracker.redis_server import signal

    names = _names(settings, directory)
    *others, last = [open_named(settings, name) for name in dict.fromkeys(names)]  # any server that answers does
    for server in others:
        with suppress(BackendUnavailable):
            signal(server, topic, key)
            return
    signal(last, topic, key)


def _names(redis: RedisSettings, directory: Directory) -> Sequence[str]:
    """Return the names of the servers of the partitions; "" for a tracker of one partition.

    :raises SettingError: the settings do not fit the stored partitions, or the data in Redis.
    """
    stored = directory.partitions()
    if not stored:
        refuse_data_of_one_partition(redis)
        stored = directory.claim_partitions(_first_names(redis))
    refuse_other_partitions(redis, stored)
    return present_names(redis, stored)


def _first_names(redis: RedisSettings) -> Sequence[str]:
    """Return what is stored of each partition at the first start."""
    if redis.partitions == 1:
        return [""]
    urls = [CLUSTER] if redis.cluster else [redis_name(url) for url in redis.tracker_urls]
    return [urls[number % len(urls)] for number in range(redis.partitions)]


def present_names(redis: RedisSettings, stored: Sequence[str]) -> Sequence[str]:
    """Return the present server of each partition.

    :param stored: the servers in the directory.
    :raises BackendUnavailable: no node of the cluster answers.
    """
    if not redis.cluster:
        return stored
    from .redis.cluster import nodes_of
    from .tracker.redis_values import key_prefix

    nodes = [open_server(redis, url) for url in redis.tracker_urls]
    return nodes_of([key_prefix(nodes[0], number) for number in range(len(stored))], nodes)


def refuse_data_of_one_partition(redis: RedisSettings) -> None:
    """Check before several partitions are stored that no process has used a tracker of one partition, and may still do so.

    :raises SettingError: a process has.
    :raises BackendUnavailable: a server does not answer.
    """
    from .tracker.redis_values import key_prefix

    for server in [open_server(redis, url) for url in redis.tracker_urls] if redis.partitions > 1 and not redis.cluster else ():
        key = f"{key_prefix(server, None)}meta"
        if server.command("EXISTS", key):
            raise SettingError(
                f"redis.partitions = {redis.partitions}: must be 1, as this service has data of one partition in Redis ({key})"
            )


def refuse_other_partitions(redis: RedisSettings, stored: Sequence[str]) -> None:
    """Check that the number of partitions, and whether a Redis Cluster has them, are what is stored.

    :raises SettingError: they are not.
    """
    in_cluster = CLUSTER in stored
    if in_cluster != redis.cluster:
        shown = str(redis.cluster).lower()
        raise SettingError(f"redis.cluster = {shown}: must be {str(in_cluster).lower()}, as at the first start with this database")
    if redis.partitions not in (1, len(stored)):  # 1 also after a split
        raise SettingError(f"redis.partitions = {redis.partitions}: must be {len(stored)}, as at the first start with this database")


def open_named(redis: RedisSettings, name: str) -> ConnectionFactory:
    """Return connections to the server that the directory names; none is open yet.

    :param name: "" for the server of a tracker of one partition.
    :raises SettingError: a URL or a certificate is invalid.
    """
    return open_server(redis, url_of(redis, name))


def url_of(redis: RedisSettings, name: str) -> str:
    """Return the URL of a server. One that the settings do not name is reached like the first one of the tracker.

    :param name: as the directory stores it; "" for the server of a tracker of one partition.
    """
    known = {redis_name(url): url for url in (redis.url, *redis.tracker_urls)}
    first = redis.tracker_urls[0]
    return known.get(name) or (redis_url_like(first, name) if name else first)


def open_server(redis: RedisSettings, url: str) -> ConnectionFactory:
    """Return connections to one server, which has a name in the log and the metrics if there may be several; none is open yet.

    :raises SettingError: the URL or a certificate is invalid.
    """
    from .redis.connections import ConnectionFactory

    setting = "redis.urls" if url != redis.url else "redis.url"
    return ConnectionFactory(redis.at(url), redis_name(url) if redis.partitions > 1 else "", setting)
