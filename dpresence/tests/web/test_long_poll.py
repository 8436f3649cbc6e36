"""The feed of an application by long poll (section 5, Without a websocket)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dpresence.service import feeds
from dpresence.tests.waiting import eventually
from dpresence.tests.web.streams import poll, stream
from dpresence.tests.web.support import App, World, ko, refusal

ANN, BOB = "ann@example.org", "bob@example.org"


def entries(frame: dict[str, list[dict[str, str]]], kind: str = "updates") -> list[tuple[str, str]]:
    return [(entry["puid"], entry["status"]) for entry in frame[kind]]


def test_a_poll_without_a_cursor_is_answered_with_the_whole_snapshot(world: World, app: App, puid: str) -> None:
    world.services.snapshots.entries = 1
    bob = world.grant(BOB, app)
    snapshot = poll(world, app, "?wait=9")
    assert sorted(entries(snapshot, "snapshot")) == sorted([(puid, "offline"), (bob, "offline")])
    assert snapshot["last"] is True
    assert not world.services.hub.has_application(app.id)
    assert poll(world, app, f"?since={snapshot['cursor']}&wait=0") == {"updates": [], "cursor": snapshot["cursor"]}


def test_a_poll_is_answered_at_once_with_what_was_missed(world: World, app: App, puid: str) -> None:
    cursor = poll(world, app, "?wait=0")["cursor"]
    world.device(ANN)
    missed = poll(world, app, f"?since={cursor}&wait=9")
    assert entries(missed) == [(puid, "online")]
    assert poll(world, app, f"?since={missed['cursor']}&wait=0")["updates"] == []
    assert not world.services.hub.has_application(app.id)


def test_a_poll_that_waits_is_answered_with_the_first_update_only(world: World, app: App, puid: str) -> None:
    cursor = poll(world, app, "?wait=0")["cursor"]
    waiting = stream(world, app, f"?since={cursor}&wait=9")
    assert (waiting.written, world.services.hub.has_application(app.id)) == (b"", True)
    device = world.device(ANN)
    world.settle()
    device.receive({"email": ANN, "status": "unavailable"})
    world.settle()
    status, frame = waiting.answer
    assert (status, entries(frame)) == (200, [(puid, "online")])
    assert not world.services.hub.has_application(app.id)
    assert entries(poll(world, app, f"?since={frame['cursor']}&wait=0")) == [(puid, "unavailable")]


def test_a_poll_is_answered_without_updates_when_its_time_is_over(world: World, app: App) -> None:
    cursor = poll(world, app, "?wait=0")["cursor"]
    waiting = stream(world, app, f"?since={cursor}&wait=9")
    world.advance(8.9)
    assert waiting.written == b""
    world.advance(0.2)
    assert waiting.answer == (200, {"updates": [], "cursor": cursor})
    assert not world.services.hub.has_application(app.id)


def test_an_update_between_the_look_at_the_feed_and_the_wait_is_the_answer(
    world: World, app: App, puid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor = poll(world, app, "?wait=0")["cursor"]
    read = feeds.Feeds.read

    def overtaken(self: feeds.Feeds, appid: str, offset: int) -> object:
        found = read(self, appid, offset)
        world.device(ANN)
        world.settle()
        return found

    monkeypatch.setattr(feeds.Feeds, "read", overtaken)
    assert entries(poll(world, app, f"?since={cursor}&wait=9")) == [(puid, "online")]


def test_a_cursor_whose_updates_were_deleted_leads_to_a_snapshot(make_world: Callable[..., World]) -> None:
    world = make_world(presence__feed_seconds="100")
    app = world.application()
    world.grant(ANN, app)
    cursor = poll(world, app, "?wait=0")["cursor"]
    world.device(ANN)
    world.clock.advance(200)
    world.services.feeds.sweep()
    assert "snapshot" in poll(world, app, f"?since={cursor}&wait=9")


ENDS: dict[str, tuple[Callable[[World, App], object], int, dict[str, object]]] = {
    "deactivated": (lambda world, app: app.owner("POST", f"/myapps/{app.id}/deactivate"), 403, ko(142, "the application is not active")),
    "deleted": (lambda world, app: app.owner("DELETE", f"/myapps/{app.id}"), 401, ko(105, "the API key is not valid")),
    "stopping": (
        lambda world, app: world.connections[-1].close(4200, "the server is stopping; retry_after=2"),
        503,
        ko(201, "the server is stopping", retry_after=2),
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_a_poll_that_waits_is_refused_at_the_end_of_what_it_waits_for(world: World, app: App, name: str) -> None:
    waiting = stream(world, app, f"?since={poll(world, app, '?wait=0')['cursor']}&wait=9")
    end, status, error = ENDS[name]
    end(world, app)
    world.settle()
    assert waiting.answer == (status, error)
    assert not world.services.hub.has_application(app.id)


def test_polls_count_as_channels_of_the_application_while_they_wait(make_world: Callable[..., World]) -> None:
    world = make_world(presence__sockets_per_application="1")
    app = world.application()
    query = f"?since={poll(world, app, '?wait=0')['cursor']}&wait=9"
    waiting = stream(world, app, query)
    answer = world.browser()("GET", f"/myapps/{app.id}/feed{query}", Authorization=f"Bearer {app.key}")
    assert refusal(answer) == (409, ko(122, "1 channels of this application are open already"))
    waiting.lose()
    assert poll(world, app, "?wait=0")["last"] is True


def test_a_poll_at_another_process_gets_the_update_too(one: World, two: World) -> None:
    app = one.application()
    puid = one.grant(ANN, app)
    waiting = stream(two, app, f"?since={poll(two, app, '?wait=0')['cursor']}&wait=9")
    one.device(ANN)
    eventually(lambda: waiting.written)
    assert entries(waiting.answer[1]) == [(puid, "online")]
