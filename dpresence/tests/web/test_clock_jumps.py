"""A time of day that is wrong for a minute ends no session, no ticket, no key and no channel."""

from __future__ import annotations

import pytest

from dpresence.clock import SETTLING_SECONDS
from dpresence.tests.web.support import App, World

ANN = "ann@example.org"
JUMPS = [13 * 3600, -13 * 3600, 400 * 86400]


def jump(world: World, seconds: int) -> None:
    world.clock.start += 1000 * seconds


@pytest.mark.parametrize("seconds", JUMPS)
def test_a_session_a_ticket_and_a_channel_outlive_a_minute_of_wrong_time(world: World, seconds: int) -> None:
    ann, device = world.person(ANN), world.device(ANN, device="phone")
    frame = {"email": ANN, "status": "online", "device": "page", "ticket": True}
    ticket = ann("POST", "/ticket").json["ticket"]
    page = world.channel()
    following = page.receive({**frame, "assertion": ticket})["ticket"]
    page.lose()
    jump(world, seconds)
    for _ in range(65):
        world.advance(1)
    world.services.accounts.sweep()
    assert device.code is None
    assert device.receive({"email": ANN, "status": "unavailable"}) == {"result": "OK"}
    assert ann("GET", "/devices").status_int == 200
    assert world.channel().receive({**frame, "assertion": following})["result"] == "OK"
    jump(world, -seconds)
    world.services.accounts.sweep()
    assert ann("GET", "/devices").status_int == 200
    assert device.code is None


def test_an_old_key_works_to_the_end_of_its_overlap_when_the_time_jumps(world: World, app: App) -> None:
    app.owner("POST", f"/myapps/{app.id}/key")
    jump(world, 400 * 86400)
    look = world.browser()("GET", f"/myapps/{app.id}/presence", Authorization=f"Bearer {app.key}")
    assert look.status_int == 200


def test_a_session_is_as_long_as_it_says_when_the_time_jumps(world: World) -> None:
    device = world.device(ANN)
    jump(world, -6 * 3600)
    world.clock.advance(12 * 3600 - 1)
    assert device.receive({"email": ANN, "status": "unavailable"}) == {"result": "OK"}
    world.clock.advance(1)
    assert device.receive({"email": ANN, "status": "online"})["errno"] == 130


def test_a_jump_that_stays_counts_after_it_has_stood(world: World) -> None:
    ann = world.person(ANN)
    jump(world, 13 * 3600)
    assert ann("GET", "/devices").status_int == 200
    world.clock.advance(SETTLING_SECONDS)
    assert ann("GET", "/devices").json["errno"] == 130


def test_a_domain_is_not_looked_at_early_because_the_time_jumped(world: World, app: App) -> None:
    world.proof.paths.clear()
    jump(world, 400 * 86400)
    world.services.domain_checks.check_due()
    assert world.proof.paths == []
    world.clock.advance(SETTLING_SECONDS)
    world.services.domain_checks.check_due()
    assert world.proof.paths != []
