"""The event loop never waits for the disk: strace counts the syncs of each thread while people sign in and register devices."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.load import Load
from bench.seed import register, seed
from dpresence.tests.live.service import Process, running
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

pytestmark = pytest.mark.slow

DEVICES = 1500
"""Each sign-in is a write without fsync. SQLite alone would copy its log into the database several times, in the thread that writes."""


def needed() -> None:
    """Skip a test without strace; in CI it must be there."""
    if not shutil.which("strace"):
        assert os.environ.get("CI") != "true", "strace is not installed"
        pytest.skip("needs strace: apt-get install strace")


@contextmanager
def counted_syncs(process: Process, folder: Path) -> Iterator[Counter[int]]:
    """Count the calls of fsync and fdatasync of a process, by thread, into a counter that is complete at the end."""
    trace, syncs = folder / "trace", Counter[int]()
    command = ["strace", "-f", "-qq", "-e", "trace=fsync,fdatasync", "-o", str(trace), "-p", str(process.pid)]
    tracer = subprocess.Popen(command)
    try:
        eventually(lambda: f"TracerPid:\t{tracer.pid}" in Path(f"/proc/{process.pid}/status").read_text())
        yield syncs
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(PATIENCE_SECONDS)
    syncs.update(int(thread) for thread in re.findall(r"^(\d+) +f(?:data)?sync\(", trace.read_text(), re.MULTILINE))


def test_the_thread_of_the_event_loop_syncs_nothing_while_devices_sign_in(tmp_path: Path) -> None:
    needed()
    with running(tmp_path, channels__accept_rate=100000, channels__accept_burst=100000) as service, Load(checked=True) as load:
        database = tmp_path / "live.db"
        people = seed(database, [register(database)[0]], DEVICES)
        with counted_syncs(service, tmp_path) as syncs:
            seen = load.do("devices", port=service.port, people=people, tickets=True)
        main = service.pid
    assert seen["signed_in"] == DEVICES
    print(f"syncs of the event loop's thread: {syncs[main]}, of all threads: {syncs.total()}")
    assert syncs[main] == 0
    assert syncs.total() > 0, "the log was never copied into the database"
