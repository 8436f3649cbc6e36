"""Checks of a Redis server at the start, and of each server that is connected to later."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from ...errors import SettingError
from .connections import ConnectionFactory

log = logging.getLogger(__name__)

_OLDEST = (6, 2)


def check_server(server: ConnectionFactory) -> None:
    """Check the server's version and mode, and that it accepts writes.

    :raises SettingError: the server is too old, or is a node of a cluster although ``redis.cluster`` is false, or the reverse.
    :raises BackendUnavailable: the server does not answer, or refuses writes.
    """
    found = server.facts()
    version = tuple(int(part) for part in found["redis_version"].split(".")[:2])
    mode = found.get("redis_mode", "standalone")
    if version < _OLDEST or (mode == "cluster") != server.in_cluster:
        wanted = "a node of a cluster of Redis 6.2 or later" if server.in_cluster else "one Redis 6.2 or later, no cluster"
        raise SettingError(f"{_label(server)}: must be {wanted}; this one is {found['redis_version']}, {mode}")
    if not server.in_cluster:
        server.command("SET", f"{server.prefix}check", "", "PX", 1)


def refuse_eviction(server: ConnectionFactory) -> None:
    """Refuse a server that may evict any key when its memory is full. It may evict keys that have a time to live.

    :raises SettingError: the eviction policy covers all keys.
    :raises BackendUnavailable: the server does not answer.
    """
    facts = server.facts()
    policy = facts.get("maxmemory_policy", "")
    if policy.startswith("allkeys"):
        what = f"with {policy} devices and feeds vanish when its memory is full"
        raise SettingError(f"{_label(server)}: must be a Redis with maxmemory-policy noeviction; {what}")
    if facts.get("maxmemory", "0") != "0":
        warn_of_eviction(facts)


def _label(server: ConnectionFactory) -> str:
    """Return the setting that leads to a server, and the server's name if there are several."""
    return f"{server.setting} ({server.state.name})" if server.state.name else server.setting


def warn_of_eviction(facts: Mapping[str, str]) -> None:
    """Log a warning about a server that may evict keys when its memory is full: a replica may have other settings than its primary."""
    policy = facts.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        log.warning("redis: keys may vanish when the memory of this Redis is full: set maxmemory-policy noeviction, not %s", policy)
