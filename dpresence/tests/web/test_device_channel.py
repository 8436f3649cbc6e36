"""The Device Presence Channel as a device sees it: replies, signing in, the end of a session (section 3)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dpresence.channels import NO_UPGRADE
from dpresence.tests.support import FakeClock
from dpresence.tests.web.races import Away, Held
from dpresence.tests.web.support import App, World, ko, refusal, say, seen

ANN, BOB = "ann@example.org", "bob@example.org"
OK = {"result": "OK"}
INVALID = ko(34, "Invalid assertion")
ENDED = ko(130, "the session has ended; send a new assertion")
OTHER_EMAIL = ko(133, "email: differs from the address that the assertion proves")


# -- replies


def test_a_readme_client_gets_replies_and_nothing_else(world: World) -> None:
    channel = world.channel()
    assert channel.sent == []
    first = {"email": ANN, "assertion": world.assertion(ANN), "status": "online"}
    assert channel.receive(first) == OK
    assert channel.receive({**first, "status": "unavailable"}) == OK
    assert channel.receive({"email": ANN, "status": "offline"}) == OK
    world.advance(60)
    assert channel.sent == [OK, OK, OK] and channel.code is None and channel.known


def test_an_id_is_echoed_in_every_reply(world: World) -> None:
    for frame_id in (0, "", 7, -(2**63), 2**63 - 1, "x" * 64, "\u00e4"):
        channel = world.channel()
        assert say(channel, assertion="a~b", id=frame_id) == {**INVALID, "id": frame_id}
        assert say(channel, assertion=world.assertion(ANN), id=frame_id) == {**OK, "id": frame_id}
        assert say(channel, "asleep", id=frame_id)["id"] == frame_id


def test_a_reply_has_no_id_when_none_was_sent(world: World) -> None:
    assert say(world.device(ANN), id=None) == OK


@pytest.mark.parametrize(
    ("frame", "errno", "error"),
    [
        ("", 106, "not JSON: expected one JSON object"),
        ("[]", 106, "expected one JSON object"),
        ('"online"', 106, "expected one JSON object"),
        ("{} {}", 106, "not JSON: expected one JSON object"),
        ("[" * 5000, 106, "not JSON: expected one JSON object"),
        ({}, 108, "email: is missing"),
        ({"email": ANN}, 108, "status: is missing"),
        ({"email": ANN, "status": "online"}, 108, "assertion: is missing"),
        ({"email": ANN, "status": "online", "mood": "good"}, 108, "mood: is not known here"),
        ({"email": ANN, "status": 5, "mood": "good"}, 108, "mood: is not known here"),
        ({"email": ANN, "status": "asleep"}, 107, "status: one of online, unavailable, offline"),
        ({"email": 5, "status": "online"}, 107, "email: an e-mail address of up to 254 characters"),
        ({"email": ANN, "status": "online", "assertion": 5}, 107, "assertion: an assertion, as text"),
        ({"email": ANN, "status": "online", "device": "a b"}, 107, "device: 1 to 64 of A-Z a-z 0-9 . _ : -"),
        ({"email": ANN, "status": "online", "device": ""}, 107, "device: 1 to 64 of A-Z a-z 0-9 . _ : -"),
        ({"email": ANN, "status": "online", "device": "a\n"}, 107, "device: 1 to 64 of A-Z a-z 0-9 . _ : -"),
        ({"email": ANN, "status": "online", "device": "~a"}, 107, "device: 1 to 64 of A-Z a-z 0-9 . _ : -"),
        ({"email": ANN, "status": "online", "ack": 1}, 107, "ack: true or false"),
        ({"email": ANN, "status": "online", "id": 1.5}, 107, "id: a string of up to 64 characters, or an integer of 64 bits"),
        ({"email": ANN, "status": "online", "id": "x" * 65}, 107, "id: a string of up to 64 characters, or an integer of 64 bits"),
        ({"action": "dance"}, 108, "action: is not known here; ack, read, shown, opened, or none for an update"),
        ({"action": 5}, 107, "action: one of the actions of this channel, as text"),
        ({"action": "ack"}, 108, "notifications: is missing"),
        ({"action": "ack", "notifications": "n"}, 107, "notifications: a list of notification ids"),
        ({"action": "ack", "notifications": []}, 104, "credentials are missing"),
    ],
)
def test_a_frame_that_is_wrong_is_refused_in_words_and_the_channel_stays_open(shared: World, frame: object, errno: int, error: str) -> None:
    channel = shared.channel()
    assert channel.receive(frame) == ko(errno, error)
    assert channel.code is None


def test_twenty_bad_frames_within_a_minute_close_the_channel(world: World) -> None:
    channel = world.device(ANN)
    for _ in range(19):
        channel.receive("x")
    world.clock.advance(60)
    for _ in range(19):
        channel.receive("x")
    assert channel.code is None
    channel.receive("x")
    assert (channel.code, channel.reason) == (4013, "too many bad frames")


# -- signing in


def test_a_channel_without_a_sign_in_within_ten_seconds_is_closed(world: World) -> None:
    channel, signed = world.channel(), world.device(ANN)
    channel.receive("x")
    world.advance(9.9)
    assert channel.code is None
    world.advance(0.1)
    assert (channel.code, channel.reason, signed.code) == (4009, "not signed in in time", None)


def test_a_first_frame_that_was_refused_may_be_followed_by_a_better_one(world: World) -> None:
    channel = world.channel()
    assert say(channel, assertion="nonsense") == INVALID
    assert say(channel, assertion=world.assertion(BOB)) == OTHER_EMAIL
    assert say(channel, assertion=world.assertion(ANN)) == OK


def test_emails_compare_after_lower_casing_the_domain(world: World) -> None:
    channel = world.channel()
    assert channel.receive({"email": "ann@EXAMPLE.org", "assertion": world.assertion(ANN), "status": "online"}) == OK
    assert channel.receive({"email": "ann@Example.ORG", "status": "online"}) == OK
    assert channel.receive({"email": "Ann@example.org", "status": "online"}) == OTHER_EMAIL


def test_another_email_on_the_same_connection_is_refused_and_changes_nothing(world: World, app: App, puid: str) -> None:
    channel = world.device(ANN)
    assert channel.receive({"email": BOB, "status": "offline"}) == OTHER_EMAIL
    assert channel.receive({"email": BOB, "assertion": world.assertion(BOB), "status": "offline"}) == OTHER_EMAIL
    assert say(channel, "offline", assertion=world.assertion(BOB)) == OTHER_EMAIL
    assert seen(world, app) == "online"


def test_an_assertion_may_be_repeated_and_is_not_verified_again(world: World) -> None:
    assertion = world.assertion(ANN)
    channel = world.channel()
    say(channel, assertion=assertion)
    world.clock.advance(7200)
    assert say(channel, "unavailable", assertion=assertion) == OK
    assert say(channel, "online", assertion="a~b") == INVALID
    assert say(channel, "offline") == OK


def test_a_ticket_may_be_repeated_on_its_connection(world: World) -> None:
    ticket = world.person(ANN)("POST", "/ticket").json["ticket"]
    channel = world.channel()
    assert say(channel, assertion=ticket) == OK
    assert say(channel, "unavailable", assertion=ticket) == OK


def test_when_the_session_has_ended_an_update_changes_nothing_until_a_new_assertion_comes(world: World, app: App, puid: str) -> None:
    first = world.assertion(ANN)
    channel = world.channel()
    say(channel, assertion=first)
    world.clock.advance(43199)
    assert say(channel, "unavailable") == OK
    world.clock.advance(1)
    assert say(channel, "offline") == ENDED
    assert say(channel, "offline", assertion=first) == ENDED
    assert seen(world, app) == "unavailable"
    assert say(channel, "online", assertion=world.assertion(ANN)) == OK
    assert seen(world, app) == "online"
    world.clock.advance(43199)
    assert say(channel, "unavailable") == OK


def test_a_silent_device_whose_session_has_ended_is_closed_and_keeps_its_grace(world: World, app: App, puid: str) -> None:
    channel = world.device(ANN)
    world.advance(43200 + 59)
    assert channel.code is None
    world.advance(1)
    assert (channel.code, seen(world, app)) == (4202, "online")
    world.advance(15)
    assert seen(world, app) == "offline"


# -- what happens meanwhile


def test_a_sign_in_that_a_log_out_overtook_is_closed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, channel = world.person(ANN), world.channel()
    first = {"email": ANN, "assertion": ann("POST", "/ticket").json["ticket"], "status": "online", "device": "page"}
    held = Held(monkeypatch, world.registry.backends.tracker, "connect")
    held.overtake(lambda: channel.receive(first), lambda: ann("POST", "/logout"))
    assert (channel.code, world.person(ANN)("GET", "/devices").json["devices"]) == (4009, [])


def test_a_sign_in_of_which_nobody_can_say_whether_it_stands_is_closed_for_now(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    older = world.device(ANN, device="phone")
    channel, assertion = world.channel(), world.assertion(ANN)
    held = Held(monkeypatch, world.registry.backends.tracker, "connect")

    def overtake() -> None:
        world.services.hub.close_devices("somebody", "signed out")
        Away(monkeypatch, world.registry.backends.directory, "account")

    held.overtake(lambda: say(channel, assertion=assertion, device="phone"), overtake)
    assert (channel.sent, channel.code) == ([OK], 1013)
    assert older.code == 4010


def test_a_renewal_that_a_log_out_overtook_closes_the_channel(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, channel = world.person(ANN), world.device(ANN)
    ticket, directory = ann("POST", "/ticket").json["ticket"], world.registry.backends.directory
    use = directory.use_ticket

    def use_and_be_overtaken(*arguments: object) -> object:
        used = use(*arguments)
        ann("POST", "/logout")
        return used

    monkeypatch.setattr(directory, "use_ticket", use_and_be_overtaken)
    say(channel, "unavailable", assertion=ticket)
    assert channel.code == 4009


@pytest.mark.parametrize(("backend", "method"), [("directory", "sign_in"), ("tracker", "connect")])
def test_a_device_refused_because_a_backend_is_away_has_time_to_try_again(
    world: World, monkeypatch: pytest.MonkeyPatch, backend: str, method: str
) -> None:
    channel = world.channel()
    away = Away(monkeypatch, getattr(world.registry.backends, backend), method)
    for _ in range(3):
        world.advance(9)
        assert say(channel, assertion=world.assertion(ANN))["errno"] == 201
    away.back = True
    world.advance(14.9)
    assert say(channel, assertion=world.assertion(ANN)) == OK


def test_a_device_that_proved_its_identity_and_was_refused_has_time_to_try_again(world: World) -> None:
    channel = world.channel()
    world.advance(9)
    assert say(channel, assertion=world.assertion(BOB)) == OTHER_EMAIL
    world.advance(9)
    assert say(channel, assertion=world.assertion(ANN)) == OK


def test_the_snapshot_waits_for_a_device_that_could_not_sign_in_for_a_backends_sake(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/restarted.db"
    before = make_world(directory__url=url)
    app = before.application()
    before.grant(ANN, app)
    before.close()
    world = make_world(FakeClock(before.clock.now() + 60_000), directory__url=url)
    service = world.service(app)
    away = Away(monkeypatch, world.registry.backends.tracker, "connect")
    world.advance(14)
    channel = world.channel()
    assert say(channel, assertion=world.assertion(ANN))["retry_after"] == 5
    away.back = True
    world.advance(5)
    service.take()
    say(channel, assertion=world.assertion(ANN))
    world.advance(15)
    assert [entry["status"] for entry in service.sent[0]["snapshot"]] == ["online"]


# -- the handshake


def test_without_a_websocket_the_path_says_what_is_missing(world: World) -> None:
    answer = world.browser()("GET", "/presence")
    assert refusal(answer) == (400, ko(108, NO_UPGRADE))
    assert answer.headers["Access-Control-Allow-Origin"] == "*", "the page of any origin may read why it cannot connect"


def test_a_handshake_whose_upgrade_a_proxy_left_out_says_what_the_proxy_has_to_do(world: World) -> None:
    application = world.application()
    for path in ("/presence", f"/myapps/{application.id}"):
        answer = world.browser()("GET", path, Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==", Sec_WebSocket_Version="13")
        assert refusal(answer) == (400, ko(108, NO_UPGRADE))


def test_a_renewal_of_a_device_that_a_sign_out_has_removed_closes_the_channel(world: World) -> None:
    """The signal of the sign-out is still on its way."""
    device = world.device(ANN, device="phone")
    user = world.services.hub.devices()[0][0]
    world.registry.backends.directory.sign_out_device(user, "another one")  # raises the revision
    world.registry.backends.tracker._users.clear()
    assert say(device, assertion=world.assertion(ANN)) == OK
    world.settle()
    assert device.code == 4009
