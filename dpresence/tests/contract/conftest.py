"""Servers that the contract suites share."""

from __future__ import annotations

from .postgresql_fixtures import database, migrated, postgresql  # noqa: F401 - fixtures of the tests on PostgreSQL
from .redis_fixtures import (  # noqa: F401 - and on Redis
    _redis_cluster,
    _redis_processes,
    breakable_redis,
    cooperative_redis,
    lost_redis,
    redis_nodes,
    redis_process,
    redis_server,
    redis_servers,
    trackers,
)
