"""Whatever interrupts or refuses the move of a partition."""

from __future__ import annotations

import pytest

from dpresence.backends import check_partitions, load
from dpresence.backends.partition_moves import MoveRefused
from dpresence.backends.sql import tables
from dpresence.backends.tracker.partition_keys import PartitionKeys
from dpresence.errors import BackendUnavailable
from dpresence.settings.allowed import redis_name
from dpresence.tests.support import FakeClock
from dpresence.tests.waiting import eventually

from ..partitioned import Reader
from .steps import MOVED, PARTITIONS, bring, expire_locks, keys, move_until, set_status


@pytest.mark.slow
@pytest.mark.parametrize("again", ["the same", "back"])
def test_a_mover_that_is_killed_at_any_step_leaves_one_place_and_a_second_call_repairs_it(
    processes, users, servers, names, directory, mover_of, again
):
    one, two = processes
    bring(one, users)
    reader, epoch = Reader(two), one.epoch
    at, ended = 0, False
    while not ended:
        source = directory.partitions()[MOVED]
        target = next(name for name in names[1:] if name != source)
        ended = move_until(mover_of, at, target)
        expire_locks(servers)
        wanted = target if again == "the same" else source
        try:
            mover_of().move(MOVED, wanted)
        except MoveRefused as error:
            assert str(error) == f"partition {MOVED} is at {wanted} already"
        assert directory.partitions()[MOVED] == wanted and directory.partition_move() is None
        assert [redis_name(server.url) for server in servers if keys(server)] == [wanted]
        status = "unavailable" if at % 2 else "online"
        for tracker in processes:
            eventually(lambda tracker=tracker: tracker.devices(users[MOVED]))
        eventually(lambda status=status: set_status(one, users[MOVED], status) is not None)  # it may just follow the first of two moves
        eventually(lambda status=status: reader.read() == 0 and reader.statuses[f"{users[MOVED]}-in-chess"] == status)
        at += 1
    assert at > 12
    assert one.epoch == epoch
    assert len(reader.entries) == at - 1  # the first status was the present one


def test_a_frozen_mover_changes_nothing_after_another_one_has_gone_on(processes, users, servers, names, directory, mover_of):
    one, _ = processes
    bring(one, users)

    class Frozen(PartitionKeys):
        def copy_to(self, other):
            found = super().copy_to(other)
            expire_locks(servers)
            mover_of().move(MOVED, names[0])
            return found

    with pytest.raises(MoveRefused, match="another call has finished or taken over this move"):
        mover_of(Frozen).move(MOVED, names[2])
    assert directory.partitions()[MOVED] == names[0]
    assert directory.partition_move() is None
    eventually(lambda: one.status(users[MOVED]) == "online")


def test_a_switch_that_is_committed_after_its_answer_was_lost_loses_nothing(
    processes, users, servers, names, directory, mover_of, monkeypatch
):
    bring(processes[0], users)
    switch, partitions, lost = directory.switch_partition, directory.partitions, []

    def lose_answer(id_):
        lost.append(id_)
        raise BackendUnavailable

    def read_before_the_commit():
        found = partitions()
        while lost:
            switch(lost.pop())
        return found

    monkeypatch.setattr(directory, "switch_partition", lose_answer)
    monkeypatch.setattr(directory, "partitions", read_before_the_commit)
    with pytest.raises(BackendUnavailable):
        mover_of().move(MOVED, names[2])
    monkeypatch.undo()
    assert [redis_name(server.url) for server in servers if keys(server)] == [directory.partitions()[MOVED]]
    eventually(lambda: processes[1].status(users[MOVED]) == "online")


def test_a_process_of_a_version_without_moves_has_the_move_taken_back(processes, users, servers, names, directory, mover_of):
    bring(processes[0], users)

    class Beside(PartitionKeys):
        def copy_to(self, other):
            servers[1].client.hset(f"dpresence:{{{MOVED}}}t:processes", "old", "1 9999999999999")  # it registers behind the fence
            return super().copy_to(other)

    with pytest.raises(MoveRefused, match=r"^a process of an earlier version, which cannot follow, uses partition 1$"):
        mover_of(Beside).move(MOVED, names[2])
    assert directory.partitions()[MOVED] == names[1] and directory.partition_move() is None
    assert not keys(servers[2])
    eventually(lambda: processes[1].status(users[MOVED]) == "online")


def test_a_partition_opens_empty_where_a_restored_directory_says_that_it_is(settings, processes, servers, names, directory, mover_of):
    mover_of().move(MOVED, names[2])
    for tracker in processes:
        tracker.close()
    row = tables.partitions
    directory.database.run(lambda connection: connection.execute(row.update().where(row.c.number == MOVED).values(server=names[1])))
    with pytest.raises(BackendUnavailable) as caught:
        load(settings, FakeClock())
    advice = f"it is being moved, or `dpresence partitions move {MOVED}` to this server opens it"
    assert str(caught.value) == f"redis.urls: the Redis {names[1]} refuses partition {MOVED}: {advice}"
    with pytest.raises(BackendUnavailable) as checked:
        check_partitions(settings, FakeClock())
    assert checked.value.for_operator() == str(caught.value)
    servers[1].client.hset(f"dpresence:{{{MOVED}}}t:meta", "epoch", "old")
    mover_of().move(MOVED, names[1])
    check_partitions(settings, FakeClock())
    load(settings, FakeClock()).close()
    assert servers[1].client.hget(f"dpresence:{{{MOVED}}}t:meta", "epoch") not in (None, b"old")
    with pytest.raises(MoveRefused, match=r"^partition 1 is at .* already$"):
        mover_of().move(MOVED, names[1])


def test_what_is_refused_changes_nothing(processes, users, servers, names, directory, mover_of):
    bring(processes[0], users)
    servers[2].client.set("dpresence:{3}t:meta", "x")
    for partition, target, text in (
        (MOVED, names[1], f"partition 1 is at {names[1]} already"),
        (PARTITIONS, names[2], "partition 4: must be 0 to 3"),
        (-1, names[2], "partition -1: must be 0 to 3"),
        (3, names[2], f"{names[2]} has keys of this partition already: delete those that begin with dpresence:{{3}}t:"),
    ):
        with pytest.raises(MoveRefused) as caught:
            mover_of().move(partition, target)
        assert str(caught.value) == text
    with pytest.raises(BackendUnavailable):
        mover_of().move(MOVED, "127.0.0.1:1/0")
    assert directory.partition_move() is None
    assert [processes[1].status(user) for user in users] == ["online"] * PARTITIONS


@pytest.mark.parametrize(
    ("option", "values"),
    [("maxmemory-policy", ("noeviction", "volatile-lru")), ("appendonly", ("yes", "no")), ("appendfsync", ("always", "no"))],
)
def test_a_server_that_may_lose_more_or_less_is_refused(processes, servers, names, mover_of, option, values):
    before = servers[2].client.config_get(option)[option]
    servers[2].client.config_set(option, next(value for value in values if value != before))
    try:
        with pytest.raises(MoveRefused, match=f"{option} must be as at "):
            mover_of().move(MOVED, names[2])
    finally:
        servers[2].client.config_set(option, before)


def test_one_move_at_a_time(processes, servers, names, directory, mover_of):
    assert not move_until(mover_of, 3, names[2])
    with pytest.raises(MoveRefused, match="another call moves this partition, or was interrupted less than 15 s ago"):
        mover_of().move(MOVED, names[2])
    with pytest.raises(MoveRefused, match=r"^partition 1 has to be where it belongs first: a move to .* was interrupted: repeat"):
        mover_of().move(3, names[2])
    expire_locks(servers)
    mover_of().move(MOVED, names[2])
    mover_of().move(3, names[2])
    assert directory.partitions() == [names[0], names[2], names[0], names[2]]


def test_a_target_that_dies_meanwhile_leaves_the_partition_where_it_is(processes, users, servers, names, directory, mover_of):
    one, _ = processes
    bring(one, users)

    class Dying(PartitionKeys):
        def copy_to(self, other):
            servers[2].kill()
            return super().copy_to(other)

    with pytest.raises(BackendUnavailable, match="the move of partition 1 has not ended: repeat"):
        mover_of(Dying).move(MOVED, names[2])
    eventually(lambda: one.status(users[MOVED]) == "online")
    with pytest.raises(BackendUnavailable):
        mover_of().move(MOVED, names[2])
    mover_of().move(MOVED, names[1])
    assert directory.partition_move() is None
    assert one.status(users[MOVED]) == "online"
