"""The changes of one account reach an application at the documented rate, whatever is used to make them (section 4)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dpresence.tests.waiting import eventually
from dpresence.tests.web.support import World, ko, say, seen, updates

ANN = "ann@example.org"
BURST = 20
STATUSES = ("unavailable", "online")


def visible(channel) -> int:
    """Return how many changes that are not to ``offline`` an application received."""
    return sum(status != "offline" for _, status, _ in updates(channel))


def test_new_device_names_tell_an_application_no_more_than_the_rate(world: World) -> None:
    app = world.application()
    world.grant(ANN, app)
    service = world.followed(app)
    for number in range(40):
        channel = world.device(ANN, STATUSES[number % 2], device=f"d{number}")
        say(channel, "offline")
        channel.lose()
    world.settle()
    assert visible(service) == BURST - 1  # the grant took one
    last = world.device(ANN, "online", device="last")
    assert last.code is None and seen(world, app) == "offline"
    world.advance(1)
    assert visible(service) == 1 and seen(world, app) == "online"


@pytest.mark.slow
def test_pause_and_resume_tell_an_application_no_more_than_the_rate(world: World) -> None:
    app = world.application()
    world.grant(ANN, app)
    world.device(ANN)
    service, ann = world.followed(app), world.person(ANN)
    for number in range(60):
        assert ann("PATCH", f"/grant/{app.id}", {"paused": not number % 2}).status_int == 200
    world.settle()
    assert visible(service) == BURST - 2 and seen(world, app) == "offline"
    world.advance(1)
    assert visible(service) == 1 and seen(world, app) == "online"


def test_granting_anew_is_slowed_and_revoking_never(world: World) -> None:
    app = world.application()
    ann = world.person(ANN)
    answers = []
    for _ in range(30):
        answers.append(ann("POST", f"/grant/{app.id}").status_int)
        ann("DELETE", f"/grant/{app.id}")
    assert answers == [200] * BURST + [429] * 10
    refused = ann("POST", f"/grant/{app.id}")
    assert refused.json == ko(117, "too many changes of status and new grants of this account", retry_after=1)
    world.advance(1)
    assert ann("POST", f"/grant/{app.id}").status_int == 200
    assert [ann("POST", f"/grant/{app.id}").status_int for _ in range(3)] == [200] * 3  # the same grant
    assert ann("DELETE", f"/grant/{app.id}").status_int == 204


@pytest.mark.slow
@pytest.mark.parametrize("status", ["online", "offline"])
def test_two_processes_share_the_rate_and_keep_the_last_status(one: World, two: World, status: str) -> None:
    app = one.application()
    one.grant(ANN, app)
    service = one.followed(app)
    channels = [world.device(ANN, "offline", device=f"d{n}") for n, world in enumerate((one, two, one, two))]
    for number in range(60):
        channel = channels[number % 4]
        say(channel, STATUSES[number // 4 % 2])
        say(channel, "offline")
    for channel in channels:
        say(channel, status)
    received: list[tuple[str, str, str]] = []

    def settled() -> bool:
        two.services.devices.publish_postponed()
        received.extend(updates(service))
        return seen(one, app) == status

    eventually(settled)
    assert sum(shown != "offline" for _, shown, _ in received) <= BURST + 8  # and the seconds that the test takes


def test_an_acknowledgement_shows_nobody_whose_status_is_postponed(make_world: Callable[..., World]) -> None:
    world = make_world(presence__status_burst="1")
    app = world.application()
    puid = world.grant(ANN, app)
    channel = world.device(ANN, ack=True)
    assert seen(world, app) == "offline"
    world.notify(app, {"puid": puid, "message": "Your move"})
    world.settle()
    ids = [item["id"] for frame in channel.take() for item in frame.get("notifications", ())]
    channel.receive({"action": "ack", "notifications": ids})
    assert ids and world.notify(app, {"puid": puid})[0]["queue_size"] == 2


def test_erasing_the_account_and_coming_back_does_not_get_round_the_rate(world: World) -> None:
    app = world.application()
    service, ann = world.followed(app), "ann@example.org"
    answers = []
    for _ in range(20):
        world.browser()("POST", f"/grant/{app.id}", **world.authorization(ann))
        answers.append(world.browser()("DELETE", "/account", **world.authorization(ann)).status_int)
    world.settle()
    assert answers == [204] * 5 + [429] * 15
    assert len(updates(service)) == 2 * 5 + 1, "granted and revoked for each account, and the grant of the one that stays"
