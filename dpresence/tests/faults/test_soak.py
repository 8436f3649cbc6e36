"""T20: hours in small: connections, updates, losses and returns; memory, greenlets and files stay level."""

from __future__ import annotations

import os
import time

import pytest

from bench.load import Load
from bench.seed import seed

from ..live.clients import activate
from ..live.service import Site, running
from .support import MIB

pytestmark = pytest.mark.faults

MINUTES = float(os.environ.get("SOAK_MINUTES", "3"))
DEVICES = 2000
RATE = 100
"""Updates a second; a fifth as many devices are lost and come back."""
WARM_SECONDS = 30


@pytest.fixture
def service(tmp_path):
    with running(tmp_path, presence__feed_entries=1000, presence__status_rate=10) as service:
        yield service


def test_t20_nothing_grows_while_devices_come_go_and_change(service, figures):
    with Site() as site, Load() as load:
        application = activate(service.origin, site)
        people = seed(service.ini.with_name("live.db"), [application.appid], DEVICES)
        assert load.do("devices", port=service.port, people=people, rate=180, tickets=True, returns=True)["signed_in"] == DEVICES
        load.do("watch", port=service.port, appid=application.appid, key=application.key)
        load.do("churn", seconds=WARM_SECONDS, per_second=RATE)
        load.do("settle", seconds=30)
        fds, memory, cpu = service.fds(), service.own_bytes(), service.cpu_seconds()
        samples, start = [], time.monotonic()
        load.start("churn", seconds=MINUTES * 60, per_second=RATE)
        while time.monotonic() - start < MINUTES * 60:
            time.sleep(2)
            samples.append((time.monotonic() - start, service.own_bytes()))
        seen = load.result()
        used = service.cpu_seconds() - cpu
        load.do("settle", seconds=30)
        back = load.do("wait", seconds=1)
        assert back["signed_in"] == DEVICES, back
        figures.tell("T20", f"{MINUTES:g} minutes: updates, losses", f"{seen['answered']}, {back['ends'].get('1006', 0)}")
        figures.tell("T20", "server CPU per cent of a core", f"{used / MINUTES / 60 * 100:.1f}")
        figures.count("T20", "updates refused", sum(back["refused"].values()), 0)
        told = sum(count for what, count in back["watched"].items() if what.startswith("offline"))
        figures.count("T20", "false offline", told, 0)
        figures.count("T20", "statuses the application is wrong about", difference(back["view"], back["statuses"]), 0)
        figures.time("T20", "answer p99", seen["p99_ms"] / 1000, 0.25)
        figures.count("T20", "file descriptors more", service.fds() - fds, 2)
        figures.tell("T20", "MiB before, after", f"{memory / MIB:.1f}, {service.own_bytes() / MIB:.1f}")
        figures.count("T20", "MiB more per 10 minutes", slope(samples) * 600 / MIB, 1 if MINUTES >= 10 else 5)


def difference(view, statuses):
    """How many more or fewer of each status the application sees than there are."""
    return sum(abs(view.get(status, 0) - statuses.get(status, 0)) for status in view.keys() | statuses.keys())


def slope(samples):
    """Return bytes per second: the line through the second half of the samples that fits best."""
    half = samples[len(samples) // 2 :]
    times, sizes = [time for time, _ in half], [size for _, size in half]
    middle, mean = sum(times) / len(times), sum(sizes) / len(sizes)
    return sum((x - middle) * (y - mean) for x, y in half) / sum((x - middle) ** 2 for x in times)
