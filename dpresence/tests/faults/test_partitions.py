"""Partitions on three real servers, of which one is killed under load and comes back, or on two primaries of which one fails over."""

from __future__ import annotations

import time
from contextlib import ExitStack

import pytest

from ..contract.redis import RedisServer
from ..contract.redis import running as running_redis
from ..contract.sentinels import Group, guarded
from ..live.clients import activate
from ..live.service import Site
from .beside import Meanwhile, Probe, backends
from .cluster import GONE_SECONDS, GRACE, Cluster, Stores
from .crowd import crowd
from .partitioned_people import compare_pauses, compare_refused, follow_others, people_in

pytestmark = pytest.mark.faults

PARTITIONS, DEVICES, RATE = 8, 200, 100
AWAY_SECONDS = 4.0


@pytest.fixture
def servers():
    with ExitStack() as started:
        yield [started.enter_context(running_redis(fsync="always")) for _ in range(3)]


class Outage:
    """Kills a server, leaves it away for a while, and starts it again, with its data or without."""

    def __init__(self, server: RedisServer, keeps_data: bool) -> None:
        self._server = server
        self._keeps_data = keeps_data

    def run(self) -> None:
        time.sleep(2)
        self._server.kill()
        time.sleep(AWAY_SECONDS)
        if not self._keeps_data:
            self._server.forget()
        self._server.start()


@pytest.mark.parametrize("keeps_data", [True, False], ids=["with its data", "without its data"])
def test_users_of_the_other_partitions_notice_nothing_of_a_server_that_dies(postgresql, servers, figures, keeps_data):
    name = f"one of three servers dies and returns {'with' if keeps_data else 'without'} its data"
    settings = {"redis.urls": " ".join(server.url for server in servers), "redis.partitions": PARTITIONS}
    with Site() as site, Cluster(Stores(servers[0], postgresql), settings) as cluster:
        one, two = cluster.start(), cluster.start()
        application = activate(one.origin, site)
        with crowd(cluster.seed(application.appid, DEVICES)) as all_, Probe(one) as probe:
            away = people_in(cluster.url, PARTITIONS, range(2, PARTITIONS, 3))
            all_.bring(one.port, two.port)
            for process in (one, two):
                all_.audit(process.port, application.appid, application.key)
            follow_others(all_, away, 2 + AWAY_SECONDS / 2, until=None if keeps_data else 2 + AWAY_SECONDS)
            with Meanwhile(Outage(servers[2], keeps_data).run):
                all_.rate(2 + AWAY_SECONDS + 4, RATE)
            assert all_.all_in(60), all_.report()
            all_.loop.run(lambda: backends(one)[0] == backends(two)[0] == 200, 30)
            compare_refused(all_, away, figures, name)
            compare_pauses(all_, figures, name)
            all_.say_again()
            figures.time(name, "applications are right about everybody after", all_.agree(GONE_SECONDS * 2), GONE_SECONDS)
            all_.loop.run(lambda: False, GRACE + 2)
            figures.count(name, "devices an application is wrong about", sum(len(all_.wrong(one)) for one in all_.auditors), 0)
            if keeps_data:
                figures.count(name, "snapshots after the first", sum(each.counts["snapshots"] - 1 for each in all_.auditors), 0)
                figures.count(name, "holes", sum(each.holes for each in all_.auditors), 0)
        probe.tell(figures, name)


class Failover:
    """Exchanges the roles of a primary and its replica, or kills the primary."""

    def __init__(self, group: Group, is_planned: bool) -> None:
        self._group = group
        self._is_planned = is_planned

    def run(self) -> None:
        time.sleep(2)
        if self._is_planned:
            self._group.fail_over()
        else:
            before = self._group.primary
            self._group.servers[before].kill()
            self._group.await_other_than(before)


@pytest.mark.parametrize("is_planned", [True, False], ids=["planned", "the primary dies"])
def test_users_of_the_other_primary_notice_nothing_of_a_failover(postgresql, figures, is_planned):
    name = f"failover of one of two primaries, {'planned' if is_planned else 'as it dies'}"
    with (
        guarded(password="of-redis") as first,
        guarded(password="of-redis", name="second", beside=first) as second,
        Site() as site,
        Cluster(
            Stores(first, postgresql),  # type: ignore[arg-type]
            {
                **{key: value for key, value in first.ini.items() if key != "redis.url"},
                **{"redis.urls": f"{first.url} redis://:of-redis@second/0", "redis.partitions": PARTITIONS},
            },
        ) as cluster,
    ):
        one, two = cluster.start(), cluster.start()
        application = activate(one.origin, site)
        with crowd(cluster.seed(application.appid, DEVICES)) as all_, Probe(one) as probe:
            away = people_in(cluster.url, PARTITIONS, range(1, PARTITIONS, 2))
            all_.bring(one.port, two.port)
            for process in (one, two):
                all_.audit(process.port, application.appid, application.key)
            follow_others(all_, away, 2.2)
            with Meanwhile(Failover(second, is_planned).run):
                all_.rate(10, RATE)
            assert all_.all_in(60), all_.report()
            all_.loop.run(lambda: backends(one)[0] == backends(two)[0] == 200, 30)
            compare_refused(all_, away, figures, name, is_noticed=not is_planned)
            snapshots = sum(each.counts["snapshots"] - 1 for each in all_.auditors)
            figures.tell(name, "snapshots after the first", snapshots)  # if the replica lacked acknowledged changes
            if not snapshots:
                compare_pauses(all_, figures, name)
                figures.count(name, "holes", sum(each.holes for each in all_.auditors), 0)
            refused = all_.fleet.refused.total()
            all_.say_again()
            figures.count(name, "updates refused afterwards", all_.fleet.refused.total() - refused, 0)
            figures.time(name, "applications are right about everybody after", all_.agree(GONE_SECONDS * 2), GONE_SECONDS)
            all_.loop.run(lambda: False, GRACE + 2)
            figures.count(name, "devices an application is wrong about", sum(len(all_.wrong(one)) for one in all_.auditors), 0)
        probe.tell(figures, name)
