"""The hub: the channels open in this process, by device and by application."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import gevent
import pytest

from dpresence.errors import CloseCode
from dpresence.hub import Hub
from dpresence.model import Notification


class Channel:
    """A channel that only remembers how it was closed."""

    def __init__(self) -> None:
        self.acknowledges = False
        self.family: str | None = None
        self.sent: set[str] = set()
        self.offset = 0
        self.code: CloseCode | None = None
        self.checked = 0
        self.revision = 0

    def deliver(self, notifications: Sequence[Notification], domains: Mapping[str, str]) -> bool:
        return True

    def check(self) -> None:
        self.checked += 1

    def close(self, code: CloseCode, reason: str) -> None:
        self.code = code


@pytest.fixture
def hub() -> Iterator[Hub]:
    yield Hub()
    gevent.sleep(0)


def test_a_newer_channel_of_a_device_takes_its_place_and_the_older_one_is_handed_back(hub: Hub) -> None:
    old, new = Channel(), Channel()
    assert hub.join_device("ann", "phone", old) is None
    assert hub.join_device("ann", "phone", new) is old
    assert hub.join_device("ann", "phone", new) is None
    assert hub.devices_of("ann") == {"phone": new}


def test_an_old_channel_never_removes_its_successor(hub: Hub) -> None:
    old, new = Channel(), Channel()
    hub.join_device("ann", "phone", old)
    hub.join_device("ann", "phone", new)
    hub.leave_device("ann", "phone", old)
    assert hub.devices_of("ann") == {"phone": new}
    hub.leave_device("ann", "phone", new)
    hub.leave_device("ann", "phone", new)
    assert hub.devices_of("ann") == {} and hub.counts() == {"devices": 0, "users": 0, "applications": 0}


def test_devices_are_closed_by_choice(hub: Hub) -> None:
    phone, laptop, other = Channel(), Channel(), Channel()
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


def test_what_happens_in_one_turn_is_pumped_once(hub: Hub) -> None:
    pumped: list[tuple[str, int]] = []

    def pump(appid: str, channels: Collection[object]) -> None:
        pumped.append((appid, len(channels)))

    hub.pump = pump
    hub.join_application("chess", Channel())
    for _ in range(5):
        hub.feed_changed("chess")
        hub.feed_changed("nobody listens")
    assert pumped == []
    gevent.sleep(0)
    assert pumped == [("chess", 1)]
    hub.feed_changed("chess")
    gevent.sleep(0)
    assert pumped == [("chess", 1)] * 2


def test_news_that_come_while_pumping_are_not_lost(hub: Hub) -> None:
    pumped: list[str] = []

    def pump(appid: str, channels: Collection[object]) -> None:
        pumped.append(appid)
        if len(pumped) == 1:
            hub.feed_changed("chess")

    hub.pump = pump
    hub.join_application("chess", Channel())
    hub.feed_changed("chess")
    gevent.sleep(0), gevent.sleep(0)
    assert pumped == ["chess", "chess"]


def test_a_mistake_with_one_application_does_not_cost_the_others_their_news(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    pumped: list[str] = []

    def pump(appid: str, channels: Collection[object]) -> None:
        pumped.append(appid)
        raise RuntimeError(appid)

    hub.pump = pump
    for appid in ("chess", "go"):
        hub.join_application(appid, Channel())
        hub.feed_changed(appid)
    gevent.sleep(0)
    assert sorted(pumped) == ["chess", "go"]
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
