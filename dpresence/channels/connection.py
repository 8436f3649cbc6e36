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
from .connection_base import PING, ConnectionBase
from .connection_scheduler import IDLE
from .frame_limits import FrameLimits
from .frame_receiver import EMPTY_BYTES
from .session_log import log_end
from .wire import OPEN, State

__all__ = ["Channel", "Connection", "FrameLimits"]

FRAMES_PER_BATCH = 8
"""Frames handled before the connection yields to the event loop."""
DISCARD_SECONDS = 0.01
"""Pause between two reads of input that is discarded."""


class Connection(ConnectionBase):
    """Server side of a websocket: its runs, and the reading of frames."""

    __slots__ = ()

    # What channels and the hub call, besides ``ConnectionBase``

    def defer(self, function: Callable[[], None]) -> None:
        """See ``ChannelConnection``. The function runs even if the connection ends before; ``Channel.closed`` is called after it."""
        self.store_deferred(function)
        if self.run_state == IDLE:
            self.schedule(self._run_pending)

    def resume(self, function: Callable[..., None], *arguments: Any) -> None:
        """See ``ChannelConnection``. An internal error ends the connection: nobody else would continue the suspended run."""
        self._suspended = False
        try:
            self._continue(function, *arguments)
        except BaseException:
            self.end_run()
            self.fail()

    def _continue(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call ``function``, and continue the suspended run. A greenlet is needed only if there is more to do."""
        self.call_guarded(function, *arguments)
        if self.run_suspended:
            if self._unread or self._deferred or self._parser is not None or self.state is not OPEN:
                self.start_run(self._run_resumed)
            elif self._suspended or self._reading_paused:
                self.finish_run()
            else:  # nearly always; ``finish_run`` would do no more
                self.end_run()

    # Called by the handshake and the ticker

    def start(self, sock: Any, received: bytes) -> None:
        """Take over the socket of an upgraded request. The channel's events begin in the next iteration of the event loop.

        :param sock: see ``Wire.attach``.
        :param received: bytes that the client sent after its request.
        """
        assert self.channel is not None
        sock.settimeout(0)
        self.state = State.OPEN
        try:
            self.attach(sock)
            self.start_receiving(self.channel.limits, self._gate.settings.presence.ping_seconds, self._now())
            self.feed(received, self._now())
            self.schedule(self._run_first)
        except BaseException:
            self.fail()

    def start_watched(self, sock: Any) -> None:
        """Take over a plain socket that ``Readiness`` watches already, and open the channel at once. Must be called in the event loop."""
        channel, self.state = self.channel, State.OPEN
        assert channel is not None
        try:
            self.attach(sock)
            self.start_receiving(channel.limits, self._gate.settings.presence.ping_seconds, self._now())
            self._gate.readiness.pass_on(sock.fileno(), self)
            self._reading_paused, self._opened = False, True
            self.call_guarded(channel.opened, self)
        except BaseException:
            self.fail()

    def tick(self, now: float) -> float:
        """Check the deadlines, and return when the next one is.

        Called when it has passed, soon after each run and each frame that the socket did not accept, which may change it, and if a ping
        was not answered. Nearly all ticked connections are idle: only their pings and the channel's own deadlines are due.

        :param now: ``Clock.monotonic()``.
        :raises RuntimeError: a scheduled run has not started.
        """
        channel = self.channel
        if channel is None or self.run_state != IDLE or self.state is not OPEN or self._parser or self._send_buffer:
            return self._tick_busy(now)
        gate, pinged, presence = self._gate, self._pinged_at, self._gate.settings.presence
        gate.sending.discard(self)
        if pinged <= self._received_at:
            at = self._received_at + presence.ping_seconds
            if now >= at:
                self._pinged_at, at = now, now + presence.ping_seconds
                gate.pinged.append(self)
                self._write(PING)
        elif now >= (at := pinged + presence.pong_seconds):
            return self._tick_busy(now)
        try:
            end = channel.tick()
        except BaseException:  # as ``call_guarded``
            self.log_failure()
            self.close(CloseCode.INTERNAL_ERROR, "internal error")
            return now
        return at if at < end else end

    def _tick_busy(self, now: float) -> float:
        """Check all deadlines; see ``tick``."""
        self.check_run()
        if self.state is State.CLOSED:
            self.schedule_finish()
        self.tick_wire(now)
        (self._gate.sending.discard if self.idle else self._gate.sending.add)(self)
        channel = self.channel
        if channel is None or self.state is not OPEN or self.run_state != IDLE:
            return now  # check again in the next round
        self._check_peer(now)
        at: float | None = self.call_guarded(channel.tick)
        return now if at is None else min(at, self.receive_deadline(self._gate.settings), self.write_deadline)

    def _now(self) -> float:
        return self._gate.clock.monotonic()

    def on_readable(self) -> None:
        """Handle bytes that have arrived; an internal error ends the connection. Called in the event loop."""
        try:
            if self.run_state != IDLE:  # the bytes wait for the end of the run
                self.unwatch()
                self._reading_paused = True
                return
            if self.tls_file is not None:
                self.start_run(self._run_reads)
                return
            data = self.receive()
            if data and not self._handle_small(data):
                self.start_run(partial(self._run_reads, data))
        except BaseException:
            self.fail()

    def _handle_small(self, data: bytes) -> bool:
        """Handle ``data`` if it is one message or pong in a read of its own; return False, without any effect, if not.

        Nearly every read is an update or a pong. In the event loop, it needs no switch to a greenlet and back, and no parser. Whatever
        is not ordinary, or is to be refused, is handled by a run (docs/decisions/0023-small-updates-in-the-hub.md).
        """
        channel = self.channel
        if channel is None or self.state is not OPEN or self.discards:
            return False
        now = self._gate.clock.monotonic()
        payload = self.small_text(data, now) if len(data) > EMPTY_BYTES else None
        if payload is None:
            return self.take_pong(data, now)
        try:
            answer = channel.try_message(payload, now)
            if answer:
                self.send_frame(answer)
        except BaseException:  # as ``call_guarded``
            self.log_failure()
            self.close(CloseCode.INTERNAL_ERROR, "internal error")
            answer = b""
        self.frame_count += 1
        if answer is None:
            self.start_run(partial(self._run_message, payload))
        elif self._suspended:
            self._unread = False
            self.suspend_run()  # there is no run; ``resume`` ends the suspension as if there were one
        return True

    def _run_first(self) -> None:
        self._opened = True
        if self.channel is not None:
            self.call_guarded(self.channel.opened, self)
        if self._gate.draining:
            self.close(CloseCode.STOPPING, "the server is stopping; retry_after=1")
        self._run_pending()

    def _run_pending(self) -> None:
        self.run_deferred()
        self._handle_frames(self._now())
        self.finish_run()

    def _run_reads(self, data: bytes = b"") -> None:
        """Handle ``data``, which was read already, and read until no more bytes are available."""
        while self._handle_data(data or self.receive()) and not self._suspended:
            gevent.sleep(DISCARD_SECONDS if self.discards else 0)
            data = b""
        self.finish_run()

    def _run_message(self, payload: bytes) -> None:
        """Handle a message that was a read of its own, without the parser: a sign-in has one."""
        self._unread = False
        if self.channel is not None:
            self.call_guarded(self.channel.message, payload.decode())
        self.finish_run()

    def _run_resumed(self) -> None:
        self.run_deferred()
        self._handle_frames(self._now())
        if self._unread and not self._suspended:
            self._run_reads()
        else:
            self.finish_run()

    def finish_run(self) -> None:
        """End a run: finish a closed connection, or wait for bytes again. A suspended run ends later."""
        if self._suspended:
            self.suspend_run()
            return
        self.run_deferred()
        if self.state is State.CLOSED:
            self._report_end()
            return
        self.end_run()
        if self._reading_paused:
            self._reading_paused = False
            self.restart_ping_timer(self._now())  # bytes may have arrived while reading was paused
            self.watch()

    def _report_end(self) -> None:
        """Call ``Channel.closed`` once, then remove the connection from ``Gate``. Called again if it raises."""
        channel, self.channel = self.channel, None
        if channel is not None and self._opened:
            self.call_guarded(channel.closed, self.code, self.clean)
            self.call_guarded(log_end, channel, self.id, self.code, self.clean, self._now() - self.began_at, self.frame_count)
        self.run_deferred()
        self._gate.leave(self)
        if channel is None or channel.counted:
            self._gate.metrics.closed(self.code)

    # Reading

    def _handle_data(self, data: bytes) -> bool:
        """Handle complete frames; return whether more bytes may be available."""
        if not data or self.discards:
            return bool(data) and self.state is not State.CLOSED
        now = self._now()
        self.feed(data, now)
        self._handle_frames(now)
        self._unread = self.may_have_more(data)
        return self._unread

    def _handle_frames(self, now: float) -> None:
        """Handle the complete frames; yield to the event loop every ``FRAMES_PER_BATCH`` frames."""
        count = 0
        while not self.discards:
            try:
                event = self.next_event(now)
            except frames.Violation as violation:
                self.discards = True
                self.close(violation.code, violation.reason)
                return
            if event is None:
                return
            self._dispatch(event)
            if self._suspended:
                return
            self.run_deferred()
            count += 1
            if not count % FRAMES_PER_BATCH:
                gevent.sleep(0)
                now = self._now()

    def _dispatch(self, event: frames.Event) -> None:
        channel = self.channel
        if isinstance(event, frames.Close):
            self.peer_closed(event)
        elif self.closed or channel is None:
            return
        elif isinstance(event, frames.Text):
            self.call_guarded(channel.message, event.text)
        elif isinstance(event, frames.Ping):
            self.send_frame(frames.pong_frame(event.data))
        elif isinstance(event, frames.Binary) and self.call_guarded(channel.binary, event.data) is False:
            self.close(CloseCode.UNSUPPORTED_DATA, "text messages only")
