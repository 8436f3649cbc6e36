"""States of the partitions at their servers about which an operator has to do something."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from ..errors import BackendUnavailable, SettingError
from ..settings import RedisSettings
from ..settings.allowed import redis_name
from .partitions import open_named, open_server, present_names, url_of

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


def unavailable_servers(redis: RedisSettings, names: Sequence[str]) -> dict[str, str]:
    """Return what those servers do that cannot be used, by their names."""
    found: dict[str, str] = {}
    for name in dict.fromkeys(names):
        try:
            open_named(redis, name).facts()
        except BackendUnavailable as error:
            found[name] = error.reason
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


def is_served(redis: RedisSettings, stored: Sequence[str]) -> bool:
    """Return whether a process of the service runs, as far as servers answer.

    :param stored: the servers in the directory; empty if they are not known: those of the settings are asked then.
    """
    from .tracker.redis_server import has_listeners

    found, servers = False, [open_server(redis, url) for url in redis.tracker_urls]
    with suppress(BackendUnavailable):
        servers = [open_named(redis, name) for name in dict.fromkeys(present_names(redis, stored))] or servers
    for server in servers:
        with suppress(BackendUnavailable):
            found = found or has_listeners(server)
    return found


def repairs(redis: RedisSettings, stored: Sequence[str]) -> list[str]:
    """Return what has to be done before a start with a database that was restored.

    :param stored: the servers in the restored directory.
    """
    if len(stored) == 1:
        texts = ["the tracker was split after this backup: run `dpresence partitions split --into N` first"]
        return texts if refused_partitions(redis, stored) else []
    move = "partition {0} was moved after this backup: run `dpresence partitions move {0} --to {1}` first"
    return [move.format(number, stored[number]) for number in refused_partitions(redis, stored)]
