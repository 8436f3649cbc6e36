"""``pserve`` as a process, for the live tests, the fault suite and the bench: an ini in a folder, started, watched, stopped.

``running(folder)`` is the context every fixture uses; at its end the log must hold no traceback and no ERROR line.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import requests

from dpresence.demo import free_port
from dpresence.tests.support import DEVELOPMENT_TOKEN
from dpresence.tests.waiting import PATIENCE_SECONDS

from .http_server import HttpServer, QuietHandler

START_SECONDS = 90
STOP_SECONDS = PATIENCE_SECONDS
PSERVE = Path(sys.executable).with_name("pserve")

LOGGING = """
[loggers]
keys = root, dpresence, access

[handlers]
keys = console

[formatters]
keys = line

[logger_root]
level = WARNING
handlers = console

[logger_dpresence]
level = INFO
handlers =
qualname = dpresence

[logger_access]
level = WARNING
handlers =
qualname = dpresence.access

[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = line

[formatter_line]
class = dpresence.logs.LineFormatter
format = %(asctime)s %(levelname)s %(name)s %(message)s
"""


def cpu_seconds(pid: int) -> float:
    """Return the CPU time a process has used so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def own_bytes(pid: int) -> int:
    """Return the memory that no other process maps: unlike the proportional size, the same whoever else comes or goes."""
    private = re.findall(r"^Private_(?:Clean|Dirty):\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return sum(map(int, private)) * 1024


def open_files(pid: int) -> int:
    """Return how many files and sockets a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


S = TypeVar("S", bound="Service")


class Process:
    """A server as a process: its log in a file, its CPU, memory and open files as the kernel counts them.

    :ivar environment: variables that the next start sets.
    """

    def __init__(self, command: list[str], log: Path, port: int) -> None:
        self._command = command
        self.log_path = log
        self.port = port
        self.origin = f"http://127.0.0.1:{port}"
        self.environment: dict[str, str] = {}
        self._process: Any = None  # what ``launch`` started

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def launch(self) -> None:
        """Start the process, not waiting for it; its log goes on in the same file."""
        with self.log_path.open("ab") as log:
            environment = {**os.environ, **self.environment}
            self._process = subprocess.Popen(self._command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def start(self) -> float:
        """Start and wait until it answers; return the time of day (seconds) of the start."""
        at = time.time()
        self.launch()
        until = time.monotonic() + START_SECONDS
        while self._process and self._process.poll() is None and time.monotonic() < until:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return at
            time.sleep(0.02)
        self.kill()
        raise AssertionError(f"the service did not start:\n{self.log()}")

    def send_signal(self, number: int) -> None:
        """Send a signal to this process and to nobody else."""
        os.kill(self.pid, number)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Wait for its end; return the exit status."""
        assert self._process is not None
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the service did not end within {seconds} s:\n{self.log()}") from None
        self._process = None
        return status

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to stop; return the exit status."""
        self.send_signal(number)
        return self.wait()

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def log(self) -> str:
        """Return all it has logged, over all its starts."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def assert_clean(self) -> None:
        """Fail when the log holds a traceback, an ERROR line or a warning of Python's."""
        wrong = re.search(r"Traceback|^\S+ \S+ (ERROR|CRITICAL) .*|^ERROR|\bUserWarning: ", self.log(), re.MULTILINE)
        assert wrong is None, f"the log is not clean:\n{self.log()[max(0, wrong.start() - 500) : wrong.start() + 4000]}"

    # -- what the kernel says

    def cpu_seconds(self) -> float:
        """Return the CPU time used so far, user and system."""
        return cpu_seconds(self.pid)

    def pss_bytes(self) -> int:
        """Return the proportional set size: the memory that is its own."""
        return int(re.findall(r"^Pss:\s+(\d+) kB", Path(f"/proc/{self.pid}/smaps_rollup").read_text(), re.MULTILINE)[0]) * 1024

    def own_bytes(self) -> int:
        """Return the memory that no other process maps."""
        return own_bytes(self.pid)

    def fds(self) -> int:
        """Return how many files and sockets it has open."""
        return open_files(self.pid)


class Service(Process):
    """``pserve`` with an ini of our own: development issuer on, loopback domains allowed, a database in the folder.

    :param settings: keys of ``[app:main]`` that differ; the dots in their names as they are.
    :param port: a free one if not given.
    """

    def __init__(self, folder: Path, settings: Mapping[str, object] | None = None, port: int | None = None) -> None:
        port = port or free_port()
        self.ini = folder / "live.ini"
        self.settings = {
            "use": "egg:dpresence",
            "directory.url": "sqlite:///%(here)s/live.db",
            "identity.audience": f"http://127.0.0.1:{port}",
            "identity.development": "true",
            "identity.development_token": DEVELOPMENT_TOKEN,
            "outbound.allow_loopback": "true",
            **{key: str(value) for key, value in (settings or {}).items()},
        }
        super().__init__([str(PSERVE), "-q", str(self.ini)], folder / "log", port)
        self._write()

    def _write(self) -> None:
        app = "\n".join(f"{key} = {value}" for key, value in self.settings.items())
        server = f"[server:main]\nuse = egg:dpresence\nport = {self.port}"
        self.ini.write_text(f"[app:main]\n{app}\n\n{server}\n{LOGGING}", encoding="utf-8")

    def change_settings(self, settings: Mapping[str, object]) -> None:
        """Change keys of ``[app:main]``; the next start reads them."""
        self.settings |= {key: str(value) for key, value in settings.items()}
        self._write()

    def crash(self) -> float:
        """``kill -9`` and start again on the same port and database; return the time of day of the start."""
        self.kill()
        return self.start()

    def alive_within(self, seconds: float = 1.0) -> float:
        """Ask for the heartbeat; return how long it took, in seconds."""
        start = time.perf_counter()
        requests.get(f"{self.origin}/__lbheartbeat__", timeout=seconds).raise_for_status()
        return time.perf_counter() - start


@contextmanager
def running(folder: Path, **settings: object) -> Iterator[Service]:
    """Run a service in a folder; its log must be clean in the end.

    :param settings: ``presence__grace_seconds=1`` is ``presence.grace_seconds = 1``.
    """
    with kept_running(Service(folder, {key.replace("__", "."): value for key, value in settings.items()})) as service:
        yield service


@contextmanager
def kept_running(service: S) -> Iterator[S]:
    """Start a service and stop it in the end; its log must be clean then."""
    service.start()
    try:
        yield service
        if service.alive:
            assert service.stop() == 0
    finally:
        service.kill()
    service.assert_clean()


class Site(HttpServer):
    """An application's web site on loopback; ``pages`` is what it serves, by path, ``seen`` what it was asked for.

    It accepts a POST to the paths of ``pages``.

    :param host: the name of this machine that it goes by.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        pages, seen = dict[str, str](), list[str]()
        self.pages, self.seen = pages, seen

        class Handler(QuietHandler):
            def do_GET(self) -> None:
                seen.append(self.path)
                body = pages.get(self.path.partition("?")[0], "").encode()
                self.send_response(200 if body else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(204 if self.path in pages else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()

        super().__init__(Handler)
        self.domain = f"{host}:{self.port}"
