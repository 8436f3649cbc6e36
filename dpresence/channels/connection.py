"""One websocket connection: reading, dispatching events to the channel, and running deferred functions.

An idle connection has a watcher in gevent's hub and no greenlet. When bytes arrive or a function is deferred, a greenlet of the
pool runs: it handles everything in order and ends. There is one run at a time, so events of a connection never overlap, and the
socket is not read while a deferred function blocks.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Callable
from typing import Any

import gevent

from ..errors import CloseCode
from . import frames
from .channel import Channel
from .frames import FrameLimits
from .gate import Gate
from .inbox import Inbox
from .outbox import WOULD_BLOCK
from .wire import LOST, State, Wire

__all__ = ["Channel", "Connection", "FrameLimits"]

RECEIVE_BYTES = 16384
"""Maximum size of one read; also the size of a TLS record."""
FRAMES_PER_BATCH = 8
"""Frames handled before the connection yields to the event loop."""
DISCARD_SECONDS = 0.01
"""Pause between two reads of input that is discarded."""
_READ = 1
_IDLE, _SCHEDULED, _OVERDUE, _RUNNING = range(4)
"""States of the run: none; scheduled; scheduled but not started before the last tick, or failed twice; running."""


class Connection(Wire):
    """Server side of a websocket.

    :ivar channel: receives the events; None before a view has called ``open`` and after ``Channel.closed``.
    """

    __slots__ = ("_deferred", "_opened", "_reading_paused", "_recv", "_run_state", "channel")

    def __init__(self, gate: Gate, address: str) -> None:
        super().__init__(gate, address)
        self.channel: Channel | None = None
        self._run_state = _IDLE
        self._opened = False  # ``Channel.opened`` was called, so ``Channel.closed`` must be
        self._reading_paused = True  # the watcher is stopped
        self._deferred: deque[Callable[[], None]] | None = None

    # What views, channels and the hub call

    def open(self, channel: Channel) -> None:
        """Set the channel. A view calls this before the 101; the connection starts later."""
        self.channel = channel

    def defer(self, function: Callable[[], None]) -> None:
        """Run ``function``, which may block, in a greenlet. Messages that arrive meanwhile are handled after it, in order.

        It runs even if the connection ends before. ``Channel.closed`` is called after it and may defer further functions.
        """
        if self._deferred is None:
            self._deferred = deque()
        self._deferred.append(function)
        self._schedule_run(self._run_pending)

    def signed_in(self) -> None:
        """Report the sign-in to ``Gate``, so that its limits on connections without sign-in no longer count this one. Idempotent."""
        self._gate.signed_in(self)

    # Called by the handshake and the ticker

    def start(self, sock: Any, received: bytes) -> None:
        """Take over the socket of an upgraded request. The channel's events begin in the next iteration of the event loop.

        :param sock: a gevent socket, plain or TLS. It stays open until this connection ends, even if the caller closes it.
        :param received: bytes that the client sent after its request.
        """
        assert self.channel is not None
        sock.settimeout(0)
        self._sock = sock
        self._state = State.OPEN
        try:
            self._start(self.channel.limits, received)
        except BaseException:
            self.fail()

    def _start(self, limits: FrameLimits, received: bytes) -> None:
        sock = self._sock
        raw = sock if isinstance(sock, ssl.SSLSocket) else sock._sock  # gevent's wrapper would block
        self._recv, self._send = raw.recv, raw.send
        self._sock_file = sock.makefile("rb", 0)  # the socket stays open until its last file is closed
        self._watcher = gevent.get_hub().loop.io(sock.fileno(), _READ)
        self._inbox = Inbox(limits, self._gate.settings.presence.ping_seconds, self._now())
        self._inbox.feed(received, self._now())
        self._schedule_run(self._run_first)

    def tick(self, now: float) -> None:
        """Check the deadlines. Called about once a second.

        :param now: ``Clock.monotonic()``.
        """
        self._check_runs()
        if self._outbox is not None and now - self._outbox.progress_at >= self._gate.settings.channels.send_seconds:
            self._drop(CloseCode.SLOW_READER)
        elif self._state is State.CLOSING and now >= self._deadline:
            self._end()
        elif self._inbox is not None and not self.closed and self._run_state == _IDLE:
            self._check_peer(self._inbox, now)
            self._call_channel("tick")

    def _check_runs(self) -> None:
        """Check that a scheduled run has started, and that a closed connection was finished.

        :raises RuntimeError: a scheduled run has not started.
        """
        if self._run_state == _SCHEDULED:
            self._run_state = _OVERDUE
        elif self._run_state == _OVERDUE:  # callbacks run in order, so it should have started since the last tick
            self._run_state = _IDLE
            raise RuntimeError("a scheduled run has not started")
        elif self._run_state == _IDLE and self._ended():
            self._schedule_finish()

    def _check_peer(self, inbox: Inbox, now: float) -> None:
        """Ping a silent peer; end the connection if the pong or the rest of a frame is overdue (docs/protocol.md, section 4)."""
        settings = self._gate.settings
        if inbox.frame_overdue(now, settings):
            self._drop(LOST)
        elif inbox.pong_overdue(now, settings):
            self.close(CloseCode.NO_PONG, "no pong")
            self._deadline = now  # do not wait for its close frame: grace begins at the next tick
        elif inbox.ping_due(now, settings):
            self.send_frame(frames.ping_frame())

    # Runs: one greenlet at a time handles events

    def _schedule_run(self, body: Callable[[], None]) -> None:
        if self._run_state == _IDLE:
            self._run_state = _SCHEDULED
            self._gate.workers.spawn(self._run, body)

    def _schedule_finish(self) -> None:
        self._schedule_run(self._finish_run)

    def _on_readable(self) -> None:
        """Start a run when bytes have arrived, or pause reading while another run is active. Called in the hub."""
        if self._run_state != _IDLE:
            self._watcher.stop()
            self._reading_paused = True
        else:
            self._run_state = _SCHEDULED
            self._gate.workers.run(self._run, self._run_reads)

    def _run(self, body: Callable[[], None]) -> None:
        """Call ``body`` and handle all its exceptions, so that the connection does not stay busy."""
        self._run_state = _RUNNING
        try:
            body()
        except BaseException:
            self._run_state = _OVERDUE  # if the next line fails as well, the next tick ends the connection
            self._end_failed_run()

    def _end_failed_run(self) -> None:
        """End a connection whose run has failed."""
        self._run_state = _RUNNING
        try:
            self.fail()
            self._finish_run()
        except BaseException:
            self._run_state = _OVERDUE
            self._log_failure()

    def _run_first(self) -> None:
        self._opened = True
        self._call_channel("opened", self)
        if self._gate.draining:
            self.close(CloseCode.STOPPING, "the server is stopping; retry_after=1")
        self._run_pending()

    def _run_pending(self) -> None:
        self._run_deferred()
        self._handle_frames(self._now())
        self._finish_run()

    def _run_reads(self) -> None:
        while self._receive():
            gevent.sleep(0 if self._inbox is not None else DISCARD_SECONDS)
        self._finish_run()

    def _finish_run(self) -> None:
        """End a run: finish a closed connection, or wait for bytes again."""
        self._run_deferred()
        if self._state is State.CLOSED:
            self._report_end()
            return  # the run state stays busy, so nothing is scheduled any more
        self._run_state = _IDLE
        if self._reading_paused:
            self._reading_paused = False
            if self._inbox is not None:
                self._inbox.restart_ping_timer(self._now())  # bytes may have arrived while reading was paused
            self._watcher.start(self._call_from_hub, self._on_readable)

    def _report_end(self) -> None:
        """Call ``Channel.closed`` once, then remove the connection from ``Gate``. Called again if it raises."""
        channel, self.channel = self.channel, None
        if channel is not None and self._opened:
            self._call_guarded(channel.closed, self._code, self._clean)
        self._run_deferred()
        self._gate.leave(self)
        self._gate.metrics.closed(self._code)

    def _run_deferred(self) -> None:
        while self._deferred:
            self._call_guarded(self._deferred.popleft())
        self._deferred = None

    def _call_channel(self, event: str, *arguments: Any) -> Any:
        return self._call_guarded(getattr(self.channel, event), *arguments)

    def _call_guarded(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except BaseException:
            self._log_failure()
            self.close(CloseCode.INTERNAL_ERROR, "internal error")
            return None

    # Reading

    def _receive(self) -> bool:
        """Read once and handle complete frames; return whether more bytes may be available."""
        if self._ended():
            return False
        try:
            data = self._recv(RECEIVE_BYTES)
        except WOULD_BLOCK:
            return False
        except OSError:
            data = b""
        if not data:
            self._end()
        if self._inbox is None:
            return not self._ended()
        now = self._now()
        self._inbox.feed(data, now)
        self._handle_frames(now)
        return len(data) == RECEIVE_BYTES or self._has_decrypted_bytes()

    def _has_decrypted_bytes(self) -> bool:
        """Return whether the TLS layer has decrypted bytes, for which the watcher does not fire."""
        return isinstance(self._sock, ssl.SSLSocket) and not self._ended() and self._sock.pending() > 0

    def _handle_frames(self, now: float) -> None:
        """Handle the complete frames; yield to the event loop every ``FRAMES_PER_BATCH`` frames."""
        count = 0
        while self._inbox is not None:
            try:
                event = self._inbox.next(now)
            except frames.Violation as violation:
                self._inbox = None
                self.close(violation.code, violation.reason)
                return
            if event is None:
                return
            self._dispatch(event)
            self._run_deferred()
            count += 1
            if not count % FRAMES_PER_BATCH:
                gevent.sleep(0)
                now = self._now()

    def _dispatch(self, event: frames.Event) -> None:
        if isinstance(event, frames.Close):
            self._peer_closed(event)
        elif self.closed:
            return
        elif isinstance(event, frames.Text):
            self._call_channel("message", event.text)
        elif isinstance(event, frames.Ping):
            self.send_frame(frames.pong_frame(event.data))
        elif isinstance(event, frames.Binary) and self._call_channel("binary", event.data) is False:
            self.close(CloseCode.UNSUPPORTED_DATA, "text messages only")
