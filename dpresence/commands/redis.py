"""Examination of the Redis server for ``dpresence doctor``."""

from __future__ import annotations

from collections.abc import Generator

from ..backends.redis.connections import ConnectionFactory
from ..settings import Settings
from .output import Finding, Level


def check_redis_server(settings: Settings) -> Generator[Finding, None, int]:
    """Yield findings about version, durability and memory; return the server's time of day (ms).

    :raises BackendUnavailable: the server does not answer.
    """
    server = ConnectionFactory(settings.redis)
    about, persistence, memory = (server.info(section) for section in ("server", "persistence", "memory"))
    role = server.info("replication").get("role", "master")
    yield "ok" if role == "master" else "error", f"version {about['redis_version']}, {role}", \
        "" if role == "master" else "let redis.url name the primary server: a replica accepts no writes"  # fmt: skip
    level: Level = "error" if settings.storage.mailbox == "redis" else "warning"
    if persistence.get("aof_enabled") != "1":
        yield level, "appendonly is no: a restart loses presence and waiting notifications", "set appendonly yes"
    else:
        fsync = server.option("appendfsync")
        durable = fsync in (None, "always") or settings.storage.mailbox != "redis"
        text = f"appendonly is yes, appendfsync {fsync or 'cannot be read by this user'}"
        yield (
            "ok" if durable else "warning",
            text,
            "" if durable else "set appendfsync always: a crash loses the last two seconds otherwise",
        )
    policy, most = memory.get("maxmemory_policy", "noeviction"), int(memory.get("maxmemory", 0))
    used = int(memory.get("used_memory", 0))
    full = most and used > 0.8 * most
    yield "warning" if policy != "noeviction" else "ok", f"maxmemory-policy is {policy}", \
        "set maxmemory-policy noeviction: keys would vanish when its memory is full" if policy != "noeviction" else ""  # fmt: skip
    yield "warning" if full else "ok", f"it uses {used / 2**20:.0f} MiB of {f'{most / 2**20:.0f} MiB' if most else 'unlimited memory'}", \
        "raise maxmemory: a full Redis refuses updates" if full else ""  # fmt: skip
    seconds, microseconds = server.command("TIME")
    return int(seconds) * 1000 + int(microseconds) // 1000
