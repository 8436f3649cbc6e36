"""T4: PostgreSQL hangs, as on a frozen machine: connections stay open and nothing is answered. The service continues."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import requests
from sqlalchemy import text

from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.postgresql import CONNECTIONS
from dpresence.tests.waiting import PATIENCE_SECONDS

from ..live.clients import Device, Person, activate
from ..live.service import Site
from .beside import Meanwhile, Probe, backends
from .cluster import Cluster, stores
from .crowd import crowd
from .support import settle

pytestmark = pytest.mark.faults

FROZEN_SECONDS = float(os.environ.get("AWAY_SECONDS", "20"))
ANSWER_SECONDS, BACK_SECONDS = 3.0, 5.0
DEVICES, RATE = 100, 50
AT_ONCE = 40
"""Calls at once that need the database, more than it has connections."""


@pytest.fixture(scope="module")
def servers():
    with stores() as servers:
        yield servers


@pytest.fixture(params=["redis", "sql"])
def cluster(servers, request):
    with Cluster(servers, {"mailbox": request.param}) as cluster:
        cluster.start()
        yield cluster


def test_t4_the_service_outlives_a_frozen_postgresql(cluster, figures, request):
    process, name = cluster.processes[0], f"T4, mailbox {request.node.callspec.params['cluster']}"
    with Site() as site:
        application = activate(process.origin, site)
    people = cluster.seed(application.appid, DEVICES)
    person = Person(process.origin, "one@example.org")
    puid = person.grant(application)
    with crowd(people) as all_, application.service() as app_service, person.device() as device, Probe(process) as probe:
        all_.bring(process.port)
        auditor = all_.audit(process.port, application.appid, application.key)
        app_service.next_updates()
        threads, files = threads_of(process), process.fds()
        outage = Outage(cluster, app_service, device, puid)
        with Meanwhile(outage.run):
            all_.rate(FROZEN_SECONDS + 2, RATE)
        assert all_.agree(10) < 10
        figures.tell(name, "updates while it is frozen: accepted, refused", f"{all_.fleet.done}, {all_.fleet.refused.total()}")
        figures.count(name, "holes in the feed", auditor.holes, 0)
        figures.time(name, "the longest a channel waits for its 201", max(outage.waited), ANSWER_SECONDS)
        figures.time(name, "all is well after it goes on", outage.back_after, BACK_SECONDS)
        assert app_service.notify({"puid": puid})[0]["delivered"]
        assert device.notifications(1)
    probe.tell(figures, name)
    figures.count(name, "threads more than before", settle(lambda: threads_of(process) - threads, 0), 0)
    figures.count(name, "file descriptors more than before", settle(lambda: process.fds() - files, CONNECTIONS), CONNECTIONS)
    figures.count(name, "connections to the database", settle(lambda: sessions(cluster.url), CONNECTIONS), CONNECTIONS)


class Outage:
    """PostgreSQL stands still; how long those wait who need it."""

    def __init__(self, cluster, app_service, device, puid):
        self._cluster, self._process = cluster, cluster.processes[0]
        self._app_service, self._device, self._puid = app_service, device, puid
        self.waited, self.back_after = [], float("inf")

    def run(self):
        with self._cluster.stores.postgresql.frozen():
            end = time.monotonic() + FROZEN_SECONDS
            while time.monotonic() < end:
                self._try()
        start = time.monotonic()
        while backends(self._process)[0] != 200 or self._notify().get("result") != "OK":
            assert time.monotonic() < start + 60
        self.back_after = time.monotonic() - start

    def _try(self):
        """Each sort of channel asks for something that needs the database; so do many calls at once."""
        crowd = [Meanwhile(lambda: self._call()) for _ in range(AT_ONCE)]
        for one in crowd:
            one.start()
        self._refused(self._notify)
        with Device(Person(self._process.origin, "new@example.org")) as stranger:
            first = {"email": "new@example.org", "assertion": stranger.person.assertion(), "status": "online"}
            self._refused(lambda: stranger.ask(**first))
        self._device.say("unavailable")  # the user's grants are cached: this needs no database
        self._device.say("online")
        status, answer = backends(self._process)
        assert (status, answer["directory"], answer["tracker"]) == (503, False, True)
        for one in crowd:
            one.__exit__()

    def _notify(self):
        self._app_service.send(action="notify", notifications=[{"puid": self._puid, "ttl": 0}])
        while True:
            frame = self._app_service.receive()
            if "result" in frame:
                return frame

    def _call(self):
        key = {"Authorization": f"Bearer {self._app_service.application.key}"}
        path = f"{self._process.origin}/myapps/{self._app_service.application.appid}/presence"
        self._refused(lambda: requests.get(path, headers=key, timeout=PATIENCE_SECONDS).json())

    def _refused(self, ask):
        start = time.monotonic()
        answer = ask()
        self.waited.append(time.monotonic() - start)
        assert (answer["errno"], answer["retry_after"]) == (201, 5), answer


def threads_of(process):
    """Return how many native threads it has."""
    return len(list(Path(f"/proc/{process.pid}/task").iterdir()))


def sessions(url):
    """Return how many connections the service has at the server."""
    database = Database(url)
    named = "SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'dpresence'"
    try:
        return database.run(lambda connection: connection.scalar(text(named)))
    finally:
        database.close()
