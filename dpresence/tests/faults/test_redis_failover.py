"""A primary, a replica and three Sentinels, all real: planned failovers, a primary that dies, and a replica that lacks writes."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
import requests

from ..contract.sentinels import Group, guarded
from ..live.clients import activate
from ..live.service import Service, Site
from .beside import Meanwhile, Probe, backends
from .cluster import GONE_SECONDS, GRACE, Cluster, Stores
from .crowd import crowd

pytestmark = pytest.mark.faults

BACK_SECONDS = 5.0
DEVICES, RATE, LOST = 200, 100, 20
NOWHERE = 9
"""A port on which nothing listens."""


class Failover:
    """Exchanges the primary, and waits until a process is well again."""

    def __init__(self, group: Group, how: str, dies: Service, stays: Service) -> None:
        self._group = group
        self._how = how
        self._dies = dies
        self._stays = stays
        self.back_after = float("inf")

    def run(self) -> None:
        time.sleep(2)
        group, before = self._group, self._group.primary
        if self._how == "planned":
            group.fail_over()
        else:
            if "behind" in self._how:
                replica = next(port for port in group.servers if port != before)
                group.follow(replica, NOWHERE)
                time.sleep(2)
            if "process" in self._how:
                self._dies.kill()
            group.servers[before].kill()
            group.await_other_than(before)
        start = time.monotonic()
        while not self._is_well():
            assert time.monotonic() < start + 60, backends(self._stays)
            time.sleep(0.02)
        self.back_after = time.monotonic() - start

    def _is_well(self) -> bool:
        with suppress(requests.RequestException):
            return backends(self._stays) == (200, {"directory": True, "tracker": True, "mailbox": True, "redis": "ok"})
        return False


HOW = ["planned", "the primary dies", "the replica is behind", "the replica is behind, and a process dies as well"]


@pytest.mark.parametrize("how", HOW)
def test_after_a_failover_every_table_is_right_and_nobody_is_online_who_is_gone(postgresql, figures, how):
    """Devices are lost for good in the time that the replica does not know of."""
    name = f"Sentinel, {how}"
    with guarded(password="of-redis", sentinel_password="of-sentinels") as group, Site() as site:
        settings = {key: value for key, value in group.ini.items() if key != "redis.url"}
        with Cluster(Stores(group, postgresql), settings) as cluster:  # type: ignore[arg-type]
            dies, stays = cluster.start(), cluster.start()
            application = activate(stays.origin, site)
            failover = Failover(group, how, dies, stays)
            with crowd(cluster.seed(application.appid, DEVICES)) as all_, Probe(stays) as probe:
                all_.bring(dies.port, stays.port)
                moves = all_.audit(dies.port, application.appid, application.key)
                all_.audit(stays.port, application.appid, application.key)
                if "process" in how:
                    moves.port = stays.port
                all_.loop.later(3, lambda: all_.lose(all_.fleet.devices[:LOST]))
                with Meanwhile(failover.run):
                    all_.rate(10, RATE)
                assert all_.all_in(60), all_.report()
                refused = all_.fleet.refused.total()
                all_.say_again()
                figures.count(name, "updates refused afterwards", all_.fleet.refused.total() - refused, 0)
                figures.time(name, "applications are right about everybody after", all_.agree(GONE_SECONDS * 5), GONE_SECONDS)
                all_.loop.run(lambda: False, GRACE + 2)
                figures.count(name, "devices an application is wrong about", sum(len(all_.wrong(one)) for one in all_.auditors), 0)
                assert set(all_.fleet.refused) <= {201}, all_.fleet.refused
                figures.tell(name, "snapshots that both got", sum(one.counts["snapshots"] for one in all_.auditors))
            figures.time(name, "all is well after the Sentinels have promoted a replica", failover.back_after, BACK_SECONDS)
            if "behind" in how:
                assert "the server does not know this process" in stays.log()
            probe.tell(figures, name)
