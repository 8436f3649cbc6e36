"""The settings choose Redis; what was opened is closed again when it cannot be used."""

from __future__ import annotations

import sys

import pytest

from dpresence.backends import load
from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.mailbox.redis import RedisMailbox
from dpresence.backends.redis.state import STATES
from dpresence.backends.tracker.partitions import PartitionedTracker
from dpresence.errors import BackendUnavailable, SettingError
from dpresence.settings import RedisSettings, Settings, StorageSettings
from dpresence.tests.support import FakeClock
from dpresence.tests.waiting import eventually

from .redis import running


def on_redis(url: str) -> Settings:
    return Settings(storage=StorageSettings("sqlite://", tracker="redis", mailbox="redis"), redis=RedisSettings(url, timeout_seconds=0.3))


@pytest.mark.slow
def test_the_settings_choose_redis_and_a_ping_names_what_is_away(lost_redis):
    lost_redis.start()
    backends = load(on_redis(lost_redis.url), FakeClock())
    assert [type(one) for one in (backends.directory, backends.tracker, backends.mailbox)] == [
        SqlDirectory,
        PartitionedTracker,
        RedisMailbox,
    ]
    assert backends.ping() == {"directory": True, "tracker": True, "mailbox": True}
    lost_redis.kill()
    assert backends.ping() == {"directory": True, "tracker": False, "mailbox": False}
    lost_redis.start()
    eventually(lambda: all(backends.ping().values()))
    backends.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "refuses", "takes", "state"),
    [
        ("maxmemory", "1", "0", "full"),
        ("replicaof", "127.0.0.1 1", "no one", "replica"),  # a failover made a replica of it
        ("min-replicas-to-write", "1", "0", "refuses_writes"),
    ],
)
def test_a_redis_that_answers_and_refuses_writes_is_named_by_a_ping(lost_redis, caplog, option, refuses, takes, state):
    lost_redis.start()
    backends = load(on_redis(lost_redis.url), FakeClock())
    assert backends.ping() == {"directory": True, "tracker": True, "mailbox": True}

    def tell(value):
        ask = lost_redis.client.execute_command
        ask("REPLICAOF", *value.split()) if option == "replicaof" else ask("CONFIG", "SET", option, value)

    tell(refuses)
    assert backends.ping() == {"directory": True, "tracker": False, "mailbox": False}
    assert lost_redis.client.ping(), "it is there"
    assert backends.redis_state() == state
    lines = [record.getMessage() for record in caplog.records if "this Redis" in record.getMessage()]
    assert [STATES[state] in line for line in lines].count(True) == 1, "one line for both roles, with what to do"
    with pytest.raises(BackendUnavailable) as caught:
        load(on_redis(lost_redis.url), FakeClock())
    assert str(caught.value) == f"redis.url: the Redis {STATES[state]}"
    tell(takes)
    eventually(lambda: all(backends.ping().values()))
    assert backends.redis_state() == "ok"
    backends.close()
    assert not lost_redis.client.exists("dpresence:m:ping")


def test_a_start_that_fails_leaves_no_database_open(lost_redis, monkeypatch):
    closed = []
    monkeypatch.setattr(SqlDirectory, "close", lambda self, close=SqlDirectory.close: closed.append(close(self)))
    with pytest.raises(BackendUnavailable):
        load(on_redis(lost_redis.url), FakeClock())
    assert len(closed) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("role", "mailbox"), [("tracker", "sql"), ("mailbox", "redis")])
def test_a_missing_driver_stops_the_start_and_is_named(monkeypatch, role, mailbox):
    for name in [name for name in sys.modules if name.startswith("dpresence.backends.") and "redis" in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "redis", None)
    settings = Settings(storage=StorageSettings("sqlite://", tracker="redis" if role == "tracker" else "memory", mailbox=mailbox))
    with pytest.raises(SettingError) as caught:
        load(settings, FakeClock())
    assert str(caught.value) == f"{role} = redis: needs redis: install dpresence[redis]"


@pytest.mark.slow
def test_a_volatile_redis_stops_the_start_of_the_mailbox_alone(cooperative_redis):
    with running(appendonly=False) as redis:
        with pytest.raises(SettingError, match=r"^redis\.url: this Redis loses acknowledged notifications"):
            load(on_redis(redis.url), FakeClock())
        settings = Settings(storage=StorageSettings("sqlite://", tracker="redis", mailbox="sql"), redis=RedisSettings(redis.url))
        load(settings, FakeClock()).close()


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
def test_a_redis_that_drops_any_key_when_it_is_full_stops_the_start_of_the_tracker_alone(cooperative_redis, policy):
    with running(maxmemory="100mb", **{"maxmemory-policy": policy}) as redis:
        settings = Settings(storage=StorageSettings("sqlite://", tracker="redis", mailbox="sql"), redis=RedisSettings(redis.url))
        with pytest.raises(SettingError) as caught:
            load(settings, FakeClock())
    what = f"must be a Redis with maxmemory-policy noeviction; with {policy} devices and feeds vanish when its memory is full"
    assert str(caught.value) == f"redis.url: {what}"


def test_a_volatile_eviction_policy_is_warned_of(cooperative_redis, caplog):
    with running(maxmemory="100mb", **{"maxmemory-policy": "volatile-ttl"}) as redis:
        load(
            Settings(storage=StorageSettings("sqlite://", tracker="redis", mailbox="sql"), redis=RedisSettings(redis.url)), FakeClock()
        ).close()
    assert "redis: keys may vanish when the memory of this Redis is full: set maxmemory-policy noeviction, not volatile-ttl" in caplog.text


def test_a_server_is_reached_however_often_it_was_away(lost_redis):
    server = lost_redis.server()
    for _ in range(150):
        with pytest.raises(BackendUnavailable), server.errors():
            server.connect()
    lost_redis.start()
    for _ in range(150):
        server.connect().disconnect()
