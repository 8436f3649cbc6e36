"""No ghosts: a device that cannot answer is offline after ping, pong and grace; one that reconnects in time is never offline."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress

import pytest

from .clients import Device, Person, activate
from .service import Site
from .warm import running

PING, PONG, GRACE, SWEEP = 5, 2, 1, 1
TICK = 1
"""The deadlines of a connection are looked at about once a second."""
WORST = PING + PONG + GRACE + SWEEP + 2 * TICK
CLOSE = 6
"""Seconds a close frame is waited for: who does not answer a ping is not owed them."""

FROZEN = """
import json, sys
from websockets.sync.client import connect
url, frame = sys.argv[1:]
with connect(url, proxy=None) as socket:
    socket.send(frame)
    print(socket.recv(), flush=True)
    sys.stdin.read()
"""


class BlackHole:
    """A TCP proxy that stops forwarding on request, as a pulled cable does: nobody gets a FIN or a reset."""

    def __init__(self, port):
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._listener]
        self._open = threading.Event()
        self._open.set()
        self.origin = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def swallow(self):
        """Forward nothing any more."""
        self._open.clear()

    def _accept(self):
        with suppress(OSError):
            while True:
                near = self._listener.accept()[0]
                far = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._forward, args=pair, daemon=True).start()

    def _forward(self, source, target):
        with suppress(OSError):
            while data := source.recv(65536):
                if self._open.is_set():
                    target.sendall(data)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    times = {"presence__ping_seconds": PING, "presence__pong_seconds": PONG, "presence__sweep_seconds": SWEEP}
    times["channels__close_seconds"] = CLOSE
    with running(tmp_path_factory.mktemp("ghosts"), presence__grace_seconds=GRACE, **times) as service:
        yield service


class Ghosts:
    """Three devices that send nothing any more: one behind a pulled cable, one frozen, one that is only silent."""

    def __init__(self, service, stack):
        site = stack.enter_context(Site())
        self.application = activate(service.origin, site)
        people = {name: Person(service.origin, f"{name}@example.org") for name in ("cut", "frozen", "silent")}
        self.puids = {name: person.grant(self.application) for name, person in people.items()}
        self.app_service = stack.enter_context(self.application.service())
        hole = stack.enter_context(BlackHole(service.port))
        stack.enter_context(Device(people["cut"], origin=hole.origin)).sign_in("online")
        stack.enter_context(people["silent"].device())
        stack.callback(thaw, freeze(people["frozen"]))
        self.app_service.next_updates(3)
        hole.swallow()
        self.started_at = time.time()


def freeze(person):
    """A device whose process is stopped once it has signed in."""
    frame = f'{{"email": "{person.email}", "assertion": "{person.assertion()}", "status": "online"}}'
    command = [sys.executable, "-c", FROZEN, person.origin.replace("http", "ws", 1) + "/presence", frame]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline().strip() == b'{"result":"OK"}'
    process.send_signal(signal.SIGSTOP)
    return process


def thaw(process):
    """End it."""
    process.kill()
    process.communicate()


@pytest.fixture(scope="module")
def ghosts(service):
    with ExitStack() as stack:
        yield Ghosts(service, stack)


@pytest.mark.slow
def test_a_reconnect_within_grace_is_seen_by_nobody(application, service, ghosts):
    named, nameless = Person(service.origin, "named@example.org"), Person(service.origin, "nameless@example.org")
    named.grant(application)
    nameless.grant(application)
    with application.service() as app_service, named.device(device="phone") as first, nameless.device() as second:
        app_service.next_updates(2)
        first.cut()
        second.cut()
        with named.device(device="phone"), nameless.device():
            app_service.assert_no_updates(GRACE + SWEEP + 1)


@pytest.mark.slow
def test_a_lost_device_that_stays_away_is_offline_after_grace(application, person):
    puid = person.grant(application)
    with application.service() as app_service, person.device() as device:
        app_service.next_updates()
        device.cut()
        assert app_service.next_updates() == [(puid, "offline", "lost")]


@pytest.mark.slow
def test_a_lost_device_is_held_up_by_another_that_is_less_reachable(application, person):
    puid = person.grant(application)
    with application.service() as app_service, person.device("online", device="phone") as phone:
        app_service.next_updates()
        with person.device("unavailable", device="laptop"):
            phone.cut()
            assert app_service.next_updates() == [(puid, "unavailable", "lost")]


@pytest.fixture(scope="module")
def lost(ghosts):
    """Updates about the ghosts that the application received; the last tests of this module, since they have been waiting meanwhile."""
    received = ghosts.app_service.next_updates(2, WORST + CLOSE)
    ghosts.app_service.assert_no_updates(1)
    return received, time.time() - 1 - ghosts.started_at


def test_a_pulled_cable_and_a_frozen_device_end_in_offline_and_a_silent_device_does_not(ghosts, lost):
    received, _ = lost
    names = {puid: name for name, puid in ghosts.puids.items()}
    assert {(names[puid], status, reason) for puid, status, reason in received} == {
        ("cut", "offline", "lost"),
        ("frozen", "offline", "lost"),
    }


def test_the_worst_case_is_ping_pong_and_grace(lost):
    _, seconds = lost
    print(f"offline after {seconds:.1f} s of {WORST} s")  # with the time of the other tests of this module
    assert seconds < 5 * WORST
