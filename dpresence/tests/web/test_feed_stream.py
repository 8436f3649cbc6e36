"""The feed of an application as server-sent events (section 5, Without a websocket)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from webtest import AppError

from dpresence.tests.waiting import eventually
from dpresence.tests.web.streams import Event, FakeStream, stream
from dpresence.tests.web.support import App, Browser, World, ko, refusal

ANN = "ann@example.org"
AUTH = {"result": "OK", "action": "auth"}


def followed(world: World, app: App) -> tuple[FakeStream, str]:
    """Return a stream that has had its snapshot, and its cursor."""
    opened = stream(world, app)
    return opened, str(opened.take_events()[1].id)


def refused(world: World, path: str, key: str, **headers: str) -> tuple[int, object]:
    return refusal(world.browser()("GET", path, Authorization=f"Bearer {key}", **headers))


def test_a_stream_begins_with_a_snapshot_and_then_has_the_updates_with_their_cursors(world: World, app: App, puid: str) -> None:
    opened = stream(world, app)
    assert opened.written.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
    auth, snapshot, current = opened.take_events()
    assert auth == Event("auth", None, {**AUTH, "recovery": "snapshot"})
    assert [(entry["puid"], entry["status"]) for entry in snapshot.data["snapshot"]] == [(puid, "offline")]
    assert (snapshot.name, snapshot.id) == ("", snapshot.data["cursor"])
    assert current == Event("current", None, {"result": "OK"})
    world.device(ANN)
    world.settle()
    (update,) = opened.take_events()
    assert [(entry["puid"], entry["status"]) for entry in update.data["updates"]] == [(puid, "online")]
    assert update.id == update.data["cursor"] != snapshot.id


def test_last_event_id_continues_and_takes_precedence_over_since(world: World, app: App, puid: str) -> None:
    opened, cursor = followed(world, app)
    opened.lose()
    world.device(ANN)
    for again in (stream(world, app, Last_Event_ID=cursor), stream(world, app, "?since=nonsense", Last_Event_ID=cursor),
                  stream(world, app, f"?since={cursor}")):  # fmt: skip
        auth, missed, current = again.take_events()
        assert auth.data == {**AUTH, "recovery": "replayed"}
        assert [(entry["puid"], entry["status"]) for entry in missed.data["updates"]] == [(puid, "online")]
        assert current.name == "current"
    assert stream(world, app, "?since=nonsense").take_events()[0].data == {**AUTH, "recovery": "snapshot"}


def test_a_revoked_grant_ends_on_the_stream(world: World, app: App, puid: str) -> None:
    opened, _ = followed(world, app)
    world.browser()("DELETE", f"/grant/{app.id}", **world.authorization(ANN))
    world.settle()
    (update,) = opened.take_events()
    assert [(entry["puid"], entry["reason"]) for entry in update.data["updates"]] == [(puid, "revoked")]


ENDS: dict[str, tuple[Callable[[World, App], object], dict[str, object]]] = {
    "deactivated": (
        lambda world, app: app.owner("POST", f"/myapps/{app.id}/deactivate"),
        {"code": 4003, "reason": "the application is not active"},
    ),
    "deleted": (lambda world, app: app.owner("DELETE", f"/myapps/{app.id}"), {"code": 4001, "reason": "the application was deleted"}),
    "key replaced": (
        lambda world, app: (app.owner("POST", f"/myapps/{app.id}/key"), world.advance(86_400 + 61)),
        {"code": 4009, "reason": "the API key is not valid"},
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_the_end_of_the_key_or_of_the_application_ends_the_stream(world: World, app: App, name: str) -> None:
    opened, _ = followed(world, app)
    end, data = ENDS[name]
    end(world, app)
    world.settle()
    assert opened.take_events()[-1:] == [Event("close", None, data)]
    assert not world.services.hub.has_application(app.id)


def test_a_stop_says_when_to_come_back(world: World, app: App) -> None:
    opened, _ = followed(world, app)
    opened.close(4200, "the server is stopping; retry_after=2")
    assert opened.written.startswith(b"retry: 2000\nevent: close\n")
    assert opened.take_events() == [Event("close", None, {"code": 4200, "reason": "the server is stopping; retry_after=2"})]


def test_streams_count_as_channels_of_the_application(make_world: Callable[..., World]) -> None:
    world = make_world(presence__sockets_per_application="2")
    app = world.application()
    first, _ = stream(world, app), world.followed(app)
    with pytest.raises(AppError, match="2 channels of this application are open already"):
        stream(world, app)
    first.lose()
    stream(world, app)


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("?wait=51", "wait: whole seconds from 0 to 50"),
        ("?wait=-1", "wait: whole seconds from 0 to 50"),
        ("?wait=", "wait: whole seconds from 0 to 50"),
        (f"?since={'x' * 4097}", "since: a cursor of up to 4096 characters"),
    ],
)
def test_a_wrong_parameter_is_refused(shared: World, shared_app: App, query: str, error: str) -> None:
    assert refused(shared, f"/myapps/{shared_app.id}/feed{query}", shared_app.key) == (400, ko(107, error))


@pytest.mark.parametrize("query", ["?wait=0", "?wait=9"])
def test_a_call_without_the_key_is_refused(shared: World, shared_app: App, query: str) -> None:
    path = f"/myapps/{shared_app.id}/feed{query}"
    assert refused(shared, path, "dpk_x") == (401, ko(105, "the API key is not valid"))
    assert refused(shared, f"/myapps/unknown/feed{query}", shared_app.key) == (401, ko(105, "the API key is not valid"))
    assert refusal(shared.browser()("GET", path)) == (401, ko(104, "Authorization: Bearer and an API key"))
    assert refusal(Browser(shared.app)("POST", path, {})) == (405, ko(115, "the method is not allowed here"))
    assert not shared.services.hub.has_application(shared_app.id)


def test_a_websocket_is_not_opened_at_the_path_of_the_stream(shared: World, shared_app: App) -> None:
    """The handler of an upgrade provides no stream."""
    answer = refused(shared, f"/myapps/{shared_app.id}/feed", shared_app.key)
    assert answer == (400, ko(108, "Upgrade: is for the channel, not for this path"))


def test_a_snapshot_is_held_back_while_devices_reconnect(make_world: Callable[..., World], tmp_path: object) -> None:
    first = make_world(directory__url=f"sqlite:///{tmp_path}/one.db")
    app = first.application()
    puid = first.grant(ANN, app)
    first.close()
    world = make_world(clock=first.clock, directory__url=f"sqlite:///{tmp_path}/one.db")
    opened = stream(world, app)
    assert [event.name for event in opened.take_events()] == ["auth"]
    assert refused(world, f"/myapps/{app.id}/feed?wait=0", app.key) == (
        503,
        ko(201, "devices are reconnecting after a restart", retry_after=15),
    )
    world.device(ANN)
    world.advance(16)
    snapshot, current = opened.take_events()
    assert [(entry["puid"], entry["status"]) for entry in snapshot.data["snapshot"]] == [(puid, "online")]
    assert current.name == "current"


def test_a_stream_at_another_process_gets_the_updates_too(one: World, two: World) -> None:
    app = one.application()
    puid = one.grant(ANN, app)
    opened, cursor = followed(two, app)
    device = one.device(ANN)
    eventually(lambda: opened.written)
    events = opened.take_events()
    assert [(entry["puid"], entry["status"]) for event in events for entry in event.data["updates"]] == [(puid, "online")]
    device.receive({"email": ANN, "status": "unavailable"})
    one.settle()
    missed = [event.data for event in stream(one, app, Last_Event_ID=cursor).take_events() if "updates" in event.data]
    assert [entry["status"] for frame in missed for entry in frame["updates"]] == ["online", "unavailable"]
