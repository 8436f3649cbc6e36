"""Several processes behind one port: ``[server:main] workers = N`` (docs/scaling.md, docs/decisions/0010-workers.md).

The supervisor binds the port and starts workers, each a process of its own with the command line this one was started with.
A worker inherits the listening socket and the ends of two pipes: on one it says that it is ready, the other ends when the
supervisor does. The supervisor itself serves nobody and holds no greenlet, thread or connection.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from gevent import monkey

from .clock import Clock
from .errors import SettingError

# what gevent may have patched would start a loop here
_posix_spawn, _waitpid = monkey.get_original("os", ("posix_spawn", "waitpid"))
_socket = monkey.get_original("socket", "socket")

log = logging.getLogger(__name__)

VARIABLE = "DPRESENCE_WORKER"
"""Tells a process that it is a worker, and which open files are for it."""
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
START_SECONDS = 600.0
"""How long a worker may take until it is ready; the first may have to upgrade the database."""
STOP_SECONDS = 12.0
"""How long a worker that was told to stop may take; it needs less than 10 s."""
STEADY_SECONDS = 10.0
"""A worker that died after this long is replaced at once."""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before another one is started; doubled each time that one dies early."""
STEP_SECONDS, IDLE_SECONDS = 0.1, 60.0
"""How often the supervisor looks while a worker starts or stops, and else, when it only waits for signals."""


@dataclass(frozen=True, slots=True)
class Worker:
    """What a worker knows of its supervisor.

    :ivar listener: file number of the listening socket.
    :ivar ready_to: of the pipe on which it says that it is ready.
    :ivar lifeline: of the pipe that ends when the supervisor does.
    """

    listener: int
    ready_to: int
    lifeline: int

    def ready(self) -> None:
        """Say that this process serves."""
        with suppress(BrokenPipeError):  # its lifeline will tell
            os.write(self.ready_to, b"%d\n" % os.getpid())


def this_worker() -> Worker | None:
    """Return what the supervisor gave to this process, None when there is no supervisor."""
    files = os.environ.pop(VARIABLE, None)
    return Worker(*map(int, files.split(","))) if files else None


def listen(host: str, port: int, backlog: int) -> socket.socket:
    """Return a listening socket that workers inherit.

    :raises SettingError: it cannot be bound.
    """
    listener: socket.socket = _socket(socket.AF_INET6 if ":" in host or not host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise not_free(host, port, error) from None
    listener.listen(backlog)
    listener.setblocking(False)
    listener.set_inheritable(True)
    return listener


def not_free(host: str, port: int, error: OSError) -> SettingError:
    """Return what to say of an address that cannot be bound."""
    why = (error.strerror or "").partition(":")[0]  # gevent adds the address
    return SettingError(f"host = {host}, port = {port}: must be free to listen on ({why})")


@dataclass(eq=False, slots=True)
class _Process:
    """A worker as its supervisor sees it; ``deadline`` is when it is killed, on the monotonic clock."""

    pid: int
    started: float
    deadline: float
    ready: bool = False
    stopping: bool = False


@dataclass(slots=True)
class Supervisor:
    """Keeps ``count`` workers running until SIGTERM or SIGINT; SIGHUP replaces them one after the other.

    :param command: what starts a worker.
    :param listener: the socket they share; see ``listen``.
    """

    command: Sequence[str]
    count: int
    listener: socket.socket
    stop_seconds: float = STOP_SECONDS
    clock: Clock = field(default_factory=Clock)
    _processes: dict[int, _Process] = field(default_factory=dict)
    _old: list[_Process] = field(default_factory=list)  # those that a SIGHUP wants replaced
    _begun: bool = False  # all of them were ready once
    _stopping: bool = False
    _status: int = 0
    _pause: float = 0.0
    _next_start: float = 0.0
    _ready: tuple[int, int] = (-1, -1)
    _lifeline: tuple[int, int] = (-1, -1)

    def run(self) -> int:
        """Supervise to the end; return the exit status of the whole."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # each is taken below, and none is lost
        self._ready, self._lifeline = os.pipe(), os.pipe()
        os.set_blocking(self._ready[0], False)
        for end in (self._ready[1], self._lifeline[0]):
            os.set_inheritable(end, True)
        while True:
            self._bury()
            self._hear()
            if self._stopping and not self._processes:
                return self._status
            self._act(self.clock.monotonic())
            taken = signal.sigtimedwait(SIGNALS, STEP_SECONDS if self._busy() else IDLE_SECONDS)
            if taken:
                self._take(taken.si_signo)

    # -- what happens

    def _take(self, number: int) -> None:
        if number in (signal.SIGTERM, signal.SIGINT):
            self._stop(0)
        elif number == signal.SIGHUP and self._begun and not self._stopping:
            log.info("Replacing %d workers, one after the other", self.count)
            self._old = self._serving()

    def _hear(self) -> None:
        """Note who is ready."""
        try:
            said = os.read(self._ready[0], 65536)
        except BlockingIOError:
            return
        for pid in map(int, said.split()):
            process = self._processes.get(pid)
            if process and not process.stopping:
                process.ready, process.deadline = True, math.inf
                log.info("Worker %d is ready", pid)
        if not self._begun and sum(process.ready for process in self._serving()) == self.count:
            self._begun = True

    def _bury(self) -> None:
        """Note who has ended."""
        for process in list(self._processes.values()):
            pid, status = _waitpid(process.pid, os.WNOHANG)
            if pid:
                self._hear()  # it may have said that it is ready before it ended
                del self._processes[pid]
                self._mourn(process, os.waitstatus_to_exitcode(status))

    def _mourn(self, process: _Process, status: int) -> None:
        what = f"signal {-status}" if status < 0 else f"exit status {status}"
        successor = bool(self._old) and not process.ready
        if process in self._old:
            self._old.remove(process)
        if process.stopping or self._stopping:
            asked = status in (0, -signal.SIGTERM)  # the latter before it could listen
            log.log(logging.INFO if asked else logging.WARNING, "Worker %d has stopped (%s)", process.pid, what)
        elif not self._begun:
            if status <= 0:  # else it has said why
                log.error("Worker %d ended before it was ready (%s)", process.pid, what)
            self._stop(max(1, status))
        elif successor:
            log.warning("Worker %d ended before it was ready (%s); those that are there stay", process.pid, what)
            self._old.clear()
        else:
            self._replace(process, what)

    def _replace(self, process: _Process, what: str) -> None:
        now = self.clock.monotonic()
        steady = process.ready and now - process.started >= STEADY_SECONDS
        self._pause = 0.0 if steady else min(LONGEST_PAUSE, max(SHORTEST_PAUSE, 2 * self._pause))
        self._next_start = now + self._pause
        log.warning("Worker %d died (%s); another one starts in %g s", process.pid, what, self._pause)

    # -- what is done about it

    def _serving(self) -> list[_Process]:
        return [process for process in self._processes.values() if not process.stopping]

    def _busy(self) -> bool:
        return len(self._serving()) != self.count or any(process.deadline < math.inf for process in self._processes.values())

    def _act(self, now: float) -> None:
        """Start, stop and kill whom it is time for."""
        for process in self._processes.values():
            if now >= process.deadline:
                log.warning("Worker %d takes too long: killed", process.pid)
                os.kill(process.pid, signal.SIGKILL)
                process.deadline = math.inf
        if not self._stopping:
            self._fill(now)
            self._renew(now)

    def _fill(self, now: float) -> None:
        """Start who is missing; the first one alone, so that what stops the start is said once."""
        serving = self._serving()
        missing = self.count - len(serving) if any(process.ready for process in serving) else int(not serving)
        if now >= self._next_start:
            for _ in range(missing):
                self._start(now)

    def _renew(self, now: float) -> None:
        """Go on replacing the old ones: one more is started, and when it is ready an old one is stopped."""
        serving = self._serving()
        if len(serving) > self.count and all(process.ready for process in serving):
            self._tell(self._old.pop(0) if self._old else serving[0])
        elif self._old and len(serving) == self.count == len(self._processes):
            self._start(now)

    def _start(self, now: float) -> None:
        files = f"{self.listener.fileno()},{self._ready[1]},{self._lifeline[0]}"
        try:
            pid = _posix_spawn(self.command[0], self.command, {**os.environ, VARIABLE: files}, setsigmask=(), setsigdef=SIGNALS)
        except OSError as error:
            log.error("no worker can be started: %s", error)
            self._next_start = now + LONGEST_PAUSE
            self._old.clear()
        else:
            self._processes[pid] = _Process(pid, now, now + START_SECONDS)

    def _tell(self, process: _Process) -> None:
        """Ask a worker to stop."""
        process.stopping, process.deadline = True, self.clock.monotonic() + self.stop_seconds
        os.kill(process.pid, signal.SIGTERM)

    def _stop(self, status: int) -> None:
        if not self._stopping:
            self._stopping, self._status = True, status
            self.listener.close()
            if self._processes:
                log.info("Stopping %d workers", len(self._processes))
            for process in self._serving():
                self._tell(process)
