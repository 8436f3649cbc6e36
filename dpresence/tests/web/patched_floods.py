"""One developer's applications flood the mailbox; sign-in, sign-out and all other users continue. Pushes are counted, not seconds.

Run in a process that gevent has patched, as the service is; ``test_floods`` starts one.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace

import gevent
import pytest
from gevent import monkey

from dpresence.backends.sql.engine import Database
from dpresence.messages import NewNotification
from dpresence.model import Grant, Identity
from dpresence.tests.contract.postgresql import empty
from dpresence.tests.contract.postgresql_fixtures import migrated as postgresql_url
from dpresence.tests.contract.postgresql_fixtures import postgresql
from dpresence.tests.waiting import eventually
from dpresence.tests.web.support import Browser, World

__all__ = ["postgresql", "postgresql_url"]
assert monkey.is_module_patched("select"), "a query that hangs would hang the tests"

APPLICATIONS = 20
"""Of one developer, who may have 100."""
AHEAD = 3
"""Pushes of the flood that a call may find before it: those that are under way on SQLite, and one turn of the developer's."""
FRAME = 100


class Flood:
    """Applications of one developer that push frames of 100 to one accomplice, one after another, until the end of the test."""

    def __init__(self, world: World) -> None:
        self.made = 0
        self._world = world
        directory = world.registry.backends.directory
        accomplice = directory.sign_in(Identity("accomplice@example.org", "issuer", "accomplice", 0), 1).id
        owner = world.person("mallory@example.org")
        first = directory.application(world.validated(owner))
        for n in range(APPLICATIONS):
            app = replace(first, id=f"flood-{n}", active=True)
            directory.add_application(app, 100)
            directory.add_grant(Grant(app.id, f"accomplice-{n}", accomplice, 1, 1))
        self._greenlets = [gevent.spawn(self._go_on, directory.application(f"flood-{n}"), n) for n in range(APPLICATIONS)]
        eventually(lambda: self.made >= APPLICATIONS // 2)

    def _go_on(self, application, n: int) -> None:
        items = [NewNotification(puid=f"accomplice-{n}", message="m" * 200) for _ in range(FRAME)]
        while True:
            self._world.services.notifications.notify(application, items)
            self.made += 1

    def during(self, call: Callable[[], object]) -> int:
        """Return how many pushes were made while a call was."""
        before = self.made
        with gevent.Timeout(60):
            call()
        print("pushes before the answer:", self.made - before)
        return self.made - before

    def end(self) -> None:
        gevent.killall(self._greenlets)


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request, make_world, migrated, tmp_path):
    if request.param == "sqlite":
        url = f"sqlite:///{shutil.copy(migrated, tmp_path / 'floods.db')}"
    else:
        url = request.getfixturevalue("postgresql_url")
        database = Database(url)
        empty(database)
        database.close()
    return make_world(directory__url=url, presence__notification_rate="100000", presence__notification_burst="100000")


@pytest.fixture
def flood(world):
    flood = None

    def begin() -> Flood:
        nonlocal flood
        flood = Flood(world)
        return flood

    yield begin
    if flood is not None:
        flood.end()


def device_of(world: World, browser: Browser):
    """Return a device's channel that signed in with a ticket of a browser session."""
    channel = world.channel()
    ticket = browser("POST", "/ticket", {}).json["ticket"]
    channel.receive({"email": "ann@example.org", "assertion": ticket, "status": "online", "device": "web"})
    assert channel.take()[0]["result"] == "OK"
    return channel


def test_a_new_log_in_in_a_browser_waits_behind_no_notifications(world, flood):
    browser = world.person("ann@example.org")
    device, proof = device_of(world, browser), world.assertion("ann@example.org")
    count = flood().during(lambda: browser("POST", "/login", {"assertion": proof}))
    assert device.code == 4009
    assert count <= 4 * AHEAD, "it spends the proof, keeps the session, ends the previous one and signals that"


@pytest.mark.parametrize("everywhere", [True, False])
def test_a_log_out_waits_behind_no_notifications(world, flood, everywhere):
    browser = world.person("ann@example.org")
    device = device_of(world, browser)
    count = flood().during(lambda: browser("POST", "/logout", {"everywhere": everywhere}))
    assert device.code == 4009
    assert count <= 2 * AHEAD


def test_the_sign_out_of_a_device_waits_behind_no_notifications(world, flood):
    browser = world.person("ann@example.org")
    device = device_of(world, browser)
    count = flood().during(lambda: browser("DELETE", "/devices/web"))
    assert device.code == 4009
    assert count <= 2 * AHEAD


def test_a_device_comes_gets_what_waits_and_ends_within_a_turn_of_the_flood(world, flood):
    app = world.application()
    puid = world.grant("ann@example.org", app)
    world.notify(app, {"puid": puid, "message": "hello"})
    proof = world.assertion("ann@example.org")
    device = world.channel()

    def come_and_go():
        device.receive({"email": "ann@example.org", "assertion": proof, "status": "online", "device": "phone"})
        device.leave()

    count = flood().during(come_and_go)
    assert device.sent[0]["result"] == "OK" and device.sent[1]["notifications"][0]["message"] == "hello"
    assert world.person("ann@example.org")("GET", "/account").json["notifications"] == []
    assert count <= 3 * AHEAD


def test_another_developers_notification_waits_for_one_turn_of_the_flood(world, flood):
    app = world.application()
    puid = world.grant("ann@example.org", app)
    assert flood().during(lambda: world.notify(app, {"puid": puid, "message": "hello"})) <= 3 * AHEAD
