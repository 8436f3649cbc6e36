"""Processes of one service that die, are cut off (T22) or are replaced one by one: the others go on, and nothing stays wrong."""

from __future__ import annotations

import time
from contextlib import ExitStack

import pytest

from ..live.clients import AppService, Person, activate
from ..live.service import Site
from .beside import Meanwhile, Probe
from .cluster import GONE_SECONDS, LEASE, SWEEP, Cluster, replace_each, stores
from .crowd import crowd
from .cut_off import BACK_SECONDS, CUT_SECONDS, CutOff, cut_off, wait_for_update
from .proxy import Proxy, to_unix

pytestmark = pytest.mark.faults

REVOKED_SECONDS = 1.0
RETURN_SECONDS = 10
"""The grace of a rolling restart: asked to reconnect in a second, a device does so within two, or is turned away once more."""
TURNS = 20


@pytest.fixture(scope="module")
def servers():
    with stores(fsync="always") as servers:
        yield servers


@pytest.fixture
def cluster(servers):
    with Cluster(servers) as cluster:
        yield cluster


@pytest.fixture
def patient_cluster(servers):
    """A grace period for lost devices that is nearly the default."""
    with Cluster(servers, {"presence.grace_seconds": RETURN_SECONDS}) as cluster:
        yield cluster


@pytest.fixture
def site():
    with Site() as site:
        yield site


# -- kill -9


def test_a_process_killed_while_500_devices_update_leaves_no_ghost_and_no_hole(cluster, site, figures):
    dies, stays = cluster.start(), cluster.start()
    application = activate(stays.origin, site)
    name = "kill -9 of one of two processes"
    with crowd(cluster.seed(application.appid, 500)) as all_, Probe(stays) as probe:
        all_.bring(dies.port, stays.port)
        moves = all_.audit(dies.port, application.appid, application.key)
        all_.audit(stays.port, application.appid, application.key)
        moves.port = stays.port

        def strike():
            dies.kill()
            strike.at = time.monotonic()
            all_.lose(all_.fleet.devices[:50])  # those never come back

        all_.loop.later(3, strike)
        all_.rate(8, 200)
        assert all_.all_in(30), all_.report()
        all_.say_again()
        all_.agree(GONE_SECONDS * 5)
        figures.time(name, "no ghost, and everybody right, after", time.monotonic() - strike.at, LEASE + SWEEP + 1)
        figures.count(name, "devices an application is wrong about", sum(len(all_.wrong(one)) for one in all_.auditors), 0)
        figures.count(name, "holes in the feeds of both", sum(one.holes for one in all_.auditors), 0)
        assert (moves.counts["replayed"], moves.counts["snapshots"]) == (1, 1)
        figures.tell(name, "devices that came back, refusals", f"{all_.fleet.ends.total() - 50}, {all_.fleet.refused.total()}")
    probe.tell(figures, name)


# -- T22: cut off from Redis


@pytest.mark.parametrize("seconds", CUT_SECONDS)
def test_t22_a_process_cut_off_from_redis_recovers_without_a_trace(cluster, site, figures, seconds):
    name = f"T22, {seconds:g} s"
    with Proxy(to_unix(cluster.stores.redis.socket)) as proxy:
        cut, whole = cluster.start({"redis.url": f"redis://127.0.0.1:{proxy.port}"}), cluster.start()
        with Probe(cut) as probe:
            said = {"directory": True, "tracker": False, "mailbox": False, "redis": "unreachable"}
            cut_off(CutOff(cluster, site, cut, whole, [proxy], said), figures, name, seconds)
        probe.tell(figures, name)


# -- one after another


def test_three_processes_replaced_one_by_one_make_nobody_look_offline(patient_cluster, site, figures):
    cluster = patient_cluster
    processes = [cluster.start() for _ in range(3)]
    application = activate(processes[0].origin, site)
    name = "rolling restart of 3 processes"
    with crowd(cluster.seed(application.appid, 240)) as all_:
        all_.bring(*[process.port for process in processes])
        for process in processes[:2]:
            all_.audit(process.port, application.appid, application.key)
        ports = [process.port for process in processes]
        all_.spread(ports)

        def replace_all():
            replace_each(processes, ports)
            time.sleep(RETURN_SECONDS + SWEEP)  # whoever is not back by now is said to be offline
            replace_all.over = True

        replace_all.over = False
        with Meanwhile(replace_all):
            while not replace_all.over:
                all_.rate(1, 100)
        assert all_.all_in(30), all_.report()
        all_.say_again()
        figures.time(name, "applications are right about everybody after", all_.agree(30), BACK_SECONDS)
        figures.count(name, "offline seen by two applications' services", sum(one.offlines() for one in all_.auditors), 0)
        figures.count(name, "holes in their feeds", sum(one.holes for one in all_.auditors), 0)
        assert all_.fleet.ends[4200] >= 240
        figures.tell(name, "ends of devices by code, refusals", f"{dict(all_.fleet.ends)}, {dict(all_.fleet.refused)}")


# -- a revoke


def test_a_revoke_is_seen_by_every_process_at_once_and_checked_at_send(cluster, site, figures):
    processes = [cluster.start() for _ in range(3)]
    application = activate(processes[0].origin, site)
    slowest = sent = 0.0
    with ExitStack() as open_:
        services = [open_.enter_context(AppService(application, origin=process.origin)) for process in processes]
        for service in services:
            service.authenticate()
        people = [Person(process.origin, "one@example.org") for process in processes]
        devices = [open_.enter_context(person.device(device=f"d{number}")) for number, person in enumerate(people)]
        for turn in range(TURNS):
            puid = people[turn % 3].grant(application)
            for service in services:
                wait_for_update(service, (puid, "online", "granted"))
            for device in devices:
                device.say("unavailable")
                device.say("online")  # now each process has cached the user's grants
            people[(turn + 1) % 3].call("DELETE", f"/grant/{application.appid}", status=204)
            start = time.monotonic()
            sent += sum(service.notify({"puid": puid})[0].get("errno") != 110 for service in services)
            for service in services:
                wait_for_update(service, (puid, "offline", "revoked"))
            slowest = max(slowest, time.monotonic() - start)
            for device in devices:
                device.say("unavailable")
                device.say("online")
        for service in services:
            service.assert_no_updates()
    figures.time("revoke", f"until 3 processes know, the slowest of {TURNS}", slowest, REVOKED_SECONDS)
    figures.count("revoke", f"accepted of {3 * TURNS} notifications sent right after", sent, 0)
