"""Recovery after this process may have missed signals, or the tracker may have lost its devices.

The current state is read from the backends: sign-ins from the directory, the connection of each device from the tracker, updates
from the feeds, and waiting notifications from the mailbox.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from ..errors import BackendUnavailable, CloseCode, Refused
from ..hub import REPLACED, DevicePort, Hub
from ..model import Status
from .accounts import Accounts
from .coalescer import Coalescer
from .delivery import Delivery
from .devices import Devices
from .fan_out import FanOut
from .grants import Grants
from .outbox import Outbox
from .reconciliation import Reconciliation
from .retry import RetryQueue
from .scheduling import map_concurrently

log = logging.getLogger(__name__)

_TRIED = 20
"""Users for whom a failed recovery is tried again at once. If it fails for all of them, the next run begins with those after them."""


class Recovery:
    """Runs one recovery at a time. A request during a run starts another run afterwards.

    A run that a backend prevents for some users is repeated for these alone: a partition of the tracker may be away for long.
    """

    def __init__(
        self,
        hub: Hub,
        devices: Devices,
        grants: Grants,
        accounts: Accounts,
        outbox: Outbox,
        retries: RetryQueue,
        reconciliation: Reconciliation,
        fan_out: FanOut,
        delivery: Delivery,
    ) -> None:
        self._hub = hub
        self._devices = devices
        self._grants = grants
        self._accounts = accounts
        self._outbox = outbox
        self._retries = retries
        self._reconciliation = reconciliation
        self._fan_out = fan_out
        self._delivery = delivery
        self._is_requested = False  # by ``start``, since the last run began
        self._left: dict[str, None] = {}  # users for whom a backend was unavailable
        self._recoveries = Coalescer("recovery", self._recover)
        self._checks = Coalescer("the check of a user's devices", self._check_user)

    def start(self) -> None:
        """Start a recovery in a new greenlet. Does not block."""
        self._grants.invalidate_all()
        self._reconciliation.request()
        self._hub.sign_outs += 1  # makes a sign-in in progress check again that it is still valid
        self._is_requested = True
        self._recoveries.request()

    def running(self) -> bool:
        """Return whether a recovery is in progress or requested."""
        return self._recoveries.running()

    def check_devices(self, user: str) -> None:
        """Check a user's devices at this process in a new greenlet. Does not block.

        A device that the tracker has lost is connected again; the channel of one that has another connection is closed.
        """
        if self._hub.devices_of(user):
            self._checks.request(user)

    def _check_user(self, user: str) -> None:
        if not all(self._try_check((user, *one)) for one in self._hub.devices_of(user).items()):
            raise BackendUnavailable

    def _recover(self, _: str) -> None:
        """Recover once, or try again what a backend has prevented.

        :raises BackendUnavailable: a backend is unavailable, so that some of it is still to be done.
        """
        if self._is_requested:
            self._is_requested = False
            self._recover_all()
        else:
            self._try_again()
        if self._left:
            raise BackendUnavailable

    def _recover_all(self) -> None:
        for appid in self._hub.applications():
            self._fan_out.request(appid)
        with suppress(BackendUnavailable):  # periodic jobs do both as well
            self._retries.flush()
            self._outbox.sweep()
        users = dict.fromkeys(user for user, _, _ in self._hub.devices())
        self._left = dict.fromkeys(self._recover_users(users))
        map_concurrently(self._delivery.deliver_or_schedule, users)  # also has the number of unread notifications sent

    def _try_again(self) -> None:
        users = list(self._left)
        for first in range(0, len(users), _TRIED):
            some = users[first : first + _TRIED]
            failed = self._recover_users(some)
            for user in some:
                del self._left[user]
            self._left |= dict.fromkeys(failed)
            if len(failed) == len(some):
                return

    def _recover_users(self, users: Iterable[str]) -> list[str]:
        """Check the devices of users at this process, and publish their statuses again; return those for whom a backend is unavailable."""
        devices = [(user, *one) for user in users for one in self._hub.devices_of(user).items()]
        checked = map_concurrently(lambda item: (item[0], self._try_check(item)), devices)
        published = map_concurrently(lambda user: (user, self._publish(user)), dict.fromkeys(user for user, _, _ in devices))
        return list(dict.fromkeys(user for user, done in (*checked, *published) if not done))

    def _publish(self, user: str) -> bool:
        """Publish a user's status again, because earlier updates may have used outdated grants.

        :returns: False if a backend is unavailable.
        """
        try:
            self._grants.republish(user)
        except BackendUnavailable:
            return False
        except Exception:  # a bug in this service must not stop the recovery of other users
            log.exception("recovery: a user's status was not published")
        return True

    def _try_check(self, item: tuple[str, str, DevicePort]) -> bool:
        """Check a device's channel; return False if a backend is unavailable."""
        user, device, channel = item
        try:
            self._check(user, device, channel)
        except BackendUnavailable:
            return False
        except Refused as refused:  # the user has too many devices now
            channel.close(CloseCode.TRY_AGAIN_LATER, refused.error)
        except Exception:  # a bug in this service must not stop the recovery of other channels
            log.exception("recovery: a channel was not checked")
        return True

    def _check(self, user: str, device: str, channel: DevicePort) -> None:
        """Make the tracker's record of a device consistent with its channel, or close the channel."""
        if self._hub.devices_of(user).get(device) is not channel:
            return
        update = partial(_repeat_until_stable, channel, partial(self._devices.update_status, user, device, channel.connection_id))
        if not self._accounts.still_signed_in(user, channel.session):
            channel.close(CloseCode.NOT_SIGNED_IN, "signed out")
        elif update():
            return
        elif any(other.connected for other in self._devices.list(user) if other.name == device):
            if not update():  # this connection may have been connected again in the meantime
                channel.close(CloseCode.REPLACED, REPLACED)
        elif self._devices.signed_out(user, device, channel.connection_id, channel.session.revision):
            channel.close(CloseCode.NOT_SIGNED_IN, "signed out")
        elif channel.silent:  # its device may have left elsewhere since; a peer that is there comes back
            channel.close(CloseCode.NO_PONG, "no pong")
        else:
            self._connect_again(user, device, channel)

    def _connect_again(self, user: str, device: str, channel: DevicePort) -> None:
        """Connect a device again that the tracker has lost.

        If its channel was closed or replaced during the call, the device leaves or is connected for the new channel. Otherwise it
        would stay connected in the tracker without a channel.
        """
        if self._hub.devices_of(user).get(device) is not channel:
            return
        _repeat_until_stable(channel, partial(self._devices.connect_again, user, device, channel.connection_id, channel.session.revision))
        current = self._hub.devices_of(user).get(device)
        if current is None:
            self._devices.leave(user, device, channel.connection_id)
        elif current is not channel:
            self._connect_again(user, device, current)


def _repeat_until_stable(channel: DevicePort, call: Callable[[Status], bool | None]) -> bool | None:
    """Call with the channel's status, and again until the status has not changed during the call; return the last result."""
    while True:
        status = channel.session.status
        result = call(status)
        if channel.session.status == status:
            return result
