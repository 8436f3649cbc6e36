"""Event streams and heartbeats across ``kill -9`` of the process: nothing is missing or comes twice, and nobody stays online."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
import requests

from dpresence.tests.contract.redis import running as running_redis
from dpresence.tests.waiting import PATIENCE_SECONDS

from ..live.clients import Person, activate
from ..live.events import Events
from ..live.service import Site, running

pytestmark = pytest.mark.faults

CRASHES = 4
CHANGES = 40
SETTINGS = {"presence__status_rate": 1000, "presence__status_burst": 10000, "presence__grace_seconds": 20}


def test_t20_a_stream_continues_after_kill_9_with_its_last_id(tmp_path, figures):
    with running_redis() as redis, Site() as site, running(tmp_path, tracker="redis", redis__url=redis.url, **SETTINGS) as service:
        application = activate(service.origin, site)
        person = Person(service.origin, "t20@example.org")
        person.grant(application)
        told, cursor = [], None
        for crash in range(CRASHES):
            with Events(application, cursor) as events, person.device(device="desk") as device:
                assert events.recovery == ("replayed" if crash else "snapshot")
                for number in range(CHANGES):
                    device.say(("unavailable", "online")[number % 2])
                before = len(told)
                while len(told) < before + CHANGES // 2:  # the rest is on its way, or not even sent
                    told += statuses(events)
                cursor = events.cursor
                service.crash()
                with suppress(requests.RequestException, StopIteration):
                    events.until("close")
        with Events(application, cursor) as events:
            while len(told) < 1 + CRASHES * CHANGES:
                told += statuses(events)
    expected = ["online", *["unavailable", "online"] * (CRASHES * CHANGES // 2)]
    figures.count(
        "T20", f"of {len(expected)} updates of a stream wrong, missing or twice over {CRASHES} times kill -9", wrong(told, expected), 0
    )


def test_t20_with_the_tracker_in_memory_a_stream_begins_with_a_true_snapshot(tmp_path):
    with Site() as site, running(tmp_path, presence__grace_seconds=2, presence__sweep_seconds=1) as service:
        application = activate(service.origin, site)
        people = [Person(service.origin, f"t20-{number}@example.org") for number in range(2)]
        here, gone = (person.grant(application) for person in people)
        with Events(application) as events, people[0].device(), people[1].device():
            events.follow({here: "online", gone: "online"})
            service.crash()
        with people[0].device("unavailable"), Events(application, events.cursor) as again:
            assert again.recovery == "snapshot"
            again.until("current")
            assert again.statuses == {here: "unavailable", gone: "offline"}


def statuses(events):
    """Return the statuses of the next event, which is not one of the snapshot."""
    return [entry["status"] for entry in events.next()[1].get("updates", [])]


def wrong(told, expected):
    return abs(len(told) - len(expected)) + sum(one != two for one, two in zip(told, expected, strict=False))


def test_t21_nobody_is_online_after_the_lease_of_a_heartbeat_nor_after_that_of_its_process(tmp_path, figures):
    """``kill -9`` of the process that took the last heartbeat; its lease was about to last for minutes."""
    settings = {"presence__lease_seconds": 20, "presence__refresh_seconds": 5, "presence__grace_seconds": 2, "presence__sweep_seconds": 1}
    with running_redis() as redis, Site() as site, running(tmp_path, tracker="redis", redis__url=redis.url, **settings) as service:
        application = activate(service.origin, site)
        people = [Person(service.origin, f"t21-{number}@example.org") for number in range(2)]
        short, long = (person.grant(application) for person in people)
        with Events(application) as events:
            beat(people[0], lease=5)
            began = time.monotonic()
            beat(people[1], lease=300)
            events.follow({short: "online", long: "online"})
            events.follow({short: "offline"})
            figures.time("T21", "offline after a lease of 5 s and a grace of 2 s", time.monotonic() - began, 5 + 2 + 1 + 2)
            assert events.statuses[long] == "online"
            cursor = events.cursor
            service.crash()
        began = time.monotonic()
        with Events(application, cursor) as events:
            events.follow({long: "offline"})
        figures.time("T21", "offline after kill -9 with a lease of the process of 20 s", time.monotonic() - began, 20 + 2 + 1 + 2)


def beat(person, lease):
    body = {"email": person.email, "assertion": person.assertion(), "status": "online", "device": "desk", "lease": lease}
    requests.post(f"{person.origin}/presence", json=body, timeout=PATIENCE_SECONDS).raise_for_status()
