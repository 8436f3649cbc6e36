"""Recovery: a change during a recovery is recovered, too, and a failure for some users is repeated for these alone."""

from __future__ import annotations

import gevent
import pytest

from dpresence.errors import BackendUnavailable
from dpresence.hub import DeviceSession, Hub
from dpresence.model import Device
from dpresence.service import coalescer
from dpresence.service.recovery import Recovery
from dpresence.service.retry import RetryQueue
from dpresence.tests.waiting import PATIENCE_SECONDS


class Channel:
    """A device's channel that stays."""

    connection_id = "c1"
    silent = False

    def __init__(self):
        self.session, self.closed = DeviceSession(), None
        self.session.device, self.session.status, self.session.revision = "phone", "online", 3

    def deliver(self, notifications, domains):
        return True

    def close(self, code, reason):
        self.closed = code


class Devices:
    """A tracker that does not know the device; that it forgot everybody is noticed when it is asked."""

    def __init__(self):
        self.noticed, self.looked, self.connecting = lambda: None, lambda: None, lambda: None
        self.again, self.left, self.out = [], [], False
        self.known, self.listed = [], []

    def signed_out(self, user, device, connection, sign_in_revision):
        assert sign_in_revision == 3
        return self.out

    def update_status(self, user, device, connection, status):
        self.noticed()
        return self.known.pop(0) if self.known else False

    def list(self, user):
        self.looked()
        return self.listed

    def connect_again(self, user, device, connection, sign_in_revision, status):
        assert sign_in_revision == 3
        self.connecting()
        self.again.append((user, device, connection, status))

    def leave(self, user, device, connection):
        self.left.append((user, device, connection))


class Grants:
    def invalidate_all(self):
        pass

    def republish(self, user):
        pass


class Reconciliation:
    def request(self):
        pass


class FanOut:
    def request(self, appid):
        pass


class Delivery:
    def deliver_or_schedule(self, user):
        pass


class Outbox:
    def sweep(self):
        pass


class Accounts:
    def still_signed_in(self, user, family):
        return True


@pytest.fixture
def channel():
    return Channel()


@pytest.fixture
def devices():
    return Devices()


@pytest.fixture
def hub(channel):
    hub = Hub()
    hub.join_device("jane", "phone", channel)
    return hub


@pytest.fixture
def recovery(hub, devices):
    return Recovery(hub, devices, Grants(), Accounts(), Outbox(), RetryQueue(), Reconciliation(), FanOut(), Delivery())


def run(recovery):
    with gevent.Timeout(PATIENCE_SECONDS):
        while recovery.running():
            gevent.sleep(0)


def test_a_device_that_was_signed_out_without_a_signal_is_closed(recovery, channel, devices):
    devices.out = True
    recovery.start()
    run(recovery)
    assert (channel.closed, devices.again) == (4009, [])


def test_a_device_that_has_been_silent_is_asked_to_come_back_and_is_not_shown_meanwhile(recovery, channel, devices):
    channel.silent = True
    recovery.start()
    run(recovery)
    assert (channel.closed, devices.again) == (4201, [])


def test_a_device_that_is_found_to_be_forgotten_while_it_is_looked_at_connects_again(recovery, channel, devices):
    devices.noticed = lambda: recovery.start() if not devices.again else None
    recovery.start()
    run(recovery)
    assert channel.closed is None
    assert ("jane", "phone", "c1", "online") in devices.again


def test_a_device_that_leaves_while_it_is_looked_at_does_not_connect_again(recovery, hub, channel, devices):
    devices.looked = lambda: hub.leave_device("jane", "phone", channel)
    recovery.start()
    run(recovery)
    assert devices.again == []


def test_a_device_that_leaves_while_it_connects_again_is_no_ghost(recovery, hub, channel, devices):
    devices.connecting = lambda: hub.leave_device("jane", "phone", channel)
    recovery.start()
    run(recovery)
    assert devices.left == [("jane", "phone", "c1")]


def test_a_newer_connection_that_comes_while_the_older_connects_again_has_the_device(recovery, hub, devices):
    newer = Channel()
    newer.connection_id = "c2"
    devices.connecting = lambda: hub.join_device("jane", "phone", newer)
    recovery.start()
    run(recovery)
    assert devices.again[-1] == ("jane", "phone", "c2", "online")
    assert devices.left == []


@pytest.mark.parametrize(("known", "closed"), [([False, True], None), ([False, False], 4010)])
def test_a_device_that_was_connected_again_while_it_is_looked_at_is_not_taken_for_replaced(recovery, channel, devices, known, closed):
    devices.known, devices.listed = known, [Device("phone", "online", True, 0)]
    recovery.start()
    run(recovery)
    assert channel.closed == closed


class Away(Devices):
    """A tracker of which the partition of some users is away; the others are there."""

    def __init__(self, *users):
        super().__init__()
        self.away, self.asked = set(users), []

    def update_status(self, user, device, connection, status):
        self.asked.append(user)
        gevent.sleep(0)
        if user in self.away:
            raise BackendUnavailable
        return True


def test_while_a_partition_is_away_others_are_not_recovered_again_and_few_of_its_users_are_tried(monkeypatch):
    monkeypatch.setattr(coalescer, "RETRY_SECONDS", 0.001)
    hub, gone, here = Hub(), [f"gone-{number}" for number in range(90)], [f"here-{number}" for number in range(10)]
    for user in (*gone, *here):
        hub.join_device(user, "phone", Channel())
    devices = Away(*gone)
    recovery = Recovery(hub, devices, Grants(), Accounts(), Outbox(), RetryQueue(), Reconciliation(), FanOut(), Delivery())
    recovery.start()
    with gevent.Timeout(PATIENCE_SECONDS):
        while len(devices.asked) < 100 + 5 * 20:
            gevent.sleep(0.001)
    assert sorted(devices.asked[:100]) == sorted((*gone, *here))
    assert set(devices.asked[100:200]) == set(gone), "each in its turn"
    hub.leave_device("gone-0", "phone", hub.devices_of("gone-0")["phone"])
    devices.asked.clear()
    devices.away.clear()
    run(recovery)
    assert set(devices.asked) <= set(gone)
    recovery.start()
    run(recovery)
    assert sorted(devices.asked[-99:]) == sorted((*gone[1:], *here)), "everything, when it is requested again"
