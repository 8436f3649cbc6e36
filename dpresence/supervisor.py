"""Several processes behind one port: ``[server:main] workers = N`` (docs/scaling.md, docs/decisions/0010-workers.md).

The supervisor binds the port and starts workers, each a process of its own with the command line this one was started with.
A worker inherits the listening socket and the ends of two pipes. Into one it writes heartbeats from the moment it is ready; the
other ends when the supervisor does. A worker whose heartbeats stop writes a stack trace, is killed and replaced. The supervisor
itself serves nobody and holds no greenlet, thread or connection.
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
from .worker import TRACE_SIGNAL, VARIABLE

# what gevent may have patched would start a loop here
_posix_spawn, _waitpid = monkey.get_original("os", ("posix_spawn", "waitpid"))

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
START_SECONDS = 600.0
"""How long a worker may take until it is ready; the first may have to upgrade the database."""
STOP_SECONDS = 12.0
"""How long a worker that was told to stop may take; it needs less than 10 s."""
TRACE_SECONDS = 1.0
"""Seconds from the signal for a stack trace to SIGKILL."""
STEADY_SECONDS = 10.0
"""A worker that died after this long is replaced at once."""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before another one is started; doubled each time that one dies early."""
STEP_SECONDS, IDLE_SECONDS = 0.1, 5.0
"""How often the supervisor looks while a worker starts or stops, and otherwise, for signals and heartbeats."""


@dataclass(eq=False, slots=True)
class _Process:
    """A worker as its supervisor sees it.

    :ivar deadline: when it must have been ready, have sent another heartbeat or have ended; on the monotonic clock.
    :ivar overdue: it missed its deadline; the next one is SIGKILL's.
    """

    pid: int
    started: float
    deadline: float
    ready: bool = False
    stopping: bool = False
    overdue: bool = False

    def take_heartbeat(self, now: float, seconds: int) -> None:
        """Be ready, and alive for so many seconds more."""
        if not self.ready:
            log.info("Worker %d is ready", self.pid)
        self.ready, self.deadline = True, now + seconds

    def state(self) -> str:
        """Return what the kernel says of it, such as ``T (stopped)``."""
        with suppress(OSError), open(f"/proc/{self.pid}/status", encoding="ascii", errors="replace") as status:
            return next((line.partition(":")[2].strip() for line in status if line.startswith("State:")), "unknown")
        return "unknown"


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
    _looked: float = 0.0
    _heartbeats: tuple[int, int] = (-1, -1)
    _lifeline: tuple[int, int] = (-1, -1)

    def run(self) -> int:
        """Supervise to the end; return the exit status of the whole."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # each is taken below, and none is lost
        self.begin()
        while self.step():
            taken = signal.sigtimedwait(SIGNALS, STEP_SECONDS if self._busy() else IDLE_SECONDS)
            if taken:
                self._take(taken.si_signo)
        return self._status

    def begin(self) -> None:
        """Make the pipes; neither of its ends may block whoever uses it."""
        self._heartbeats, self._lifeline = os.pipe(), os.pipe()
        for end in self._heartbeats:
            os.set_blocking(end, False)
        for end in (self._heartbeats[1], self._lifeline[0]):
            os.set_inheritable(end, True)
        self._looked = self.clock.monotonic()

    def step(self) -> bool:
        """Look at every worker once and do what it is time for; return False at the end of a stop."""
        self._bury()
        self._hear()
        if self._stopping and not self._processes:
            return False
        self._act(self.clock.monotonic())
        return True

    # -- what happens

    def _take(self, number: int) -> None:
        if number in (signal.SIGTERM, signal.SIGINT):
            self._stop(0)
        elif number == signal.SIGHUP and self._begun and not self._stopping:
            log.info("Replacing %d workers, one after the other", self.count)
            self._old = self._serving()

    def _hear(self) -> None:
        """Take the heartbeats that have come."""
        try:
            said = os.read(self._heartbeats[0], 65536)
        except BlockingIOError:
            return
        for line in said.splitlines():
            pid, seconds = map(int, line.split())
            process = self._processes.get(pid)
            if process and not process.stopping and not process.overdue:
                process.take_heartbeat(self.clock.monotonic(), seconds)
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
        steady = [process for process in self._serving() if process.ready and not process.overdue]
        return len(steady) != self.count or len(self._processes) != self.count

    def _act(self, now: float) -> None:
        """Start, stop and kill whom it is time for; time in which this process did not run itself counts for nobody."""
        away, self._looked = max(0.0, now - self._looked - IDLE_SECONDS), now
        for process in self._processes.values():
            process.deadline += away
            if now >= process.deadline:
                self._end(process, now)
        if not self._stopping:
            self._fill(now)
            self._renew(now)

    def _end(self, process: _Process, now: float) -> None:
        """Have a worker that missed its deadline write a stack trace, and kill it at the next one."""
        if not process.overdue:
            why = "is silent" if process.ready and not process.stopping else "takes too long"
            log.warning("Worker %d %s, state %s: a stack trace, then it is killed", process.pid, why, process.state())
            process.overdue, process.deadline = True, now + TRACE_SECONDS
            os.kill(process.pid, TRACE_SIGNAL)
            os.kill(process.pid, signal.SIGCONT)  # one that was stopped writes nothing until it goes on
        else:
            log.warning("Worker %d is killed", process.pid)
            os.kill(process.pid, signal.SIGKILL)
            process.deadline = math.inf
            process.stopping |= process.ready  # it is replaced now, should the kernel take its time

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
        files = f"{self.listener.fileno()},{self._heartbeats[1]},{self._lifeline[0]}"
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
