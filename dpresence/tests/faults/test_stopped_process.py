"""A process that is stopped (SIGSTOP) for longer than its lease, and continued: whom it shows as online again."""

from __future__ import annotations

import os
import signal
import socket
import time

import pytest

from ..live.clients import AppService, Device, Person, activate
from ..live.service import Site
from .cluster import GONE_SECONDS, Cluster, stores
from .proxy import Proxy

pytestmark = pytest.mark.faults

PING, PONG = 5, 2
BACK_SECONDS = 12
"""Time in which a device without a peer that was shown again would be noticed, and time for the others to be back."""


@pytest.fixture(scope="module")
def servers():
    with stores() as servers:
        yield servers


@pytest.fixture
def cluster(servers):
    with Cluster(servers, {"presence.ping_seconds": PING, "presence.pong_seconds": PONG}) as cluster:
        yield cluster


@pytest.fixture
def site():
    with Site() as site:
        yield site


def updates_of(service: AppService, seconds: float) -> list[tuple[str, str]]:
    """Return PUID and status of the updates that come within a time."""
    service.updates.clear()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            service._take_until(lambda frame: "updates" in frame, end - time.monotonic())
        except TimeoutError:
            break
    return [(update["puid"], update["status"]) for update in service.updates]


def test_a_device_that_said_offline_elsewhere_is_not_shown_again(cluster, site):
    stopped, other = cluster.start(), cluster.start()
    application = activate(other.origin, site)
    puids = [Person(other.origin, f"{name}@example.org").grant(application) for name in ("gone", "there")]
    gone, there = (Person(stopped.origin, f"{name}@example.org") for name in ("gone", "there"))
    with (
        Proxy(lambda: socket.create_connection(("127.0.0.1", stopped.port))) as network,
        AppService(application, origin=other.origin) as service,
        Device(gone, origin=f"http://127.0.0.1:{network.port}") as phone,
        Device(there) as desk,
    ):
        phone.sign_in("online", device="phone")
        desk.sign_in("online", device="desk")
        service.authenticate()
        network.cut()
        os.kill(stopped.pid, signal.SIGSTOP)
        try:
            assert sorted(updates_of(service, GONE_SECONDS + 2)) == sorted((puid, "offline") for puid in puids)
            with Device(Person(other.origin, gone.email)) as again:
                again.sign_in("offline", device="phone")
        finally:
            os.kill(stopped.pid, signal.SIGCONT)
        assert set(updates_of(service, BACK_SECONDS)) <= {(puids[1], "online")}, "or it is closed with 4201, if its pong comes late"
