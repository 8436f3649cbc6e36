"""A partition moves to another server while two processes use it."""

from __future__ import annotations

import random
from types import SimpleNamespace

import gevent
import pytest
from gevent.event import Event

from dpresence.backends import load
from dpresence.backends.tracker.partition_keys import PartitionKeys
from dpresence.backends.tracker.relocation import Relocation
from dpresence.errors import BackendUnavailable
from dpresence.measures import Histogram
from dpresence.observation import Observation
from dpresence.tests.support import FakeClock
from dpresence.tests.waiting import eventually

from ..partitioned import Reader
from ..tracker_values import SignalListener, seen
from .steps import MOVED, PARTITIONS, bring, keys, set_status


def test_users_stay_online_and_readers_continue_from_their_offset_and_cursor(processes, users, servers, names, mover_of):
    one, two = processes
    bring(one, users)
    reader = Reader(two)
    cursor, epoch = two.cursor(reader.offset), two.epoch
    set_status(one, users[MOVED], "unavailable")
    moved = mover_of().move(MOVED, names[2])
    assert moved.keys > 4
    assert not keys(servers[1]) and keys(servers[2])
    for tracker in processes:
        eventually(lambda tracker=tracker: tracker.status(users[MOVED]) == "unavailable")
    assert two.epoch == epoch
    assert two.offset("chess", cursor) == reader.offset
    assert set_status(one, users[MOVED], "online")
    eventually(lambda: reader.read() == 0 and len(reader.entries) == 2)
    assert [entry.status for entry in reader.entries] == ["unavailable", "online"]
    assert reader.statuses == seen(one)


def test_a_device_and_its_lease_remain_those_of_their_process(processes, users, names, mover_of):
    one, _ = processes
    bring(one, users)
    before = one.devices(users[MOVED])
    mover_of().move(MOVED, names[2])
    eventually(lambda: one.devices(users[MOVED]) == before)
    for tracker in processes:
        tracker.renew()
        assert tracker.due() == []
    assert set_status(one, users[MOVED], "unavailable")
    listener = SignalListener(one)
    assert ("forgotten", "") not in listener.received()


def test_the_servers_of_the_metrics_are_those_in_use(processes, names, mover_of):
    one, _ = processes
    for partition in (1, 3):
        mover_of().move(partition, names[2])
    eventually(lambda: {measures.server for measures in one.measures} == {names[0], names[2]})


def test_no_count_of_the_metrics_decreases_when_a_server_is_left(settings, directory, names, mover_of):
    backends = load(settings, FakeClock())
    services = SimpleNamespace(webhook_sender=SimpleNamespace(seconds=Histogram()))
    observation = Observation(services, None, backends, None)
    before = observation.counts()
    for partition in (1, 3):
        mover_of().move(partition, names[2])
    eventually(lambda: {measures.server for measures in backends.tracker.measures} == {names[0], names[2]})
    after = observation.counts()
    assert before["backend redis tracker sum"] > 0
    assert {key: count for key, count in before.items() if after[key] < count} == {}
    backends.close()


def test_an_update_before_a_process_follows_the_move_reaches_its_readers(processes, users, names, mover_of):
    one, two = processes
    bring(one, users)
    reader = Reader(two)
    assert reader.read() == 0
    follow, may_follow = two._relocation._follow, Event()
    two._relocation._follow = lambda: (may_follow.wait(), follow())
    mover_of().move(MOVED, names[2])
    eventually(lambda: set_status(one, users[MOVED], "unavailable"))
    may_follow.set()
    eventually(lambda: reader.read() == 0 and len(reader.entries) == 1, 10)


@pytest.mark.slow
def test_a_partition_moves_there_and_back_and_there_again(processes, users, servers, names, mover_of):
    one, two = processes
    bring(one, users)
    reader = Reader(two)
    for count, target in enumerate((2, 1, 0, 1, 2), 1):
        mover_of().move(MOVED, names[target])
        status = "unavailable" if count % 2 else "online"
        eventually(lambda status=status: set_status(one, users[MOVED], status))
        eventually(lambda count=count: reader.read() == 0 and len(reader.entries) == count)
        assert [bool(keys(server)) for server in servers] == [number == target for number in range(3)]
    assert reader.statuses == seen(one)


def test_a_process_that_missed_everything_follows_with_its_next_call(processes, users, names, mover_of, monkeypatch):
    one, two = processes
    bring(one, users)
    monkeypatch.setattr(PartitionKeys, "signal", lambda self: None)
    mover_of().move(MOVED, names[2])
    with pytest.raises(BackendUnavailable):
        set_status(two, users[MOVED], "unavailable")
    eventually(lambda: one.status(users[MOVED]) == two.status(users[MOVED]) == "online")


def test_a_process_whose_server_was_switched_off_follows_with_its_next_renewal(processes, users, servers, names, mover_of, monkeypatch):
    one, two = processes
    bring(one, users)
    monkeypatch.setattr(PartitionKeys, "signal", lambda self: None)
    for partition in (1, 3):
        mover_of().move(partition, names[2])
    servers[1].kill()
    for tracker in processes:
        tracker.renew()
    eventually(lambda: one.status(users[1]) == two.status(users[3]) == "online")
    assert one.ping() is None


def test_a_process_follows_a_partition_although_the_new_server_of_another_is_away(processes, users, servers, names, mover_of, monkeypatch):
    one, _ = processes
    bring(one, users)
    monkeypatch.setattr(PartitionKeys, "signal", lambda self: None)
    mover_of().move(1, names[2])
    mover_of().move(3, names[0])
    servers[2].kill()
    one.renew()
    eventually(lambda: one.status(users[3]) == "online")
    servers[2].start()
    one.renew()
    eventually(lambda: one.devices(users[1]) is not None)


def test_a_partition_that_is_back_at_a_server_has_its_state_in_the_metrics(processes, names, mover_of):
    one, _ = processes
    for partition in (1, 3):
        mover_of().move(partition, names[2])
    eventually(lambda: names[1] not in {measures.server for measures in one.measures})
    mover_of().move(1, names[1])
    eventually(lambda: names[1] in {measures.server for measures in one.measures})
    up = {key for measures in one.measures for key in measures.gauges() if key.startswith("redis_server_up")}
    assert up == {f"redis_server_up {name}" for name in names}


def test_a_stopped_relocation_is_not_called_again():
    calls = []
    relocation = Relocation(lambda: calls.append(1))
    relocation.stop()
    relocation.request()
    gevent.sleep(0)
    assert not calls


def test_a_new_process_starts_with_the_partitions_where_they_are(settings, processes, users, names, mover_of):
    bring(processes[0], users)
    mover_of().move(MOVED, names[2])
    backends = load(settings, FakeClock())
    assert [backends.tracker.status(user) for user in users] == ["online"] * PARTITIONS
    backends.close()


def test_without_a_process_a_partition_moves_as_well(settings, processes, users, names, mover_of):
    bring(processes[0], users)
    for tracker in processes:
        tracker.close()
    mover_of().move(MOVED, names[2])
    backends = load(settings, FakeClock())
    assert backends.tracker.status(users[MOVED]) == "online"
    backends.close()


def test_every_key_is_copied_in_scripts_of_limited_size(processes, servers, names, mover_of, monkeypatch):
    key = f"dpresence:{{{MOVED}}}t:filling:"
    fill = {
        f"{key}{number}": random.Random(number).randbytes(size) for number, size in enumerate((5, 300_000, 900_000, 1_500_000, 7, 300_000))
    }
    servers[1].client.mset(fill)
    servers[1].client.pexpire(f"{key}4", 600_000)
    sizes, step = [], PartitionKeys.step

    def record(self, name, *arguments):
        sizes.append(sum(map(len, arguments)))
        return step(self, name, *arguments)

    monkeypatch.setattr(PartitionKeys, "step", record)
    mover_of().move(MOVED, names[2])
    there = servers[2].client
    assert {name: there.get(name) for name in fill} == fill
    assert [there.pttl(f"{key}{number}") > 0 for number in range(6)] == [False] * 4 + [True, False]
    assert max(sizes) < 1_600_000 < sum(sizes)
