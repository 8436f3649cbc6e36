"""A machine whose time of day is wrong: real processes under libfaketime, with their own timers."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
import requests

from dpresence.tests.contract.redis import RedisOfItsOwnTime, running
from dpresence.tests.faketime import FakeTime, needed
from dpresence.tests.live.clients import Application, Person, activate
from dpresence.tests.live.service import Service, Site
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

pytestmark = pytest.mark.faults

HOUR = 3600
GRACE = 5
WRONG_SECONDS = 65
"""Longer than a minute: every sweep has its turn meanwhile."""
SETTINGS = {"presence.grace_seconds": GRACE, "presence.sweep_seconds": 1, "presence.lease_seconds": 30, "presence.refresh_seconds": 5}


class ServiceOfItsOwnTime(Service):
    """A service whose clock is set while it runs."""

    def __init__(self, folder: Path, clock: FakeTime, settings: dict[str, object]) -> None:
        super().__init__(folder, SETTINGS | settings)
        self._command = ["env", *(f"{name}={value}" for name, value in clock.environment.items()), *self._command]


@dataclass
class Board:
    """A machine with a clock of its own, on which the service runs, and Redis where there is one."""

    clock: FakeTime
    service: ServiceOfItsOwnTime
    redis: RedisOfItsOwnTime | None
    application: Application

    def set(self, seconds: int) -> None:
        """Set its clock so many seconds ahead; return when every process goes by that."""
        self.clock.set(seconds)
        time.sleep(FakeTime.CACHED_SECONDS)

    def boot(self, seconds: int) -> None:
        """Cut its power and let it boot with a clock so many seconds ahead."""
        self.service.kill()
        if self.redis:
            self.redis.kill()
        self.clock.set(seconds)
        if self.redis:
            self.redis.start()
        self.service.start()
        eventually(lambda: abs(self._logged_at() - time.time() - seconds) < 120, 20)

    def _logged_at(self) -> float:
        """Return the time of day of the last line in the log, seconds since the epoch."""
        *_, last = re.findall(r"^\d+-\d+-\d+ \d+:\d+:\d+", self.service.log(), re.MULTILINE)
        return datetime.strptime(last, "%Y-%m-%d %H:%M:%S").timestamp()


@contextmanager
def started(shape: str, folder: Path) -> Iterator[Board]:
    with ExitStack() as stack:
        clock, redis, settings = FakeTime(folder, cached=True), None, {}
        if shape == "redis":
            redis = stack.enter_context(running(RedisOfItsOwnTime, clock=clock, fsync="always"))
            settings = {"tracker": "redis", "mailbox": "redis", "redis.url": redis.url}
        service = ServiceOfItsOwnTime(folder, clock, settings)
        stack.callback(service.kill)
        service.start()
        yield Board(clock, service, redis, activate(service.origin, stack.enter_context(Site())))


@pytest.fixture(params=["memory", "redis"])
def board(request, tmp_path):
    needed()
    with started(request.param, tmp_path) as board:
        yield board
        assert board.service.stop() == 0
        board.service.assert_clean()


@contextmanager
def signed_in(person: Person) -> Iterator[requests.Session]:
    """A browser in which somebody is signed in."""
    with requests.Session() as browser:
        browser.post(f"{person.origin}/login", json={"assertion": person.assertion()}, timeout=PATIENCE_SECONDS).raise_for_status()
        yield browser


def devices(browser: requests.Session, board: Board) -> int:
    return browser.get(f"{board.service.origin}/devices", timeout=PATIENCE_SECONDS).status_code


def ticket_of(person: Person, name: str) -> str:
    """Return the ticket of a device that has gone."""
    with person.device("offline", ticket=True, device=name) as device:
        assert device.ticket
        return device.ticket


@pytest.mark.parametrize("seconds", [13 * HOUR, -13 * HOUR])
def test_a_minute_of_wrong_time_ends_nothing_and_nobody_is_reported_offline(board: Board, seconds: int) -> None:
    ann = Person(board.service.origin, "ann@example.org")
    puid, ticket = ann.grant(board.application), ticket_of(ann, "laptop")
    with signed_in(ann) as browser, board.application.service() as watcher, ann.device(device="phone") as phone:
        assert watcher.next_updates() == [(puid, "online", "explicit")]
        watcher.notify({"puid": puid, "message": "before"})
        assert [each["message"] for each in phone.notifications(1)] == ["before"]
        board.set(seconds)
        end, turn = time.monotonic() + WRONG_SECONDS, 0
        while time.monotonic() < end:
            status = ("unavailable", "online")[turn % 2]
            phone.say(status)
            assert watcher.next_updates() == [(puid, status, "explicit")]
            assert devices(browser, board) == 200
            time.sleep(2)
            turn += 1
        watcher.assert_no_updates()
        board.set(0)
        assert devices(browser, board) == 200
        with ann.device("unavailable", assertion=ticket, device="laptop"):
            phone.say(status)
        watcher.assert_no_updates(GRACE + 3)
    jumps = [int(jump) for jump in re.findall(r"the time of day jumped by (\S+) s", board.service.log())]
    assert [round(jump / HOUR) for jump in jumps] == [seconds // HOUR, -seconds // HOUR]


def test_a_board_that_boots_an_hour_behind_tells_nobody_offline(board: Board) -> None:
    ann = Person(board.service.origin, "ann@example.org")
    puid = ann.grant(board.application)
    with signed_in(ann) as browser:
        with board.application.service() as watcher, ann.device(ticket=True, device="phone") as phone:
            assert watcher.next_updates() == [(puid, "online", "explicit")]
            cursor, ticket = watcher.cursor, phone.ticket
            board.boot(-HOUR)
        with ann.device(assertion=ticket, device="phone"), board.application.service(cursor) as watcher:
            assert devices(browser, board) == 200
            assert watcher.statuses.get(puid, "online") == "online"
            watcher.assert_no_updates(2 * GRACE)
            board.set(0)  # NTP has set it
            watcher.assert_no_updates(2 * GRACE)
            assert devices(browser, board) == 200
            assert ann.call("GET", "/devices")["devices"]
