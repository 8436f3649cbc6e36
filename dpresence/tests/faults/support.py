"""Shared by the fault tests: an attacker as a process, a probe beside it, and the table of figures."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dpresence.tests.waiting import PATIENCE_SECONDS

MIB = 1 << 20
PATIENCE = 5
"""CI machines are slow and shared: a time may take so much longer than stated before a test fails."""


class Stalls(threading.Thread):
    """Measures for how long the machine stood still: a sleep that ends more than a tenth of a second late.

    :ivar seconds: the sum since the start.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seconds = 0.0
        self.start()

    def run(self) -> None:
        while True:
            before = time.monotonic()
            time.sleep(0.05)
            late = time.monotonic() - before - 0.05
            self.seconds += late if late > 0.1 else 0.0


@dataclass
class Figures:
    """The measured values, the stated limits, and whether each limit is strict."""

    rows: list[tuple[str, str, str, str, str]] = field(default_factory=list)
    stalls: Stalls = field(default_factory=Stalls)
    _stalled_before: float = 0.0

    def begin(self) -> list[tuple[str, str, str, str, str]]:
        """Forget the figures and stalls before a test; return the list that will have its figures."""
        self.rows, self._stalled_before = [], self.stalls.seconds
        return self.rows

    def count(self, test: str, what: str, value: float, stated: float) -> None:
        """Note a count or size that must not be exceeded."""
        self._note(test, what, f"{value:g}", f"<= {stated:g}", value <= stated)
        assert value <= stated, f"{test}: {what} is {value}, stated {stated}"

    def time(self, test: str, what: str, seconds: float, stated: float) -> None:
        """Note a time; it fails only beyond five times what is stated, and what the machine stood still during the test."""
        self._note(test, what, f"{seconds * 1000:.0f} ms", f"< {stated * 1000:.0f} ms", seconds < stated)
        stalled = self.stalls.seconds - self._stalled_before
        assert seconds < stated * PATIENCE + stalled, (
            f"{test}: {what} took {seconds} s, stated {stated} s; the machine stood still for {stalled} s"
        )

    def tell(self, test: str, what: str, value: object) -> None:
        """Note something nothing is stated of."""
        self._note(test, what, str(value), "", True)

    def _note(self, test: str, what: str, value: str, stated: str, holds: bool) -> None:
        self.rows.append((test, what, value, stated, "" if not stated else "yes" if holds else "NO"))


def table(rows: Iterable[Sequence[str]]) -> str:
    """Return figures as a Markdown table."""
    head = [("T", "what", "measured", "stated", "holds"), ("--", "--", "--", "--", "--")]
    return "".join("| " + " | ".join(row) + " |\n" for row in [*head, *rows])


class Attack:
    """An attacker process; ``probe`` asks the service for its heartbeat until it is over."""

    def __init__(self, name: str, **arguments: Any) -> None:
        command = [sys.executable, "-m", "dpresence.tests.faults.attackers", name]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(arguments) + "\n")
        self._process.stdin.flush()
        self.latencies: list[float] = []

    @property
    def over(self) -> bool:
        return self._process.poll() is not None

    def probe(self, port: int, pause: float = 0.02) -> None:
        """Ask again and again, each time on a connection of its own."""
        while not self.over:
            self.latencies.append(heartbeat(port))
            time.sleep(pause)

    def result(self) -> Any:
        """Wait for the end; return what became of it."""
        try:
            output, _ = self._process.communicate(timeout=300)
        finally:
            self._process.kill()
            self._process.communicate()
        assert self._process.returncode == 0
        return json.loads(output)


def heartbeat(port: int, seconds: float = 30) -> float:
    """Return how long the heartbeat took, in seconds."""
    start = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request("GET", "/__lbheartbeat__")
        assert connection.getresponse().read() == b"{}"
    finally:
        connection.close()
    return time.perf_counter() - start


def p99(seconds: list[float]) -> float:
    """Return the 99th percentile."""
    return sorted(seconds)[int(len(seconds) * 0.99)]


def settle(read: Any, wanted: float, seconds: float = PATIENCE_SECONDS) -> float:
    """Return what ``read()`` says once it is at most ``wanted``, or the time is over."""
    until = time.monotonic() + seconds
    while (value := read()) > wanted and time.monotonic() < until:
        time.sleep(0.2)
    return float(value)


def forget_peak(pid: int) -> None:
    """Let the kernel measure the peak of resident memory anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_bytes(pid: int) -> int:
    """Return the peak of resident memory."""
    return int(re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[0]) * 1024


def slope(samples: list[tuple[float, float]]) -> float:
    """Return bytes per second: the line through the second half of (seconds, bytes) that fits best."""
    half = samples[len(samples) // 2 :]
    times, sizes = [time for time, _ in half], [size for _, size in half]
    middle, mean = sum(times) / len(times), sum(sizes) / len(sizes)
    return sum((x - middle) * (y - mean) for x, y in half) / sum((x - middle) ** 2 for x in times)
