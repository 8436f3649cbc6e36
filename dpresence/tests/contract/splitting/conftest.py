"""Two processes whose tracker has one partition."""

from __future__ import annotations

import pytest

from dpresence.backends import load_directory
from dpresence.backends.partitions import open_named
from dpresence.backends.splitting import Splitter
from dpresence.backends.tracker.split_keys import SplitKeys
from dpresence.settings import RedisSettings, Settings, StorageSettings
from dpresence.settings.allowed import redis_name
from dpresence.tests.support import FakeClock

from ..partitioned import processes, users_of
from ..tracker_values import SETTINGS, grant
from .steps import PARTITIONS

__all__ = ["processes"]


@pytest.fixture
def settings(tmp_path, redis_server):
    storage = StorageSettings(f"sqlite:///{tmp_path}/presence.db", tracker="redis", mailbox="sql")
    return Settings(storage=storage, redis=RedisSettings(redis_server.url, timeout_seconds=1), presence=SETTINGS)


@pytest.fixture
def name(redis_server):
    """The server in the directory after the split."""
    return redis_name(redis_server.url)


@pytest.fixture
def directory(settings, processes, monkeypatch):
    """The directory, which knows the user of each PUID."""

    def grants_by_puid(appid, puids):
        found = {puid: grant(puid.removesuffix(f"-in-{appid}"), appid) for puid in puids}
        return {puid: one for puid, one in found.items() if not one.user.startswith("revoked")}

    directory = load_directory(settings, FakeClock())
    monkeypatch.setattr(directory, "grants_by_puid", grants_by_puid)
    yield directory
    directory.close()


@pytest.fixture
def splitter_of(settings, directory, name):
    def make(kind: type[SplitKeys] = SplitKeys) -> Splitter:
        return Splitter(directory, name, lambda server, mover: kind(open_named(settings.redis, server), mover))

    return make


@pytest.fixture
def users():
    """Two users of each partition."""
    return [user for some in users_of(2, PARTITIONS) for user in some]
