"""Servers for the live tests, one for each set of limits; whatever is sent to them, no traceback may reach their log."""

from __future__ import annotations

import pytest

from .clients import Person, activate
from .service import Site
from .support import EchoServer

HASTY = {"close_seconds": 1.0, "send_seconds": 1.0, "handshake_seconds": 1.0, "idle_seconds": 2.0}


def serve(overrides):
    with EchoServer(overrides) as server:
        yield server
    assert "Traceback" not in server.log, server.log


@pytest.fixture(scope="session")
def server():
    """The defaults, but for the counts that one busy test client would reach."""
    yield from serve({"channels": {"unsigned_per_address": 1000, "accept_rate": 1000.0, "accept_burst": 1000}})


@pytest.fixture(scope="session")
def hasty():
    """Deadlines of a second or two."""
    yield from serve({"channels": HASTY, "presence": {"ping_seconds": 60}, "interval": 0.05})


@pytest.fixture(scope="session")
def pinging():
    """Pings after 0.5 s of silence, and waits long for an answer."""
    yield from serve({"presence": {"ping_seconds": 0.5, "pong_seconds": 30}, "interval": 0.05})


@pytest.fixture(scope="session")
def giving_up():
    """Pings after 0.5 s of silence, and gives up 0.5 s later."""
    yield from serve({"channels": HASTY, "presence": {"ping_seconds": 0.5, "pong_seconds": 0.5}, "interval": 0.05})


@pytest.fixture
def application(service):
    """One for each test, so that it receives nothing about devices of other tests."""
    with Site() as site:
        yield activate(service.origin, site)


@pytest.fixture
def person(service, request):
    return Person(service.origin, f"{request.node.name[:60].translate(str.maketrans('[]', '--'))}@example.org")
