"""Quiet hours, and grants that end at a time (sections 5 and 6)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from dpresence.tests.web.support import NOT_FOUND, App, Browser, World, ko, refusal, seen, updates

ANN = "ann@example.org"
EVERY_DAY = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
ALWAYS = {"zone": "Europe/Berlin", "weekly": [{"days": EVERY_DAY, "from": "00:00", "to": "24:00"}]}
STATE = ("paused", "quiet", "shows", "until", "hours")
HOUR = 3_600_000
FUTURE = "until: a time in the future, in milliseconds since the epoch"


@pytest.fixture
def ann(world: World) -> Browser:
    return world.person(ANN)


def next_hour(world: World) -> dict[str, Any]:
    """Return hours that begin at the next full hour and end an hour later."""
    hour = datetime.fromtimestamp(world.clock.now() / 1000, UTC).hour
    return {"zone": "UTC", "weekly": [{"days": EVERY_DAY, "from": f"{(hour + 1) % 24:02}:00", "to": f"{(hour + 2) % 24:02}:00"}]}


def run_at(world: World, moment: int) -> None:
    """Let the schedule run a second after a time."""
    world.clock.advance((moment - world.clock.now()) / 1000 + 1)
    world.services.schedule.run()
    world.settle()


def test_in_quiet_hours_the_user_looks_offline_and_notifications_wait(world: World, ann: Browser, app: App, puid: str) -> None:
    device, service = world.device(ANN, ack=True), world.followed(app)
    begins = (world.clock.now() // HOUR + 1) * HOUR
    assert ann("PUT", "/hours", next_hour(world)).json == {"hours": next_hour(world), "quiet": False}
    assert seen(world, app) == "online"
    run_at(world, begins)
    assert (seen(world, app), ann("GET", "/hours").json["quiet"]) == ("offline", True)
    assert world.notify(app, {"puid": puid, "message": "later"})[0]["delivered"] is False
    world.settle()
    assert device.take() == []
    run_at(world, begins + HOUR)
    assert [item["message"] for frame in device.take() for item in frame["notifications"]] == ["later"]
    assert updates(service) == [(puid, "offline", "explicit"), (puid, "online", "explicit")]


def test_quiet_hours_begin_and_end_at_once_when_they_are_set_and_removed(world: World, ann: Browser, app: App, puid: str) -> None:
    world.device(ANN)
    assert ann("GET", "/hours").json == {"hours": None, "quiet": False}
    assert ann("PUT", "/hours", ALWAYS).json == {"hours": ALWAYS, "quiet": True}
    assert seen(world, app) == "offline"
    assert ann("DELETE", "/hours").status_int == 204
    assert (seen(world, app), ann("GET", "/hours").json) == ("online", {"hours": None, "quiet": False})


def test_a_pause_of_ones_own_outlives_the_hours_and_the_hours_outlive_it(world: World, ann: Browser, app: App, puid: str) -> None:
    world.device(ANN)

    def change(**changes: Any) -> tuple[object, ...]:
        answer = ann("PATCH", f"/grant/{app.id}", changes).json
        return answer["paused"], answer["quiet"], seen(world, app)

    assert change(hours=ALWAYS) == (False, True, "offline")
    assert change(paused=True) == (True, False, "offline")
    assert change(hours=None) == (True, False, "offline")
    assert change(hours=ALWAYS, paused=False) == (False, True, "offline")
    assert change(hours=None) == (False, False, "online")


def test_a_grant_made_in_quiet_hours_shows_nothing(world: World, ann: Browser, app: App) -> None:
    world.device(ANN)
    ann("PUT", "/hours", ALWAYS)
    world.grant(ANN, app)
    assert seen(world, app) == "offline"


def test_a_grant_ends_at_its_time_as_if_revoked(world: World, ann: Browser, app: App) -> None:
    until = world.clock.now() + HOUR
    puid = ann("POST", f"/grant/{app.id}", {"until": until}).json["puid"]
    world.device(ANN)
    service = world.followed(app)
    assert ann("GET", "/grants").json["grants"][0]["until"] == until
    world.notify(app, {"puid": puid, "message": "waits"})
    run_at(world, until)
    assert updates(service) == [(puid, "offline", "revoked")]
    assert (ann("GET", "/grants").json, ann("GET", "/account").json["notifications"]) == ({"grants": []}, [])
    assert refusal(ann("PATCH", f"/grant/{app.id}", {"until": None})) == NOT_FOUND


def test_the_end_of_a_grant_is_moved_and_removed(world: World, ann: Browser, app: App) -> None:
    now = world.clock.now()
    puid = ann("POST", f"/grant/{app.id}", {"until": now + HOUR}).json["puid"]
    assert ann("POST", f"/grant/{app.id}").json["puid"] == puid
    assert ann("GET", "/grants").json["grants"][0]["until"] == now + HOUR, "a grant that exists keeps its end"
    ann("POST", f"/grant/{app.id}", {"until": now + 2 * HOUR})
    run_at(world, now + HOUR)
    assert ann("PATCH", f"/grant/{app.id}", {"until": None}).json["until"] is None
    run_at(world, now + 2 * HOUR)
    assert [grant["puid"] for grant in ann("GET", "/grants").json["grants"]] == [puid]


@pytest.mark.parametrize(("given", "hours"), [("hour", 1), ("", None), (None, None), ("+2", 2)])
def test_the_form_says_for_how_long(world: World, ann: Browser, app: App, given: str | None, hours: int | None) -> None:
    now = world.clock.now()
    fields = {} if given is None else {"until": str(now + 2 * HOUR) if given == "+2" else given}
    answer = ann.form(f"/grant/{app.id}", {"allow": "1", "redirect": f"http://{world.proof.domain}/", **fields})
    assert "Presence-UID=" in answer.headers["Location"]
    assert ann("GET", "/grants").json["grants"][0]["until"] == (hours and now + hours * HOUR)


@pytest.mark.parametrize("given", ["tomorrow", "-1", "1", "9" * 20])
def test_a_form_with_another_end_grants_nothing(world: World, ann: Browser, app: App, given: str) -> None:
    answer = ann.form(f"/grant/{app.id}", {"allow": "1", "redirect": f"http://{world.proof.domain}/", "until": given})
    assert (answer.status_int, ann("GET", "/grants").json) == (400, {"grants": []})


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"until": 1}, ko(107, FUTURE)),
        ({"until": "tomorrow"}, ko(107, FUTURE)),
        ({"hours": {"zone": "UTC"}}, ko(108, "hours.weekly: is missing")),
        ({"hours": {**ALWAYS, "zone": "Mars"}}, ko(107, "hours.zone: a time zone, such as Europe/Berlin")),
        ({"hours": {**ALWAYS, "weekly": [{**ALWAYS["weekly"][0], "to": "25:00"}]}},
         ko(107, "hours.weekly[0].to: a time of day, 00:00 to 24:00, other than from")),
    ],
)  # fmt: skip
def test_a_wrong_change_of_a_grant_is_named(ann: Browser, app: App, puid: str, change: dict[str, Any], refused: dict[str, Any]) -> None:
    assert refusal(ann("PATCH", f"/grant/{app.id}", change)) == (400, refused)
    assert [ann("GET", "/grants").json["grants"][0][name] for name in STATE] == [False, False, "status", None, None]


def test_the_data_about_a_person_has_the_hours(ann: Browser, app: App, puid: str) -> None:
    ann("PUT", "/hours", ALWAYS)
    ann("PATCH", f"/grant/{app.id}", {"hours": ALWAYS})
    stored = ann("GET", "/account").json
    assert (stored["account"]["hours"], stored["grants"][0]["hours"]) == (ALWAYS, ALWAYS)


def test_one_of_two_processes_makes_a_change_that_is_due(pair: tuple[World, World]) -> None:
    one, _ = pair
    app = one.application()
    puid = one.grant(ANN, app)
    one.device(ANN)
    service = one.followed(app)
    until = one.clock.now() + HOUR
    one.person(ANN)("PATCH", f"/grant/{app.id}", {"until": until})
    for world in pair:
        world.clock.advance(3601)
    for world in pair:
        world.services.schedule.run()
        world.settle()
    assert updates(service) == [(puid, "offline", "revoked")]
