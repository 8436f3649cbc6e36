"""A server of two partitions is replaced by another one: its replica, itself under another address, or an empty one."""

from __future__ import annotations

import pytest

from dpresence.backends import load
from dpresence.backends.directory import PartitionMove
from dpresence.backends.partition_moves import MoveRefused
from dpresence.backends.partitions import open_named
from dpresence.backends.replacing import Replacement
from dpresence.backends.tracker.partition_keys import PartitionKeys
from dpresence.errors import BackendUnavailable
from dpresence.tests.support import FakeClock
from dpresence.tests.waiting import eventually

from ..partitioned import Reader
from ..tracker_values import SignalListener, seen
from .steps import MOVED, bring, expire_locks, keys, set_status

THERE = (1, 3)
"""The partitions of the second server, which is replaced by the third one."""


@pytest.fixture
def replace(settings, directory, names):
    def run(new=names[2], old=names[1], starts_empty=False):
        keys_of = lambda server, partition, mover: PartitionKeys(open_named(settings.redis, server), partition, mover)  # noqa: E731
        return Replacement(directory, lambda name: open_named(settings.redis, name), keys_of).replace(old, new, starts_empty)

    return run


@pytest.fixture
def replica(servers):
    """The third server, which has all data of the second one and is promoted, as if that one had died."""

    def promote():
        primary, new = servers[1], servers[2]
        for key in primary.client.keys("*"):
            new.client.restore(key, max(0, primary.client.pttl(key)), primary.client.dump(key), replace=True)
        primary.kill()

    return promote


def test_a_promoted_replica_goes_on_with_users_offsets_and_cursors(processes, users, names, replica, replace):
    one, two = processes
    bring(one, users)
    reader, epoch = Reader(two), two.epoch
    cursor = two.cursor(reader.offset)
    replica()
    assert replace().partitions == THERE
    for tracker in processes:
        eventually(lambda tracker=tracker: tracker.ping() is None)
        assert {measures.server for measures in tracker.measures} == {names[0], names[2]}
    assert (two.epoch, two.offset("chess", cursor) is not None) == (epoch, True)
    assert {user: one.status(user) for user in users} == dict.fromkeys(users, "online")
    for user in users:
        assert set_status(one, user, "unavailable")
    eventually(lambda: reader.read() == 0 and set(reader.statuses.values()) == {"unavailable"})
    assert len(reader.entries) == len(users)


def test_a_replica_that_lacks_acknowledged_changes_voids_cursors(processes, users, names, servers, replica, replace):
    one, two = processes
    bring(one, users)
    listener, cursor = SignalListener(one), two.cursor(Reader(two).offset)
    for key in servers[1].client.keys("*"):
        servers[2].client.restore(key, max(0, servers[1].client.pttl(key)), servers[1].client.dump(key), replace=True)
    set_status(one, users[MOVED], "unavailable")
    servers[1].kill()
    replace()
    eventually(lambda: one.ping() is None and two.ping() is None)
    eventually(lambda: ("forgotten", "") in listener.received())
    assert two.offset("chess", cursor) is None


def test_a_server_under_another_address_goes_on_while_it_runs(processes, users, names, servers, replace, directory):
    one, _ = processes
    bring(one, users)
    alias = servers[1].folder / "alias.sock"
    alias.symlink_to(servers[1].socket)
    try:
        assert replace(str(alias)).partitions == THERE
        eventually(lambda: str(alias) in {measures.server for measures in one.measures})
        assert one.status(users[MOVED]) == "online"
        assert set_status(one, users[MOVED], "unavailable")
    finally:
        alias.unlink()


def test_a_server_starts_empty_if_that_is_wanted(processes, users, names, servers, replace, directory):
    one, two = processes
    bring(one, users)
    listener = SignalListener(one)
    servers[1].kill()
    with pytest.raises(MoveRefused, match=r"has no data of partitions 1, 3: .* --empty"):
        replace()
    assert directory.partitions()[MOVED] == names[1]
    assert replace(starts_empty=True).empty == THERE
    eventually(lambda: one.ping() is None and two.ping() is None)
    eventually(lambda: ("forgotten", "") in listener.received())
    assert one.devices(users[MOVED]) == [] and one.status(users[0]) == "online"
    bring(one, users)
    assert Reader(two).statuses == seen(one)


def test_a_server_that_a_partition_has_left_is_opened_again(processes, users, names, servers, replace, mover_of):
    one, _ = processes
    bring(one, users)
    mover_of().move(MOVED, names[2])
    mover_of().move(MOVED, names[1])
    eventually(lambda: one.status(users[MOVED]) == "online")
    servers[1].kill()
    assert replace(starts_empty=True).empty == THERE
    eventually(lambda: one.ping() is None)
    assert keys(servers[2])


def test_a_server_that_runs_is_not_replaced_by_another_one(names, replace, directory, processes):
    with pytest.raises(MoveRefused, match=r"still runs: stop it first, or copy each partition with `dpresence partitions move P --to"):
        replace(starts_empty=True)
    assert directory.partitions()[MOVED] == names[1]


def test_a_replacement_waits_for_a_move(names, servers, replace, directory, processes):
    directory.begin_partition_move(PartitionMove("m", 0, names[0], names[2]))
    servers[1].kill()
    with pytest.raises(MoveRefused, match=r"^partition 0 has to be where it belongs first: a move to"):
        replace(starts_empty=True)


def test_a_server_without_partitions_or_that_does_not_answer_is_refused(names, servers, replace, processes):
    with pytest.raises(MoveRefused, match=f"^{names[2]}: no partition is there"):
        replace(names[0], names[2])
    servers[1].kill()
    servers[2].kill()
    with pytest.raises(BackendUnavailable):
        replace()


def test_a_replacement_that_was_interrupted_for_too_long_says_so(processes, servers, directory, replace, monkeypatch):
    servers[1].kill()
    monkeypatch.setattr(directory, "replace_partition_server", lambda server, new: expire_locks(servers[2:]) is None)
    with pytest.raises(MoveRefused, match=r"^this call was interrupted for too long, and another one may have gone on$"):
        replace(starts_empty=True)


def test_a_start_finds_the_new_server(settings, processes, users, names, servers, replace):
    for tracker in processes:
        tracker.close()
    servers[1].kill()
    replace(starts_empty=True)
    backends = load(settings, FakeClock())
    assert set(backends.redis_servers()) == {names[0], names[2]}
    backends.close()
