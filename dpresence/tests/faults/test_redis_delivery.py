"""T1 and T2 with the mailbox on Redis: what was answered OK outlives ``kill -9`` of Redis and of the service."""

from __future__ import annotations

import itertools
import threading
import time
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed

from ..live.clients import Person, activate
from ..live.service import Site
from .beside import backends
from .cluster import Cluster, stores

pytestmark = pytest.mark.faults

PEOPLE = 50
TURNS = 20
CRASHES = ["redis", "service", "both", "redis"]
RECEIVED, AHEAD = 151, 50
"""Notifications that a device gets before the fault, and the lead of the sender over the device: at most 100 may wait."""


@pytest.fixture(scope="module")
def servers():
    with stores(fsync="always") as servers:
        yield servers


@pytest.fixture
def service(servers):
    with Cluster(servers) as cluster:
        yield cluster.start()


@pytest.fixture
def application(service):
    with Site() as site:
        yield activate(service.origin, site)


def strike(servers, service, what):
    """Kill Redis, the service or both."""
    if what != "service":
        servers.redis.kill()
    if what != "redis":
        service.kill()


def mend(servers, service, what):
    """Start again what was killed, and wait until all is well."""
    if what != "service":
        servers.redis.start()
    if what != "redis":
        service.start()
    while backends(service)[0] != 200:
        time.sleep(0.05)


def test_t1_a_thousand_notifications_answered_ok_survive_kill_9_of_redis_and_the_service(servers, service, application, figures):
    name = "T1, mailbox redis"
    people = [Person(service.origin, f"t1-{number}@example.org") for number in range(PEOPLE)]
    puids = [person.grant(application) for person in people]
    with application.service() as app_service:
        for turn in range(TURNS):
            answers = app_service.notify(*({"puid": puid, "message": str(turn)} for puid in puids))
            assert [answer["result"] for answer in answers] == ["OK"] * PEOPLE
        app_service.send(action="notify", notifications=[{"puid": puid, "message": str(TURNS)} for puid in puids])
        strike(servers, service, "both")  # with one more frame under way, which may be kept or not
    mend(servers, service, "both")
    lost = disordered = 0
    for number, person in enumerate(people):
        with person.device(ack=number % 2 == 0) as device:
            got = [int(item["message"]) for item in device.receive()["notifications"]]
        lost += len(set(range(TURNS)) - set(got))
        disordered += got != sorted(set(got))
    figures.count(name, f"lost of {PEOPLE * TURNS} answered OK before kill -9 of both", lost, 0)
    figures.count(name, "people who got them out of order or twice", disordered, 0)


def test_t2_what_was_not_acknowledged_at_kill_9_comes_again(servers, service, application, figures):
    name = "T2, mailbox redis"
    person = Person(service.origin, "t2@example.org")
    puid = person.grant(application)
    answered = lost = again = 0
    for what in CRASHES:
        life = Life()
        with application.service() as app_service, person.device(ack=True) as device:
            sender = threading.Thread(target=life.send, args=(app_service, puid))
            sender.start()
            life.receive(device, lambda what=what: strike(servers, service, what))
            sender.join()
        mend(servers, service, what)
        assert life.waiting
        with person.device(ack=True) as device:
            got = {item["id"] for item in device.receive()["notifications"]}
            assert device.ask(action="ack", notifications=list(got)) == {"result": "OK"}
        answered += len(life.answered)
        lost += len(life.waiting - got)
        again += len(got & life.acknowledged)
    figures.count(name, f"lost of {answered} answered OK, over kill -9 of {', '.join(CRASHES)}", lost, 0)
    figures.count(name, "sent again though their acknowledgement was answered OK", again, 0)


class Life:
    """One run of the service: the notifications that it answered OK, and the acknowledged ones, until a process died."""

    def __init__(self):
        self.answered, self.acknowledged, self.asked = set(), set(), {}
        self.received = 0
        self.over = False

    @property
    def waiting(self):
        """Notifications that must be sent again; an acknowledgement that was not answered OK may or may not have counted."""
        return self.answered - self.acknowledged - set(self.asked.values())

    def send(self, app_service, puid):
        with suppress(ConnectionClosed):
            for number in itertools.count():
                while len(self.answered) - self.received > AHEAD and not self.over:
                    time.sleep(0.001)
                app_service.send(action="notify", id=number, notifications=[{"puid": puid, "message": "again"}])
                while "id" not in (answer := app_service.receive()):
                    pass
                if answer["result"] == "KO":
                    assert answer["errno"] == 201, answer
                    return
                self.answered.add(answer["notifications"][0]["id"])

    def receive(self, device, pull_the_plug):
        try:
            with suppress(ConnectionClosed):
                while not self.over:
                    self._take(device, device.receive(), pull_the_plug)
        finally:
            self.over = True

    def _take(self, device, frame, pull_the_plug):
        if frame.get("result") == "OK":
            self.acknowledged.add(self.asked.pop(frame["id"]))
        self.over = frame.get("errno") == 201
        for item in frame.get("notifications", []):
            self.received += 1
            if self.received == RECEIVED:
                pull_the_plug()
            if self.received % 10:  # every tenth is left unacknowledged
                self.asked[self.received] = item["id"]
                device.send(action="ack", notifications=[item["id"]], id=self.received)
