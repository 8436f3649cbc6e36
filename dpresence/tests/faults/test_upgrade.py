"""An upgrade from the previous version: a rolling restart under load, and what that version has stored (docs/upgrades.md)."""

from __future__ import annotations

import random
import signal
from contextlib import contextmanager

import pytest
import requests

from bench.loop import Loop
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

from ..live.cluster import URLS, Citizen, Cluster, activate, issuer
from .beside import Meanwhile
from .cluster import stores
from .previous import Package
from .society import Actor, Society

pytestmark = pytest.mark.faults

SEED = random.randrange(1, 1_000_000)
PEOPLE, APPLICATIONS, WORKERS = 60, 2, 2
CHURN, CALLS = 25.0, 2.0
"""Things that devices and services do, and calls of each of two actors, per second."""
BUSY_SECONDS = 8.0
"""Seconds of load before, between and after the restarts."""
SETTLED_SECONDS = 60.0
SETTINGS = {
    "presence.grace_seconds = 15": "presence.grace_seconds = 5",
    "presence.sweep_seconds = 5": "presence.sweep_seconds = 1",
    "presence.lease_seconds = 60": "presence.lease_seconds = 20",
    "presence.refresh_seconds = 20": "presence.refresh_seconds = 5",
}


class Guest:
    """A person with a browser session, a ticket and a paired device, who does not sign in with an assertion again."""

    def __init__(self, machine, email):
        self._citizen, self._browser = Citizen(machine.origin, email), requests.Session()
        csrf = self._post("/login", {"assertion": self._citizen.assertion()})["csrf"]
        codes = self._post("/pair", {"device": "lamp", "client": "Example lamp"})
        self._post("/pair/answer", {"code": codes["user_code"], "allow": True}, csrf)
        self._proofs = {"lamp": self._post("/pair/token", {"device_code": codes["device_code"]})["credential"]}
        with self._citizen.device("online", device="phone", ticket=True) as device:
            self._proofs["phone"] = device.ticket

    def _post(self, path, body, csrf=""):
        url, headers = self._citizen.origin + path, {"X-CSRF-Token": csrf}
        answer = self._browser.post(url, json=body, headers=headers, timeout=PATIENCE_SECONDS)
        assert answer.ok, answer.text
        return answer.json()

    def assert_signed_in(self):
        """Fail if the session, the ticket or the credential has ended."""
        answer = self._browser.get(f"{self._citizen.origin}/account", timeout=PATIENCE_SECONDS)
        assert answer.status_code == 200, answer.text
        for name, proof in self._proofs.items():
            self._citizen.device("online", assertion=proof, device=name).close()


class Upgrade:
    """Two machines of a cluster that runs the previous version, with people, devices and app services."""

    def __init__(self, servers, folder):
        database = servers.postgresql.make_database("upgrade")
        urls = (f"directory.url = {database}", f"redis.url = {servers.redis.url}")
        self.database = database
        self.packages, self.machines = [], []
        for name in ("one", "two"):
            own = folder / name
            own.mkdir()
            self.packages.append(Package(own))
            changes = dict(zip(URLS, urls, strict=True)) | SETTINGS | issuer(own)
            self.machines.append(Cluster(own, changes, self.packages[-1].source))
            self.packages[-1].used_by(self.machines[-1])
            self.machines[-1].start()
        self.loop = Loop()
        self.society = Society(self.loop, [machine.port for machine in self.machines], PEOPLE, SEED)
        self.wrong, self.lost = [], []
        owner = Citizen(self.machines[0].origin, "dev@example.org")
        self.applications = [activate(owner, database) for _ in range(APPLICATIONS)]
        appids = [application.appid for application in self.applications]
        self.actors = [Actor(self.society, self.society.humans[half::2], appids, CALLS, SEED + half) for half in range(2)]
        self.guests = [Guest(machine, f"guest{number}@example.org") for number, machine in enumerate(self.machines)]

    def start(self):
        """Let everybody come."""
        for actor in self.actors:
            actor.grant_all()
            actor.start()
        self.society.serve(self.applications)
        for number, device in enumerate(self.society.devices):
            self.loop.later(number / 40, device.come)
        self.society.churn(CHURN)

    def cycle(self, what=lambda: None):
        """Let everything happen, do something meanwhile, and compare every view with the truth at the end."""
        self._busy(True)
        with Meanwhile(what) as beside:
            self.loop.run(lambda: not beside.is_alive(), 300)
        self.loop.run(lambda: False, BUSY_SECONDS)
        self._busy(False)
        self.loop.run(lambda: all(actor.idle.is_set() for actor in self.actors), 150)
        for actor in self.actors:
            if actor.failure is not None:
                raise actor.failure
        self.wrong += self.society.settle(SETTLED_SECONDS)
        self.lost += self.society.missing(SETTLED_SECONDS)

    def _busy(self, busy):
        self.society.busy = busy
        for actor in self.actors:
            (actor.running.set if busy else actor.running.clear)()

    def reload(self, number):
        """Replace the workers of a machine, one after the other."""
        machine = self.machines[number]
        before = set(machine.workers())
        machine.send_signal(signal.SIGHUP)
        eventually(lambda: not before & set(machine.workers()) and len(machine.ready()) >= WORKERS, 240)

    def refuse_to_reload(self, number):
        """Reload a machine whose version is older than the database; its workers go on."""
        machine = self.machines[number]
        before = set(machine.workers())
        machine.send_signal(signal.SIGHUP)
        eventually(
            lambda: (
                "must be a database of this version or an older one" in machine.log()
                and "the running workers are not replaced" in machine.log()
            )
        )
        assert before <= set(machine.workers())

    def upgrade(self, number):
        """Install this version on a machine and reload its service."""
        self.packages[number].upgrade()
        self.reload(number)

    def end(self):
        """Let everybody leave."""
        for actor in self.actors:
            actor.over.set()
            actor.join()
        self.society.end()


@contextmanager
def previous_version(folder):
    with stores(fsync="always") as servers:
        upgrade = Upgrade(servers, folder)
        try:
            yield upgrade
            for machine in upgrade.machines:
                assert machine.stop() == 0
        finally:
            for machine in upgrade.machines:
                machine.kill()
    for machine in upgrade.machines:
        machine.assert_clean()


def test_a_rolling_upgrade_under_load_loses_nothing_and_signs_nobody_out(tmp_path, figures):
    name = "rolling upgrade of 2 machines"
    with previous_version(tmp_path) as upgrade:
        upgrade.start()
        upgrade.cycle()
        upgrade.cycle(lambda: upgrade.upgrade(0))
        upgrade.cycle(lambda: upgrade.refuse_to_reload(1))
        upgrade.cycle(lambda: upgrade.upgrade(1))
        for guest in upgrade.guests:
            guest.assert_signed_in()
        upgrade.end()
        society = upgrade.society
        assert society.book.total > 0
        figures.count(name, "wrong views or clients that stay away", len(upgrade.wrong), 0)
        figures.count(name, f"lost of {society.book.total} notifications", len(upgrade.lost), 0)
        figures.count(name, "notifications that came twice", society.book.doubled, 0)
        figures.count(name, "holes in feeds", sum(one.holes for one in society.services), 0)
        figures.count(name, "updates after a revocation", sum(one.after_revoke for one in society.services), 0)
