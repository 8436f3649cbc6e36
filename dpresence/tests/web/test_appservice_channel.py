"""The AppService Presence Channel as an application's backend sees it (section 5)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import pytest
from sqlalchemy import Connection, insert

from dpresence.backends.directory.sql import ACCOUNTS, GRANTS
from dpresence.backends.sql.tables import accounts, grants
from dpresence.model import Account, Grant
from dpresence.tests.support import FakeConnection
from dpresence.tests.web.support import NOT_FOUND, App, Browser, World, ko, refusal, updates

ANN, BOB = "ann@example.org", "bob@example.org"
INVALID_KEY = ko(105, "the API key is not valid")
AUTH_FIRST = ko(104, "action: auth comes first")


def handshake(world: World, appid: str) -> Any:
    """Ask for a channel; returns the HTTP answer of a refusal."""
    connection = FakeConnection()
    extra = {"wsgi.websocket": connection}
    answer = Browser(world.app).web.get(f"/myapps/{appid}", extra_environ=extra, expect_errors=True)
    assert connection.channel is None
    return answer


# -- the handshake


def test_an_unknown_application_is_refused_before_the_101(world: World) -> None:
    assert refusal(handshake(world, "unknown")) == NOT_FOUND


def test_an_application_that_is_not_validated_or_not_active_is_refused_before_the_101(world: World) -> None:
    dev = world.person("dev@example.org")
    appid = world.registered(dev)["appid"]
    assert refusal(handshake(world, appid)) == (403, ko(140, "the application's domain is not validated"))
    appid = world.validated(dev)
    assert refusal(handshake(world, appid)) == (403, ko(142, "the application is not active"))


def test_without_a_websocket_the_path_is_a_rest_call(world: World, app: App) -> None:
    assert app.owner("GET", f"/myapps/{app.id}").json["appid"] == app.id


# -- auth


def test_the_answer_says_that_a_snapshot_follows(world: World, app: App) -> None:
    channel = world.service_channel(app)
    assert channel.sent == []
    channel.receive({"action": "auth", "key": app.key, "id": "a"})
    assert channel.sent[0] == {"result": "OK", "action": "auth", "recovery": "snapshot", "id": "a"}
    assert channel.sent[1] == {"snapshot": [], "last": True, "cursor": channel.sent[1]["cursor"]}
    assert len(channel.sent) == 2 and channel.known


def test_nothing_works_before_auth_and_three_tries_are_enough(world: World, app: App) -> None:
    channel = world.service_channel(app)
    puid = world.grant(ANN, app)
    notify = {"action": "notify", "notifications": [{"puid": puid}], "id": 1}
    assert channel.receive(notify) == {**AUTH_FIRST, "id": 1}
    assert channel.receive({"action": "auth", "key": "wrong"}) == INVALID_KEY
    assert channel.code is None
    assert channel.receive(notify) == {**AUTH_FIRST, "id": 1}
    assert (channel.code, channel.reason) == (4009, "not signed in")
    assert world.notify(app, {"puid": puid})[0]["queue_size"] == 1


def test_three_wrong_keys_close_the_channel(world: World, app: App) -> None:
    other = world.application(app.owner, name="Go")
    channel = world.service_channel(app)
    for key in ("", "nonsense", other.key):
        assert channel.code is None
        assert channel.receive({"action": "auth", "key": key}) == INVALID_KEY
    assert channel.code == 4009


def test_a_wrong_key_may_be_followed_by_the_right_one(world: World, app: App) -> None:
    channel = world.service_channel(app)
    channel.receive({"action": "auth", "key": "nonsense"})
    channel.take()
    channel.receive({"action": "auth", "key": app.key})
    assert channel.sent[0]["result"] == "OK"


def test_without_a_key_within_ten_seconds_it_is_closed(world: World, app: App) -> None:
    silent, signed = world.service_channel(app), world.service(app)
    world.advance(10)
    assert (silent.code, silent.reason, signed.code) == (4009, "not signed in in time", None)


def test_one_signs_in_once(world: World, app: App) -> None:
    channel = world.followed(app)
    assert channel.receive({"action": "auth", "key": app.key}) == ko(122, "action: this channel is signed in already")
    assert channel.code is None


@pytest.mark.parametrize(
    ("frame", "errno", "error"),
    [
        ("nonsense", 106, "not JSON: expected one JSON object"),
        ({}, 108, "action: is missing"),
        ({"action": "dance"}, 108, "action: is not known here; one of auth, notify, ping"),
        ({"action": ["auth"]}, 107, "action: one of the actions of this channel, as text"),
        ({"action": "auth"}, 108, "key: is missing"),
        ({"action": "auth", "key": 5}, 107, "key: an API key, as text"),
        ({"action": "auth", "key": "k", "since": 5}, 107, "since: a cursor, as text"),
        ({"action": "auth", "key": "k", "colour": 5}, 108, "colour: is not known here"),
        ({"action": "notify"}, 108, "notifications: is missing"),
        ({"action": "notify", "notifications": []}, 107, "notifications: a list of 1 to 100 notifications"),
        ({"action": "notify", "notifications": [{"puid": "p", "ttl": "x"}]}, 153, "notifications[0].ttl: whole seconds from 0 to 2592000"),
    ],
)
def test_a_frame_that_is_wrong_is_refused_in_words(shared: World, shared_app: App, frame: object, errno: int, error: str) -> None:
    channel = shared.service_channel(shared_app)
    assert channel.receive(frame) == ko(errno, error)
    assert channel.code is None


@pytest.mark.parametrize(("path", "method", "code"), [("/deactivate", "POST", 4003), ("", "DELETE", 4001)])
def test_a_channel_whose_auth_was_overtaken_by_the_end_of_its_application_is_closed(
    world: World, app: App, monkeypatch: pytest.MonkeyPatch, path: str, method: str, code: int
) -> None:
    api_keys, channel = world.services.api_keys, world.service_channel(app)
    authenticate = api_keys.authenticate

    def overtaken(*arguments: Any) -> Any:
        found = authenticate(*arguments)
        app.owner(method, f"/myapps/{app.id}{path}")
        return found

    monkeypatch.setattr(api_keys, "authenticate", overtaken)
    channel.receive({"action": "auth", "key": app.key})
    assert channel.code is None
    channel.tick()
    assert channel.code == code


def test_ten_sockets_of_one_application_each_get_everything_and_an_eleventh_does_not_come_in(
    make_world: Callable[..., World],
) -> None:
    world = make_world(presence__sockets_per_application="2")
    app = world.application()
    channels = [world.followed(app), world.followed(app)]
    third = world.service_channel(app)
    assert third.receive({"action": "auth", "key": app.key, "id": 1})["errno"] == 122
    assert third.code == 1013
    puid = world.grant(ANN, app)
    world.settle()
    assert [updates(channel) for channel in channels] == [[(puid, "offline", "granted")]] * 2
    channels[0].lose()
    assert world.service(app).sent[0]["result"] == "OK"


# -- snapshots


def test_a_snapshot_shows_everybody_who_granted(world: World, app: App) -> None:
    puids = {ANN: world.grant(ANN, app), BOB: world.grant(BOB, app)}
    other = world.application(app.owner, name="Go")
    world.grant("carl@example.org", other)
    world.device(ANN, "unavailable")
    frame = world.service(app).sent[1]
    at = world.clock.now() // 1000 * 1000
    assert set(frame) == {"snapshot", "last", "cursor"} and frame["last"] is True
    assert sorted(frame["snapshot"], key=lambda entry: entry["status"]) == [
        {"puid": puids[BOB], "status": "offline", "at": at},
        {"puid": puids[ANN], "status": "unavailable", "at": at},
    ]


def granted_by_many(world: World, app: App, count: int) -> set[str]:
    """Let an application see many people; returns their PUIDs."""
    made = [Grant(app.id, f"puid-{number}", f"u{number}", 0, 0) for number in range(count)]
    people = [Account(grant.user, f"{grant.user}@example.org", "dev.invalid", "s", 0) for grant in made]

    def add(connection: Connection) -> None:
        connection.execute(insert(accounts), [ACCOUNTS.values(account) for account in people])
        connection.execute(insert(grants), [GRANTS.values(grant) for grant in made])

    world.registry.backends.directory.database.run(add)
    return {grant.puid for grant in made}


def test_a_large_snapshot_comes_in_frames_of_500_and_the_last_one_has_the_cursor(world: World, app: App) -> None:
    puids = granted_by_many(world, app, 1001)
    frames = world.service(app).sent[1:]
    assert [(len(frame["snapshot"]), frame["last"], "cursor" in frame) for frame in frames] == [
        (500, False, False),
        (500, False, False),
        (1, True, True),
    ]
    assert {entry["puid"] for frame in frames for entry in frame["snapshot"]} == puids


@pytest.mark.parametrize("since", [True, False])
def test_a_large_snapshot_or_replay_lets_others_have_their_turn_and_ends_with_the_channel(
    make_world: Callable[..., World], tmp_path: Path, since: bool
) -> None:
    world = make_world(directory__url=f"sqlite:///{tmp_path}/large.db")  # a file: that is read without a pause
    app = world.application()
    cursor = world.service(app).sent[-1]["cursor"] if since else None
    puids, tracker = granted_by_many(world, app, 1501), world.registry.backends.tracker
    for grant in world.registry.backends.directory.grants_by_puid(app.id, list(puids)).values():
        tracker.append_grant(grant, 0)
    channel, turns = world.service_channel(app), []

    def look() -> None:
        while len(turns) < 1000:
            turns.append(len(channel.sent))
            if len(channel.sent) == 3:
                channel.lose()
            gevent.sleep(0.0001)  # by the clock, as what waits for a socket

    watcher = gevent.spawn(look)
    channel.receive({"action": "auth", "key": app.key, **({"since": cursor} if cursor else {})})
    watcher.kill()
    assert {2, 3} <= set(turns)
    assert len(channel.sent) == 3 and channel.code == 1006
