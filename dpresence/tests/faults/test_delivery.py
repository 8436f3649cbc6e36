"""Notifications across ``kill -9``: T1 and T2. What was answered OK is not lost, what was not acknowledged comes again."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed

from ..live.clients import Person, activate
from ..live.service import Site, running

pytestmark = pytest.mark.faults

PEOPLE = 50
TURNS = 20
CRASHES = 5


@pytest.fixture
def service(tmp_path):
    many = {"presence__notification_burst": 100000, "channels__device_frame_rate": 10000, "channels__device_frame_burst": 10000}
    with running(tmp_path, presence__grace_seconds=1, **many) as service:
        yield service


@pytest.fixture
def application(service):
    with Site() as site:
        yield activate(service.origin, site)


def test_t1_a_thousand_notifications_answered_ok_survive_kill_9(service, application, figures):
    people = [Person(service.origin, f"t1-{number}@example.org") for number in range(PEOPLE)]
    puids = [person.grant(application) for person in people]
    with application.service() as app_service:
        for turn in range(TURNS):
            answers = app_service.notify(*({"puid": puid, "message": str(turn)} for puid in puids))
            assert [answer["result"] for answer in answers] == ["OK"] * PEOPLE
        app_service.send(action="notify", notifications=[{"puid": puid, "message": str(TURNS)} for puid in puids])
        service.crash()  # with one more frame under way, which may be kept or not
    lost = disordered = 0
    for number, person in enumerate(people):
        with person.device(ack=number % 2 == 0) as device:
            got = [int(item["message"]) for item in device.receive()["notifications"]]
        lost += len(set(range(TURNS)) - set(got))
        disordered += got != sorted(set(got))
    figures.count("T1", f"lost of {PEOPLE * TURNS} answered OK before kill -9", lost, 0)
    figures.count("T1", "people who got them out of order or twice", disordered, 0)


def test_t2_what_was_not_acknowledged_at_kill_9_comes_again(service, application, figures):
    person = Person(service.origin, "t2@example.org")
    puid = person.grant(application)
    count = lost = again = 0
    for _ in range(CRASHES):
        round = Round()
        with application.service() as app_service, person.device(ack=True) as device:
            sender = threading.Thread(target=round.send, args=(app_service, puid))
            sender.start()
            round.receive(device, service)
            sender.join()
        service.start()
        assert round.waiting
        with person.device(ack=True) as device:
            got = {item["id"] for item in device.receive()["notifications"]}
            device.ask(action="ack", notifications=list(got))
        count += len(round.answered)
        lost += len(round.waiting - got)
        again += len(got & round.acknowledged)
    figures.count("T2", f"lost of {count} answered OK, over {CRASHES} times kill -9", lost, 0)
    figures.count("T2", "sent again though their acknowledgement was answered OK", again, 0)


class Round:
    """One run of the service: the notifications that it answered OK, and the acknowledged ones, until it died."""

    RECEIVED = 150
    """Notifications the device gets before it pulls the plug; it leaves every tenth unacknowledged."""

    AHEAD = 50
    """The sender waits for the device, so that never more than 100 wait for it, of which the oldest would be dropped."""

    def __init__(self):
        self.answered, self.acknowledged, self.asked = set(), set(), deque()
        self.received = 0
        self.over = False

    @property
    def waiting(self):
        """Notifications that must be sent again; an acknowledgement that was not answered may or may not have counted."""
        return self.answered - self.acknowledged - set(self.asked)

    def send(self, app_service, puid):
        with suppress(ConnectionClosed):
            for number in itertools.count():
                while len(self.answered) - self.received > self.AHEAD and not self.over:
                    time.sleep(0.001)
                (answer,) = app_service.notify({"puid": puid, "message": "again"}, frame_id=number)
                self.answered.add(answer["id"])

    def receive(self, device, service):
        try:
            self._receive(device, service)
        except ConnectionClosed:
            assert not service.alive
        finally:
            self.over = True

    def _receive(self, device, service):
        while True:
            frame = device.receive()
            if frame.get("result") == "OK":
                self.acknowledged.add(self.asked.popleft())
            for item in frame.get("notifications", []):
                self.received += 1
                if self.received == self.RECEIVED:
                    service.kill()
                if self.received % 10:
                    self.asked.append(item["id"])
                    device.send(action="ack", notifications=[item["id"]])
