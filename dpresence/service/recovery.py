"""Catching up after a time in which this process may have missed wake-ups, or its devices may have been forgotten.

What was missed is asked for: the directory says who is signed in, the tracker who speaks for a device, the feeds where they
stand, the mailbox what waits.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

import gevent
from gevent.pool import Pool

from ..errors import BackendUnavailable, CloseCode, Refused
from ..hub import REPLACED, DevicePort, Hub
from ..model import Status
from .accounts import Accounts
from .comparison import Comparison
from .devices import Devices
from .grants import Grants
from .outbox import Outbox
from .retry import RetryQueue

log = logging.getLogger(__name__)

_AT_ONCE = 20
_RETRY_SECONDS = 1.0


class Recovery:
    """One at a time; what comes meanwhile has it run again.

    :param deliver: sends what waits for a user.
    """

    def __init__(
        self,
        hub: Hub,
        devices: Devices,
        grants: Grants,
        accounts: Accounts,
        outbox: Outbox,
        retries: RetryQueue,
        comparison: Comparison,
        deliver: Callable[[str], None],
    ) -> None:
        self._hub = hub
        self._devices = devices
        self._grants = grants
        self._accounts = accounts
        self._outbox = outbox
        self._retries = retries
        self._comparison = comparison
        self._deliver = deliver
        self._running = False
        self._wanted = False
        self._looking: set[str] = set()

    def begin(self) -> None:
        """Catch up in a greenlet of its own; never waits."""
        self._grants.invalidate_all()
        self._comparison.ask()
        self._hub.sign_outs += 1  # a sign-in that is under way looks again
        self._wanted = True
        if not self._running:
            self._running = True
            gevent.spawn(self._run)

    def look_at(self, user: str) -> None:
        """Connect a user's devices again that the tracker does not know, or close those it has another connection for. Never waits."""
        if user not in self._looking and self._hub.devices_of(user):
            self._looking.add(user)
            gevent.spawn(self._look_at, user)

    def _look_at(self, user: str) -> None:
        try:
            while not all(self._checked((user, *one)) for one in self._hub.devices_of(user).items()):
                gevent.sleep(_RETRY_SECONDS)
        finally:
            self._looking.discard(user)

    def _run(self) -> None:
        try:
            while self._wanted:
                self._wanted = False
                if not self._catch_up():
                    self._wanted = True
                    gevent.sleep(_RETRY_SECONDS)
        finally:
            self._running = False

    def _catch_up(self) -> bool:
        """Return whether every backend that was asked was there."""
        for appid in self._hub.applications():
            self._hub.news(appid)
        everybody = self._hub.devices()
        users = dict.fromkeys(user for user, _, _ in everybody)
        done = all([self._told(), *Pool(_AT_ONCE).map(self._checked, everybody)])
        shown = all(Pool(_AT_ONCE).map(self._shown, users))
        Pool(_AT_ONCE).map(self._deliver, users)
        return done and shown

    def _told(self) -> bool:
        """Tell the backends what they were not told while they were away; return whether they took it."""
        try:
            self._retries.flush()
            self._outbox.sweep()
        except BackendUnavailable:
            return False
        return True

    def _shown(self, user: str) -> bool:
        """Put right what was shown of a user without knowing that her grants had changed; return whether that was done."""
        try:
            self._grants.show_again(user)
        except BackendUnavailable:
            return False
        except Exception:  # ours: everybody else catches up all the same
            log.exception("what applications see of somebody was not put right")
        return True

    def _checked(self, who: tuple[str, str, DevicePort]) -> bool:
        user, device, channel = who
        try:
            self._check(user, device, channel)
        except BackendUnavailable:
            return False
        except Refused as refused:  # there are too many by now
            channel.close(CloseCode.TRY_AGAIN_LATER, refused.error)
        except Exception:  # ours: everybody else catches up all the same
            log.exception("a channel did not catch up")
        return True

    def _check(self, user: str, device: str, channel: DevicePort) -> None:
        """Make true again, of one channel, what both sides believe; or close it."""
        if self._hub.devices_of(user).get(device) is not channel:
            return
        speaks = partial(_settled, channel, partial(self._devices.update_status, user, device, channel.connection_id))
        if not self._accounts.still_signed_in(user, channel.family):
            channel.close(CloseCode.NOT_SIGNED_IN, "signed out")
        elif speaks():
            return
        elif any(other.connected for other in self._devices.list(user) if other.name == device):
            if not speaks():  # it may have been connected again meanwhile
                channel.close(CloseCode.REPLACED, REPLACED)
        elif self._devices.signed_out(channel.connection_id):
            channel.close(CloseCode.NOT_SIGNED_IN, "signed out")
        else:
            self._connect_again(user, device, channel)

    def _connect_again(self, user: str, device: str, channel: DevicePort) -> None:
        """Connect what was forgotten; the device goes to whoever has it by the end, or it would be a ghost."""
        if self._hub.devices_of(user).get(device) is not channel:
            return
        _settled(channel, partial(self._devices.connect_again, user, device, channel.connection_id, channel.revision))
        present = self._hub.devices_of(user).get(device)
        if present is None:
            self._devices.leave(user, device, channel.connection_id)
        elif present is not channel:
            self._connect_again(user, device, present)


def _settled(channel: DevicePort, say: Callable[[Status], bool | None]) -> bool | None:
    """Say the channel's status until it is still the same when that was answered."""
    while True:
        status = channel.status
        answer = say(status)
        if channel.status == status:
            return answer
