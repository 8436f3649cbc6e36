"""T3: Redis is killed under load and restarted, with or without its data, or is restarted in order; the service continues."""

from __future__ import annotations

import os
import time

import pytest

from ..live.clients import Person, activate
from ..live.service import Site
from .beside import Meanwhile, Probe, backends
from .cluster import GONE_SECONDS, Cluster, in_partitions, stores
from .crowd import crowd

pytestmark = pytest.mark.faults

AWAY_SECONDS = float(os.environ.get("AWAY_SECONDS", "8"))
"""Seconds for which Redis is unavailable; T3 asks for 30."""
DEVICES, RATE = 300, 200
LOST = 40
"""Devices that are lost while it is away."""
BACK_SECONDS = 5.0


CASES = [
    *(("always", "killed", 1), ("always", "emptied", 1), ("always", "restarted", 1), ("everysec", "killed", 1)),
    *(("always", "killed", 3), ("always", "emptied", 8), ("everysec", "killed", 8)),
]
"""Value of ``appendfsync``, what happens to Redis, and the number of partitions of the tracker that it has."""


@pytest.fixture(scope="module")
def fsync(request):
    """Value of ``appendfsync``."""
    return request.param


@pytest.fixture(scope="module")
def servers(fsync):
    with stores(fsync=fsync) as servers:
        yield servers


@pytest.fixture
def partitions():
    """Number of partitions of the tracker."""
    return 1


@pytest.fixture
def cluster(servers, partitions):
    with Cluster(servers, {"redis.partitions": partitions}) as cluster:
        cluster.start()
        yield cluster


@pytest.fixture
def process(cluster):
    return cluster.processes[0]


@pytest.fixture
def application(process):
    with Site() as site:
        yield activate(process.origin, site)


@pytest.mark.parametrize(("fsync", "how", "partitions"), CASES, indirect=["fsync"])
def test_t3_the_service_outlives_redis(cluster, process, application, figures, how, fsync, partitions):
    name = f"T3 {how}, fsync {fsync}{in_partitions(partitions)}"
    people = cluster.seed(application.appid, DEVICES)
    outage = Outage(process, cluster.stores.redis, how)
    with crowd(people) as all_, Probe(process) as probe, Person(process.origin, "one@example.org").device() as device:
        all_.bring(process.port)
        auditor = all_.audit(process.port, application.appid, application.key)
        all_.loop.later(2 + outage.seconds / 2, lambda: all_.lose(all_.fleet.devices[:LOST]))
        with Meanwhile(lambda: outage.run(device, after=2)):
            all_.rate(outage.seconds + 2 + BACK_SECONDS, RATE)
        assert all_.all_in(30), all_.report()
        refused = all_.fleet.refused.total()
        all_.say_again()
        figures.count(name, "updates refused once it was back", all_.fleet.refused.total() - refused, 0)
        figures.time(name, "applications are right about everybody after", all_.agree(GONE_SECONDS), GONE_SECONDS)
        assert set(all_.fleet.refused) <= {201}, all_.fleet.refused
        figures.count(name, "devices that lost their connection", all_.fleet.ends.total() - LOST, 0)
        figures.tell(name, "updates refused with 201 meanwhile", all_.fleet.refused[201])
        figures.count(name, "holes in the feed", auditor.holes, 0)
    outage.tell(figures, name)
    probe.tell(figures, name)


@pytest.mark.parametrize("fsync", ["always"], indirect=True)
def test_grants_pauses_and_revocations_while_redis_is_away_are_reported_once_it_is_back(servers, figures, fsync):
    with Cluster(servers, {"presence.sweep_seconds": 60}) as cluster, Site() as site:
        process = cluster.start()
        check_sent(cluster, process, activate(process.origin, site), figures, f"grants, fsync {fsync}")


def check_sent(cluster, process, application, figures, name):
    """Nobody waits for a sweep."""
    paused, revoked, granted = (Person(process.origin, f"{name}@example.org") for name in ("paused", "revoked", "granted"))
    hidden, gone = paused.grant(application), revoked.grant(application)
    path = f"/grant/{application.appid}"
    with application.service() as app_service, paused.device(), revoked.device(), granted.device():
        assert {puid for puid, _, _ in app_service.next_updates(2)} == {hidden, gone}
        cluster.stores.redis.kill()
        paused.call("PATCH", path, {"paused": True})
        revoked.call("DELETE", path)
        new = granted.grant(application)
        cluster.stores.redis.start()
        start = time.monotonic()
        received = set()
        while received != {(hidden, "offline", "explicit"), (gone, "offline", "revoked"), (new, "online", "granted")}:
            received |= set(app_service.next_updates(1, 70))
        figures.time(name, "until an application gets updates after Redis is back", time.monotonic() - start, BACK_SECONDS)


def change(device):
    """Have a device say another status; return the answer."""
    device.status = "online" if getattr(device, "status", "online") == "unavailable" else "unavailable"
    return device.ask(email=device.person.email, status=device.status)


class Outage:
    """Redis goes and comes back; what a device, a heartbeat and the process say to that."""

    def __init__(self, process, redis, how):
        self._process, self._redis = process, redis
        self._end = {"killed": redis.kill, "emptied": redis.forget, "restarted": redis.stop}[how]
        self.seconds = 0.5 if how == "restarted" else AWAY_SECONDS
        self._heartbeats, self._answers, self._back_after = [], [], float("inf")

    def run(self, device, after):
        time.sleep(after)
        self._end()
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            self._heartbeats.append(backends(self._process))
            self._answers.append(change(device))
            time.sleep(0.5)
        self._redis.start()
        start = time.monotonic()
        while (answer := change(device)) != {"result": "OK"} or backends(self._process)[0] != 200:
            assert time.monotonic() < start + 60, (answer, backends(self._process))
            time.sleep(0.02)
        self._back_after = time.monotonic() - start

    def tell(self, figures, name):
        assert set(map(str, self._heartbeats)) == {
            str((503, {"directory": True, "tracker": False, "mailbox": False, "redis": "unreachable"}))
        }
        assert {(answer["errno"], answer["retry_after"]) for answer in self._answers} == {(201, 5)}
        assert self._process.alive
        figures.time(name, "all is well after Redis is back", self._back_after, BACK_SECONDS)
