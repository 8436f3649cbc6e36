"""The feed of an application by long poll, ``GET /myapps/<appid>/feed?wait=`` (docs/protocol.md, section 5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from http.client import responses
from math import inf

from ..clock import Clock
from ..errors import BackendUnavailable, CloseCode, InternalError, InvalidKey, NotActive, Refused
from ..messages import OutcomeFrame, Refusal, Snapshot, Updates, encode
from ..model import Offset
from ..service import Services
from ..settings import Settings
from .channel import ChannelConnection
from .feed_channel import FeedChannel
from .stream_connection import StreamConnection, answer_head, retry_after

CONTENT_TYPE = "application/json"
_REFUSALS: dict[int, type[Refused]] = {
    CloseCode.UNKNOWN_APPLICATION: InvalidKey,  # as for any call with the key of an application that does not exist
    CloseCode.NOT_SIGNED_IN: InvalidKey,
    CloseCode.DEACTIVATED: NotActive,
    CloseCode.INTERNAL_ERROR: InternalError,
}


class LongPoll(FeedChannel):
    """One call for the next part of a feed. Implements ``hub.AppServicePort`` and ``stream_connection.StreamChannel``.

    :ivar status: HTTP status of the answer; 499 if the client has disconnected before.
    """

    __slots__ = ("_outdated", "_payload", "_until", "status")

    kind = "long poll"
    counted = False
    keep_alive = b""

    def __init__(self, appid: str, services: Services, settings: Settings, clock: Clock) -> None:
        super().__init__(appid, services, settings, clock)
        self._payload: bytes | None = None
        self._outdated = False
        self.status = 499
        self._until = inf

    # -- before the answer waits

    def sign_in(self, key: str, since: str | None, outcomes_after: int | None, address: str) -> None:
        """Sign in.

        :param outcomes_after: see ``begin``.
        :raises Refused: see ``AppSessions.open``.
        """
        self._outcome_position = outcomes_after
        self._session = self._services.app_sessions.open(self, self._appid, key, since, address, via="rest")

    def next_outcomes(self) -> bytes | None:
        """Return the outcomes after the position; None without any, or if none are asked for."""
        outcomes = [] if self._outcome_position is None else self._services.outcomes.read(self._appid, self._outcome_position)
        if outcomes:
            self._payload = encode(OutcomeFrame.of(outcomes))
        return self._payload

    def next_updates(self) -> bytes | None:
        """Return the updates after the cursor; None without any. ``needs_snapshot`` tells that they were deleted.

        The channel follows the feed already, so that no update that is appended meanwhile is missed.
        """
        assert self._session is not None
        if self._session.offset is not None:
            self.offset, self.following = self._session.offset, True
            self._services.fan_out.send_next(self._appid, [self])
        return self._payload

    @property
    def needs_snapshot(self) -> bool:
        """True if the cursor cannot be continued."""
        return self._session is not None and (self._session.offset is None or self._outdated) and self._payload is None

    def snapshot(self, page: int | None) -> Iterable[bytes]:
        """Return the body of a snapshot, or of what is left of an unfinished one.

        :param page: maximum number of entries; None for all, in one frame.
        :raises BackendUnavailable: snapshots are delayed, or a backend is unavailable.
        """
        assert self._session is not None
        self.following = False
        snapshots, application, unfinished = self._services.snapshots, self._session.application, self._session.unfinished
        self._services.feeds.raise_while_delayed(application)
        if unfinished is None:
            self._services.metrics.counted["feed_starts snapshot"] += 1
        frames = snapshots.frames(application, unfinished or snapshots.begin(application), page)
        if page is None:
            return SnapshotBody(self, frames)
        self.leave()
        return [encode(next(frames))]

    @property
    def nothing(self) -> bytes:
        """The answer without updates."""
        return encode(Updates([], self._services.feeds.cursor(self.offset)))

    def wait(self, connection: StreamConnection, seconds: int) -> None:
        """Answer later, and within ``seconds``."""
        self.connection = connection
        self._until = self._clock.monotonic() + seconds
        connection.open(self)

    def leave(self) -> None:
        """Leave the hub, if the call was answered without waiting."""
        self._services.hub.leave_application(self._appid, self)

    # -- events

    def opened(self, connection: ChannelConnection) -> None:
        """Answer if there were updates or outcomes meanwhile."""
        if self._payload is not None:
            self.close(CloseCode.NORMAL, "")
        else:
            self.outcomes_changed()

    def outcomes_changed(self) -> None:
        """Answer with new outcomes, if the call waits and asked for them."""
        if self._until < inf and self._payload is None:
            super().outcomes_changed()

    def _send_outcomes(self) -> None:
        if self._payload is None and (payload := self.next_outcomes()):
            self._answer(payload)

    def tick(self) -> float:
        """Answer without updates when the time is over."""
        if self._clock.monotonic() >= self._until:
            self._answer(self.nothing)
            return inf
        return min(self._until, super().tick())

    def send_updates(self, payload: bytes, offset: Offset) -> None:
        """Answer with the first updates; later ones are for the next call."""
        if self._payload is None:
            self.offset = offset
            self._answer(payload)

    def _answer(self, payload: bytes) -> None:
        self._payload, self.following = payload, False
        self.close(CloseCode.NORMAL, "")

    def close(self, code: CloseCode, reason: str) -> None:
        """Answer, if the call waits; the fan-out closes a channel whose updates were deleted, also before."""
        self._outdated = code == CloseCode.SLOW_READER
        if self._until < inf:
            super().close(code, reason)

    def last_bytes(self, code: int, reason: str) -> bytes:
        """Return the whole answer."""
        if self._payload is None:
            return self._refusal(_refused(code, reason))
        self.status = 200
        return answer_head(self.connection, "200 OK", CONTENT_TYPE, len(self._payload)) + self._payload

    def _refusal(self, refused: Refused) -> bytes:
        self.status, body = refused.status, encode(Refusal.of(refused))
        self._services.metrics.refused(refused.errno)
        return answer_head(self.connection, f"{refused.status} {responses[refused.status]}", CONTENT_TYPE, len(body)) + body

    @property
    def peer(self) -> Mapping[str, str] | None:
        """Nobody: the access log has a line for each call."""
        return None


class SnapshotBody:
    """The body of a snapshot, one ``Snapshot`` with all entries, which is written while its pages are read. The server always closes it."""

    def __init__(self, poll: LongPoll, frames: Iterator[Snapshot]) -> None:
        self._poll = poll
        self._frames = frames
        self._first = next(frames)

    def __iter__(self) -> Iterator[bytes]:
        frame = self._first
        yield b'{"snapshot":[' + encode(frame.snapshot)[1:-1]
        for frame in self._frames:
            if frame.snapshot:
                yield b"," + encode(frame.snapshot)[1:-1]
        continued = b',"continued":true' if self._first.continued is True else b""
        yield b'],"last":true,"cursor":' + encode(frame.cursor) + continued + b"}"

    def close(self) -> None:
        """End the call."""
        self._poll.leave()


def _refused(code: int, reason: str) -> Refused:
    kind = _REFUSALS.get(code)
    if kind is not None:
        return kind()
    return BackendUnavailable(reason.partition(";")[0], retry_after=retry_after(reason) or 1)
