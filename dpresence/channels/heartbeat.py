"""Devices without a socket: ``POST /presence`` is a heartbeat that keeps a device connected for a lease (docs/protocol.md, section 3)."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import gevent

from ..clock import Clock
from ..errors import BackendUnavailable, CloseCode, SessionEnded, SlowDown, WrongValue
from ..hub import DevicePort
from ..messages import DeviceHeartbeat, DeviceHeartbeatReply, StatusUpdate, acknowledged_notifications, checked_label, or_unset
from ..model import Notification
from ..service import Services
from ..service.device_sessions import VerifiedSignIn
from ..settings import Settings
from .deadlines import Bucket, Timed
from .device import DeviceChannel
from .gate import Gate

log = logging.getLogger(__name__)

MIN_LEASE_SECONDS = 5
"""Shortest lease of a device."""


class HeartbeatConnection:
    """Stands for the connection of a device that has no socket, until its lease ends.

    Implements ``ChannelConnection`` for the channel and ``AdmittedConnection`` for the gate; its channel sends nothing.

    :ivar heard_at: ``Clock.monotonic()`` of the last heartbeat.
    :ivar lease_ends_at: ``Clock.monotonic()`` at which the device is lost.
    :ivar code: the close code, 0 before.
    """

    __slots__ = ("_channel", "_gate", "address", "bucket", "code", "following", "heard_at", "id", "lease_ends_at", "previous")

    idle = False
    """No notifications are pushed: they wait for the next heartbeat."""
    backlog = (0, False)

    def __init__(self, gate: Gate, address: str) -> None:
        self._gate = gate
        self.id = gate.new_id()
        self.address = address
        self.bucket: Bucket | None = None
        self.previous: Timed | None = None
        self.following: Timed | None = None
        self.code = 0
        self.heard_at = self.lease_ends_at = math.inf
        self._channel: HeartbeatChannel | None = None

    @property
    def closed(self) -> bool:
        """True if it has ended, or is about to."""
        return self.code != 0

    @property
    def silent(self) -> bool:
        """See ``ChannelConnection``: also within a longer lease, as the device may have left at another process meanwhile."""
        now = self._gate.clock.monotonic()
        return now > self.heard_at + self._gate.settings.presence.silence_seconds or now >= self.lease_ends_at

    def begin(self, channel: HeartbeatChannel) -> None:
        """Begin: from now on the ticker ends the lease."""
        self._channel = channel
        self._gate.connections.add(self)

    def send(self, payload: bytes) -> None:
        """Do nothing: an answer carries what a device is to receive."""

    send_frame = send

    def when_sent(self, function: Callable[[], None]) -> None:
        """Do nothing, as nothing is sent."""

    def drain(self) -> None:
        """Do nothing."""

    def suspend(self) -> None:
        """Do nothing: the calls of a heartbeat wait for their results."""

    def resume(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call ``function``."""
        function(*arguments)

    def signed_in(self) -> None:
        """Do nothing: it was never counted as a connection without a sign-in."""

    def defer(self, function: Callable[[], None]) -> None:
        """Run ``function``, which may block, in a greenlet."""
        gevent.spawn(self._call, function)

    def _call(self, function: Callable[[], None]) -> None:
        try:
            function()
        except BaseException:
            self.fail()

    def tick(self, now: float) -> float:
        """End the lease when it is over, or have the channel check its deadlines; return when the next one is."""
        if self.closed or self._channel is None or self._channel.busy:
            return now
        if now >= self.lease_ends_at:
            self.close(CloseCode.NO_PONG, "no heartbeat")
            return now
        return min(self._channel.tick(), self.lease_ends_at)

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """End the connection; its channel leaves in a greenlet."""
        if not self.closed:
            self.code = code
            gevent.spawn(self._end, code)

    def _end(self, code: int) -> None:
        try:
            if self._channel is not None:
                self._channel.closed(code, clean=True)
        except BaseException:
            self._log_failure()
        finally:
            self._gate.leave(self)

    def abort(self) -> None:
        """End the connection."""
        self.close()

    def fail(self) -> None:
        """Log the exception that is being handled, and end the connection."""
        self._log_failure()
        self.close(CloseCode.INTERNAL_ERROR)

    def _log_failure(self) -> None:
        with suppress(Exception):
            log.exception("internal error on connection %s", self.id, extra={"session": self.id})


class HeartbeatChannel(DeviceChannel):
    """A device that sends heartbeats. What is deferred of a channel runs in the greenlet of the heartbeat.

    :ivar busy: a heartbeat is being handled.
    """

    __slots__ = ("busy",)

    def __init__(self, connection: HeartbeatConnection, services: Services, settings: Settings, clock: Clock) -> None:
        super().__init__(services, settings, clock)
        self.connection = connection
        self.busy = False

    def begin(self, verified: VerifiedSignIn, frame: StatusUpdate) -> None:
        """Sign in by a verified heartbeat.

        :raises Refused: see ``DeviceSessions.open``.
        """
        sessions = self._services.device_sessions
        sessions.open(self, verified, frame)
        sessions.confirm(self, verified)
        self._services.device_names.record(self.session.user, self.session.device, frame)

    def answer_ok(self, frame_id: str | int | None) -> None:
        """Do nothing: the answer is ``DeviceHeartbeatReply``."""

    def deliver(self, notifications: Sequence[Notification], domains: Mapping[str, str]) -> bool:
        """Refuse what is pushed; see ``HeartbeatConnection.idle``."""
        return False

    def send_unread(self, count: int) -> None:
        """Do nothing."""


class Heartbeats:
    """Handles heartbeats."""

    def __init__(self, gate: Gate, services: Services, settings: Settings, clock: Clock) -> None:
        self._gate = gate
        self._services = services
        self._settings = settings
        self._clock = clock

    def handle(self, beat: DeviceHeartbeat, address: str) -> DeviceHeartbeatReply:
        """Handle a heartbeat; return its answer, with the notifications that wait.

        :raises Refused: the proof is not valid, a value is wrong, or a limit is exceeded.
        """
        most = self._settings.presence.device_lease_seconds
        if not MIN_LEASE_SECONDS <= beat.lease <= most:
            raise WrongValue(f"lease: whole seconds from {MIN_LEASE_SECONDS} to {most}")
        frame = StatusUpdate(
            email=beat.email, status=beat.status, assertion=beat.assertion, device=beat.device, ack=True,
            label=checked_label(beat.label) or None, kind=beat.kind, ticket=beat.ticket,
        )  # fmt: skip
        verified = self._services.device_sessions.verify(frame, address, frame.device)
        user = verified.sign_in.account.id
        with self._one_at_a_time(user, beat.device):
            self._keep(self._services.hub.devices_of(user).get(beat.device), verified, frame, beat.lease, address)
        if beat.ack:
            self._services.delivery.acknowledge(user, beat.ack)
        waiting, domains = self._services.delivery.waiting(user)
        shown = acknowledged_notifications(waiting, domains)
        return DeviceHeartbeatReply(ticket=or_unset(verified.sign_in.ticket), lease=beat.lease, notifications=shown)

    @contextmanager
    def _one_at_a_time(self, user: str, device: str) -> Iterator[None]:
        """Exclude other heartbeats of a device, also while the first ones have no channel in the hub yet.

        :raises SlowDown: another one is being handled.
        """
        handled = self._gate.heartbeats
        if (user, device) in handled:
            raise SlowDown("a heartbeat of this device is being handled", retry_after=1)
        handled.add((user, device))
        try:
            yield
        finally:
            handled.remove((user, device))

    def _keep(self, channel: DevicePort | None, verified: VerifiedSignIn, frame: StatusUpdate, lease: int, address: str) -> None:
        """Connect the device, or keep it connected, for a lease."""
        new = not isinstance(channel, HeartbeatChannel) or channel.connection.closed
        if new:
            self._gate.check_room()
            channel = HeartbeatChannel(HeartbeatConnection(self._gate, address), self._services, self._settings, self._clock)
        assert isinstance(channel, HeartbeatChannel)
        connection = channel.connection
        assert isinstance(connection, HeartbeatConnection)
        channel.busy = True
        try:
            connection.heard_at = self._clock.monotonic()
            connection.lease_ends_at = connection.heard_at + lease
            if new:
                connection.begin(channel)
                channel.begin(verified, frame)
            else:
                channel.renew(verified, frame)
            _refuse_closed(connection)
        except BaseException:
            if new:
                connection.close()
            raise
        finally:
            channel.busy = False
            self._gate.connections.hasten(connection)


def _refuse_closed(connection: HeartbeatConnection) -> None:
    """Refuse a heartbeat during which a sign-out has ended its sign-in, so that it gets no notifications.

    :raises SessionEnded: the device was signed out.
    :raises BackendUnavailable: whether it was is not known.
    """
    if connection.code == CloseCode.NOT_SIGNED_IN:
        raise SessionEnded
    if connection.code == CloseCode.TRY_AGAIN_LATER:
        raise BackendUnavailable
