"""Examination of the Redis server, its replicas and the Sentinels for ``dpresence doctor``."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping

from redis import RedisError

from ..backends import check_redis
from ..backends.redis.connection import ask, info
from ..backends.redis.connections import ConnectionFactory, option
from ..backends.redis.sentinels import Address, Sentinels
from ..errors import BackendUnavailable, SettingError
from ..settings import Settings
from .output import Finding

LAG_BYTES = 2**20
"""Bytes by which a replica may be behind."""


def check_redis_server(settings: Settings) -> Generator[Finding, None, int]:
    """Yield findings about version, durability, memory and replicas; return the server's time of day (ms).

    :raises BackendUnavailable: the server does not answer, or is a replica.
    """
    server = ConnectionFactory(settings.redis)
    if server.sentinels:
        yield from _sentinels(server.sentinels)
    facts = server.facts()
    yield "ok", f"version {facts['redis_version']}, primary", ""
    yield from _stored(facts, server.option("appendfsync"), settings.storage.mailbox == "redis")
    yield from _memory(facts)
    yield from _writes(settings)
    if server.sentinels:
        yield from _replicas(server, facts, settings.storage.mailbox == "redis")
    seconds, microseconds = server.command("TIME")
    return int(seconds) * 1000 + int(microseconds) // 1000


def _stored(facts: Mapping[str, str], fsync: str | None, has_mailbox: bool) -> Iterator[Finding]:
    if facts.get("aof_enabled") != "1":
        text = "appendonly is no: a restart loses presence and waiting notifications"
        yield "error" if has_mailbox else "warning", text, "set appendonly yes"
    elif fsync in (None, "always") or not has_mailbox:
        yield "ok", f"appendonly is yes, appendfsync {fsync or 'cannot be read by this user'}", ""
    else:
        yield "warning", f"appendonly is yes, appendfsync {fsync}", "set appendfsync always: a crash loses the last two seconds otherwise"


def _memory(facts: Mapping[str, str]) -> Iterator[Finding]:
    policy, most, used = facts.get("maxmemory_policy", "noeviction"), int(facts.get("maxmemory", 0)), int(facts.get("used_memory", 0))
    if policy == "noeviction":
        yield "ok", "maxmemory-policy is noeviction", ""
    else:
        advice = "set maxmemory-policy noeviction: keys would vanish when its memory is full"
        yield "error" if policy.startswith("allkeys") else "warning", f"maxmemory-policy is {policy}", advice
    full = most and used > 0.8 * most
    yield "warning" if full else "ok", f"it uses {used / 2**20:.0f} MiB of {f'{most / 2**20:.0f} MiB' if most else 'unlimited memory'}", \
        "raise maxmemory: a full Redis refuses updates and notifications" if full else ""  # fmt: skip


def _writes(settings: Settings) -> Iterator[Finding]:
    try:
        check_redis(settings)
    except (SettingError, BackendUnavailable) as error:
        yield "error", str(error), "a start would be refused; a service that runs refuses calls meanwhile, and recovers by itself"


def _sentinels(sentinels: Sentinels) -> Iterator[Finding]:
    """Yield which Sentinels answer, and whether they agree."""
    views, errors = sentinels.views(len(sentinels.addresses))
    for address, error in errors.items():
        yield "warning", f"the Sentinel {address} does not help: {error}", "start it, or correct redis.sentinels, its password or its TLS"
    for address in set(sentinels.addresses) - {view.sentinel for view in views} - set(errors):
        yield "warning", f"the Sentinel {address} does not answer in time", "start it, or correct redis.sentinels"
    primaries = {view.primary for view in views}
    if len(primaries) > 1:
        named = ", ".join(f"{view.sentinel}: {view.primary}" for view in views)
        yield "error", f"the Sentinels name different primaries: {named}", "a failover is under way, or they cannot reach each other"
    for view in views[:1]:
        quorum, others = int(view.facts["quorum"]), int(view.facts["num-other-sentinels"])
        few = others + 1 < max(3, quorum)
        text = f"the Sentinels name {view.primary} as {sentinels.name}, quorum {quorum} of {others + 1}"
        yield "warning" if few else "ok", text, "run three Sentinels on different machines" if few else ""


def _replicas(server: ConnectionFactory, facts: Mapping[str, str], has_mailbox: bool) -> Iterator[Finding]:
    """Yield whether each replica could become the primary, and whether a primary that is cut off stops accepting writes."""
    found = [value for key, value in facts.items() if key.startswith("slave") and "ip=" in value]
    if not found:
        yield "warning", "it has no connected replica, so nothing can take over", "start a replica, and see its log"
    for value in found:
        parts = dict(word.partition("=")[::2] for word in value.split(","))
        yield from _replica(server, Address(parts["ip"], int(parts["port"])), int(facts["master_repl_offset"]), has_mailbox)
    least = server.option("min-replicas-to-write")
    if least == "0":
        advice = "set min-replicas-to-write 1 and min-replicas-max-lag 10 on every server: a primary that is cut off stops accepting writes"
        yield "warning", "min-replicas-to-write is 0: writes to a primary that is cut off are lost", advice


def _replica(server: ConnectionFactory, address: Address, offset: int, has_mailbox: bool) -> Iterator[Finding]:
    try:
        connection = server.connect_to(address)
        try:
            facts, fsync = info(connection), option(connection, "appendfsync")
            ask(connection, "PING")
        finally:
            connection.disconnect()
    except (RedisError, OSError) as error:
        yield "warning", f"the replica {address} does not answer: {server.message_of(error)}", "services must reach it after a failover"
        return
    behind = max(0, offset - int(facts.get("slave_repl_offset", 0)))  # the replica is asked later than its primary
    if facts.get("master_link_status") != "up" or behind > LAG_BYTES:
        yield "warning", f"the replica {address} is {behind} bytes behind", "a failover would lose these writes"
    findings = [*_stored(facts, fsync, has_mailbox), *_memory(facts)]
    wrong: list[Finding] = [(level, f"the replica {address}: {text}", advice) for level, text, advice in findings if level != "ok"]
    yield from wrong or [("ok", f"the replica {address} is {behind} bytes behind and is as durable", "")]
