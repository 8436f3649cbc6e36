"""A client that takes nothing for a while is closed as a slow reader, and loses nothing."""

from __future__ import annotations

import logging
import socket

import pytest
from dpresence.tests.faults.proxy import Proxy
from dpresence.tests.live.clients import Person, activate
from dpresence.tests.live.service import Site
from dpresence.tests.live.warm import running

from .support import Follower, service_of, wait_until

pytestmark = pytest.mark.slow

CHANGES = 6000
RECEIVE_BYTES = 4096


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with running(tmp_path_factory.mktemp("service"), presence__status_burst=10000, channels__device_frame_rate=10000) as service:
        yield service


@pytest.fixture
def proxy(service):
    """A proxy in front of the service that has hardly room to receive, so that what it does not carry waits in the service."""

    def connect():
        near = socket.socket()
        near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        near.connect(("127.0.0.1", service.port))
        return near

    with Proxy(connect) as proxy:
        yield proxy


def test_a_slow_reader_continues_from_its_cursor(service, proxy, caplog):
    caplog.set_level(logging.WARNING)
    ada = Person(service.origin, "ada@example.org")
    with Site() as site:
        application = activate(service.origin, site)
        puid = ada.grant(application)
        with service_of(application, origin=f"http://127.0.0.1:{proxy.port}") as app, ada.device("online") as device:
            follower = Follower(app)
            wait_until(lambda: follower.copy == {puid: "online"})
            before = len(follower.seen)
            proxy.cut()
            for number in range(CHANGES):
                device.say(("unavailable", "online")[number % 2])
            wait_until(lambda: "code 4102" in service.log())
            proxy.heal()
            wait_until(lambda: len(follower.seen) >= before + CHANGES, 120)
            seen = [change.status for change in follower.seen[before:]]
        follower.join()
    assert seen == ["unavailable", "online"] * (CHANGES // 2)
    assert "not connected" in caplog.text
