"""The Device Presence Channel, websocket ``/presence`` (docs/protocol.md, section 3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

from msgspec import UnsetType

from ..errors import BackendUnavailable, CloseCode, NoCredentials, Refused, SessionEnded, WrongField
from ..hub import PROOF_BYTES
from ..messages import (
    Acknowledge,
    Cleared,
    MarkRead,
    OverrideUpdate,
    ReportOutcome,
    StatusUpdate,
    Unread,
    checked_label,
    encode,
    has_field,
    notifications_frame,
    or_unset,
    parse,
)
from ..model import Notification, digest_of
from ..service.device_sessions import VerifiedSignIn, check_email
from .device_updates import UpdatingChannel, try_parse_update
from .frame_limits import FrameLimits, frame_limits


class DeviceChannel(UpdatingChannel):
    """One connection of a device. Implements ``hub.DevicePort``."""

    __slots__ = ()

    kind = "device"

    @property
    def limits(self) -> FrameLimits:
        """See ``Channel``."""
        channels = self._settings.channels
        return frame_limits(channels.device_frame_bytes, channels.device_frame_rate, channels.device_frame_burst, channels.fragments)

    # -- frames

    def message(self, text: str) -> None:
        """Handle one frame. The usual case, a valid update, is decoded only once."""
        frame = try_parse_update(text)
        if frame is None:
            super().message(text)
            return
        try:
            self._take_update(frame, text)
        except Refused as refused:
            self.refuse(refused, text)

    def handle(self, action: str | None, text: str) -> None:
        """Handle an update of the status or of the override, which have no action, and frames about notifications."""
        if action is None and has_field(text, "override"):
            self._take_override(parse(OverrideUpdate, text), text)
        elif action is None:
            self._take_update(parse(StatusUpdate, text), text)
        elif action == "ack":
            self._take_acknowledgement(parse(Acknowledge, text), text)
        elif action == "read":
            self._take_read(parse(MarkRead, text), text)
        elif action in ("shown", "opened"):
            self._take_report(parse(ReportOutcome, text), text)
        else:
            raise WrongField("action: is not known here; ack, read, shown, opened, or none for an update")

    def _take_update(self, frame: StatusUpdate, text: str) -> None:
        session = self.session
        if not session.user:
            self.defer(partial(self._sign_in, frame), text)
        elif frame.assertion is not None and digest_of(frame.assertion)[:PROOF_BYTES] != session.digest:
            self.defer(lambda: self._renew(frame), text)
        elif self._services.devices.can_update_now(session.user):
            self._update(frame)
        elif self._services.devices.can_begin_update(session.user):
            self._begin_update(frame, text)
        else:
            self.defer(lambda: self._update(frame), text)

    def _take_override(self, frame: OverrideUpdate, text: str) -> None:
        session, services, now = self.session, self._services, self._clock.monotonic()
        if not session.user:
            raise NoCredentials()
        check_email(frame, session.email)
        if now >= session.ends_at:
            raise SessionEnded()
        self._limit().charge("override", now)

        def change() -> None:
            if not services.accounts.still_signed_in(session.user, session):
                raise SessionEnded()
            services.overrides.set(session.user, frame.override, frame.until)
            self.answer_ok(frame.id)

        self.defer(change, text)

    def _take_acknowledgement(self, frame: Acknowledge, text: str) -> None:
        self._take_ids(self._services.delivery.acknowledge, frame, text)

    def _take_read(self, frame: MarkRead, text: str) -> None:
        self._take_ids(self._services.inboxes.mark_read, frame, text)

    def _take_report(self, frame: ReportOutcome, text: str) -> None:
        self._take_ids(lambda user, ids: self._services.delivery.report(user, ids, frame.action), frame, text)

    def _take_ids(self, process: Callable[[str, Sequence[str]], object], frame: Acknowledge | MarkRead | ReportOutcome, text: str) -> None:
        user = self.session.user
        if not user:
            raise NoCredentials()

        def run() -> None:
            process(user, frame.notifications)
            self.answer_ok(frame.id)

        self.defer(run, text)

    # -- signing in

    def _sign_in(self, frame: StatusUpdate) -> None:
        frame.label = checked_label(frame.label) or None
        sessions = self._services.device_sessions
        verified = sessions.verify(frame, self.connection.address, frame.device)
        self._ticket = verified.sign_in.ticket
        try:
            sessions.open(self, verified, frame)
        except Refused as refused:
            self.restart_sign_in_deadline(refused.retry_after or 0)
            raise
        self.signed_in()
        self.answer_ok(frame.id)
        sessions.confirm(self, verified)
        self._services.device_names.record(self.session.user, self.session.device, frame)

    def _renew(self, frame: StatusUpdate) -> None:
        """Renew the session with a new assertion of the same person. If it is refused, the connection stays open."""
        self._check_device(frame)
        sessions, session = self._services.device_sessions, self.session
        verified = sessions.verify(frame, self.connection.address, session.device, session.user)
        self._ticket = verified.sign_in.ticket
        self.renew(verified, frame)

    def renew(self, verified: VerifiedSignIn, frame: StatusUpdate) -> None:
        """Renew the session, and set the status, also that of before if the tracker has lost the device.

        :raises Refused: see ``DeviceSessions.renew``; a status that changes too quickly is stored and applied later.
        """
        if not self._services.device_sessions.renew(self, verified, frame):
            self._update_unconfirmed = True
        self._update(frame)

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

    # -- events

    @property
    def peer(self) -> Mapping[str, str] | None:
        """Nothing: the log names no user and no device."""
        return {} if self.session.user else None

    def tick(self) -> float:
        """Apply the pending status when it is due; close the channel when its session has ended."""
        if not self.session.user:
            return super().tick()
        now, end, limit = self._clock.monotonic(), self.session.ends_at + self._settings.identity.renewal_seconds, self._status_limit
        if limit is not None and limit.take_due(now):
            self.connection.defer(self._try_pending)
        if now >= end:
            self.close(CloseCode.SESSION_ENDED, "the session has ended")
        return end if limit is None else min(end, limit.due_at)

    def closed(self, code: int, clean: bool) -> None:
        """Leave: grace begins, or none after a sign-out."""
        if self.session.user:
            self._leave(self._leave_tracker)

    def _leave(self, leave_tracker: Callable[[], None]) -> None:
        """Leave the hub and the tracker. Idempotent: a sign-out calls this before ``closed`` does."""
        session = self.session
        self._services.hub.leave_device(session.user, session.device, self)
        if self._services.devices.can_update_now(session.user):
            leave_tracker()
        else:
            self.connection.defer(leave_tracker)

    def _leave_tracker(self) -> None:
        with suppress(BackendUnavailable):
            self._apply_pending()
        with suppress(BackendUnavailable):
            self._services.devices.leave(self.session.user, self.session.device, self.connection.id)

    def _sign_out_of_tracker(self) -> None:
        with suppress(BackendUnavailable):  # then ``closed`` sets the status to offline and begins the grace
            self._services.devices.sign_out_connection(self.session.user, self.session.device, self.connection.id)
            self._supersede_pending()

    # -- for the hub

    @property
    def connection_id(self) -> str:
        """The id of the connection in the tracker."""
        return self.connection.id

    def close(self, code: CloseCode, reason: str) -> None:
        """Close the channel. After a sign-out, the device is removed at once, before ``closed`` could begin its grace."""
        try:
            if code == CloseCode.NOT_SIGNED_IN and self.session.user:
                self._limit().pending = "offline"
                self._leave(self._sign_out_of_tracker)
        finally:
            super().close(code, reason)

    @property
    def silent(self) -> bool:
        """True if nothing was received for longer than a ping and its pong may take."""
        return self.connection.silent

    @property
    def idle(self) -> bool:
        """True if the kernel has accepted all sent frames."""
        return self.connection.idle

    def room_for(self, notifications: Sequence[Notification]) -> int:
        """Return how many notifications, at least one, fit into a quarter of the send buffer."""
        most, size = self._settings.channels.send_buffer_bytes // 4, 0
        for count, item in enumerate(notifications if len(notifications) > 1 else ()):
            size += len(encode(notifications_frame([item], self.session.acknowledges, {})))
            if size > most and count:
                return count
        return len(notifications)

    def send_unread(self, count: int) -> None:
        """Send or queue the number of unread notifications."""
        if not self.connection.closed:
            self.send(Unread(count))

    def send_cleared(self, ids: Sequence[str]) -> None:
        """Send or queue the ids of notifications that are no longer unread."""
        if not self.connection.closed:
            self.send(Cleared(list(ids)))

    def deliver(self, notifications: Sequence[Notification], domains: Mapping[str, str]) -> bool:
        """Send or queue up to 100 notifications in one frame; return False if the channel is closing.

        :param domains: the domains of their applications, by PUID.
        """
        if self.connection.closed:
            return False
        self.send(notifications_frame(notifications, self.session.acknowledges, domains))
        return not self.connection.closed  # a full send buffer or a broken socket closes the connection
