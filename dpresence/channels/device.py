"""The Device Presence Channel, websocket ``/presence`` (docs/protocol.md, section 3)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from math import ceil

from .. import messages
from ..clock import Clock
from ..errors import BackendUnavailable, CloseCode, Conflict, NoCredentials, OtherEmail, Refused, SessionEnded, SlowDown, WrongField
from ..hub import REPLACED, Progress
from ..limits import TokenBucket
from ..messages import Acknowledge, StatusUpdate, parse
from ..model import Notification, Status, canonical_email
from ..service import Presence
from ..service.accounts import SignIn
from ..settings import Settings
from .base import JsonChannel
from .frames import FrameLimits

log = logging.getLogger(__name__)

_REFUSALS = 20
"""Updates refused while the device was told to wait; with so many it ignores the slow-down."""


class DeviceChannel(JsonChannel):
    """One connection of a device. The hub knows it as a ``DevicePort``."""

    __slots__ = (
        "_bucket",
        "_digest",
        "_ends_at",
        "_kept",
        "_kept_until",
        "_limits",
        "_presence",
        "_refused",
        "_ticket",
        "_told_until",
        "_unsure",
        "acknowledges",
        "device",
        "email",
        "family",
        "progress",
        "revision",
        "status",
        "user",
    )

    def __init__(self, presence: Presence, settings: Settings, clock: Clock) -> None:
        super().__init__(settings.channels, clock, presence.metrics)
        channels = settings.channels
        self.limits = FrameLimits(channels.device_frame_bytes, channels.device_frame_rate, channels.device_frame_burst, channels.fragments)
        self._presence = presence
        self._limits = settings
        self._bucket: TokenBucket | None = None
        self._digest = b""
        self._ends_at = 0.0
        self._kept: Status | None = None  # the newest status that was refused for being too quick
        self._kept_until = 0.0
        self._refused = 0
        self._ticket: str | None = None  # the next one, until an answer has taken it along
        self._told_until = 0.0  # until when it was asked not to change its status
        self._unsure = False  # the tracker did not say what became of the last change
        self.user: str | None = None
        self.email = ""
        self.device = ""
        self.status: Status = "offline"
        self.acknowledges = False
        self.family: str | None = None
        self.revision = 0
        self.progress = Progress()

    # -- frames

    def message(self, text: str) -> None:
        """Handle one frame: nearly always an update with nothing wrong, which is decoded once."""
        frame = messages.sound(StatusUpdate, text)
        if frame is None:
            super().message(text)
            return
        try:
            self._take_update(frame, text)
        except Refused as refused:
            self.refuse(refused, text)

    def handle(self, action: str | None, text: str) -> None:
        """Act on an update, which has no action, or on an ``ack``."""
        if action is None:
            self._take_update(parse(StatusUpdate, text), text)
        elif action == "ack":
            self._take_acknowledgement(parse(Acknowledge, text), text)
        else:
            raise WrongField("action: is not known here; ack, or none for an update")

    def _take_update(self, frame: StatusUpdate, text: str) -> None:
        if self.user is None:
            self.defer(lambda: self._sign_in(frame), text)
        elif frame.assertion is not None and _digest(frame.assertion) != self._digest:
            self.defer(lambda: self._renew(frame), text)
        elif self._presence.devices.at_hand(self.user):
            self._update(frame)
        else:
            self.defer(lambda: self._update(frame), text)

    def _take_acknowledgement(self, frame: Acknowledge, text: str) -> None:
        user = self.user
        if user is None:
            raise NoCredentials()

        def acknowledge() -> None:
            self._presence.delivery.acknowledge(user, frame.notifications)
            self.reply(frame.id)

        self.defer(acknowledge, text)

    # -- signing in

    def _sign_in(self, frame: StatusUpdate) -> None:
        if frame.assertion is None:
            raise WrongField("assertion: is missing")
        sign_outs = self._presence.hub.sign_outs
        signed = self._presence.accounts.sign_in(frame.assertion, self.connection.address, frame.device, frame.ticket)
        self._ticket = signed.ticket
        try:
            _check_email(frame, signed.account.email)
            connected = self._presence.devices.connect(signed.account, signed.device, self.connection.id, frame.status, signed.family)
        except Refused as refused:
            self.allow_to_sign_in(refused.retry_after or 0)
            raise
        self.user, self.email, self.device = signed.account.id, signed.account.email, connected.device
        self.status, self.acknowledges = frame.status, frame.ack
        self._remember(frame.assertion, signed)
        previous = self._presence.hub.join_device(self.user, self.device, self)
        self.signed_in()
        self.reply(frame.id)
        if previous:
            previous.close(CloseCode.REPLACED, REPLACED)
        elif connected.replaced:
            self._presence.devices.tell_replaced(self.user, self.device, connected.replaced)
        self._close_if_signed_out(sign_outs, signed)
        self._presence.deliver(self.user)

    def _renew(self, frame: StatusUpdate) -> None:
        """Take a new assertion of the same person; the connection goes on, whatever becomes of it."""
        assert frame.assertion is not None
        self._check_device(frame)
        sign_outs = self._presence.hub.sign_outs
        signed = self._presence.accounts.sign_in(frame.assertion, self.connection.address, self.device, frame.ticket)
        if signed.account.id != self.user:
            raise OtherEmail()
        self._ticket = signed.ticket
        _check_email(frame, signed.account.email)
        self.email = signed.account.email  # the provider may have given the person another address
        if signed.account.revision != self.revision:  # or a sign-out from before this proof would end the device
            self._presence.devices.renew(signed.account, self.device, self.connection.id, self.status)
        self._remember(frame.assertion, signed)
        self._close_if_signed_out(sign_outs, signed)
        self._update(frame)

    def _close_if_signed_out(self, sign_outs: int, signed: SignIn) -> None:
        """Close a channel whose sign-in was overtaken by a sign-out, which did not find it in the hub yet.

        :param sign_outs: the hub's count before it began.
        """
        if sign_outs == self._presence.hub.sign_outs:
            return
        try:
            stands = self._presence.accounts.stands(signed)
        except BackendUnavailable as refused:
            self.close(CloseCode.TRY_AGAIN_LATER, f"{refused.error}; retry_after={refused.retry_after}")
        else:
            if not stands:
                self.close(CloseCode.NOT_SIGNED_IN, "signed out")

    def _remember(self, assertion: str, signed: SignIn) -> None:
        left = min((signed.ends_at - self._clock.steady.now()) / 1000, self._limits.identity.session_seconds)
        self._ends_at = self._clock.monotonic() + left
        self._digest, self.family = _digest(assertion), signed.family
        self.revision = signed.account.revision

    # -- updating

    def _update(self, frame: StatusUpdate) -> None:
        self._check_device(frame)
        _check_email(frame, self.email)
        if self._clock.monotonic() >= self._ends_at:
            raise SessionEnded()
        if frame.status not in (self.status, "offline"):
            self._charge(frame.status)
        self._kept, self._refused = None, 0
        self._apply(frame.status)
        self.reply(frame.id)

    def _check_device(self, frame: StatusUpdate) -> None:
        if frame.device not in (None, self.device):
            raise Conflict("device: is fixed by the first frame of a connection")

    def _charge(self, status: Status) -> None:
        """Count a change; when there are too many keep the status for later and refuse."""
        now, presence = self._clock.monotonic(), self._limits.presence
        if self._bucket is None:
            self._bucket = TokenBucket(presence.status_rate, presence.status_burst)
        wait = self._bucket.take(now=now)
        if not wait:
            return
        self._kept, self._kept_until = status, now + wait
        self._refused += now < self._told_until
        self._told_until = now + ceil(wait)
        raise SlowDown("status: changes too quickly", retry_after=ceil(wait))

    def extras(self) -> dict[str, str]:
        """Return the next ticket, for the first answer after the old one was used up, OK or KO."""
        ticket, self._ticket = self._ticket, None
        return {} if ticket is None else {"ticket": ticket}

    def refuse(self, refused: Refused, text: str) -> None:
        """Answer KO; who goes on and on when told to wait is closed."""
        super().refuse(refused, text)
        if self.user is None and isinstance(refused, BackendUnavailable):
            self._wait_for_return(refused.retry_after or 0)
        if self._refused >= _REFUSALS:
            self.close(CloseCode.SLOW_DOWN_IGNORED, f"the slow-down was ignored, retry_after={refused.retry_after or 1}")

    def _wait_for_return(self, seconds: float) -> None:
        """Expect a device that could not be signed in: it may be one that only reconnects."""
        self.allow_to_sign_in(seconds)
        self._presence.feeds.expect(seconds)

    def _apply(self, status: Status) -> None:
        if self.user is not None and (status != self.status or self._unsure):
            self._unsure = True
            known = self._presence.devices.update_status(self.user, self.device, self.connection.id, status)
            self.status, self._unsure = status, False
            if not known:  # replaced, signed out, or the tracker has lost it
                self._presence.recovery.look_at(self.user)

    def _apply_kept(self) -> None:
        status, self._kept = self._kept, None
        if status is not None:
            self._apply(status)

    # -- events

    def tick(self) -> None:
        """Apply a kept status whose time has come; end a channel whose identity has ended."""
        super().tick()
        if self.user is None:
            return
        if self._kept is not None and self._bucket is not None and self._clock.monotonic() >= self._kept_until:
            self._bucket.take(now=self._clock.monotonic())
            self.connection.defer(self._try_kept)
        if self._clock.monotonic() >= self._ends_at + self._limits.identity.renewal_seconds:
            self.close(CloseCode.SESSION_ENDED, "the session has ended")

    def _try_kept(self) -> None:
        kept = self._kept
        try:
            self._apply_kept()
        except BackendUnavailable:
            self._kept = self._kept or kept  # at the next tick; signed out meanwhile, it stays offline

    def closed(self, code: int, clean: bool) -> None:
        """Leave: grace begins, or the device is gone at once when it was signed out."""
        if self.user is None:
            return
        log.info("device session over: code %d%s", code, "" if clean else ", not clean")
        self._leave()

    def _leave(self) -> None:
        """Give the device up, once or, when it was signed out before its connection ended, again."""
        assert self.user is not None
        self._presence.hub.leave_device(self.user, self.device, self)
        if self._presence.devices.at_hand(self.user):
            self._depart()
        else:
            self.connection.defer(self._depart)

    def _depart(self) -> None:
        assert self.user is not None
        with suppress(BackendUnavailable):
            self._apply_kept()
        with suppress(BackendUnavailable):
            self._presence.devices.leave(self.user, self.device, self.connection.id)

    # -- for the hub

    @property
    def connection_id(self) -> str:
        """The name of the connection, as the tracker knows it."""
        return self.connection.id

    def close(self, code: CloseCode, reason: str) -> None:
        """Close the channel; a device that is signed out does not get a grace."""
        super().close(code, reason)
        if code == CloseCode.NOT_SIGNED_IN and self.user is not None:
            self._kept = "offline"
            self._leave()

    @property
    def idle(self) -> bool:
        """Whether all that was offered has left."""
        return self.connection.idle

    def room_for(self, notifications: Sequence[Notification]) -> int:
        """Return how many notifications fill a quarter of the outbox at the most, one at least."""
        most, size = self._limits.channels.outbox_bytes // 4, 0
        for count, item in enumerate(notifications if len(notifications) > 1 else ()):
            size += len(messages.notifications([item], self.acknowledges, {}))
            if size > most and count:
                return count
        return len(notifications)

    def deliver(self, notifications: Sequence[Notification], domains: Mapping[str, str]) -> bool:
        """Offer up to 100 notifications in one frame.

        :param domains: those of their applications, by PUID.
        """
        if self.connection.closed:
            return False  # it would be lost
        self.connection.send(messages.notifications(notifications, self.acknowledges, domains))
        return not self.connection.closed  # it may have been too much, or have found the socket dead


def _digest(assertion: str) -> bytes:
    return sha256(assertion.encode()).digest()


def _check_email(frame: StatusUpdate, email: str) -> None:
    if frame.email != email and canonical_email(frame.email) != email:
        raise OtherEmail()
