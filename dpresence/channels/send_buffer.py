"""Bounded send buffer of a connection. A watcher writes its frames when the socket becomes writable."""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event

from ..clock import Clock
from ..settings import ChannelSettings

WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""Exceptions that a non-blocking socket raises when the call would block."""
_WRITE = 2


class SendBuffer:
    """Frames that wait for the socket. A connection has a send buffer only while it has unsent bytes.

    :param sock: a non-blocking socket.
    :param frame: the first frame, which may be partly sent. Its rest is always sent first.
    :param sent: number of bytes of ``frame`` that were sent.
    :param emptied: called in the event loop when all frames are sent; the send buffer must not be used afterwards.
    :param broken: called in the event loop when sending fails.
    :param guarded: calls a function in the event loop and handles all its exceptions.
    :ivar size: number of bytes of the frames, including the sent part of the first.
    :ivar progress_at: ``Clock.monotonic()`` of the last bytes that the socket accepted.
    """

    __slots__ = (
        *(
            "_broken",
            "_clock",
            "_emptied",
            "_frames",
            "_limits",
            "_callbacks",
            "_frames_sent",
            "_half_free",
            "_sent",
            "_sock",
            "_watcher",
        ),
        "progress_at",
        "size",
    )

    def __init__(
        self,
        sock: Any,
        frame: bytes,
        sent: int,
        limits: ChannelSettings,
        clock: Clock,
        emptied: Callable[[], None],
        broken: Callable[[], None],
        guarded: Callable[[Callable[[], None]], None],
    ) -> None:
        self._sock = sock
        self._frames = deque((frame,))
        self.size = len(frame)
        self._sent = sent
        self._frames_sent = 0  # number of frames sent completely
        self._callbacks: deque[tuple[int, Callable[[], None]]] = deque()  # (value of ``_frames_sent`` to wait for, callback)
        self._limits = limits
        self._clock = clock
        self._emptied = emptied
        self._broken = broken
        self._half_free = Event()
        self.progress_at = clock.monotonic()
        self._watcher = gevent.get_hub().loop.io(sock.fileno(), _WRITE)
        self._watcher.start(guarded, self._flush)

    def fits(self, frame: bytes) -> bool:
        """Return whether one more frame stays within ``channels.send_buffer_bytes`` and ``channels.send_buffer_frames``."""
        return self.size + len(frame) <= self._limits.send_buffer_bytes and len(self._frames) < self._limits.send_buffer_frames

    def wait_until_half_free(self) -> bool:
        """Block until half of the send buffer is free or ``stop`` is called; return False after ``channels.send_seconds``."""
        return self.half_free or bool(self._half_free.wait(self._limits.send_seconds))

    def put(self, frame: bytes) -> None:
        """Add a frame without checking limits; the caller calls ``fits`` first."""
        self._frames.append(frame)
        self.size += len(frame)
        self._half_free.clear()

    def when_sent(self, function: Callable[[], None]) -> None:
        """Call ``function`` in the event loop when all present frames are sent. It is not called if they are discarded."""
        self._callbacks.append((self._frames_sent + len(self._frames), function))

    def discard_queued(self) -> None:
        """Discard all frames except the first, which may be partly sent."""
        while len(self._frames) > 1:
            self.size -= len(self._frames.pop())
        while self._callbacks and self._callbacks[-1][0] > self._frames_sent + 1:
            self._callbacks.pop()

    def stop(self) -> None:
        """Stop writing, and release waiting greenlets."""
        self._watcher.stop()
        self._watcher.close()
        self._half_free.set()

    @property
    def half_free(self) -> bool:
        """True if at least half of the send buffer is free."""
        return self.size * 2 <= self._limits.send_buffer_bytes and len(self._frames) * 2 <= self._limits.send_buffer_frames

    def _flush(self) -> None:
        while self._frames:
            frame = self._frames[0]
            try:
                sent = self._sock.send(memoryview(frame)[self._sent :])
            except WOULD_BLOCK:
                return
            except OSError:
                self._broken()
                return
            if not sent:  # a TLS socket returns 0 instead of raising
                return
            self.progress_at = self._clock.monotonic()
            self._sent += sent
            if self._sent == len(frame):
                self._sent = 0
                self.size -= len(frame)
                self._frames.popleft()
                self._frames_sent += 1
                if self.half_free:
                    self._half_free.set()
                while self._callbacks and self._callbacks[0][0] <= self._frames_sent:
                    self._callbacks.popleft()[1]()
        self.stop()
        self._emptied()
