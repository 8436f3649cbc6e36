"""The feed of an application on a connection: a snapshot or the missed updates, then new ones (docs/protocol.md, section 5).

A websocket (``appservice``) and an event stream (``event_stream``) send the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..clock import Clock
from ..errors import BackendUnavailable, CloseCode, InvalidKey, NotFound, Refused
from ..messages import AuthReply, OutcomeFrame
from ..model import Offset
from ..service import Services
from ..service.app_sessions import AppSession
from ..service.scheduling import yield_to_loop
from ..settings import Settings
from .base import JsonChannel
from .frame_limits import FrameLimits, frame_limits

CHECK_SECONDS = 60
"""Interval at which a channel's key is checked: the end of a key's overlap sends no signal, and a signal may be lost."""
_CLOSE_REASONS: dict[type[Refused], tuple[CloseCode, str]] = {
    NotFound: (CloseCode.UNKNOWN_APPLICATION, "the application was deleted"),
    InvalidKey: (CloseCode.NOT_SIGNED_IN, InvalidKey.text),
}
_INACTIVE = (CloseCode.DEACTIVATED, "the application is not active")


class FeedChannel(JsonChannel):
    """The feed of an application on one connection. Implements ``hub.AppServicePort``.

    :param appid: the application in the path. Its existence and state were checked before the answer's head.
    """

    __slots__ = (
        *("_appid", "_check_at", "_outcome_position", "_outcomes_requested", "_session", "_snapshot_due"),
        *("following", "offset"),
    )

    def __init__(self, appid: str, services: Services, settings: Settings, clock: Clock) -> None:
        super().__init__(services, settings, clock)
        self._appid = appid
        self._session: AppSession | None = None
        self._check_at = 0.0
        self._outcome_position: int | None = None  # position up to which outcomes were sent, None if the channel did not ask for them
        self._outcomes_requested = False
        self._snapshot_due = False  # a snapshot must be sent, though it may be delayed
        self.following = False  # all updates up to ``offset`` were sent, and the fan-out sends the next ones
        self.offset: Offset = None

    @property
    def limits(self) -> FrameLimits:
        """See ``Channel``."""
        channels = self._settings.channels
        return frame_limits(
            channels.appservice_frame_bytes, channels.appservice_frame_rate, channels.appservice_frame_burst, channels.fragments
        )

    def begin(self, session: AppSession, reply: AuthReply, outcomes_after: int | None = None) -> None:
        """Send ``reply``, then the missed updates or a snapshot, then new updates. Blocks.

        :param outcomes_after: position after which outcomes are sent; None to send none.
        """
        self._outcome_position = outcomes_after
        self._session = session
        self._check_at = self._clock.monotonic()  # check at the next tick: a deactivation may have overtaken the sign-in
        self._services.metrics.counted[f"feed_starts {reply.recovery}"] += 1
        self.signed_in()
        self.send(reply)
        if session.offset is not None:
            self.offset = session.offset
            self._catch_up(self._send_updates)
        else:
            self._snapshot_due = True
            self._send_due_snapshot()
        self.outcomes_changed()

    def tick(self) -> float:
        """Check the key every ``CHECK_SECONDS``, and send a snapshot that was delayed."""
        if self._session is None:
            return super().tick()
        now = self._clock.monotonic()
        if now >= self._check_at:
            self._check_at = now + CHECK_SECONDS
            self.connection.defer(self._check_now)
            self.outcomes_changed()  # a signal may have been lost
        if self._snapshot_due:
            self.connection.defer(self._send_due_snapshot)
            return now
        return self._check_at

    def check(self) -> None:
        """Check whether the application exists, is active, and still has the key of this channel."""
        self.connection.defer(self._check_now)

    def _check_now(self) -> None:
        assert self._session is not None
        try:
            self._services.app_sessions.check(self._session)
        except BackendUnavailable:
            self._check_at = self._clock.monotonic()  # at the next tick
        except Refused as refused:
            self.close(*_CLOSE_REASONS.get(type(refused), _INACTIVE))

    def _send_due_snapshot(self) -> None:
        if self._snapshot_due and self._session is not None and not self._services.feeds.hold_seconds(self._session.application):
            self._snapshot_due = False
            self._catch_up(self._send_snapshot)

    def _catch_up(self, send: Callable[[], None]) -> None:
        """Call ``send``; if a backend is unavailable, close the channel, so that the application reconnects and tries again."""
        try:
            send()
        except BackendUnavailable as error:
            self.close(CloseCode.TRY_AGAIN_LATER, f"{error.error}, retry_after={error.retry_after}")

    def _send_snapshot(self) -> None:
        assert self._session is not None
        snapshots, application = self._services.snapshots, self._session.application
        position = self._session.unfinished or snapshots.begin(application)
        for frame in snapshots.frames(application, position):
            self.send(frame)
            self.connection.drain()  # one page is in memory at a time
            yield_to_loop()  # ``drain`` does not block if the socket accepts everything
            if self.connection.closed:
                return
        self.offset = position.offset
        self._send_updates()

    def _send_updates(self) -> None:
        """Send the updates after ``offset``, then let the fan-out send new ones."""
        while not self.connection.closed:
            self.connection.drain()
            if not self._services.fan_out.send_next(self._appid, [self]):
                break
            yield_to_loop()
        self.caught_up()
        self.following = True
        self._services.fan_out.request(self._appid)

    def outcomes_changed(self) -> None:
        """Send new outcomes of notifications, if the channel asked for them."""
        if self._outcome_position is not None and not self._outcomes_requested:
            self._outcomes_requested = True
            self.connection.defer(self._send_new_outcomes)

    def _send_new_outcomes(self) -> None:
        self._outcomes_requested = False
        try:
            self._send_outcomes()
        except BackendUnavailable:  # of the directory, which the updates do not need
            self._check_at = self._clock.monotonic()  # at the next tick

    def _send_outcomes(self) -> None:
        while self._outcome_position is not None and not self.connection.closed:
            outcomes = self._services.outcomes.read(self._appid, self._outcome_position)
            if not outcomes:
                return
            self.send(OutcomeFrame.of(outcomes))
            self._outcome_position = outcomes[-1].position
            self.connection.drain()
            yield_to_loop()

    def caught_up(self) -> None:
        """Report that the snapshot or the missed updates were sent. The default does nothing."""

    def send_updates(self, payload: bytes, offset: Offset) -> None:
        """Send or queue a frame of updates up to ``offset``."""
        self.offset = offset
        self.connection.send(payload)

    @property
    def peer(self) -> Mapping[str, str] | None:
        """The application."""
        return None if self._session is None else {"application": self._appid}

    def closed(self, code: int, clean: bool) -> None:
        """Leave the hub."""
        if self._session is not None:
            self._services.hub.leave_application(self._appid, self)
