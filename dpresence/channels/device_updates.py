"""Updates of a signed-in device: at once in the event loop or in a greenlet, in order, and pending ones (docs/protocol.md, section 3)."""

from __future__ import annotations

from functools import partial

from ..clock import Clock
from ..errors import BackendUnavailable, Conflict, SessionEnded
from ..hub import DeviceSession
from ..limits import rate_rule
from ..messages import OkReply, StatusUpdate, encode, try_parser
from ..model import Status
from ..service import Services
from ..service.device_sessions import check_email
from ..settings import Settings
from .base import OK_FRAME, JsonChannel
from .frames import text_frame
from .status_limit import StatusLimit

try_parse_update = try_parser(StatusUpdate)
"""Parse an update; return None if it is not valid."""


class UpdatingChannel(JsonChannel):
    """The part of a device's channel that changes the status."""

    __slots__ = ("_status_limit", "_ticket", "_update_unconfirmed", "session")

    def __init__(self, services: Services, settings: Settings, clock: Clock) -> None:
        super().__init__(services, settings, clock)
        self._status_limit: StatusLimit | None = None  # None before the first change
        self._ticket: str | None = None  # the next ticket, until an answer carries it
        self._update_unconfirmed = False  # the result of the last tracker call is unknown
        self.session = DeviceSession()

    # -- the fast path. Every call and every attribute counts here: nearly all frames are ordinary updates

    def try_message(self, payload: bytes, now: float) -> bytes | None:
        """Handle an ordinary update: of a signed-in device, with its e-mail address, within the rate, with nothing to wait for.

        Everything else returns None, so that only ``message`` and what it calls refuse, sign in or renew.
        """
        session = self.session
        if now >= session.ends_at:  # also before the sign-in
            return None
        frame = try_parse_update(payload)
        if (
            frame is None
            or frame.email != session.email
            or frame.assertion is not None
            or self._ticket is not None
            or (frame.device is not None and frame.device != session.device)
        ):
            return None
        status = frame.status
        changed = status != session.status
        if changed or self._update_unconfirmed:
            limit, devices = self._status_limit or self._limit(), self._services.devices
            full_at = limit.full_at
            if changed and status != "offline":
                full_at = now + limit.rule.interval if full_at <= now else limit.rule.take(full_at, now)
                if not full_at:
                    return None
            if devices.is_remote:
                return self._try_call_tracker(frame, payload, full_at)
            if not devices.try_update_status(session.user, session.device, self.connection.id, status):
                return None
            session.status, self._update_unconfirmed = status, False
            limit.accept(full_at)
        else:
            self._supersede_pending()
        return OK_FRAME if frame.id is None else text_frame(encode(OkReply(id=frame.id)))  # no ticket waits for an answer

    def _try_call_tracker(self, frame: StatusUpdate, payload: bytes, full_at: float) -> bytes | None:
        """Begin to change the status; return None if grants have to be loaded or the tracker is unavailable: the status is then unchanged.

        :param full_at: the state of the limit after the change.
        """
        if not self._services.devices.can_begin_update(self.session.user):
            return None
        try:
            self._call_tracker(frame, payload.decode())
        except BackendUnavailable:
            return None
        self._limit().accept(full_at)
        self.connection.suspend()
        return b""

    # -- the ordinary path

    def _update(self, frame: StatusUpdate) -> None:
        self._check_update(frame)
        self._apply_and_answer(frame)

    def _begin_update(self, frame: StatusUpdate, text: str) -> None:
        """Update without waiting: the connection handles its next message after the answer of the tracker."""
        self._check_update(frame)
        session = self.session
        if frame.status == session.status and not self._update_unconfirmed:
            self.answer_ok(frame.id)
            return
        self._call_tracker(frame, text)
        self.connection.suspend()

    def _call_tracker(self, frame: StatusUpdate, text: str) -> None:
        """Begin to change the status. The caller suspends the connection."""
        session = self.session
        self._update_unconfirmed = True  # also if the tracker is unavailable: until it answers, no status counts as the present one
        done = partial(self.connection.resume, self._on_tracker_answer, frame, text)
        self._services.devices.begin_update(session.user, session.device, self.connection.id, frame.status, done)

    def _on_tracker_answer(self, frame: StatusUpdate, text: str, result: bool | BackendUnavailable | None) -> None:
        if result is None:  # the grants were outdated
            self.defer(lambda: self._apply_and_answer(frame), text)
        elif isinstance(result, BackendUnavailable):
            self.refuse(result, text)
        else:
            self._confirm(frame.status, result)
            if frame.id is None and self._ticket is None:  # as ``answer_ok``, without the calls
                self.connection.send_frame(OK_FRAME)
            else:
                self.answer_ok(frame.id)

    def _apply_and_answer(self, frame: StatusUpdate) -> None:
        self._apply(frame.status)
        self.answer_ok(frame.id)

    def _check_update(self, frame: StatusUpdate) -> None:
        """Check an update and count it.

        :raises Refused: it is not applied, or later.
        """
        self._check_device(frame)
        check_email(frame, self.session.email)
        now = self._clock.monotonic()
        if now >= self.session.ends_at:
            raise SessionEnded()
        if frame.status not in (self.session.status, "offline"):
            self._limit().count(frame.status, now)
        self._supersede_pending()

    def _check_device(self, frame: StatusUpdate) -> None:
        if frame.device not in (None, self.session.device):
            raise Conflict("device: is fixed by the first frame of a connection")

    def _limit(self) -> StatusLimit:
        if self._status_limit is None:
            presence = self._settings.presence
            self._status_limit = StatusLimit(rate_rule(presence.status_rate, presence.status_burst))
        return self._status_limit

    def _supersede_pending(self) -> None:
        if self._status_limit is not None:
            self._status_limit.supersede()

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

    def _try_pending(self) -> None:
        limit = self._limit()
        pending = limit.pending
        try:
            self._apply_pending()
        except BackendUnavailable:
            # the next tick tries again; a sign-out may have set the status to offline meanwhile
            limit.pending = limit.pending or pending
