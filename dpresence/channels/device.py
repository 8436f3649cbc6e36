"""The Device Presence Channel, websocket ``/presence`` (docs/protocol.md, section 3)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial

from msgspec import UnsetType

from ..clock import Clock
from ..errors import BackendUnavailable, CloseCode, Conflict, NoCredentials, Refused, SessionEnded, WrongField
from ..hub import DeviceSession
from ..limits import rate_rule
from ..messages import Acknowledge, StatusUpdate, encode, notifications_frame, or_unset, parse, try_parse
from ..model import Notification, Status, digest_of
from ..service import Services
from ..service.device_sessions import check_email
from ..settings import Settings
from .base import JsonChannel, frame_limits
from .status_limit import StatusLimit

log = logging.getLogger(__name__)


class DeviceChannel(JsonChannel):
    """One connection of a device. Implements ``hub.DevicePort``."""

    __slots__ = ("_all_settings", "_services", "_status_limit", "_ticket", "_update_unconfirmed", "session")

    def __init__(self, services: Services, settings: Settings, clock: Clock) -> None:
        super().__init__(settings.channels, clock, services.metrics)
        channels = settings.channels
        self.limits = frame_limits(channels.device_frame_bytes, channels.device_frame_rate, channels.device_frame_burst, channels.fragments)
        self._services = services
        self._all_settings = settings
        self._status_limit: StatusLimit | None = None  # None before the first change
        self._ticket: str | None = None  # the next ticket, until an answer carries it
        self._update_unconfirmed = False  # the result of the last tracker call is unknown
        self.session = DeviceSession()

    # -- frames

    def try_message(self, payload: bytes) -> bool:
        """Handle an ordinary update: of a signed-in device, with its e-mail address, within the rate, with nothing to wait for.

        Everything else returns False, so that only ``message`` and what it calls refuse, sign in or renew.
        """
        frame, session = try_parse(StatusUpdate, payload), self.session
        if (
            frame is None
            or not session.user
            or frame.email != session.email
            or frame.assertion is not None
            or frame.device not in (None, session.device)
            or self._ticket is not None
            or self._clock.monotonic() >= session.ends_at
        ):
            return False
        if frame.status != session.status or self._update_unconfirmed:
            return self._try_change(frame, payload)
        self._supersede_pending()
        self.accept(frame.id)
        return True

    def _try_change(self, frame: StatusUpdate, payload: bytes) -> bool:
        """Change the status without waiting, or begin to; return False, without any effect, if the rate or a backend prevents this."""
        session, limit, status, now = self.session, self._limit(), frame.status, self._clock.monotonic()
        devices = self._services.devices
        counted = status not in (session.status, "offline")
        if counted and not limit.allows(now):
            return False
        begins = devices.can_begin_update(session.user)
        if begins:
            changed = self._try_begin(frame, payload)
        else:
            changed = devices.try_update_status(session.user, session.device, self.connection.id, status)
        if not changed:
            return False
        if counted:
            limit.count(status, now)
        self._supersede_pending()
        if begins:
            self.connection.suspend()
        else:
            session.status, self._update_unconfirmed = status, False
            self.accept(frame.id)
        return True

    def _try_begin(self, frame: StatusUpdate, payload: bytes) -> bool:
        """Begin to change the status; return False, without any effect, if the tracker is unavailable."""
        try:
            self._begin(frame, payload.decode())
        except BackendUnavailable:
            return False
        return True

    def message(self, text: str) -> None:
        """Handle one frame. The usual case, a valid update, is decoded only once."""
        frame = try_parse(StatusUpdate, text)
        if frame is None:
            super().message(text)
            return
        try:
            self._take_update(frame, text)
        except Refused as refused:
            self.refuse(refused, text)

    def handle(self, action: str | None, text: str) -> None:
        """Handle an update, which has no action, or an ``ack``."""
        if action is None:
            self._take_update(parse(StatusUpdate, text), text)
        elif action == "ack":
            self._take_acknowledgement(parse(Acknowledge, text), text)
        else:
            raise WrongField("action: is not known here; ack, or none for an update")

    def _take_update(self, frame: StatusUpdate, text: str) -> None:
        session = self.session
        if not session.user:
            self.defer(lambda: self._sign_in(frame), text)
        elif frame.assertion is not None and digest_of(frame.assertion) != session.digest:
            self.defer(lambda: self._renew(frame), text)
        elif self._services.devices.can_update_now(session.user):
            self._update(frame)
        elif self._services.devices.can_begin_update(session.user):
            self._begin_update(frame, text)
        else:
            self.defer(lambda: self._update(frame), text)

    def _take_acknowledgement(self, frame: Acknowledge, text: str) -> None:
        user = self.session.user
        if not user:
            raise NoCredentials()

        def acknowledge() -> None:
            self._services.delivery.acknowledge(user, frame.notifications)
            self.accept(frame.id)

        self.defer(acknowledge, text)

    # -- signing in

    def _sign_in(self, frame: StatusUpdate) -> None:
        sessions = self._services.device_sessions
        verified = sessions.verify(frame, self.connection.address, frame.device)
        self._ticket = verified.signed.ticket
        try:
            sessions.open(self, verified, frame)
        except Refused as refused:
            self.restart_sign_in_deadline(refused.retry_after or 0)
            raise
        self.signed_in()
        self.accept(frame.id)
        sessions.confirm(self, verified)

    def _renew(self, frame: StatusUpdate) -> None:
        """Renew the session with a new assertion of the same person. If it is refused, the connection stays open."""
        self._check_device(frame)
        sessions, session = self._services.device_sessions, self.session
        verified = sessions.verify(frame, self.connection.address, session.device, session.user)
        self._ticket = verified.signed.ticket
        sessions.renew(self, verified, frame)
        self._update(frame)

    # -- updating

    def _update(self, frame: StatusUpdate) -> None:
        self._check_update(frame)
        self._apply_update(frame)

    def _begin_update(self, frame: StatusUpdate, text: str) -> None:
        """Update without waiting: the connection handles its next message after the answer of the tracker."""
        self._check_update(frame)
        session = self.session
        if frame.status == session.status and not self._update_unconfirmed:
            self.accept(frame.id)
            return
        self._begin(frame, text)
        self.connection.suspend()

    def _begin(self, frame: StatusUpdate, text: str) -> None:
        """Begin to change the status. The caller suspends the connection."""
        session = self.session
        done = partial(self.connection.resume, self._end_update, frame, text)
        self._services.devices.begin_update(session.user, session.device, self.connection.id, frame.status, done)
        self._update_unconfirmed = True

    def _end_update(self, frame: StatusUpdate, text: str, result: bool | BackendUnavailable | None) -> None:
        if result is None:  # the grants were outdated
            self.defer(lambda: self._apply_update(frame), text)
        elif isinstance(result, BackendUnavailable):
            self.refuse(result, text)
        else:
            self._confirm(frame.status, result)
            self.accept(frame.id)

    def _apply_update(self, frame: StatusUpdate) -> None:
        self._apply(frame.status)
        self.accept(frame.id)

    def _check_update(self, frame: StatusUpdate) -> None:
        """Check an update and count it.

        :raises Refused: it is not applied, or later.
        """
        self._check_device(frame)
        check_email(frame, self.session.email)
        if self._clock.monotonic() >= self.session.ends_at:
            raise SessionEnded()
        if frame.status not in (self.session.status, "offline"):
            self._limit().count(frame.status, self._clock.monotonic())
        self._supersede_pending()

    def _check_device(self, frame: StatusUpdate) -> None:
        if frame.device not in (None, self.session.device):
            raise Conflict("device: is fixed by the first frame of a connection")

    def _limit(self) -> StatusLimit:
        if self._status_limit is None:
            presence = self._all_settings.presence
            self._status_limit = StatusLimit(rate_rule(presence.status_rate, presence.status_burst))
        return self._status_limit

    def _supersede_pending(self) -> None:
        if self._status_limit is not None:
            self._status_limit.supersede()

    def next_ticket(self) -> str | UnsetType:
        """Return the next ticket, once: the first answer after the sign-in carries it, OK or KO."""
        ticket, self._ticket = self._ticket, None
        return or_unset(ticket)

    def refuse(self, refused: Refused, text: str) -> None:
        """Answer KO; close the channel if the device keeps ignoring the slow-down."""
        super().refuse(refused, text)
        if not self.session.user and isinstance(refused, BackendUnavailable):
            self._expect_retry(refused.retry_after or 0)
        if self._status_limit is not None and self._status_limit.ignored:
            self.close(CloseCode.SLOW_DOWN_IGNORED, f"the slow-down was ignored, retry_after={refused.retry_after or 1}")

    def _expect_retry(self, seconds: float) -> None:
        """Extend the sign-in deadline, and delay snapshots, because this device may be reconnecting."""
        self.restart_sign_in_deadline(seconds)
        self._services.feeds.expect_reconnect(seconds)

    def _apply(self, status: Status) -> None:
        session = self.session
        if session.user and (status != session.status or self._update_unconfirmed):
            self._update_unconfirmed = True
            known = self._services.devices.update_status(session.user, session.device, self.connection.id, status)
            self._confirm(status, known)

    def _confirm(self, status: Status, known: bool) -> None:
        """Store the status that the tracker has confirmed.

        :param known: False if the device was replaced or signed out, or if the tracker has lost it.
        """
        self.session.status, self._update_unconfirmed = status, False
        if not known:
            self._services.recovery.check_devices(self.session.user)

    def _apply_pending(self) -> None:
        limit = self._status_limit
        if limit is not None and limit.pending is not None:
            status, limit.pending = limit.pending, None
            self._apply(status)

    # -- events

    def tick(self) -> None:
        """Apply the pending status when it is due; close the channel when its session has ended."""
        super().tick()
        if not self.session.user:
            return
        now = self._clock.monotonic()
        if self._status_limit is not None and self._status_limit.take_due(now):
            self.connection.defer(self._try_pending)
        if now >= self.session.ends_at + self._all_settings.identity.renewal_seconds:
            self.close(CloseCode.SESSION_ENDED, "the session has ended")

    def _try_pending(self) -> None:
        limit = self._limit()
        pending = limit.pending
        try:
            self._apply_pending()
        except BackendUnavailable:
            # the next tick tries again; a sign-out may have set the status to offline meanwhile
            limit.pending = limit.pending or pending

    def closed(self, code: int, clean: bool) -> None:
        """Log the end of the session and leave: grace begins, or none after a sign-out."""
        if not self.session.user:
            return
        log.info("device session ended: code %d%s", code, "" if clean else ", not clean")
        self._leave()

    def _leave(self) -> None:
        """Leave the hub and the tracker. Idempotent: a sign-out calls this before ``closed`` does."""
        session = self.session
        self._services.hub.leave_device(session.user, session.device, self)
        if self._services.devices.can_update_now(session.user):
            self._leave_tracker()
        else:
            self.connection.defer(self._leave_tracker)

    def _leave_tracker(self) -> None:
        with suppress(BackendUnavailable):
            self._apply_pending()
        with suppress(BackendUnavailable):
            self._services.devices.leave(self.session.user, self.session.device, self.connection.id)

    # -- for the hub

    @property
    def connection_id(self) -> str:
        """The id of the connection in the tracker."""
        return self.connection.id

    def close(self, code: CloseCode, reason: str) -> None:
        """Close the channel. After a sign-out, the device becomes offline at once, without grace."""
        super().close(code, reason)
        if code == CloseCode.NOT_SIGNED_IN and self.session.user:
            self._limit().pending = "offline"
            self._leave()

    @property
    def idle(self) -> bool:
        """True if the kernel has accepted all sent frames."""
        return self.connection.idle

    def room_for(self, notifications: Sequence[Notification]) -> int:
        """Return how many notifications, at least one, fit into a quarter of the send buffer."""
        most, size = self._all_settings.channels.outbox_bytes // 4, 0
        for count, item in enumerate(notifications if len(notifications) > 1 else ()):
            size += len(encode(notifications_frame([item], self.session.acknowledges, {})))
            if size > most and count:
                return count
        return len(notifications)

    def deliver(self, notifications: Sequence[Notification], domains: Mapping[str, str]) -> bool:
        """Send or queue up to 100 notifications in one frame; return False if the channel is closing.

        :param domains: the domains of their applications, by PUID.
        """
        if self.connection.closed:
            return False
        self.send(notifications_frame(notifications, self.session.acknowledges, domains))
        return not self.connection.closed  # a full send buffer or a broken socket closes the connection
