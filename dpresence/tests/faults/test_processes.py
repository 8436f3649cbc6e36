"""Processes of one service that die, are cut off (T22) or are replaced one by one: the others go on, and nothing stays wrong."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack

import pytest

from ..live.clients import AppService, Device, Person, activate
from ..live.service import Site
from .beside import Meanwhile, Probe, backends
from .cluster import GONE_SECONDS, LEASE, SWEEP, Cluster, replace_each, stores
from .crowd import crowd
from .proxy import Proxy, to_unix

pytestmark = pytest.mark.faults

CUT_SECONDS = [float(os.environ["AWAY_SECONDS"])] if "AWAY_SECONDS" in os.environ else [LEASE / 2, LEASE * 1.5]
"""T22 asks for 60. Within the lease of a process, and beyond it."""
BACK_SECONDS = 5.0
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


def wait_for_update(service, wanted):
    """Wait until an application's service receives an update; ignore earlier ones."""
    while service.next_updates()[0] != wanted:
        pass


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
        cut, whole = cluster.start(f"redis://127.0.0.1:{proxy.port}"), cluster.start()
        application = activate(whole.origin, site)
        with crowd(cluster.seed(application.appid, 200)) as all_, Witnesses(application, cut, whole) as witnesses, Probe(cut) as probe:
            all_.bring(cut.port, whole.port)
            there = all_.audit(cut.port, application.appid, application.key)
            here = all_.audit(whole.port, application.appid, application.key)

            def partition():
                time.sleep(2)
                proxy.cut()
                start = time.monotonic()
                witnesses.while_cut()
                time.sleep(max(0.0, seconds - (time.monotonic() - start)))
                proxy.heal()
                start = time.monotonic()
                witnesses.once_healed()
                partition.back_after = time.monotonic() - start

            roaming = all_.fleet.devices[:20]
            all_.loop.later(2 + seconds / 2, lambda: [device.drop() for device in roaming])
            with Meanwhile(partition):
                all_.rate(seconds + 2 + BACK_SECONDS, 50)
            assert all_.all_in(30), all_.report()
            refused = all_.fleet.refused.total()
            all_.say_again()
            figures.count(name, "updates refused once it was healed", all_.fleet.refused.total() - refused, 0)
            figures.time(name, "both sides are right about everybody after", all_.agree(GONE_SECONDS), GONE_SECONDS)
            figures.time(name, "the one cut off is well after it is healed", partition.back_after, BACK_SECONDS)
            figures.tell(name, "refused with 201 at the one cut off", all_.fleet.refused[201])
            figures.count(name, "devices that lost their connection", all_.fleet.ends.total() - len(roaming), 0)
            figures.count(name, "holes in the feeds of both", there.holes + here.holes, 0)
            devices = [Person(whole.origin, device.email).call("GET", "/devices")["devices"] for device in roaming]
            figures.count(name, "devices twice", sum(len(one) - 1 for one in devices), 0)
        probe.tell(figures, name)


class Witnesses:
    """One person who revokes and one who moves to the other process meanwhile, and an app service at each process."""

    def __init__(self, application, cut, whole):
        self._cut, self._whole, self._application = cut, whole, application
        self._open = ExitStack()

    def __enter__(self):
        revoker, mover = Person(self._whole.origin, "revoker@example.org"), Person(self._whole.origin, "mover@example.org")
        self._puid, moved = revoker.grant(self._application), mover.grant(self._application)
        self._revoker, self._mover = revoker, mover
        self._device = self._enter(Device(Person(self._cut.origin, revoker.email)))
        self._older = self._enter(Device(Person(self._cut.origin, mover.email)))
        self._there = self._enter(AppService(self._application, origin=self._cut.origin))
        self._there.authenticate()
        self._device.sign_in("online")
        self._older.sign_in("online", device="phone")
        assert {puid for puid, _, _ in self._there.next_updates(2)} == {self._puid, moved}
        return self

    def __exit__(self, *_):
        self._open.close()

    def _enter(self, channel):
        return self._open.enter_context(channel)

    def while_cut(self):
        """The one who is cut off says so; what happens at the other is done."""
        refused = self._device.ask(email=self._revoker.email, status="unavailable")
        assert (refused["errno"], refused["retry_after"]) == (201, 5)
        assert backends(self._cut) == (503, {"directory": True, "tracker": False, "mailbox": False, "redis": "unreachable"})
        assert backends(self._whole)[0] == 200
        self._revoker.call("DELETE", f"/grant/{self._application.appid}", status=204)
        self._newer = self._enter(Device(self._mover))
        self._newer.sign_in("online", device="phone")
        assert self._notify() == 110  # looked up at each send, also by a process that got no signal

    def once_healed(self):
        """Check that missed updates arrive after the recovery."""
        while backends(self._cut)[0] != 200:
            time.sleep(0.05)
        wait_for_update(self._there, (self._puid, "offline", "revoked"))
        assert self._older.wait_closed()[0] == 4010
        self._newer.say("unavailable")
        self._device.say("online")
        self._device.say("unavailable")
        assert self._notify() == 110
        (kept,) = self._mover.call("GET", "/devices")["devices"]
        assert (kept["device"], kept["connected"]) == ("phone", True)

    def _notify(self):
        return self._there.notify({"puid": self._puid})[0]["errno"]


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
