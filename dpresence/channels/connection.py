"""One websocket connection: reading, dispatching events to the channel, and running deferred functions.

An idle connection has no greenlet; ``Readiness`` watches its socket. An ordinary small message is handled at once, in the event loop. When
other bytes arrive or a function is deferred, a greenlet of the pool runs: it handles everything in order and ends. There is one run at a
time, so events of a connection never overlap, and the socket is not read while a deferred function blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gevent

from ..errors import CloseCode
from . import frames
from .channel import Channel
from .connection_base import ConnectionBase
from .connection_scheduler import IDLE
from .frame_limits import FrameLimits
from .frame_receiver import FrameReceiver
from .session_log import log_end
from .wire import LOST, OPEN, State

__all__ = ["Channel", "Connection", "FrameLimits"]

FRAMES_PER_BATCH = 8
"""Frames handled before the connection yields to the event loop."""
PING = frames.ping_frame()
DISCARD_SECONDS = 0.01
"""Pause between two reads of input that is discarded."""


class Connection(ConnectionBase):
    """Server side of a websocket: its runs, and the reading of frames."""

    __slots__ = ()

    # What channels and the hub call, besides ``ConnectionBase``

    def defer(self, function: Callable[[], None]) -> None:
        """See ``ChannelConnection``. The function runs even if the connection ends before; ``Channel.closed`` is called after it."""
        self._scheduler.defer(function)
        self._scheduler.schedule(self._run_pending)

    def resume(self, function: Callable[..., None], *arguments: Any) -> None:
        """See ``ChannelConnection``. An internal error ends the connection: nobody else would continue the parked run."""
        self._suspended = False
        try:
            self._continue(function, *arguments)
        except BaseException:
            self._scheduler.end()
            self.fail()

    def _continue(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call ``function``, and continue the parked run. A greenlet is needed only if there is more to do."""
        self.call_guarded(function, *arguments)
        if self._scheduler.parked:
            if self._unread or self.closed or not self._scheduler.nothing_deferred or not (self._receiver and self._receiver.empty):
                self._scheduler.start(self._run_resumed)
            else:
                self.finish_run()

    # Called by the handshake and the ticker

    def start(self, sock: Any, received: bytes) -> None:
        """Take over the socket of an upgraded request. The channel's events begin in the next iteration of the event loop.

        :param sock: see ``Wire.attach``.
        :param received: bytes that the client sent after its request.
        """
        assert self.channel is not None
        sock.settimeout(0)
        self._wire.state = State.OPEN
        try:
            self._wire.attach(sock)
            self._receiver = FrameReceiver(self.channel.limits, self._gate.settings.presence.ping_seconds, self._now())
            self._receiver.feed(received, self._now())
            self._scheduler.schedule(self._run_first)
        except BaseException:
            self.fail()

    def tick(self, now: float) -> float:
        """Check the deadlines, and return when the next one is.

        Called when it has passed, and soon after each run and each frame that the socket did not accept, which may change it.

        :param now: ``Clock.monotonic()``.
        :raises RuntimeError: a scheduled run has not started.
        """
        self._scheduler.check()
        if self._wire.state is State.CLOSED:
            self._scheduler.schedule_finish()
        self._wire.tick(now)
        (self._gate.sending.discard if self._wire.idle else self._gate.sending.add)(self)
        receiver, channel = self._receiver, self.channel
        if receiver is None or channel is None or self.closed or not self._scheduler.idle:
            return now  # look again in the next round
        self._check_peer(receiver, now)
        at: float | None = self.call_guarded(channel.tick)
        return now if at is None else min(at, receiver.deadline(self._gate.settings), self._wire.deadline)

    def _check_peer(self, receiver: FrameReceiver, now: float) -> None:
        """Ping a silent peer; end the connection if the pong or the rest of a frame is overdue (docs/protocol.md, section 4)."""
        settings = self._gate.settings
        if receiver.frame_overdue(now, settings):
            self._wire.drop(LOST)
        elif receiver.pong_overdue(now, settings):
            self._wire.close_unresponsive(now)  # grace begins at the next tick
        elif receiver.ping_due(now, settings):
            self._wire.send_frame(PING)

    def _now(self) -> float:
        return self._gate.clock.monotonic()

    # Bodies of runs

    def on_readable(self) -> None:
        """Handle bytes that have arrived; an internal error ends the connection. Called in the event loop."""
        try:
            if self._scheduler.state != IDLE:  # the bytes wait for the end of the run
                self._wire.unwatch()
                self._reading_paused = True
                return
            if self._wire.tls_file is not None:
                self._scheduler.start(self._run_reads)
                return
            data = self._wire.receive()
            if data and not self._handle_small(data):
                self._scheduler.start(partial(self._run_reads, data))
        except BaseException:
            self.fail()

    def _handle_small(self, data: bytes) -> bool:
        """Handle ``data`` in the event loop if it is one small message or pong; return False, without any effect, if not.

        Nearly every read is an update or a pong that takes this path. It saves the switch to a greenlet and back, and the parser. Whatever
        is not ordinary, also what is to be refused, is handled by a run (docs/decisions/0023-small-updates-in-the-hub.md).
        """
        receiver, channel, wire = self._receiver, self.channel, self._wire
        if receiver is None or channel is None or wire.state is not OPEN or wire.discards:
            return False
        now, full_at = self._gate.clock.monotonic(), receiver.full_at
        payload = receiver.small_text(data, now)
        if payload is None:
            return receiver.take_pong(data, now)
        try:
            answer = channel.try_message(payload, now)
            if answer is None:
                receiver.full_at = full_at
                return False
            receiver.count += 1
            if answer:
                wire.send_frame(answer)
        except BaseException:  # as ``call_guarded``
            self.log_failure()
            self.close(CloseCode.INTERNAL_ERROR, "internal error")
        if self._suspended:
            self._unread = False
            self._scheduler.park()  # there is no run; ``resume`` ends the suspension as if there were one
        return True

    def _run_first(self) -> None:
        self._opened = True
        if self.channel is not None:
            self.call_guarded(self.channel.opened, self)
        if self._gate.draining:
            self.close(CloseCode.STOPPING, "the server is stopping; retry_after=1")
        self._run_pending()

    def _run_pending(self) -> None:
        self._scheduler.run_deferred()
        self._handle_frames(self._now())
        self.finish_run()

    def _run_reads(self, data: bytes = b"") -> None:
        """Handle ``data``, which was read already, and read until no more bytes are available."""
        while self._handle_data(data or self._wire.receive()) and not self._suspended:
            gevent.sleep(DISCARD_SECONDS if self._wire.discards else 0)
            data = b""
        self.finish_run()

    def _run_resumed(self) -> None:
        self._scheduler.run_deferred()
        self._handle_frames(self._now())
        if self._unread and not self._suspended:
            self._run_reads()
        else:
            self.finish_run()

    def finish_run(self) -> None:
        """End a run: finish a closed connection, or wait for bytes again. A suspended run ends later."""
        if self._suspended:
            self._scheduler.park()
            return
        self._scheduler.run_deferred()
        if self._wire.state is State.CLOSED:
            self._report_end()
            self._scheduler.release()
            return
        self._scheduler.end()
        if self._reading_paused:
            self._reading_paused = False
            if self._receiver is not None:
                self._receiver.restart_ping_timer(self._now())  # bytes may have arrived while reading was paused
            self._wire.watch(self)

    def _report_end(self) -> None:
        """Call ``Channel.closed`` once, then remove the connection from ``Gate``. Called again if it raises."""
        channel, self.channel = self.channel, None
        if channel is not None and self._opened:
            self.call_guarded(channel.closed, self._wire.code, self._wire.clean)
            self.call_guarded(self._log_end, channel)
        self._scheduler.run_deferred()
        self._gate.leave(self)
        self._gate.metrics.closed(self._wire.code)

    def _log_end(self, channel: Channel) -> None:
        receiver = self._receiver
        if receiver is not None:
            log_end(channel, self.id, self._wire.code, self._wire.clean, self._now() - receiver.began_at, receiver.count)

    # Reading

    def _handle_data(self, data: bytes) -> bool:
        """Handle complete frames; return whether more bytes may be available."""
        wire = self._wire
        if not data or wire.discards:
            return bool(data) and wire.state is not State.CLOSED
        now = self._now()
        assert self._receiver is not None
        self._receiver.feed(data, now)
        self._handle_frames(now)
        self._unread = wire.may_have_more(data)
        return self._unread

    def _handle_frames(self, now: float) -> None:
        """Handle the complete frames; yield to the event loop every ``FRAMES_PER_BATCH`` frames."""
        count, receiver = 0, self._receiver
        while receiver is not None and not self._wire.discards:
            try:
                event = receiver.next(now)
            except frames.Violation as violation:
                self._wire.discards = True
                self.close(violation.code, violation.reason)
                return
            if event is None:
                return
            self._dispatch(event)
            if self._suspended:
                return
            self._scheduler.run_deferred()
            count += 1
            if not count % FRAMES_PER_BATCH:
                gevent.sleep(0)
                now = self._now()

    def _dispatch(self, event: frames.Event) -> None:
        channel = self.channel
        if isinstance(event, frames.Close):
            self._wire.peer_closed(event)
        elif self.closed or channel is None:
            return
        elif isinstance(event, frames.Text):
            self.call_guarded(channel.message, event.text)
        elif isinstance(event, frames.Ping):
            self._wire.send_frame(frames.pong_frame(event.data))
        elif isinstance(event, frames.Binary) and self.call_guarded(channel.binary, event.data) is False:
            self.close(CloseCode.UNSUPPORTED_DATA, "text messages only")
