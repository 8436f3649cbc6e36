"""Partitions at two primaries that the same Sentinels name; one of them fails over."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import gevent
import pytest

from dpresence.backends import load, load_directory
from dpresence.backends.moving import Mover
from dpresence.backends.partitions import open_named
from dpresence.backends.redis.sentinels import Address
from dpresence.backends.redis.watch import Watch
from dpresence.backends.tracker.partition_keys import PartitionKeys
from dpresence.commands.cli import main
from dpresence.errors import BackendUnavailable
from dpresence.model import GrantSet
from dpresence.settings import Settings, StorageSettings
from dpresence.tests.support import FakeClock
from dpresence.tests.waiting import eventually

from .partitioned import Reader, users_of
from .sentinels import guarded
from .tracker_values import connect, grant, seen

PARTITIONS, PASSWORD = 4, "of-redis"
OTHER = "second"
"""The other primary at the Sentinels, which has the partitions 1 and 3."""


@pytest.fixture(scope="module")
def groups(cooperative_redis):
    with ExitStack() as started:
        first = started.enter_context(guarded(password=PASSWORD))
        yield first, started.enter_context(guarded(password=PASSWORD, name=OTHER, beside=first))


@pytest.fixture
def settings(groups, tmp_path):
    for group in groups:
        group.servers[group.primary].client.flushall()
    urls = (groups[0].url, f"redis://:{PASSWORD}@{OTHER}/0")
    redis = replace(groups[0].settings, urls=urls, partitions=PARTITIONS, timeout_seconds=1)
    return Settings(storage=StorageSettings(f"sqlite:///{tmp_path}/presence.db", tracker="redis", mailbox="sql"), redis=redis)


@pytest.fixture
def processes(settings):
    opened = [load(settings, FakeClock()) for _ in range(2)]
    yield [backends.tracker for backends in opened]
    for backends in opened:
        backends.close()


def set_status(tracker, user, status):
    return tracker.update(user, "phone", "c1", status, GrantSet(0, (grant(user),)))


@pytest.mark.slow
def test_partitions_are_at_both_primaries_and_those_of_one_follow_its_failover(groups, processes, settings):
    one, two = processes
    users = [some[0] for some in users_of(1, PARTITIONS)]
    for user in users:
        connect(one, user=user, grants=(grant(user),))
    keys = [group.servers[group.primary].client.keys("dpresence:{*}t:user:*") for group in groups]
    assert [len(found) for found in keys] == [2, 2]
    assert {measures.server for measures in one.measures} == {"unused:6379/0", f"{OTHER}:6379/0"}
    reader, epoch, before = Reader(two), one.epoch, groups[0].primary
    groups[1].fail_over()
    for user in users[::2]:  # nobody waits at the other primary
        assert set_status(one, user, "unavailable")
    for user in users[1::2]:
        eventually(lambda user=user: set_status(one, user, "unavailable"), seconds=10, also=(BackendUnavailable,))
    eventually(lambda: reader.read() == 0 and len(reader.entries) == PARTITIONS, seconds=10, also=(BackendUnavailable,))
    assert seen(two) == {f"{user}-in-chess": "unavailable" for user in users}
    assert one.epoch == epoch
    assert groups[0].primary == before


def test_a_partition_moves_to_a_primary_by_its_name(groups, processes, settings):
    one, _ = processes
    users = [some[0] for some in users_of(1, PARTITIONS)]
    for user in users:
        connect(one, user=user, grants=(grant(user),))
    directory = load_directory(settings, FakeClock())
    mover = Mover(directory, lambda server, partition, mover: PartitionKeys(open_named(settings.redis, server), partition, mover))
    assert mover.move(0, f"{OTHER}:6379/0").keys > 1
    eventually(lambda: one.status(users[0]) == "online")
    assert groups[1].servers[groups[1].primary].client.keys("dpresence:{0}t:user:*")
    directory.close()


@pytest.mark.slow
def test_the_doctor_examines_both_primaries(groups, settings, tmp_path: Path, capsys):
    ini = tmp_path / "presence.ini"
    keys = {"directory.url": settings.storage.directory_url, "tracker": "redis", **groups[0].ini}
    keys |= {"redis.urls": " ".join(settings.redis.urls), "redis.partitions": PARTITIONS}
    ini.write_text("[app:main]\nuse = egg:dpresence\n" + "".join(f"{key} = {value}\n" for key, value in keys.items()))
    main(["--ini", str(ini), "--json", "doctor"])
    texts = [json.loads(line)["text"] for line in capsys.readouterr().out.splitlines()]
    for group, name in zip(groups, ("mymaster", OTHER), strict=True):
        assert any(f"the Sentinels name 127.0.0.1:{group.primary} as {name}, quorum 2 of 3" in text for text in texts), texts


@pytest.mark.slow
def test_the_sentinels_are_followed_as_long_as_any_client_is_there(groups):
    server = groups[0].server()
    server.facts()
    first, second = Watch(server), Watch(server)
    first.stop()
    first.stop()
    groups[0].fail_over()
    eventually(lambda: server._address == Address("127.0.0.1", groups[0].primary), seconds=10)
    second.stop()
    assert server.watches == []
    gevent.sleep(0)
