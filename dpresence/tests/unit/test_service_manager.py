"""Messages to systemd, received by a socket as systemd has one."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dpresence.service_manager import ServiceManager
from dpresence.tests.systemd import SystemdSocket


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SystemdSocket]:
    with SystemdSocket(f"@{tmp_path}" if request.param == "abstract" else str(tmp_path / "notify")) as systemd:
        yield systemd


def test_each_state_is_reported(systemd: SystemdSocket) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": systemd.address})
    manager.ready()
    manager.reloading(600)
    manager.beat()
    manager.stopping()
    received = [re.sub(r"USEC=\d+", "USEC=..", message) for message in systemd.received()]
    assert received == ["READY=1", "RELOADING=1\nMONOTONIC_USEC=..", "STOPPING=1"]
    assert manager.watchdog_seconds == 0


def test_the_watchdog_gets_heartbeats_and_waits_longer_for_an_exec(systemd: SystemdSocket) -> None:
    environment = {"NOTIFY_SOCKET": systemd.address, "WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}
    manager = ServiceManager(environment)
    assert manager.watchdog_seconds == 60
    manager.beat()
    manager.reloading(600)
    manager.ready()
    beat, reloading, ready = systemd.received()
    assert beat == "WATCHDOG=1"
    assert reloading.endswith("\nWATCHDOG_USEC=600000000")
    assert ready == "READY=1\nWATCHDOG_USEC=60000000"


def test_the_watchdog_of_another_process_gets_nothing(systemd: SystemdSocket) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": systemd.address, "WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"})
    manager.beat()
    assert (manager.watchdog_seconds, systemd.received()) == (0, [])


def test_a_manager_that_has_gone_or_does_not_read_stops_nobody(tmp_path: Path) -> None:
    gone = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    gone.ready()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(tmp_path / "deaf"))
        full = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "deaf"), "WATCHDOG_USEC": "1"})
        for _ in range(2000):
            full.beat()


def test_without_systemd_nothing_is_sent() -> None:
    ServiceManager({}).ready()
