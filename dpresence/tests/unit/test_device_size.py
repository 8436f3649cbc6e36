"""The size of the objects that each idle device has: with ten thousand of them, a field more is 80 KB."""

from __future__ import annotations

import gc
import sys
from typing import Any

import pytest

from dpresence.backends.tracker.feed import Feed
from dpresence.backends.tracker.memory_values import LiveDevice, LiveUser
from dpresence.channels.connection import Connection
from dpresence.channels.device import DeviceChannel
from dpresence.channels.gate import Gate
from dpresence.clock import Clock
from dpresence.hub import PROOF_BYTES, DeviceSession
from dpresence.metrics import Metrics
from dpresence.model import Grant, GrantSet
from dpresence.settings import Settings

SIZES: list[tuple[object, int]] = [
    (Connection.__new__(Connection), 256),
    (DeviceChannel.__new__(DeviceChannel), 112),
    (DeviceSession(), 128),
    (LiveUser(), 48),
    (LiveDevice("phone"), 64),
    (Grant("app", "puid", "user", 0, 0), 128),
    (GrantSet(0, ()), 40),
    (Gate(Settings(), Clock(), Metrics(Clock())).new_id(), 64),
    (bytes(PROOF_BYTES), 48),
]


@pytest.mark.parametrize(("item", "most"), SIZES, ids=lambda value: type(value).__name__ if not isinstance(value, int) else str(value))
def test_an_object_of_an_idle_device_is_small(item: Any, most: int) -> None:
    assert not hasattr(item, "__dict__")
    assert sys.getsizeof(item) <= most


def test_a_session_and_a_set_of_grants_need_no_garbage_collector() -> None:
    assert not gc.is_tracked(DeviceSession()) and not gc.is_tracked(GrantSet(0, ()))


def test_entries_of_one_second_share_its_time() -> None:
    feed = Feed(3600, 100)
    for number in range(3):
        feed.append(Grant("app", f"p{number}", "user", 0, 0), "online", "explicit", 1_700_000_000_000 + number)
    assert len({id(entry.at) for entry in feed.after(1, 10)}) == 1
