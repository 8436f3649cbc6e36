"""Shared by the tests: a clock that is moved by hand, a connection without a socket and a few values."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import AsyncResult
from gevent.lock import RLock

from dpresence.backends.tracker import Tracker
from dpresence.clock import Clock
from dpresence.errors import Refused
from dpresence.messages import Refusal, encode
from dpresence.model import FeedEntry
from dpresence.tests.contract_check import check_accepted, check_frame

EPOCH = 1_795_364_497_250
DEVELOPMENT_TOKEN = "token-of-the-tests"
"""The development token of every service the tests start, unless they say otherwise."""
WITH_TOKEN = {"X-Development-Token": DEVELOPMENT_TOKEN}
"""The header of who asks the development issuer."""


class FakeClock(Clock):
    """Time that moves only when a test says so."""

    def __init__(self, now: int = EPOCH) -> None:
        self.seconds = 0.0
        self.start = now

    def now(self) -> int:
        return self.start + int(self.seconds * 1000)

    def monotonic(self) -> float:
        return 1000.0 + self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


class FakeConnection:
    """Stands in for ``channels.connection.Connection``: no socket, what may wait runs at once, events never overlap.

    What a channel raises by mistake reaches the test.

    :ivar sent: the frames that were sent, decoded.
    :ivar code: the close code, None while it is open.
    :ivar idle: whether nothing waits to be written.
    :ivar silent: whether the peer has sent nothing for a long time.
    """

    _ids = itertools.count(1)

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.id = f"fake-{next(self._ids)}"
        self.address = address
        self.channel: Any = None
        self.sent: list[Any] = []
        self.code: int | None = None
        self.reason = ""
        self.known = False
        self.idle = True
        self.silent = False
        self._clean = True
        self._resumed = AsyncResult()
        self._deferred = RLock()
        self._depth = 0

    # -- what views, channels and the hub call

    @property
    def closed(self) -> bool:
        return self.code is not None

    def open(self, channel: Any) -> None:
        self.channel = channel

    def send(self, payload: bytes) -> None:
        frame = json.loads(payload)
        if path := self._path:
            check_frame(path, frame)
        if self.code is None:
            self.sent.append(frame)

    @property
    def _path(self) -> str:
        """The path of the channel; "" for a channel that a test made."""
        paths = {"DeviceChannel": "/presence", "AppServiceChannel": "/myapps/appid"}
        return next((paths[cls.__name__] for cls in type(self.channel).__mro__ if cls.__name__ in paths), "")

    def send_frame(self, frame: bytes) -> None:
        self.send(text_of(frame))

    def when_sent(self, function: Callable[[], None]) -> None:
        if self.code is None:
            function()

    def close(self, code: int = 1000, reason: str = "") -> None:
        if self.code is None:
            self.code, self.reason = int(code), reason
            self._event(lambda: None)

    def abort(self) -> None:
        self.lose()

    def defer(self, function: Callable[[], None]) -> None:
        with self._deferred:  # one after the other, as the real connection does
            self._event(function)

    def drain(self) -> None:
        pass

    def suspend(self) -> None:
        """Wait for ``resume``, so that the test finds the answer; the real connection returns and handles no further message."""
        function, arguments = self._resumed.get(timeout=10)
        self._resumed = AsyncResult()
        function(*arguments)

    def resume(self, function: Callable[..., None], *arguments: Any) -> None:
        self._resumed.set((function, arguments))

    def signed_in(self) -> None:
        self.known = True

    # -- what the peer and the ticker do

    def start(self) -> FakeConnection:
        """The 101 is out."""
        self._event(lambda: self.channel.opened(self))
        return self

    def receive(self, frame: Any) -> Any:
        """Take a frame of the peer; return the last frame it was answered with, None without one."""
        text = frame if isinstance(frame, str) else json.dumps(frame)
        before = len(self.sent)
        if self.code is None and not self._handled_at_once(text):
            self._event(lambda: self.channel.message(text))
        answer = self.sent[-1] if len(self.sent) > before else None
        if len(self.sent) == before + 1 and (path := self._path):
            check_accepted(path, text, answer)
        return answer

    def _handled_at_once(self, text: str) -> bool:
        small = text.isascii() and len(text) <= 125
        answer = self.channel.try_message(text.encode(), self.channel._clock.monotonic()) if small else None
        if answer:
            self.send_frame(answer)
        return answer is not None

    def tick(self) -> None:
        if self.code is None:
            self._event(self.channel.tick)

    def leave(self) -> None:
        """The peer closes."""
        self.close(1000)

    def lose(self) -> None:
        """Lose the connection without a close handshake."""
        self._clean = False
        self.close(1006)

    def take(self) -> list[Any]:
        """Return what was sent since the last time."""
        sent, self.sent = self.sent, []
        return sent

    def _event(self, function: Callable[[], Any]) -> None:
        if gevent.getcurrent() is gevent.get_hub():  # where nothing may block; the real connection uses a greenlet for what may
            gevent.spawn(self._event, function)
            return
        self._depth += 1
        try:
            function()
        finally:
            self._depth -= 1
        if self.code is not None and not self._depth and self.channel is not None:
            channel, self.channel = self.channel, None
            channel.closed(self.code, self._clean)


def text_of(frame: bytes) -> bytes:
    """Return the payload of an unmasked text frame (RFC 6455, 5.2)."""
    assert frame[0] == 0x81 and frame[1] < 0x80
    skip = {126: 4, 127: 10}.get(frame[1], 2)
    length = int.from_bytes(frame[2:skip], "big") if skip > 2 else frame[1]
    assert len(frame) == skip + length
    return frame[skip:]


def body_of(refused: Refused) -> Any:
    """Return the error object of a refusal as a client decodes it."""
    return json.loads(encode(Refusal.of(refused)))


def view_and_head(tracker: Tracker, appid: str) -> tuple[dict[str, FeedEntry], Any]:
    """Return all newest entries of a feed that nobody changes at this time, by PUID, and its offset."""
    view: dict[str, FeedEntry] = {}
    for page in tracker.view(appid):
        view |= page
    return view, tracker.head(appid)
