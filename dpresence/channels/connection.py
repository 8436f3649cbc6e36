"""One websocket connection; with ``wire.py`` the only file that touches a socket of a channel.

A connection is idle (a watcher in gevent's hub, no greenlet) or busy (one greenlet handles what came, in order). Whatever
sets it off, its events never overlap, and the socket is not read while something deferred waits.
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
"""Read at once; a TLS record is as large."""
FRAMES_A_TURN = 8
"""Frames handled before everybody else has a turn."""
DISCARD_SECONDS = 0.01
"""Pause between two reads of what nobody will look at any more."""
_READ = 1
_IDLE, _ASKED, _LATE, _RUNNING = range(4)
"""Of a connection's turn: there is none, one was asked for, it had not begun at the last tick (or did not end), it runs."""


class Connection(Wire):
    """A websocket, server side: what it is driven by, reading, and its turns.

    :ivar channel: who drives it; None before a view has called ``open`` and after ``Channel.closed``.
    """

    __slots__ = ("_busy", "_deferred", "_opened", "_paused", "_recv", "channel")

    def __init__(self, gate: Gate, address: str) -> None:
        super().__init__(gate, address)
        self.channel: Channel | None = None
        self._busy = _IDLE
        self._opened = False  # the channel was told, and is to be told of the end
        self._paused = True  # the socket is not being watched
        self._deferred: deque[Callable[[], None]] | None = None

    # What views, channels and the hub call

    def open(self, channel: Channel) -> None:
        """Say who drives this connection. Called by a view, before the 101: only remembers it."""
        self.channel = channel

    def defer(self, function: Callable[[], None]) -> None:
        """Run ``function``, which may wait, in a greenlet. Messages that arrive meanwhile are handled after it, in order.

        It runs even when the connection ends before, and ``Channel.closed`` comes after it; what that defers is the last to run.
        """
        if self._deferred is None:
            self._deferred = deque()
        self._deferred.append(function)
        self._work(self._turn)

    def signed_in(self) -> None:
        """Tell the gate that somebody has signed in here: no longer one of the address's unknown sockets. Idempotent."""
        self._gate.signed_in(self)

    # Life: started by the handshake, ticked by the keeper

    def start(self, sock: Any, received: bytes) -> None:
        """Take over the socket of an upgraded request; the channel's events begin once the caller lets go.

        :param sock: a gevent socket, plain or TLS. It stays open until this connection ends, even if others close it before.
        :param received: what the client sent behind its request.
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
        raw = sock if isinstance(sock, ssl.SSLSocket) else sock._sock  # gevent's own waits, which nothing here does
        self._recv, self._send = raw.recv, raw.send
        self._hold = sock.makefile("rb", 0)  # a socket is closed with the last of its files
        self._watcher = gevent.get_hub().loop.io(sock.fileno(), _READ)
        self._inbox = Inbox(limits, self._gate.settings.presence.ping_seconds, self._now())
        self._inbox.feed(received, self._now())
        self._work(self._first_turn)

    def tick(self, now: float) -> None:
        """Keep the deadlines; called about once a second.

        :param now: ``Clock.monotonic()``.
        """
        self._watch_turns()
        if self._outbox is not None and now - self._outbox.progress_at >= self._gate.settings.channels.send_seconds:
            self._drop(CloseCode.SLOW_READER)
        elif self._state is State.CLOSING and now >= self._deadline:
            self._end()
        elif self._inbox is not None and not self.closed and not self._busy:
            self._listen(self._inbox, now)
            self._tell("tick")

    def _watch_turns(self) -> None:
        """See that each turn begins, and that the end is complete, whatever was raised on the way.

        :raises RuntimeError: a turn was lost.
        """
        if self._busy == _ASKED:
            self._busy = _LATE
        elif self._busy == _LATE:  # callbacks run in order: it would have begun by now
            self._busy = _IDLE
            raise RuntimeError("a turn was lost")
        elif self._busy == _IDLE and self._gone():
            self._ask_for_turn()

    def _listen(self, inbox: Inbox, now: float) -> None:
        """Ping a silent peer; give up one that does not answer or does not end its frame (docs/protocol.md, section 4)."""
        settings = self._gate.settings
        if inbox.frame_overdue(now, settings):
            self._drop(LOST)
        elif inbox.pong_overdue(now, settings):
            self.close(CloseCode.NO_PONG, "no pong")
            self._deadline = now  # it answers no close frame either: the end, and so the grace, comes with the next tick
        elif inbox.ping_due(now, settings):
            self.send_frame(frames.ping_frame())

    # Turns: one greenlet at a time handles what came

    def _work(self, turn: Callable[[], None]) -> None:
        if not self._busy:
            self._busy = _ASKED
            self._gate.workers.spawn(self._run, turn)

    def _ask_for_turn(self) -> None:
        self._work(self._rest)

    def _readable(self) -> None:
        """Called in the hub when bytes have come; a busy socket is not looked at until it is idle again."""
        if self._busy:
            self._watcher.stop()
            self._paused = True
        else:
            self._busy = _ASKED
            self._gate.workers.run(self._run, self._turn_of_bytes)

    def _run(self, turn: Callable[[], None]) -> None:
        """Run a turn to its end: whatever it raises, the connection does not stay busy."""
        self._busy = _RUNNING
        try:
            turn()
        except BaseException:
            self._busy = _LATE  # should this fail as well, the next tick ends it
            self._recover()

    def _recover(self) -> None:
        """End a connection whose turn has failed."""
        self._busy = _RUNNING
        try:
            self.fail()
            self._rest()
        except BaseException:
            self._busy = _LATE
            self._log_failure()

    def _first_turn(self) -> None:
        self._opened = True
        self._tell("opened", self)
        if self._gate.draining:
            self.close(CloseCode.STOPPING, "the server is stopping; retry_after=1")
        self._turn()

    def _turn(self) -> None:
        self._run_deferred()
        self._handle(self._now())
        self._rest()

    def _turn_of_bytes(self) -> None:
        while self._receive():
            gevent.sleep(0 if self._inbox is not None else DISCARD_SECONDS)
        self._rest()

    def _rest(self) -> None:
        """End a turn: the last event if the socket is gone, else idle until bytes come."""
        self._run_deferred()
        if self._state is State.CLOSED:
            self._leave()
            return  # busy for ever: nothing runs any more
        self._busy = _IDLE
        if self._paused:
            self._paused = False
            if self._inbox is not None:
                self._inbox.restart_ping_timer(self._now())  # it may have spoken while nobody listened
            self._watcher.start(self._guarded, self._readable)

    def _leave(self) -> None:
        """Tell the channel of the end, once, then the gate; repeated until it is done."""
        channel, self.channel = self.channel, None
        if channel is not None and self._opened:
            self._guard(channel.closed, self._code, self._clean)
        self._run_deferred()
        self._gate.leave(self)
        self._gate.metrics.closed(self._code)

    def _run_deferred(self) -> None:
        while self._deferred:
            self._guard(self._deferred.popleft())
        self._deferred = None

    def _tell(self, event: str, *arguments: Any) -> Any:
        return self._guard(getattr(self.channel, event), *arguments)

    def _guard(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except BaseException:
            self._log_failure()
            self.close(CloseCode.INTERNAL_ERROR, "internal error")
            return None

    # Reading

    def _receive(self) -> bool:
        """Read once and handle what is complete; return whether there may be more to read at once."""
        if self._gone():
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
            return not self._gone()
        now = self._now()
        self._inbox.feed(data, now)
        self._handle(now)
        return len(data) == RECEIVE_BYTES or self._more_decrypted()

    def _more_decrypted(self) -> bool:
        """Whether TLS holds bytes back that the watcher will not see."""
        return isinstance(self._sock, ssl.SSLSocket) and not self._gone() and self._sock.pending() > 0

    def _handle(self, now: float) -> None:
        """Handle the frames that are complete, giving way to everybody else every few."""
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
            self._take(event)
            self._run_deferred()
            count += 1
            if not count % FRAMES_A_TURN:
                gevent.sleep(0)
                now = self._now()

    def _take(self, event: frames.Event) -> None:
        if isinstance(event, frames.Close):
            self._peer_closed(event)
        elif self.closed:
            return
        elif isinstance(event, frames.Text):
            self._tell("message", event.text)
        elif isinstance(event, frames.Ping):
            self.send_frame(frames.pong_frame(event.data))
        elif isinstance(event, frames.Binary) and self._tell("binary", event.data) is False:
            self.close(CloseCode.UNSUPPORTED_DATA, "text messages only")
