"""Both clients while the service restarts, is killed, and cannot be reached: nothing is lost or doubled, and the table is right."""

from __future__ import annotations

import random
import socket
from collections import Counter

import pytest
import requests
from dpresence.tests.faults.proxy import Proxy
from dpresence.tests.live.clients import Person, activate
from dpresence.tests.live.service import Site
from dpresence.tests.live.warm import running

from dpresence_client import FileStore, NotConnected, OutcomeUnknown, websocket

from .support import Follower, device_of, service_of, wait_until

pytestmark = pytest.mark.slow

PEOPLE = 4


class World:
    """Some people with one device each, and an application that follows and notifies them, all behind one proxy."""

    def __init__(self, service, application, proxy, folder):
        origin = f"http://127.0.0.1:{proxy.port}"
        self.application = application
        self.people = [Person(service.origin, f"{number}@example.org") for number in range(PEOPLE)]
        self.puids = [person.grant(application) for person in self.people]
        self.devices = [device_of(person, origin=origin) for person in self.people]
        self.notices = []
        options = {"store": FileStore(folder / "table.json"), "answer_seconds": 60, "on_current": self.notices.append}
        self.app = service_of(application, origin=origin, **options)
        self.received = Counter()
        self.accepted, self.uncertain = set(), 0
        self._random = random.Random(3)

    def __enter__(self):
        self.app.start()
        self.follower = Follower(self.app)
        for device in self.devices:
            device.start()
            device.on_notification(lambda notification: self.received.update([notification.id]))
        return self

    def __exit__(self, *_):
        for client in (*self.devices, self.app):
            client.close()
        self.follower.join()

    def act(self):
        """Change every status and notify everybody once."""
        for device, puid in zip(self.devices, self.puids):
            device.status = self._random.choice(("online", "unavailable", "offline"))
            try:
                self.accepted.add(self.app.notify(puid, "Your move").id)
            except OutcomeUnknown:
                self.uncertain += 1

    def truth(self):
        """Return what the service says by REST."""
        url = f"{self.application.origin}/myapps/{self.application.appid}/presence"
        answer = requests.get(url, headers={"Authorization": f"Bearer {self.application.key}"}, timeout=10)
        return {entry["puid"]: (entry["status"], entry["at"]) for entry in answer.json().get("presence", ())}

    def check(self):
        """Wait until everything has arrived, and see that it is right."""
        wanted = {puid: device.status for puid, device in zip(self.puids, self.devices)}
        wait_until(lambda: self.follower.copy == wanted, 60)
        wait_until(lambda: set(self.received) >= self.accepted, 60)
        wait_until(lambda: {puid: tuple(entry) for puid, entry in self.app.table.copy().items()} == self.truth(), 60)
        assert set(self.received.values()) <= {1}
        assert len(self.received) <= len(self.accepted) + self.uncertain
        assert self.follower.error is None


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service that forgets every device when it restarts."""
    with running(tmp_path_factory.mktemp("service"), presence__grace_seconds=1, presence__sweep_seconds=1) as service:
        yield service


@pytest.fixture
def proxy(service):
    with Proxy(lambda: socket.create_connection(("127.0.0.1", service.port), 5)) as proxy:
        yield proxy


@pytest.fixture
def world(service, proxy, tmp_path):
    with Site() as site, World(service, activate(service.origin, site), proxy, tmp_path) as world:
        world.act()
        world.check()
        yield world


def test_a_restart_and_a_kill(service, world):
    service.stop()
    service.start()
    world.act()
    world.check()
    service.crash()
    world.act()
    world.check()
    assert len(world.accepted) >= 2 * PEOPLE
    wait_until(lambda: world.notices == [True, False, True, False, True])


def test_a_notification_without_a_connection_waits_and_is_given_up(service, world):
    service.kill()
    wait_until(lambda: not world.app.connected)
    world.app._client._answer_seconds = 0.2
    with pytest.raises(NotConnected, match=r"not connected within 0\.2 s"):
        world.app.notify(world.puids[0], "never sent")
    world.app._client._answer_seconds = 60
    service.start()
    world.act()
    world.check()
    assert world.uncertain == 0 and len(world.received) == 2 * PEOPLE


@pytest.fixture
def fast_pings(monkeypatch):
    monkeypatch.setattr(websocket, "PING_SECONDS", 0.5)
    monkeypatch.setattr(websocket, "PONG_SECONDS", 0.5)


def test_a_network_that_swallows_everything(fast_pings, world, proxy):
    proxy.cut()
    for device in world.devices:
        device.status = "unavailable"
    wait_until(lambda: not world.app.connected and not any(device.connected for device in world.devices))
    proxy.heal()
    world.act()
    world.check()
