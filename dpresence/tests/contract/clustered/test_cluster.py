"""Two processes share the partitions in a Redis Cluster; commands and settings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dpresence.backends import at_stored_partitions, check_partitions, check_redis, load, load_directory, send_signal
from dpresence.backends.redis.connections import ConnectionFactory
from dpresence.backends.tracker.redis_server import signal
from dpresence.commands.cli import main
from dpresence.errors import SettingError
from dpresence.settings import RedisSettings
from dpresence.tests.support import FakeClock
from dpresence.tests.waiting import eventually

from ..partitioned import Reader
from ..redis_cluster import running_cluster
from ..tracker_values import SignalListener, seen
from .steps import PARTITIONS, set_status


@pytest.fixture(scope="module")
def shared(cooperative_redis):
    with running_cluster(replicated=True) as started:
        yield started


@pytest.fixture
def cluster(shared):
    """An empty cluster, which remains as it is."""
    shared.clear()
    return shared


def test_each_partition_is_at_the_node_that_has_its_slot(cluster, processes, users):
    for number, node in enumerate(cluster.nodes_of(PARTITIONS)):
        assert node.client.exists(f"dpresence:{{{number}}}t:user:{users[number]}")
    for tracker in processes:
        assert {measures.server for measures in tracker.measures} == {node.name for node in cluster.primaries}


def test_a_change_reaches_the_other_process_once(processes, users):
    one, two = processes
    reader = Reader(two)
    reader.read()
    listener = SignalListener(two)
    for user in users:
        set_status(one, user, "unavailable")
    eventually(lambda: reader.read() == 0 and reader.statuses == seen(one))
    assert len(reader.entries) == PARTITIONS
    assert listener.received().count(("feed", "chess")) == PARTITIONS


def test_a_command_signals_every_process(settings, processes):
    listeners = [SignalListener(tracker) for tracker in processes]
    directory = load_directory(settings, FakeClock())

    def is_received():  # a process that has just started may not be subscribed yet
        send_signal(settings, directory, "user", "somebody")
        return all(("user", "somebody") in listener.received() for listener in listeners)

    eventually(is_received)
    directory.close()


def test_processes_that_reach_a_node_by_different_hosts_share_its_signals(cluster, processes):
    listeners = [SignalListener(tracker) for tracker in processes]
    port = cluster.primaries[1].port
    node = ConnectionFactory(RedisSettings(f"redis://localhost:{port}", cluster=True), f"localhost:{port}/0")

    def is_received():  # a process that has just started may not be subscribed yet
        signal(node, "user", "somebody")
        return all(("user", "somebody") in listener.received() for listener in listeners)

    eventually(is_received)


@pytest.mark.slow
def test_settings_that_do_not_fit_the_server_or_the_first_start_are_refused(settings, cluster, redis_server):
    single = replace(settings, redis=replace(settings.redis, cluster=False))
    with pytest.raises(SettingError, match=r"redis\.urls \(127\.0\.0\.1:\d+/0\): must be one Redis 6\.2 or later, no cluster; this one is"):
        check_redis(single)
    standalone = replace(settings, redis=replace(settings.redis, urls=(redis_server.url,)))
    with pytest.raises(SettingError, match=r"must be a node of a cluster of Redis 6\.2 or later; this one is .*, standalone"):
        check_redis(standalone)
    load(settings, FakeClock()).close()
    check_redis(at_stored_partitions(settings, FakeClock()))
    check_partitions(settings, FakeClock())
    with pytest.raises(SettingError, match=r"^redis\.cluster = false: must be true, as at the first start with this database$"):
        check_partitions(single, FakeClock())


def test_a_check_before_the_first_start_examines_the_primaries(settings, cluster):
    one_replica = replace(settings, redis=replace(settings.redis, urls=(cluster.replicas[0].url,)))
    found = at_stored_partitions(one_replica, FakeClock())
    assert set(found.redis.urls) == {node.url for node in cluster.primaries}
    check_redis(found)


def test_the_commands_show_the_nodes_and_move_nothing(settings, cluster, processes, tmp_path, capsys):
    redis = settings.redis
    lines = ["[app:main]", "use = egg:dpresence", f"directory.url = {settings.storage.directory_url}", "tracker = redis"]
    lines += [f"redis.urls = {redis.urls[4]}", f"redis.partitions = {redis.partitions}", "redis.cluster = true"]
    ini = tmp_path / "presence.ini"
    ini.write_text("\n".join([*lines, "[server:main]", "use = egg:dpresence"]))
    assert main(["--ini", str(ini), "partitions", "list"]) == 0
    nodes = cluster.nodes_of(PARTITIONS)
    assert capsys.readouterr().out.splitlines() == [f"{number}  {node.name}" for number, node in enumerate(nodes)]
    assert main(["--ini", str(ini), "partitions", "move", "1", "--to", nodes[0].name]) == 1
    error = "dpresence: a Redis Cluster decides where its partitions are: `redis-cli --cluster` moves their slots\n"
    assert capsys.readouterr().err == error
