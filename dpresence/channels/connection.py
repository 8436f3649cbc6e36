"""One websocket connection; the only file that touches a socket of a channel.

A connection is idle (a watcher in gevent's hub, no greenlet) or busy (one greenlet handles what came, in order). Whatever
sets it off, its events never overlap, and the socket is not read while something deferred waits.
"""

from __future__ import annotations

import enum
import logging
import math
import socket
import ssl
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gevent
from geventwebsocket.websocket import WebSocket

from ..errors import CloseCode
from . import frames
from .channel import Channel
from .frames import FrameLimits
from .gate import Gate
from .inbox import Inbox
from .outbox import NOT_NOW, Outbox

__all__ = ["Channel", "Connection", "FrameLimits"]

log = logging.getLogger(__name__)

RECEIVE_BYTES = 16384
"""Read at once; a TLS record is as large."""
FRAMES_A_TURN = 8
"""Frames handled before everybody else has a turn."""
DISCARD_SECONDS = 0.01
"""Pause between two reads of what nobody will look at any more."""
LOST = 1006
"""The peer was lost without a close frame; never sent (RFC 6455, 7.4.1)."""
_READ = 1


class _State(enum.Enum):
    NEW = "the 101 is not out"
    OPEN = "open"
    CLOSING = "a close frame of ours is on its way or sent"
    CLOSED = "the socket is gone"


class Connection(WebSocket):
    """A websocket, server side.

    :ivar id: unique in this process and not to be guessed.
    :ivar address: IP address of the client.
    :ivar channel: who drives it; None before a view has called ``open`` and after ``Channel.closed``.
    """

    __slots__ = (  # lean: there are thousands
        *("address", "channel", "id"),
        *(
            "_busy",
            "_clean",
            "_code",
            "_deadline",
            "_deferred",
            "_gate",
            "_hold",
            "_inbox",
            "_outbox",
            "_paused",
            "_recv",
            "_send",
            "_sock",
        ),
        *("_state", "_watcher"),
    )

    environ = stream = handler = None  # nothing of the request is kept

    def __init__(self, gate: Gate, address: str) -> None:
        self.id = gate.name()
        self.address = address
        self.channel: Channel | None = None
        self._gate = gate
        self._state = _State.NEW
        self._busy = False
        self._paused = True  # the socket is not being watched
        self._code = LOST
        self._clean = False
        self._deadline = math.inf  # when to give up waiting for the end of the close handshake
        self._deferred: deque[Callable[[], None]] | None = None
        self._inbox: Inbox | None = None  # None before the start, and when nothing it says matters any more
        self._outbox: Outbox | None = None

    def __del__(self) -> None:
        """Do nothing: a destructor has no business writing to a socket, as the inherited one does."""

    @property
    def started(self) -> bool:
        """Whether the socket was handed over: from then on it leaves the gate by itself."""
        return self._state is not _State.NEW

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._state is _State.CLOSING or self._state is _State.CLOSED

    # What views, channels and the hub call

    def open(self, channel: Channel) -> None:
        """Say who drives this connection. Called by a view, before the 101: only remembers it."""
        self.channel = channel

    def send(self, payload: bytes) -> None:
        """Offer one text message (UTF-8). Never waits; nothing happens when the connection is closing or closed."""
        self.send_frame(frames.text_frame(payload))

    def send_frame(self, frame: bytes) -> None:
        """Offer a ready-made frame (``frames.text_frame``): encode once, send to many."""
        if self._state is not _State.OPEN:
            return
        if self._outbox is None or self._outbox.fits(frame):
            self._put(frame)
        else:
            self._too_slow()

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Send what waits, then the close frame, once; finish the close handshake in the background. Never waits."""
        if self._state is _State.OPEN:
            self._closing(code, frames.close_frame(code, reason))

    def abort(self) -> None:
        """Drop the connection at once, without a close frame."""
        if self._state is not _State.NEW:
            self._end()

    def defer(self, function: Callable[[], None]) -> None:
        """Run ``function``, which may wait, in a greenlet. Messages that arrive meanwhile are handled after it, in order.

        It runs even when the connection ends before, and ``Channel.closed`` comes after it; what that defers is the last to run.
        """
        if self._deferred is None:
            self._deferred = deque()
        self._deferred.append(function)
        self._work(self._turn)

    def drain(self) -> None:
        """Inside a deferred function: wait until half of the outbox is free.

        Waits ``channels.send_seconds`` at most, then the connection is closed with 4102. Returns at once when it is closed.
        """
        if self._outbox is not None and not self._outbox.wait_for_room():
            self._too_slow()

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
        raw = sock if isinstance(sock, ssl.SSLSocket) else sock._sock  # gevent's own waits, which nothing here does
        self._recv, self._send = raw.recv, raw.send
        self._hold = sock.makefile("rb", 0)  # a socket is closed with the last of its files
        self._watcher = gevent.get_hub().loop.io(sock.fileno(), _READ)
        self._inbox = Inbox(self.channel.limits, self._gate.settings.presence.ping_seconds, self._now())
        self._inbox.feed(received, self._now())
        self._state = _State.OPEN
        self._work(self._first_turn)

    def tick(self, now: float) -> None:
        """Keep the deadlines; called about once a second.

        :param now: ``Clock.monotonic()``.
        """
        if self._outbox is not None and now - self._outbox.progress_at >= self._gate.settings.channels.send_seconds:
            self._drop(CloseCode.SLOW_READER)
        elif self._state is _State.CLOSING and now >= self._deadline:
            self._end()
        elif self._inbox is not None and not self.closed and not self._busy:
            self._listen(self._inbox, now)
            self._tell("tick")

    def _listen(self, inbox: Inbox, now: float) -> None:
        """Ping a silent peer; give up one that does not answer or does not end its frame (docs/protocol.md, section 4)."""
        settings = self._gate.settings
        if inbox.stuck(now, settings):
            self._drop(LOST)
        elif inbox.gone(now, settings):
            self.close(CloseCode.NO_PONG, "no pong")
            self._deadline = now  # it answers no close frame either: the end, and so the grace, comes with the next tick
        elif inbox.ping_due(now, settings):
            self.send_frame(frames.ping_frame())

    def _now(self) -> float:
        return self._gate.clock.monotonic()

    # Turns: one greenlet at a time handles what came

    def _work(self, turn: Callable[[], None]) -> None:
        if not self._busy:
            self._busy = True
            self._gate.workers.spawn(turn)

    def _readable(self) -> None:
        """Called in the hub when bytes have come; a busy socket is not looked at until it is idle again."""
        if self._busy:
            self._watcher.stop()
            self._paused = True
        else:
            self._busy = True
            self._gate.workers.run(self._turn_of_bytes)

    def _first_turn(self) -> None:
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
        if self._state is _State.CLOSED:
            self._tell("closed", self._code, self._clean)
            self._run_deferred()
            self.channel = None
            self._gate.leave(self)
            return  # busy for ever: nothing runs any more
        self._busy = False
        if self._paused:
            self._paused = False
            if self._inbox is not None:
                self._inbox.heard(self._now())  # it may have spoken while nobody listened
            self._watcher.start(self._readable)

    def _run_deferred(self) -> None:
        while self._deferred:
            self._guard(self._deferred.popleft())
        self._deferred = None

    def _tell(self, event: str, *arguments: Any) -> Any:
        return self._guard(getattr(self.channel, event), *arguments)

    def _guard(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Exception:
            log.exception("internal error on connection %s", self.id)
            self.close(CloseCode.INTERNAL_ERROR, "internal error")
            return None

    # Reading

    def _receive(self) -> bool:
        """Read once and handle what is complete; return whether there may be more to read at once."""
        if self._gone():
            return False
        try:
            data = self._recv(RECEIVE_BYTES)
        except NOT_NOW:
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

    def _gone(self) -> bool:
        return self._state is _State.CLOSED

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

    # Writing: straight to the socket, what it does not take to the outbox

    def _put(self, frame: bytes) -> None:
        if self._outbox is not None:
            self._outbox.put(frame)
            return
        try:
            sent = self._send(frame)
        except NOT_NOW:
            sent = 0
        except OSError:
            self._end()
            return
        if sent < len(frame):
            self._outbox = Outbox(self._sock, frame, sent, self._gate.settings.channels, self._gate.clock, self._emptied, self._end)

    def _emptied(self) -> None:
        self._outbox = None
        if self._state is _State.CLOSING:
            self._close_is_out()

    # Closing

    def _too_slow(self) -> None:
        """Drop what waits and say why."""
        if self._outbox is not None:
            self._outbox.forget()
        self.close(CloseCode.SLOW_READER, "too slow")

    def _drop(self, code: int) -> None:
        """End without a close frame, remembering why."""
        if self._state is _State.OPEN:
            self._code = code
        self._end()

    def _closing(self, code: int, frame: bytes) -> None:
        self._state, self._code = _State.CLOSING, code
        self._put(frame)
        self._deadline = self._now() + self._gate.settings.channels.send_seconds
        if self._outbox is None and not self._gone():
            self._close_is_out()

    def _close_is_out(self) -> None:
        """Our close frame is sent: the end if the peer's has come, else it has some time.

        One that broke the protocol cannot be understood any more: it is told to hang up by hanging up on our side only,
        because a socket closed with bytes unread takes the close frame back from the peer.
        """
        if self._clean:
            self._end()
            return
        self._deadline = self._now() + self._gate.settings.channels.close_seconds
        if self._inbox is None:
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)

    def _peer_closed(self, event: frames.Close) -> None:
        """Answer the peer's close frame with its code, or see ours answered (RFC 6455, 5.5.1)."""
        self._inbox, self._clean = None, True
        if self._state is _State.OPEN:
            self._closing(event.code, frames.close_frame(event.code))
        elif self._outbox is None:
            self._end()

    def _end(self) -> None:
        """Close the socket; the channel hears of it when whatever runs for this connection is done."""
        if self._state is _State.CLOSED:
            return
        self._state = _State.CLOSED
        if self._outbox is not None:
            self._outbox.stop()
        self._outbox = self._inbox = None
        self._watcher.stop()
        self._watcher.close()
        self._hold.close()
        self._sock.close()
        self._work(self._rest)
