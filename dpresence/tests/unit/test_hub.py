"""The hub: the channels open in this process, by device and by application."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from dpresence.errors import CloseCode
from dpresence.hub import DeviceSession, Hub
from dpresence.model import Notification


class Channel:
    """A channel that only remembers how it was closed."""

    def __init__(self) -> None:
        self.session = DeviceSession()
        self.following, self.offset = False, 0
        self.code: CloseCode | None = None
        self.checked = 0

    def deliver(self, notifications: Sequence[Notification], domains: Mapping[str, str]) -> bool:
        return True

    def check(self) -> None:
        self.checked += 1

    def close(self, code: CloseCode, reason: str) -> None:
        self.code = code


def channel_of(device: str) -> Channel:
    """Return a channel that has signed in as a device."""
    channel = Channel()
    channel.session.device = device
    return channel


@pytest.fixture
def hub() -> Hub:
    return Hub()


def test_a_newer_channel_of_a_device_takes_its_place_and_the_older_one_is_handed_back(hub: Hub) -> None:
    old, new = channel_of("phone"), channel_of("phone")
    assert hub.join_device("ann", "phone", old) is None
    assert hub.join_device("ann", "phone", new) is old
    assert hub.join_device("ann", "phone", new) is None
    assert hub.devices_of("ann") == {"phone": new}


def test_an_old_channel_never_removes_its_successor(hub: Hub) -> None:
    old, new = channel_of("phone"), channel_of("phone")
    hub.join_device("ann", "phone", old)
    hub.join_device("ann", "phone", new)
    hub.leave_device("ann", "phone", old)
    assert hub.devices_of("ann") == {"phone": new}
    hub.leave_device("ann", "phone", new)
    hub.leave_device("ann", "phone", new)
    assert hub.devices_of("ann") == {} and hub.counts() == {"devices": 0, "users": 0, "applications": 0}


def test_devices_are_closed_by_choice(hub: Hub) -> None:
    phone, laptop, other = map(channel_of, ("phone", "laptop", "phone"))
    hub.join_device("ann", "phone", phone)
    hub.join_device("ann", "laptop", laptop)
    hub.join_device("bob", "phone", other)
    hub.close_devices("ann", "signed out", lambda name, channel: name == "phone")
    assert (phone.code, laptop.code, other.code) == (CloseCode.NOT_SIGNED_IN, None, None)
    hub.close_devices("ann", "signed out")
    assert (laptop.code, other.code) == (CloseCode.NOT_SIGNED_IN, None)


def test_an_application_has_several_channels(hub: Hub) -> None:
    one, two, other = Channel(), Channel(), Channel()
    for channel in (one, two, two):
        hub.join_application("chess", channel)
    hub.join_application("go", other)
    assert set(hub.channels_of("chess")) == {one, two}
    assert hub.counts() == {"devices": 0, "users": 0, "applications": 3}
    hub.check_application("chess")
    assert (one.checked, two.checked, other.checked) == (1, 1, 0)
    for channel in (one, two, two):
        hub.leave_application("chess", channel)
    hub.leave_application("never", one)
    assert hub.channels_of("chess") == () and hub.counts()["applications"] == 1


def test_devices_without_notifications_share_one_delivery_state() -> None:
    one, two = DeviceSession(), DeviceSession()
    assert one.progress is two.progress
    assert one.begin_progress() is one.progress is one.begin_progress()
    one.begin_progress().sent |= {"a"}
    one.begin_progress().skipped["p"] = 1
    assert one.progress is not two.progress
    assert (two.progress.position, two.progress.sent, two.progress.skipped, two.progress.stalled) == (0, frozenset(), {}, False)


def test_the_only_channel_of_a_user_is_stored_without_a_dict(hub: Hub) -> None:
    phone, laptop = channel_of("phone"), channel_of("laptop")
    hub.join_device("ann", "phone", phone)
    assert hub._devices == {"ann": phone} and hub.devices() == [("ann", "phone", phone)]
    hub.join_device("ann", "laptop", laptop)
    assert hub.devices_of("ann") == {"phone": phone, "laptop": laptop} and hub.counts()["devices"] == 2
    hub.leave_device("ann", "phone", phone)
    assert hub._devices == {"ann": laptop} and hub.counts()["devices"] == 1


def test_the_channels_of_a_user_are_returned_in_a_dict_of_the_callers_own(hub: Hub) -> None:
    phone, laptop = channel_of("phone"), channel_of("laptop")
    hub.join_device("ann", "phone", phone)
    hub.devices_of("ann").clear()
    hub.join_device("ann", "laptop", laptop)
    hub.devices_of("ann").clear()
    assert hub.devices_of("ann") == {"phone": phone, "laptop": laptop}
