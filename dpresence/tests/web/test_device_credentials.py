"""Credentials of paired devices (section 2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dpresence.errors import CloseCode
from dpresence.tests.web.pairing import ANN, BOB, begin, enter, paired, poll
from dpresence.tests.web.support import World, ko, refusal

DAY = 86400


def test_a_credential_opens_the_device_channel_and_nothing_else(world: World) -> None:
    credential = paired(world)
    no_user = (401, ko(34, "Invalid assertion: a device credential opens the device channel and nothing else"))
    for scheme in ("BrowserID", "Bearer"):
        assert refusal(world.browser()("GET", "/devices", Authorization=f"{scheme} {credential}")) == no_user
    assert refusal(world.browser()("POST", "/login", {"assertion": credential})) == no_user
    channel, answer = enter(world, credential, ticket=True)
    assert answer == {"result": "OK"}, "it needs no ticket"
    channel.lose()
    assert enter(world, credential)[1] == {"result": "OK"}, "it can be used again"


def test_a_credential_is_for_one_device_and_one_user(world: World) -> None:
    credential = paired(world)
    assert enter(world, credential, device="desk")[1] == ko(122, "device: differs from that of the credential")
    assert enter(world, credential, email=BOB)[1]["errno"] == 133
    assert enter(world, credential, device="lamp")[1] == {"result": "OK"}
    assert [one["device"] for one in world.person(ANN)("GET", "/devices").json["devices"]] == ["lamp"]


def test_a_credential_renews_the_identity_of_its_channel(world: World) -> None:
    credential = paired(world)
    channel, _ = enter(world, credential)
    world.clock.advance(43000)
    assert channel.receive({"email": ANN, "assertion": credential, "status": "online"}) == {"result": "OK"}
    world.clock.advance(43000)
    assert channel.receive({"email": ANN, "status": "unavailable"}) == {"result": "OK"}
    world.clock.advance(300)
    assert channel.receive({"email": ANN, "status": "online"})["errno"] == 130
    assert channel.receive({"email": ANN, "assertion": credential, "status": "online"}) == {"result": "OK"}


def test_a_credential_expires_ninety_days_after_its_last_use(world: World) -> None:
    credential = paired(world)
    for _ in range(2):
        world.clock.advance(89 * DAY)
        assert enter(world, credential)[1] == {"result": "OK"}
    world.clock.advance(90 * DAY)
    assert enter(world, credential)[1] == ko(34, "Invalid assertion")


def test_paired_devices_are_listed_and_exported_with_the_day_of_use(world: World) -> None:
    ann = world.person(ANN)
    credential = paired(world)
    (listed,) = ann("GET", "/devices").json["paired"]
    assert (listed["device"], listed["client"], listed["last_used"]) == ("lamp", "Example lamp", None)
    assert listed["expires_at"] - listed["paired_at"] == 90 * DAY * 1000
    assert [one["device"] for one in ann("GET", "/account").json["paired"]] == ["lamp"]
    channel, _ = enter(world, credential)
    assert ann("GET", "/devices").json["paired"][0]["last_used"] is not None
    assert credential not in str(ann("GET", "/account").json)
    channel.lose()


@pytest.mark.parametrize("live", [True, False])
def test_signing_the_device_out_ends_its_credential(world: World, live: bool) -> None:
    credential, ann = paired(world), world.person(ANN)
    channel = enter(world, credential)[0] if live else None
    assert ann("DELETE", "/devices/lamp").status_int == 204
    assert channel is None or channel.code == CloseCode.NOT_SIGNED_IN
    assert enter(world, credential)[1] == ko(34, "Invalid assertion")
    assert ann("GET", "/devices").json["paired"] == []
    assert ann("DELETE", "/devices/lamp").status_int == 404


@pytest.mark.parametrize(
    "end",
    [
        lambda world, ann: ann("POST", "/logout", {"everywhere": True}),
        lambda world, ann: ann("DELETE", "/account"),
        lambda world, ann: world.registry.backends.directory.block(ANN, True) and world.carry_out(),
    ],
    ids=["everywhere", "erasure", "block"],
)
def test_whatever_ends_every_sign_in_ends_the_credential_and_its_channel(world: World, end: Callable[..., Any]) -> None:
    credential, ann = paired(world), world.person(ANN)
    channel, _ = enter(world, credential)
    end(world, ann)
    world.settle()
    assert channel.code == CloseCode.NOT_SIGNED_IN
    assert enter(world, credential)[1]["errno"] == 34


def test_logging_out_of_the_browser_keeps_the_device(world: World) -> None:
    codes, ann = begin(world), world.person(ANN)
    ann("POST", "/pair/answer", {"code": codes["user_code"], "allow": True})
    channel, _ = enter(world, poll(world, codes["device_code"])[1]["credential"])
    ann("POST", "/logout")
    assert channel.code is None


def test_pairing_a_device_of_the_same_name_signs_the_earlier_one_out(world: World) -> None:
    earlier = paired(world)
    channel, _ = enter(world, earlier)
    later = paired(world)
    assert channel.code == CloseCode.NOT_SIGNED_IN
    assert enter(world, earlier)[1] == ko(34, "Invalid assertion")
    assert enter(world, later)[1] == {"result": "OK"}
