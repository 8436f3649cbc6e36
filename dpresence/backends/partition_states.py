"""States of the partitions at their servers about which an operator has to do something."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from ..errors import BackendUnavailable, SettingError
from ..settings import RedisSettings
from ..settings.allowed import redis_name
from .partitions import open_named, open_server, url_of

BESIDE = "a process of an earlier version serves beside the partitions: stop it"
"""Error about a server in ``servers_beside``."""


def refuse_states(redis: RedisSettings, stored: Sequence[str]) -> None:
    """Check that a start would open all partitions, and that all processes would use them.

    :param stored: the servers in the directory.
    :raises SettingError: a process would not.
    :raises BackendUnavailable: a server refuses a partition.
    """
    for name in servers_beside(redis, stored):
        raise SettingError(f"{name}: {BESIDE}")
    for error in refused_partitions(redis, stored).values():
        raise error


def refused_partitions(redis: RedisSettings, stored: Sequence[str]) -> dict[int, BackendUnavailable]:
    """Return the error of each partition that the server does not open which the directory names, as far as servers answer.

    :param stored: the servers in the directory.
    """
    from .tracker.redis_values import fence_key, refused  # imported only here, with the driver, which is an extra

    found: dict[int, BackendUnavailable] = {}
    servers = {} if redis.cluster else {name: open_named(redis, name) for name in stored}
    for number, name in enumerate(stored if servers else ()):
        partition = number if len(stored) > 1 else None
        with suppress(BackendUnavailable):
            if servers[name].command("EXISTS", fence_key(servers[name], partition)):
                found[number] = refused(servers[name], partition)
    return found


def servers_beside(redis: RedisSettings, stored: Sequence[str]) -> list[str]:
    """Return the servers, as far as they answer, where a process uses a tracker of one partition beside the stored partitions.

    It is of an earlier version, which does not know that the tracker was split.
    """
    from .tracker.registered import live_processes

    found: list[str] = []
    if len(stored) < 2 or redis.cluster:
        return found
    for url in dict.fromkeys((*redis.tracker_urls, *(url_of(redis, name) for name in stored))):
        with suppress(BackendUnavailable):
            if live_processes(open_server(redis, url), None):
                found.append(redis_name(url))
    return found
