"""A process that was cut off from Redis, or stood still, for longer than its lease: whom it shows as online when it is back."""

from __future__ import annotations

import pytest

from dpresence.errors import CloseCode
from dpresence.tests.waiting import eventually
from dpresence.tests.web.support import World, updates
from dpresence.tests.web.test_two_processes import ANN, app, deaf, latest, parts, puid, recovers

__all__ = ["app", "puid"]

NOT_SIGNED_IN, NO_PONG = CloseCode.NOT_SIGNED_IN, CloseCode.NO_PONG


def swept(by: World, other: World, redis_server) -> None:
    """Have one process sweep the devices of another, whose leases are over because it was cut off."""
    user, device, _ = other.services.hub.devices()[0]
    for part in parts(other):
        redis_server.client.hset(f"{part._registration._prefix}processes", part._registration.process, "0 1")
    eventually(lambda: by.services.devices.sweep() == 0 and device not in [item.name for item in by.services.devices.list(user)])


@pytest.mark.parametrize("everywhere", [False, True])
def test_a_device_that_was_signed_out_while_its_process_was_cut_off_does_not_connect_again(one, two, app, puid, redis_server, everywhere):
    device, ann = two.device(ANN, device="phone", label="Phone"), one.person(ANN)
    two.settle()
    deaf(two)
    swept(one, two, redis_server)
    if everywhere:
        assert ann("POST", "/logout", {"everywhere": True}).status_int == 200
    else:
        assert ann("DELETE", "/devices/phone").status_int == 204
    recovers(two, forgotten=True)
    assert device.code == NOT_SIGNED_IN
    assert latest(one, app, puid) == "offline"


def test_a_device_that_signed_in_after_a_sign_out_connects_again(one, two, app, puid, redis_server):
    ann = one.person(ANN)
    assert ann("POST", "/logout", {"everywhere": True}).status_int == 200
    device = two.device(ANN, device="phone")
    deaf(two)
    swept(one, two, redis_server)
    recovers(two, forgotten=True)
    assert (device.code, latest(one, app, puid)) == (None, "online")


def test_a_device_that_left_elsewhere_while_its_process_stood_still_is_not_shown_again(one, two, app, puid, redis_server):
    former = two.device(ANN, device="phone")
    deaf(two)
    swept(one, two, redis_server)
    one.device(ANN, "offline", device="phone").leave()
    former.silent = True
    service = one.followed(app)
    recovers(two, forgotten=True)
    one.settle()
    assert (former.code, updates(service)) == (NO_PONG, [])
