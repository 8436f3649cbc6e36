"""Primaries of a Redis Cluster are lost or replaced, and slots move, while two processes use it."""

from __future__ import annotations

from contextlib import suppress

import pytest
from redis import RedisError
from redis.crc import key_slot

from dpresence.backends import load
from dpresence.errors import BackendUnavailable
from dpresence.model import GrantSet
from dpresence.tests.support import FakeClock
from dpresence.tests.waiting import eventually

from ..partitioned import Reader
from ..tracker_values import SignalListener, connect, grant, seen
from .steps import PARTITIONS, is_set, set_status

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("cluster", [5000], indirect=True)
def test_a_replica_that_is_promoted_goes_on_with_its_partitions(cluster, processes, users):
    one, two = processes
    reader, epoch = Reader(two), two.epoch
    cursor = two.cursor(reader.offset)
    away = cluster.primaries[1]
    gone = [number for number, node in enumerate(cluster.nodes_of(PARTITIONS)) if node is away]
    eventually(lambda: all(replica.client.dbsize() for replica in cluster.replicas))
    away.kill()
    for number, user in enumerate(users):
        if number not in gone:
            assert set_status(one, user, "unavailable")
    for number in gone:
        eventually(lambda user=users[number]: is_set(one, user, "unavailable"))
    eventually(lambda: reader.read() == 0 and set(reader.statuses.values()) == {"unavailable"})
    assert len(reader.entries) == PARTITIONS
    assert (two.epoch, two.offset("chess", cursor) is not None) == (epoch, True)
    away.start()
    eventually(lambda: away.client.info("replication")["role"] == "slave")
    for user in users:
        assert set_status(one, user, "online")
    eventually(lambda: reader.read() == 0 and set(reader.statuses.values()) == {"online"})


@pytest.mark.parametrize("cluster", [5000], indirect=True)
def test_a_primary_that_another_one_has_replaced_is_left(cluster, processes, users):
    one, two = processes
    reader = Reader(two)
    eventually(lambda: all(replica.client.dbsize() for replica in cluster.replicas))
    eventually(lambda: take_over(cluster.replicas[1]))
    for user in users:
        eventually(lambda user=user: is_set(one, user, "unavailable"))
    eventually(lambda: reader.read() == 0 and set(reader.statuses.values()) == {"unavailable"})
    assert {measures.server for measures in one.measures} == {cluster.nodes[number].name for number in (0, 2, 4)}
    assert len(reader.entries) == PARTITIONS


def take_over(replica):
    """Have a replica become the primary, which gives up after 5 s; return whether it is."""
    if replica.client.info("replication")["role"] != "master":
        with suppress(RedisError):
            replica.client.execute_command("CLUSTER", "FAILOVER")
    return replica.client.info("replication")["role"] == "master"


def move_slot(cluster, partition, during=lambda: None, first=()):
    """Move the slot of a partition to the next node key by key, as ``redis-cli --cluster reshard`` does.

    :param first: keys that are moved first.
    """
    slot = key_slot(f"dpresence:{{{partition}}}t:".encode())
    source = cluster.nodes_of(PARTITIONS)[partition]
    target = cluster.primaries[(cluster.primaries.index(source) + 1) % 3]
    target.tell("SETSLOT", slot, "IMPORTING", source.id)
    source.tell("SETSLOT", slot, "MIGRATING", target.id)
    while keys := first or source.tell("GETKEYSINSLOT", slot, 1):
        first = ()
        source.client.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        during()
    for node in (target, source, *cluster.primaries):
        node.tell("SETSLOT", slot, "NODE", target.id)
    return source, target


def test_a_slot_that_moves_while_nobody_uses_it_keeps_everything(cluster, processes, users):
    one, two = processes
    reader, epoch = Reader(two), one.epoch
    _, target = move_slot(cluster, 3)
    eventually(lambda: is_set(one, users[3], "unavailable"))
    assert target.client.exists(f"dpresence:{{3}}t:user:{users[3]}")
    eventually(lambda: reader.read() == 0 and reader.statuses == seen(one))
    assert (one.epoch, len(reader.entries)) == (epoch, 1)


def test_a_slot_that_moves_in_use_voids_cursors_and_never_loses_a_change(cluster, processes, users):
    one, two = processes
    listener, cursor = SignalListener(one), two.cursor(Reader(two).offset)
    changes = iter(range(10_000))

    def change():
        for tracker in processes:
            with suppress(BackendUnavailable):
                set_status(tracker, users[3], "unavailable" if next(changes) % 2 else "online")
            with suppress(BackendUnavailable):
                connect(tracker, user=f"{users[3]}", device="laptop", connection="c9", grants=(grant(users[3]),))

    source, target = move_slot(cluster, 3, change)
    eventually(lambda: one.ping() is None and two.ping() is None)
    eventually(lambda: ("forgotten", "") in listener.received())
    assert two.offset("chess", cursor) is None
    assert one.devices(users[3]) == []  # they are connected again
    connect(one, user=users[3], grants=(grant(users[3]),))
    assert Reader(two).statuses[f"{users[3]}-in-chess"] == "online"
    with suppress(RedisError):
        assert not source.client.keys("dpresence:{3}t:*")
    assert target.client.keys("dpresence:{3}t:*")


def test_a_slot_that_moves_does_not_touch_the_other_partitions_of_a_batch(cluster, processes, users):
    one, two = processes
    for status in ("unavailable", "online") * 3:
        set_status(one, users[3], status)
    head, answers = one._parts[7].head("chess"), []

    def change_both():
        if not answers:
            one._parts[3]._client.submit(("head", 3, "chess", ""), lambda answer: None)  # in the same section as the change that fails
            for user in (users[3], users[7]):
                one.begin_update(user, "phone", "c1", "unavailable", GrantSet(0, (grant(user),)), answers.append)
            eventually(lambda: len(answers) == 2)

    move_slot(cluster, 3, change_both, [b"dpresence:{3}t:view:chess"])
    assert [isinstance(answer, BackendUnavailable) for answer in answers] == [True, False]
    assert one._parts[7].head("chess") == head + 1
    assert two._parts[7].latest("chess", [f"{users[7]}-in-chess"])[f"{users[7]}-in-chess"].status == "unavailable"


def test_a_cluster_of_which_no_node_answers_is_an_error(settings, cluster):
    cluster.kill()
    with pytest.raises(BackendUnavailable, match=r"redis\.urls: the Redis 127\.0\.0\.1:\d+/0 does not answer"):
        load(settings, FakeClock())
