"""A tracker of one partition is split while two processes use it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dpresence.backends import load
from dpresence.backends.tracker import StaleGrants
from dpresence.backends.tracker.partition_keys import PartitionKeys
from dpresence.errors import BackendUnavailable
from dpresence.model import GrantSet
from dpresence.tests.support import FakeClock, view_and_head
from dpresence.tests.waiting import eventually

from ..leases import lose
from ..partitioned import Reader
from ..redis_fixtures import let_buckets_fill
from ..tracker_values import RATED, SETTINGS, SignalListener, connect, grant, seen
from .steps import APPLICATIONS, PARTITIONS, bring, followed, grants, keys, set_status


def test_every_user_device_and_entry_is_in_its_partition_afterwards(processes, users, redis_server, name, directory, splitter_of):
    one, two = processes
    bring(one, users)
    set_status(one, users[3], "unavailable")
    connect(two, "tv", "c2", user=users[0], grants=grants(users[0]))
    before = {appid: view_and_head(two, appid)[0] for appid in APPLICATIONS}
    devices = {user: one.devices(user) for user in users}
    split = splitter_of().split(PARTITIONS)
    assert split.keys > len(users)
    assert (list(directory.partitions()), directory.partition_move()) == ([name] * PARTITIONS, None)
    former, partitions = keys(redis_server)
    assert not former and all(partitions)
    followed(one, two)
    for tracker in processes:
        assert {user: tracker.devices(user) for user in users} == devices
        for appid in APPLICATIONS:
            after = view_and_head(tracker, appid)[0]
            assert {puid: (entry.status, entry.at, entry.reason) for puid, entry in after.items()} == {
                puid: (entry.status, entry.at, entry.reason) for puid, entry in before[appid].items()
            }


def test_processes_go_on_with_their_devices_and_hear_of_each_other(processes, users, splitter_of):
    one, two = processes
    bring(one, users)
    bring_again = SignalListener(two)
    splitter_of().split(PARTITIONS)
    followed(one, two)
    assert ("missed", "") in bring_again.received()
    reader = Reader(two)
    for tracker in processes:
        tracker.renew()
        assert tracker.due() == []
    for number, user in enumerate(users):
        assert set_status(one, user, "unavailable" if number % 2 else "offline")
    eventually(lambda: reader.read() == 0 and len(reader.entries) == len(users))
    assert reader.statuses == seen(one)
    one.signal("mail", users[0])
    eventually(lambda: ("mail", users[0]) in bring_again.received())


def test_cursors_and_offsets_from_before_are_not_covered(processes, users, splitter_of):
    one, two = processes
    bring(one, users)
    reader = Reader(two)
    cursor, epoch = two.cursor(reader.offset), two.epoch
    assert two.offset("chess", cursor) == reader.offset
    splitter_of().split(PARTITIONS)
    followed(one, two)
    assert two.epoch != epoch
    for tracker in processes:
        assert tracker.offset("chess", cursor) is None
        assert tracker.assumed_offset(cursor) is None
        assert tracker.read("chess", reader.offset, 10) is None
        assert tracker.read_now("chess", reader.offset, 10) is None
        assert tracker.offset("chess", tracker.cursor(reader.offset)) is None
    new = Reader(one)
    assert not any(one.reached(reader.offset, entry) for page in one.view("chess") for entry in page.values())
    assert one.offset("chess", two.cursor(new.offset)) == new.offset


def test_a_grace_goes_on_and_ends(settings, users, splitter_of, processes):
    clock = FakeClock()
    backends = load(settings, clock)
    tracker = backends.tracker
    bring(tracker, users)
    for user in users[:4]:
        tracker.leave(user, "phone", "c1")
    clock.advance(SETTINGS.grace_seconds / 2)
    splitter_of().split(PARTITIONS)
    followed(tracker)
    assert tracker.due() == []
    assert connect(tracker, connection="c2", user=users[0], grants=grants(users[0])).resumed
    clock.advance(SETTINGS.grace_seconds / 2 + 1)
    assert set(tracker.due()) == set(users[1:4])
    for user in users[1:4]:
        assert tracker.expire(user, GrantSet(0, grants(user))).grace == 1
    assert [status for _, status in sorted(seen(tracker).items())].count("offline") == 3
    backends.close()


def test_the_devices_of_a_process_that_has_ended_are_expired_afterwards(settings, users, redis_server, splitter_of, processes):
    one, two = processes
    bring(one, users)
    (part,) = one._parts
    one._relocation.stop()
    lose(part)
    redis_server.client.hset("dpresence:t:processes", part._registration.process, "1 0")  # its lease is over
    assert set(two.due()) == set(users)
    splitter_of().split(PARTITIONS)
    followed(two)
    assert set(two.due()) == set(users)


def test_overrides_sign_outs_and_revisions_hold(processes, users, splitter_of):
    one, two = processes
    bring(one, users)
    user = users[5]
    one.apply_override(user, GrantSet(7, grants(user), "unavailable"))
    connect(one, "tv", "c9", user=users[0], grants=grants(users[0]))
    assert one.remove(users[0], "tv", GrantSet(0, grants(users[0])))
    splitter_of().split(PARTITIONS)
    followed(one, two)
    assert two.status(user) == "unavailable"
    with pytest.raises(StaleGrants):
        one.update(user, "phone", "c1", "online", GrantSet(6, grants(user)))
    assert two.signed_out(users[0], "tv", "c9", 0) and not two.signed_out(users[0], "phone", "c1", 0)


def test_a_postponed_change_is_sent_afterwards(settings, processes, users, redis_server, splitter_of):
    backends = load(replace(settings, presence=RATED), FakeClock())
    tracker, user = backends.tracker, users[6]
    bring(tracker, [user])
    while set_status(tracker, user, "unavailable") and tracker.sent_status(user) == "unavailable":
        set_status(tracker, user, "online")
    assert (tracker.status(user), tracker.sent_status(user)) == ("unavailable", "online")
    splitter_of().split(PARTITIONS)
    followed(tracker)
    assert tracker.sent_status(user) == "online"
    for number in range(PARTITIONS):
        let_buckets_fill(redis_server.client, 60, f"dpresence:{{{number}}}t:")
    assert list(tracker.postponed()) == [user]
    tracker.append_postponed(user, GrantSet(0, grants(user)))
    assert seen(tracker)[f"{user}-in-chess"] == "unavailable"
    backends.close()


def test_a_user_whose_grant_has_ended_is_left_out_of_the_feed(processes, users, splitter_of):
    one, two = processes
    bring(one, users)
    connect(one, user="revoked", grants=(grant("revoked"),))
    splitter_of().split(PARTITIONS)
    followed(one, two)
    assert set(seen(two)) == {f"{user}-in-chess" for user in users}


def test_a_damaged_feed_is_rebuilt_afterwards(processes, users, redis_server, splitter_of):
    one, two = processes
    bring(one, users)
    redis_server.client.hset("dpresence:t:feed:go", "damaged", 1)
    splitter_of().split(PARTITIONS)
    followed(one, two)
    listener = SignalListener(two)
    with pytest.raises(BackendUnavailable):
        seen(two, "go")
    assert ("damaged", "go") in listener.received()
    for user in users:
        two.append_current_status(grant(user, "go"), 0)
    two.rebuilt("go")
    assert seen(one, "go") == {f"{user}-in-go": "online" for user in users}
    assert len(seen(one, "chess")) == len(users)


def test_a_damaged_record_is_repaired_afterwards(processes, users, redis_server, splitter_of):
    one, two = processes
    bring(one, users)
    client = redis_server.client
    damaged = [(b"garbage", users[0]), (b"\x81\xa7devices\x01", users[2]), (b"\x81\xa7devices\x81\xa1a\x80", users[4])]
    for text, user in damaged:
        client.set(f"dpresence:t:user:{user}", text)
    client.delete(f"dpresence:t:user:{users[6]}")
    client.sadd(f"dpresence:t:user:{users[6]}", "a set")
    splitter_of().split(PARTITIONS)
    followed(one, two)
    listener, lost = SignalListener(two), users[:8:2]
    assert [two.devices(user) for user in lost] == [[]] * 4
    assert {("forgotten", user) for user in lost} <= set(listener.received())
    bring(one, lost)
    assert [two.status(user) for user in users] == ["online"] * len(users)


@pytest.mark.slow
def test_large_feeds_are_copied_completely(processes, splitter_of):
    one, two = processes
    users = [f"user-{number}" for number in range(1600)]
    for user in users:
        connect(one, user=user, grants=(grant(user),))
    splitter_of().split(PARTITIONS)
    followed(one, two)
    assert seen(two) == {f"{user}-in-chess": "online" for user in users}
    assert two.length(two.head("chess")) == PARTITIONS * len(users)  # each part begins where the former feed ended


def test_a_connection_without_an_answer_is_ended_afterwards(processes, users, splitter_of):
    one, _ = processes
    bring(one, users)
    part = one._parts[0]
    part._unanswered[users[2], "c1"] = object()
    splitter_of().split(PARTITIONS)
    followed(one)
    one.due()
    assert [device.connected for device in one.devices(users[2])] == [False]


def test_a_process_that_missed_the_signal_follows_with_its_next_call_or_renewal(processes, users, splitter_of, monkeypatch):
    one, two = processes
    bring(one, users)
    monkeypatch.setattr(PartitionKeys, "signal", lambda self: None)
    splitter_of().split(PARTITIONS)
    with pytest.raises(BackendUnavailable) as caught:
        set_status(one, users[0], "unavailable")
    assert (
        caught.value.reason
        == "refuses the tracker: it is being split, or was split after a backup of the database: see `dpresence partitions list`"
    )
    followed(one)
    assert len(two._parts) == 1
    with pytest.raises(BackendUnavailable):
        two.renew()
    followed(two)
    assert set_status(one, users[0], "unavailable") and two.status(users[0]) == "unavailable"


def test_a_new_process_starts_whatever_number_the_ini_had(settings, processes, users, splitter_of):
    bring(processes[0], users)
    splitter_of().split(PARTITIONS)
    for number in (1, PARTITIONS):
        backends = load(replace(settings, redis=replace(settings.redis, partitions=number)), FakeClock())
        assert [backends.tracker.status(user) for user in users] == ["online"] * len(users)
        backends.close()


def test_without_a_process_a_tracker_is_split_as_well(settings, processes, users, splitter_of):
    bring(processes[0], users)
    for tracker in processes:
        tracker.close()
    splitter_of().split(PARTITIONS)
    backends = load(settings, FakeClock())
    assert backends.tracker.status(users[-1]) == "online"
    backends.close()


def test_an_empty_tracker_is_split_as_well(processes, splitter_of):
    splitter_of().split(PARTITIONS)
    followed(*processes)
    assert seen(processes[0]) == {}
    connect(processes[0])
    assert processes[1].status("jane") == "online"
