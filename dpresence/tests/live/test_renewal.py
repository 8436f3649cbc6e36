"""SIGHUP to a single process: it drains and starts again on the same socket, or logs why not and continues."""

from __future__ import annotations

import os
import pty
import signal
import socket
import time
from contextlib import suppress

import pytest
import requests

from dpresence.tests.systemd import SystemdSocket
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

from .clients import Person, activate
from .cluster import Cluster, stores
from .service import PSERVE, Service, Site, kept_running
from .worker_clients import Caller

pytestmark = pytest.mark.slow

GRACE = 8
PAUSE = 0.1
"""Seconds between calls: those of the whole start wait in the queue of the socket, 1024 at most."""


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", f"{tmp_path}/notify")
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    with SystemdSocket(f"{tmp_path}/notify") as systemd:
        yield systemd


@pytest.fixture
def service(tmp_path, systemd):
    with kept_running(Service(tmp_path, {"presence.grace_seconds": GRACE, "presence.lease_seconds": 60})) as service:
        yield service


@pytest.fixture
def application(service):
    with Site() as site:
        yield activate(service.origin, site)


def listens(service, times):
    """Wait until the process has begun to serve so many times."""
    eventually(lambda: service.log().count("Listening on ") == times, 120)


def change(service, old, new):
    """Change the ini, as an operator does before a SIGHUP."""
    text = service.ini.read_text(encoding="utf-8")
    assert old in text
    service.ini.write_text(text.replace(old, new), encoding="utf-8")


def test_it_starts_anew_with_the_present_ini_and_nobody_is_refused_or_looks_offline(service, application, systemd):
    ann = Person(service.origin, "ann@example.org")
    puid = ann.grant(application)
    before = service.pid
    change(service, "use = egg:dpresence\n", "use = egg:dpresence\npresence.devices_per_user = 1\n")
    change(service, "[server:main]\nuse = egg:dpresence\npresence.devices_per_user = 1\n", "[server:main]\nuse = egg:dpresence\n")
    with ann.device(device="phone", ticket=True) as device, application.service() as app_service, Caller(service.port, PAUSE) as caller:
        assert app_service.statuses[puid] == "online"
        service.send_signal(signal.SIGHUP)
        for channel in (device, app_service):
            code, reason = channel.wait_closed(60)
            assert (code, "retry_after=" in reason) == (4200, True)
        ticket, cursor = device.ticket, app_service.cursor
        listens(service, 2)
    assert caller.calls and not caller.failures
    assert (service.pid, service.alive) == (before, True)
    eventually(lambda: systemd.states() == ["READY=1", "RELOADING=1", "READY=1"])  # systemd 252 and later keep the unit up
    eventually(lambda: systemd.received().count("WATCHDOG=1") >= 2)  # each start begins with one
    with ann.device(device="phone", assertion=ticket), application.service(cursor) as app_service:
        assert (app_service.recovery, app_service.statuses[puid]) == ("snapshot", "online")
        with pytest.raises(AssertionError, match="'errno': 114"):
            ann.device(device="laptop")


def test_with_a_broken_ini_it_stays_and_the_log_says_why(service):
    change(service, f"presence.grace_seconds = {GRACE}", "presence.grace_seconds = soon")
    with Person(service.origin, "ann@example.org").device() as device:
        service.send_signal(signal.SIGHUP)
        refusal = (
            "SIGHUP: not restarted, the service keeps running: dpresence does not start: presence.grace_seconds: must be a whole number"
        )
        eventually(lambda: refusal in service.log())
        device.say("unavailable")
        change(service, "presence.grace_seconds = soon", "presence.grace_seconds = 1")
        service.send_signal(signal.SIGHUP)
        assert device.wait_closed(60)[0] == 4200
    listens(service, 2)


SLOW = [
    pytest.param(key, marks=pytest.mark.slow) for key in ("certfile = nowhere.pem\nkeyfile = nowhere.pem", "host = 0.0.0.0", "workers = 2")
]


@pytest.mark.parametrize("key", [*SLOW, "colour = blue"])
def test_a_mistake_for_the_server_changes_nothing_either(service, key):
    change(service, f"port = {service.port}", f"port = {service.port}\n{key}")
    service.send_signal(signal.SIGHUP)
    eventually(lambda: "SIGHUP: not restarted, the service keeps running: dpresence does not start: " in service.log())
    assert requests.get(f"{service.origin}/__heartbeat__", timeout=PATIENCE_SECONDS).ok
    assert service.log().count("Listening on ") == 1


def test_several_in_a_row_and_a_stop_right_after_are_heeded(service):
    for _ in range(3):
        service.send_signal(signal.SIGHUP)
        time.sleep(0.05)
    listens(service, 2)
    service.send_signal(signal.SIGHUP)
    eventually(lambda: service.log().count("SIGHUP: restarting") >= 2)
    assert service.stop() == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", service.port), 2)


def test_a_terminal_that_is_closed_ends_it(tmp_path):
    service = Service(tmp_path)
    pid, terminal = pty.fork()
    if not pid:
        os.execv(PSERVE, [str(PSERVE), "-q", str(service.ini)])
    try:
        said = b""
        while b"Programs find the token" not in said:  # the last line of a start
            said += os.read(terminal, 65536)
        os.close(terminal)
        assert os.waitstatus_to_exitcode(eventually(lambda: _ended(pid))[1]) == 0
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _ended(pid):
    ended = os.waitpid(pid, os.WNOHANG)
    return ended if ended[0] else None


def test_one_process_becomes_several(tmp_path):
    with stores() as urls:
        cluster = Cluster(tmp_path, urls | {"workers = 2": "workers = 1"})
        cluster.start()
        try:
            change(cluster, "workers = 1", "workers = 2")
            cluster.count = 2
            with Caller(cluster.port, PAUSE) as caller:
                cluster.send_signal(signal.SIGHUP)
                eventually(lambda: len(cluster.ready()) == 2, 120)
            assert caller.calls and not caller.failures
            assert cluster.stop() == 0
            cluster.assert_clean()
        finally:
            cluster.kill()
