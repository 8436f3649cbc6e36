"""What a socket has not taken yet: bounded, written as it becomes writable, in whole frames."""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event

from ..clock import Clock
from ..settings import ChannelSettings

NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""What a socket that does not wait says instead of waiting."""
_WRITE = 2


class Outbox:
    """Frames behind one that the socket did not take whole. It exists only while something waits.

    :param sock: a gevent socket that does not wait.
    :param frame: the frame that was begun; it is always finished, or nothing more is sent.
    :param sent: how much of it the socket took.
    :param emptied: called in the hub once everything is out; the outbox must not be used any more.
    :param broken: called in the hub when the socket turns out to be dead.
    :param guarded: calls a function in the hub and handles whatever it raises.
    :ivar progress_at: when the socket last took something, ``Clock.monotonic()``.
    """

    __slots__ = (
        *("_broken", "_clock", "_emptied", "_frames", "_limits", "_marks", "_out", "_room", "_sent", "_size", "_sock", "_watcher"),
        "progress_at",
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
        self._size = len(frame)
        self._sent = sent
        self._out = 0  # frames the socket has taken whole
        self._marks: deque[tuple[int, Callable[[], None]]] = deque()  # what to call once so many are out
        self._limits = limits
        self._clock = clock
        self._emptied = emptied
        self._broken = broken
        self._room = Event()
        self.progress_at = clock.monotonic()
        self._watcher = gevent.get_hub().loop.io(sock.fileno(), _WRITE)
        self._watcher.start(guarded, self._flush)

    def fits(self, frame: bytes) -> bool:
        """Whether one more frame stays within ``channels.outbox_bytes`` and ``channels.outbox_frames``."""
        return self._size + len(frame) <= self._limits.outbox_bytes and len(self._frames) < self._limits.outbox_frames

    def wait_for_room(self) -> bool:
        """Wait until half of it is free or it is stopped; return False when that took ``channels.send_seconds``."""
        return self.roomy or bool(self._room.wait(self._limits.send_seconds))

    def put(self, frame: bytes) -> None:
        """Add a frame; whether it ``fits`` is for the caller to know."""
        self._frames.append(frame)
        self._size += len(frame)
        self._room.clear()

    def mark(self, function: Callable[[], None]) -> None:
        """Call ``function``, in the hub, once all that waits now is out; never, if it is dropped."""
        self._marks.append((self._out + len(self._frames), function))

    def forget(self) -> None:
        """Drop what waits, but for the frame that was begun."""
        while len(self._frames) > 1:
            self._size -= len(self._frames.pop())
        while self._marks and self._marks[-1][0] > self._out + 1:
            self._marks.pop()

    def stop(self) -> None:
        """Write no more, and let nobody wait."""
        self._watcher.stop()
        self._watcher.close()
        self._room.set()

    @property
    def roomy(self) -> bool:
        """Whether half of it is free."""
        return self._size * 2 <= self._limits.outbox_bytes and len(self._frames) * 2 <= self._limits.outbox_frames

    def _flush(self) -> None:
        while self._frames:
            frame = self._frames[0]
            try:
                sent = self._sock.send(memoryview(frame)[self._sent :])
            except NOT_NOW:
                return
            except OSError:
                self._broken()
                return
            if not sent:  # TLS says so instead of raising
                return
            self.progress_at = self._clock.monotonic()
            self._sent += sent
            if self._sent == len(frame):
                self._sent = 0
                self._size -= len(frame)
                self._frames.popleft()
                self._out += 1
                if self.roomy:
                    self._room.set()
                while self._marks and self._marks[0][0] <= self._out:
                    self._marks.popleft()[1]()
        self.stop()
        self._emptied()
