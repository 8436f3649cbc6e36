"""T5: an app service stops to read while 500 updates a second go on."""

from __future__ import annotations

import re
import threading
import time

import pytest

from bench.load import Load
from bench.seed import seed

from ..live.clients import Person, activate
from ..live.service import Site, running
from .support import MIB, p99

pytestmark = pytest.mark.faults

PEOPLE = 1000
RATE = 500
SECONDS = 60


@pytest.fixture
def service(tmp_path):
    settings = {"presence__status_rate": 1000, "channels__unsigned_per_address": 100, "channels__device_frame_rate": 1000}
    with running(tmp_path, **settings) as service:
        yield service


class Reader(threading.Thread):
    """Another application and a device of its own; measures how long an update takes from one to the other."""

    def __init__(self, application, person):
        super().__init__()
        self.seconds = []
        self.over = threading.Event()
        self._application, self._person = application, person

    def run(self):
        with self._application.service() as app_service, self._person.device() as device:
            app_service.next_updates()
            while not self.over.wait(0.1):
                for status in ("unavailable", "online"):
                    start = time.perf_counter()
                    device.say(status)
                    app_service.next_updates()
                    self.seconds.append(time.perf_counter() - start)


def test_t5_nobody_waits_for_an_app_service_that_does_not_read(service, figures):
    with Site() as site, Site() as other_site, Load(checked=True) as load:
        application, other = activate(service.origin, site), activate(service.origin, other_site, name="Other")
        person = Person(service.origin, "reader@example.org")
        person.grant(other)
        people = seed(service.ini.with_name("live.db"), [application.appid], PEOPLE)
        assert load.do("devices", port=service.port, people=people, rate=150)["signed_in"] == PEOPLE
        load.do("watch", port=service.port, appid=application.appid, key=application.key)
        load.do("rate", seconds=3, per_second=RATE)
        memory = service.own_bytes()
        with application.slow_reader() as slow:
            reader = Reader(other, person)
            reader.start()
            load.start("rate", seconds=SECONDS, per_second=RATE)
            closed_after, most = watch(service, application.appid, SECONDS)
            seen = load.result()
            reader.over.set()
            reader.join()
            cursor = slow.cursor
        figures.tell("T5", "updates delivered to the healthy socket", seen["delivered"])
        figures.count("T5", "of them lost", seen["answered"] - seen["delivered"], 0)
        figures.tell("T5", "the slow one was closed with 4102 after s", round(closed_after))
        figures.time("T5", "another application's updates, p99", p99(reader.seconds), 0.25)
        figures.count("T5", "MiB of memory more at most", (most - memory) / MIB, 5 + growth(seen["delivered"]))
        with application.service() as truth, application.service(cursor) as resumed:
            assert resumed.recovery == "replayed"
            wrong = sum(resumed.follow(truth.cursor).get(puid) != status for puid, status in truth.statuses.items())
        figures.count("T5", "PUIDs it is wrong about after its cursor", wrong, 0)


def growth(updates):
    """MiB the feed itself takes: its log holds up to 10,000 entries, whoever reads it."""
    return min(updates, 10_000) * 250 / MIB


def watch(service, appid, seconds):
    """Watch memory while the load runs; return when the slow reader was closed and the most memory."""
    start, closed_after, most = time.monotonic(), float("inf"), 0
    while time.monotonic() - start < seconds:
        time.sleep(0.5)
        most = max(most, service.own_bytes())
        if closed_after == float("inf") and re.search(rf"session ended: application {appid}, code 4102", service.log()):
            closed_after = time.monotonic() - start
    assert closed_after < seconds, "it was never closed"
    return closed_after, most
