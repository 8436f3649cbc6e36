"""Several processes behind one port: ``[server:main] workers = N`` (docs/scaling.md, docs/decisions/0010-workers.md).

The supervisor binds the port and starts the workers. Each worker is a separate process with the supervisor's own command line.
A worker inherits the listening socket and the ends of two pipes. It writes heartbeats into one pipe as soon as it is ready. The
other pipe reaches its end when the supervisor ends. When the heartbeats of a worker stop, the supervisor makes it write a stack
trace, kills it and replaces it. The supervisor serves no requests and has no greenlets, threads or connections.
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
from .service_manager import SOCKET_VARIABLE, ServiceManager
from .worker import TRACE_SIGNAL, VARIABLE

# The functions that gevent patches would start an event loop in this process.
_posix_spawn, _waitpid = monkey.get_original("os", ("posix_spawn", "waitpid"))

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
START_SECONDS = 600.0
"""Maximum seconds until a worker is ready. The first worker may have to upgrade the database."""
STOP_SECONDS = 12.0
"""Maximum seconds until a worker has ended after SIGTERM. A worker needs less than 10 s."""
TRACE_SECONDS = 1.0
"""Seconds between the signal that requests a stack trace and SIGKILL."""
STEADY_SECONDS = 10.0
"""Minimum uptime of a worker, in seconds, for a replacement without delay."""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Minimum and maximum seconds before a replacement is started. The delay doubles each time a worker ends before ``STEADY_SECONDS``."""
STEP_SECONDS, IDLE_SECONDS = 0.1, 5.0
"""Seconds between two steps of the supervisor: while a worker starts or stops, and otherwise."""


@dataclass(eq=False, slots=True)
class _Process:
    """The supervisor's record of one worker.

    :ivar deadline: time of the monotonic clock by which the worker must be ready, send the next heartbeat or end.
    :ivar overdue: the worker missed its deadline. At the next deadline it gets SIGKILL.
    """

    pid: int
    started: float
    deadline: float
    ready: bool = False
    stopping: bool = False
    overdue: bool = False

    def take_heartbeat(self, now: float, seconds: int) -> None:
        """Mark the worker as ready and extend its deadline by ``seconds``."""
        if not self.ready:
            log.info("Worker %d is ready", self.pid)
        self.ready, self.deadline = True, now + seconds

    def state(self) -> str:
        """Return the process state that the kernel reports, such as ``T (stopped)``."""
        with suppress(OSError), open(f"/proc/{self.pid}/status", encoding="ascii", errors="replace") as status:
            return next((line.partition(":")[2].strip() for line in status if line.startswith("State:")), "unknown")
        return "unknown"


@dataclass(slots=True)
class Supervisor:
    """Keeps ``count`` workers running until SIGTERM or SIGINT. SIGHUP replaces them one after the other.

    :param command: command line of a worker.
    :param listener: the socket that the workers share; see ``worker.listen``.
    :param stop_seconds: see ``STOP_SECONDS``.
    """

    command: Sequence[str]
    count: int
    listener: socket.socket
    stop_seconds: float = STOP_SECONDS
    clock: Clock = field(default_factory=Clock)
    manager: ServiceManager = field(default_factory=ServiceManager)
    _processes: dict[int, _Process] = field(default_factory=dict)
    _outdated: list[_Process] = field(default_factory=list)  # workers that a SIGHUP replaces
    _started: bool = False  # all workers have been ready at the same time
    _reloading: bool = False  # the service manager waits for the end of a replacement
    _stopping: bool = False
    _status: int = 0
    _pause: float = 0.0
    _next_start: float = 0.0
    _last_step: float = 0.0
    _heartbeats: tuple[int, int] = (-1, -1)
    _lifeline: tuple[int, int] = (-1, -1)

    def run(self) -> int:
        """Supervise the workers until all have ended; return the exit status of the service."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # sigtimedwait() receives them below, so none is lost
        self.open_pipes()
        while self.step():
            received = signal.sigtimedwait(SIGNALS, STEP_SECONDS if self._busy() else IDLE_SECONDS)
            if received:
                self._handle(received.si_signo)
        return self._status

    def open_pipes(self) -> None:
        """Create the pipes. Neither end of the heartbeat pipe may block a process that uses it."""
        self._heartbeats, self._lifeline = os.pipe(), os.pipe()
        for end in self._heartbeats:
            os.set_blocking(end, False)
        for end in (self._heartbeats[1], self._lifeline[0]):
            os.set_inheritable(end, True)
        self._last_step = self.clock.monotonic()

    def step(self) -> bool:
        """Check every worker once and start, stop and kill workers as needed; return False when a stop is complete."""
        self._reap()
        self._read_heartbeats()
        if self._stopping and not self._processes:
            return False
        now = self.clock.monotonic()
        self._enforce_deadlines(now)
        if not self._stopping:
            self._start_missing(now)
            self._replace_outdated(now)
        self.manager.beat()
        return True

    # -- events: signals, heartbeats and ended workers

    def _handle(self, number: int) -> None:
        """Handle a signal."""
        if number in (signal.SIGTERM, signal.SIGINT):
            self._stop(0)
        elif number == signal.SIGHUP and self._started and not self._stopping:
            log.info("Replacing %d workers, one after the other", self.count)
            self._reloading = True
            self.manager.reloading()
            self._outdated = self._serving()

    def _read_heartbeats(self) -> None:
        """Process the heartbeats that have arrived."""
        try:
            received = os.read(self._heartbeats[0], 65536)
        except BlockingIOError:
            return
        for line in received.splitlines():
            pid, seconds = map(int, line.split())
            process = self._processes.get(pid)
            if process and not process.stopping and not process.overdue:
                process.take_heartbeat(self.clock.monotonic(), seconds)
        if not self._started and sum(process.ready for process in self._serving()) == self.count:
            self._started = True
            self.manager.ready()

    def _reap(self) -> None:
        """Reap the workers that have ended."""
        for process in list(self._processes.values()):
            pid, status = _waitpid(process.pid, os.WNOHANG)
            if pid:
                self._read_heartbeats()  # its first heartbeat may still be in the pipe
                del self._processes[pid]
                self._on_exit(process, os.waitstatus_to_exitcode(status))

    def _on_exit(self, process: _Process, status: int) -> None:
        """Log the end of a worker, and stop the service or schedule a replacement as needed."""
        reason = f"signal {-status}" if status < 0 else f"exit status {status}"
        replacement = bool(self._outdated) and not process.ready
        if process in self._outdated:
            self._outdated.remove(process)
        if process.stopping or self._stopping:
            expected = status in (0, -signal.SIGTERM)  # SIGTERM ends a worker that has not installed its handler yet
            log.log(logging.INFO if expected else logging.WARNING, "Worker %d has stopped (%s)", process.pid, reason)
        elif not self._started:
            if status <= 0:  # with a positive status the worker has logged the reason itself
                log.error("Worker %d ended before it was ready (%s)", process.pid, reason)
            self._stop(max(1, status))
        elif replacement:
            log.warning("Worker %d ended before it was ready (%s); the running workers are not replaced", process.pid, reason)
            self._outdated.clear()
        else:
            self._schedule_replacement(process, reason)

    def _schedule_replacement(self, process: _Process, reason: str) -> None:
        now = self.clock.monotonic()
        steady = process.ready and now - process.started >= STEADY_SECONDS
        self._pause = 0.0 if steady else min(LONGEST_PAUSE, max(SHORTEST_PAUSE, 2 * self._pause))
        self._next_start = now + self._pause
        log.warning("Worker %d died (%s); its replacement starts in %g s", process.pid, reason, self._pause)

    # -- actions: start, stop and kill workers

    def _serving(self) -> list[_Process]:
        return [process for process in self._processes.values() if not process.stopping]

    def _busy(self) -> bool:
        """Return whether a worker starts, stops, is missing or is overdue."""
        steady = [process for process in self._serving() if process.ready and not process.overdue]
        return len(steady) != self.count or len(self._processes) != self.count

    def _enforce_deadlines(self, now: float) -> None:
        """Kill workers whose deadline has passed. Time during which the supervisor itself did not run extends every deadline."""
        suspended, self._last_step = max(0.0, now - self._last_step - IDLE_SECONDS), now
        for process in self._processes.values():
            process.deadline += suspended
            if now >= process.deadline:
                self._kill(process, now)

    def _kill(self, process: _Process, now: float) -> None:
        """Make a worker write a stack trace at its first missed deadline, and send SIGKILL at the second."""
        if not process.overdue:
            why = "sends no heartbeats" if process.ready and not process.stopping else "takes too long"
            log.warning("Worker %d %s, state %s: it writes a stack trace and is killed", process.pid, why, process.state())
            process.overdue, process.deadline = True, now + TRACE_SECONDS
            os.kill(process.pid, TRACE_SIGNAL)
            os.kill(process.pid, signal.SIGCONT)  # a stopped process handles signals only after SIGCONT
        else:
            log.warning("Worker %d gets SIGKILL", process.pid)
            os.kill(process.pid, signal.SIGKILL)
            process.deadline = math.inf
            process.stopping |= process.ready  # so that its replacement does not wait until the kernel has ended it

    def _start_missing(self, now: float) -> None:
        """Start missing workers. The first worker starts alone, so that an error that prevents the start is logged once."""
        serving = self._serving()
        missing = self.count - len(serving) if any(process.ready for process in serving) else int(not serving)
        if now >= self._next_start:
            for _ in range(missing):
                self._start(now)

    def _replace_outdated(self, now: float) -> None:
        """Continue a replacement of all workers: start one worker, and stop an outdated one when the new one is ready."""
        serving = self._serving()
        if len(serving) > self.count and all(process.ready for process in serving):
            self._terminate(self._outdated.pop(0) if self._outdated else serving[0])
        elif self._outdated and len(serving) == self.count == len(self._processes):
            self._start(now)
        elif self._reloading and not self._outdated and not self._busy():
            self._reloading = False
            self.manager.ready()

    def _start(self, now: float) -> None:
        files = f"{self.listener.fileno()},{self._heartbeats[1]},{self._lifeline[0]}"
        try:
            pid = _posix_spawn(self.command[0], self.command, _environment(files), setsigmask=(), setsigdef=SIGNALS)
        except OSError as error:
            log.error("no worker can be started: %s", error)
            self._next_start = now + LONGEST_PAUSE
            self._outdated.clear()
        else:
            self._processes[pid] = _Process(pid, now, now + START_SECONDS)

    def _terminate(self, process: _Process) -> None:
        """Send SIGTERM to a worker and set the deadline of its stop."""
        process.stopping, process.deadline = True, self.clock.monotonic() + self.stop_seconds
        os.kill(process.pid, signal.SIGTERM)

    def _stop(self, status: int) -> None:
        """Stop the service with this exit status; later calls have no effect."""
        if not self._stopping:
            self._stopping, self._status = True, status
            self.manager.stopping()
            self.listener.close()
            if self._processes:
                log.info("Stopping %d workers", len(self._processes))
            for process in self._serving():
                self._terminate(process)


def _environment(files: str) -> dict[str, str]:
    """Return the environment of a worker. Only the supervisor reports to the service manager."""
    return {name: value for name, value in os.environ.items() if name != SOCKET_VARIABLE} | {VARIABLE: files}
